//! `outtray history`: how messages ended.

use crate::failure::CommandFailure;
use crate::global::Global;
use crate::output::Output;
use crate::table::{self, Side, age, glance, key};
use clap::{Args, ValueEnum};
use outtray::{EndedMessage, HistoryQuery, How, MessageId};
use std::time::Duration;

#[derive(Debug, Args)]
pub(crate) struct HistoryOptions {
    /// The topic
    topic: String,

    /// Only the message with this id
    #[arg(long, value_name = "ID")]
    id: Option<MessageId>,

    /// Only messages with this key
    #[arg(long, value_name = "KEY")]
    key: Option<String>,

    /// Only messages that ended in this way
    #[arg(long, value_enum, value_name = "HOW")]
    how: Option<WayToEnd>,

    /// Only messages that ended within this time
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    since: Option<Duration>,

    /// So many at most, the last first
    #[arg(long, short = 'n', default_value_t = 20, value_name = "NUMBER")]
    limit: usize,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum WayToEnd {
    Done,
    Dead,
    Cancelled,
    Expired,
}

impl From<WayToEnd> for How {
    fn from(ending: WayToEnd) -> Self {
        match ending {
            WayToEnd::Done => How::Done,
            WayToEnd::Dead => How::Dead,
            WayToEnd::Cancelled => How::Cancelled,
            WayToEnd::Expired => How::Expired,
        }
    }
}

impl HistoryOptions {
    fn query(&self) -> HistoryQuery {
        let mut query = HistoryQuery::topic(&self.topic).limit(self.limit);
        if let Some(id) = self.id {
            query = query.id(id);
        }
        if let Some(key) = &self.key {
            query = query.key(key);
        }
        if let Some(how) = self.how {
            query = query.how(how.into());
        }
        match self.since {
            Some(since) => query.within(since),
            None => query,
        }
    }
}

pub(crate) fn run(
    options: &HistoryOptions,
    global: &Global,
    output: &mut Output,
) -> Result<(), CommandFailure> {
    let messaging = global.connect()?;
    let ended = messaging.history(&options.query())?;
    if output.is_json() {
        return Ok(output.objects(&ended)?);
    }
    if ended.is_empty() {
        let config = messaging.topic(&options.topic).config()?;
        output.line(match config.keep_done {
            Some(_) => "no message ended that is asked for",
            None => "the topic keeps no history: set keep_done (outtray config --set keep_done=7d)",
        })?;
    }
    let columns = [
        ("ENDED AT", Side::Left),
        ("HOW", Side::Left),
        ("ID", Side::Left),
        ("KEY", Side::Left),
        ("TYPE", Side::Left),
        ("ATTEMPTS", Side::Right),
        ("TOOK", Side::Right),
        ("PROCESS", Side::Left),
        ("ERROR", Side::Left),
    ];
    let rows: Vec<[String; 9]> = ended.iter().map(row).collect();
    Ok(table::print(output, columns, &rows)?)
}

fn row(ended: &EndedMessage) -> [String; 9] {
    let took = ended
        .started_at
        .and_then(|at| ended.ended_at.duration_since(at).ok());
    let or_none = |text: &Option<String>| text.as_deref().map_or("-".to_owned(), glance);
    [
        humantime::format_rfc3339_seconds(ended.ended_at).to_string(),
        ended.how.to_string(),
        ended.id.to_string(),
        key(ended.key.as_deref()),
        or_none(&ended.message_type),
        ended.attempts.to_string(),
        took.map_or("-".to_owned(), age),
        or_none(&ended.process),
        or_none(&ended.error),
    ]
}
