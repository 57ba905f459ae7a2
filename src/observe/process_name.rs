//! By what people know this process.

use std::sync::OnceLock;
use std::{env, fs, process};

/// The longest name of a host.
const LONGEST: usize = 63;

/// Returns the host and the id of this process, as in `db7 pid 4711`.
pub(crate) fn process_name() -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(|| match host() {
        Some(host) => format!("{host} pid {}", process::id()),
        None => format!("pid {}", process::id()),
    })
}

/// Returns the name of this machine or container, if it can be found out without asking anybody.
fn host() -> Option<String> {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = name.or_else(|| env::var("HOSTNAME").ok())?;
    let shown = name.trim().chars().filter(|c| !c.is_control());
    let name: String = shown.take(LONGEST).collect();
    (!name.is_empty()).then_some(name)
}
