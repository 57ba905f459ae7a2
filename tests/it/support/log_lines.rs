//! What this process logs, for tests that look for it. All tests of a process share it: each looks
//! for topics of its own.

use log::{Level, LevelFilter, Log, Metadata, Record};
use std::sync::{Mutex, Once};

static LINES: Mutex<Vec<(Level, String)>> = Mutex::new(Vec::new());

struct Keeper;

impl Log for Keeper {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // Beside failures, those of all levels of nobody but us: the driver shows values at the
        // level of debugging.
        let is_ours = metadata.target().starts_with("outtray");
        is_ours && metadata.level() <= Level::Debug || metadata.level() <= Level::Info
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let line = format!("{}: {}", record.target(), record.args());
            LINES.lock().unwrap().push((record.level(), line));
        }
    }

    fn flush(&self) {}
}

/// Keeps from now on what is logged.
pub(crate) fn keep_log() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&Keeper).expect("nobody else keeps the log");
        log::set_max_level(LevelFilter::Debug);
    });
}

/// Returns the lines that have `part` in them, with their levels.
pub(crate) fn logged(part: &str) -> Vec<(Level, String)> {
    let lines = LINES.lock().unwrap();
    let found = lines.iter().filter(|(_, line)| line.contains(part));
    found.cloned().collect()
}
