//! Looking at topics, and what an operator does to them.

pub(crate) mod backlogs;
pub(crate) mod missing;
pub(crate) mod peek;
pub(crate) mod stats;

use crate::db::{Params, Run, Statement, column, columns, query, sql};
use crate::dead_letters::slices::{SLICE, Slice, slice};
use crate::words::Result;
use uuid::Uuid;

static IS_KNOWN: Statement = sql!("is_known", Anew);
static PURGE: Statement = sql!("purge", Anew);
static TOPICS: Statement = sql!("topics", Anew);

/// Returns up to `most` names of topics that are known, sorted by bytes: the first ones, or those
/// after one.
pub(crate) fn topics(run: &mut dyn Run, after: Option<&str>, most: i64) -> Result<Vec<String>> {
    // No name is between one and the same with the least character behind it. The first name that a
    // hand can write is empty.
    let from = after.map_or_else(String::new, |after| format!("{after}\u{1}"));
    let params: Params<'_> = &[&from, &most];
    columns(&query(run, &TOPICS, params, "listing topics")?, "topic")
}

/// What of a topic is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sign {
    /// A message that is ready, in work or scheduled.
    Message,
    /// Whatever is known of it.
    Any,
}

/// Returns whether there is a sign of a topic.
pub(crate) fn is_there(run: &mut dyn Run, topic: &str, sign: Sign) -> Result<bool> {
    let only_messages = sign == Sign::Message;
    let params: Params<'_> = &[&topic, &only_messages];
    let rows = query(run, &IS_KNOWN, params, "looking for a topic")?;
    rows.first()
        .map_or(Ok(false), |row| column(row, "is_there"))
}

/// Removes a slice of the messages that are ready, scheduled, or behind others of their key. Those
/// in work stay. Returns it, and whether there may be more.
pub(crate) fn purge(run: &mut dyn Run, topic: &str) -> Result<(Slice, bool)> {
    let params: Params<'_> = &[&topic, &(SLICE as i64), &Uuid::now_v7()];
    let slice = slice(&query(run, &PURGE, params, "purging a topic")?)?;
    let may_be_more = slice.messages >= SLICE as u64;
    Ok((slice, may_be_more))
}
