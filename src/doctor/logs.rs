//! Readers of logs that are about to miss what they have not read, or hold it back.

use crate::db::{Statement, column, sql};
use crate::doctor::ask::Ask;
use crate::doctor::finding::Finding;
use crate::doctor::listed::{at_most, span, word};
use crate::log::log_reader::{self, LogReader};
use crate::settings::settings;
use crate::words::limits::millis;
use crate::words::topic_kind::{SlowReaders, TopicKind};
use crate::words::{Result, TopicConfig};
use std::time::Duration;

static LOGS_WITH_NEWS: Statement = sql!("logs_with_news", Anew);

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
    let logs: Vec<_> = logs.take(LOGS).collect();
    let mut found = Vec::new();
    let mut seen = 0;
    for row in &ask.rows(&LOGS_WITH_NEWS, &[])? {
        let (topic, since): (String, i64) = (column(row, "topic")?, column(row, "since_ms")?);
        let log = logs.iter().find(|(log, ..)| **log == topic);
        if log.is_some_and(|(.., kept)| millis(*kept) / 5 * 4 <= since) {
            found.push(unread(ask, &topic, since));
        }
    }
    for (topic, config, kept) in logs {
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

/// Says that nobody reads a log at all, so that nobody knows how far behind its readers are.
fn unread(ask: &Ask<'_, '_>, topic: &str, since: i64) -> Finding {
    let seen = format!(
        "log {topic} has readers, and messages that nobody has looked for since {} ago",
        span(since)
    );
    let forget = format!("log forget {} READER", word(topic));
    ask.warning(seen)
        .means("no process reads it: what its readers have not read may soon be past what it keeps")
        .command(ask.facts.command(&format!("log readers {}", word(topic))))
        .advice(format!(
            "start the programs that read it; or, for a reader that is not wanted any more: {}",
            ask.facts.command(&forget)
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
