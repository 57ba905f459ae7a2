//! Readers of logs that are about to miss what they have not read, or hold it back.

use crate::doctor::ask::Ask;
use crate::doctor::finding::Finding;
use crate::doctor::listed::{at_most, span, word};
use crate::log::log_reader::{self, LogReader};
use crate::settings::settings;
use crate::words::limits::millis;
use crate::words::topic_kind::{SlowReaders, TopicKind};
use crate::words::{Result, TopicConfig};
use std::time::Duration;

/// So many logs are looked at.
const LOGS: usize = 200;

/// Checks how far readers are behind, beside how long their log keeps messages.
pub(crate) fn readers(ask: &mut Ask<'_, '_>) -> Result<Vec<Finding>> {
    let settings = settings(ask.open)?;
    let logs = settings.iter().filter_map(|(topic, setting)| {
        let config = &setting.config;
        let kept = config.keep_for.filter(|_| config.kind == TopicKind::Log);
        kept.map(|kept| (topic, config, kept))
    });
    let mut found = Vec::new();
    let mut seen = 0;
    for (topic, config, kept) in logs.take(LOGS) {
        for reader in log_reader::list(ask.open, topic)? {
            seen += 1;
            found.extend(late(ask, &reader, config, kept));
        }
    }
    Ok(ask.or_ok(
        at_most(ask, found),
        format!("{seen} readers of logs with a retention keep up"),
    ))
}

fn late(
    ask: &Ask<'_, '_>,
    reader: &LogReader,
    config: &TopicConfig,
    kept: Duration,
) -> Option<Finding> {
    let behind = reader.behind.filter(|behind| *behind >= kept * 4 / 5)?;
    let LogReader {
        topic,
        reader: name,
        lag,
        ..
    } = reader;
    let shown = |duration| span(millis(duration));
    let seen = format!(
        "reader {name} of log {topic} is {} behind ({lag} messages), which keeps {}",
        shown(behind),
        shown(kept)
    );
    let finding = match config.slow_readers {
        SlowReaders::Lose => ask
            .is_unsafe(seen)
            .means("what it has not read by then is removed, and it never handles it"),
        _ => ask
            .warning(seen)
            .means("what it has not read is held back for all: the log grows until it has read on"),
    };
    let (topic, name) = (word(topic), word(name));
    let seek = ask.facts.command(&format!("log seek {topic} {name} now"));
    let forget = ask.facts.command(&format!("log forget {topic} {name}"));
    Some(
        finding
            .advice(format!(
                "start it, or have it read faster (more lanes, larger batches); if it is not wanted any more: {forget}; to pass over what it has not read:"
            ))
            .command(seek),
    )
}
