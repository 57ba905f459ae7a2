//! `outtray changes`: what operators changed, and who they were.

use crate::failure::CommandFailure;
use crate::global::Global;
use crate::known::looked_at;
use crate::output::Output;
use crate::table::{self, Side, glance, moment};
use crate::topics::at_least_one;
use clap::Args;
use outtray::{Change, ChangeCursor};

#[derive(Debug, Args)]
pub(crate) struct ChangesOptions {
    /// Only those of this topic
    #[arg(long, value_name = "TOPIC")]
    topic: Option<String>,

    /// How many, the latest ones
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
    #[arg(value_parser = at_least_one())]
    limit: usize,

    /// Goes on where a list before ended
    #[arg(long, value_name = "CURSOR")]
    after: Option<ChangeCursor>,
}

pub(crate) fn run(
    options: &ChangesOptions,
    global: &Global,
    output: &mut Output,
) -> Result<(), CommandFailure> {
    let messaging = global.connect()?;
    let limit = options.limit;
    let changes = match (&options.topic, &options.after) {
        (Some(topic), None) => looked_at(&messaging, topic)?.changes(limit)?,
        (Some(topic), Some(after)) => looked_at(&messaging, topic)?.changes_after(after, limit)?,
        (None, None) => messaging.changes(limit)?,
        (None, Some(after)) => messaging.changes_after(after, limit)?,
    };
    if output.is_json() {
        return Ok(output.objects(&changes)?);
    }
    if changes.is_empty() {
        output.line(match options.after {
            None => "no change in the last 90 days",
            Some(_) => "no change before that",
        })?;
    }
    let columns = [
        ("AT", Side::Left),
        ("OPERATOR", Side::Left),
        ("FROM", Side::Left),
        ("WHAT", Side::Left),
        ("TOPIC", Side::Left),
        ("MESSAGES", Side::Right),
        ("DETAILS", Side::Left),
    ];
    let rows: Vec<[String; 7]> = changes.iter().map(row).collect();
    table::print(output, columns, &rows)?;
    match changes.last() {
        Some(last) if changes.len() >= limit => {
            Ok(output.line(&format!("maybe more: --after {}", last.cursor))?)
        }
        _ => Ok(()),
    }
}

fn row(change: &Change) -> [String; 7] {
    let or_none = |text: Option<&str>| text.map_or("-".to_owned(), glance);
    let details = match (change.ids.first(), change.details.is_null()) {
        (None, true) => String::new(),
        (Some(id), true) => id.to_string(),
        (None, false) => change.details.to_string(),
        (Some(id), false) => format!("{id} {}", change.details),
    };
    [
        moment(change.at),
        glance(&change.operator),
        or_none(change.address.as_deref()),
        glance(&change.what),
        or_none(change.topic.as_deref()),
        change
            .messages
            .map_or("-".to_owned(), |messages| messages.to_string()),
        glance(&details),
    ]
}
