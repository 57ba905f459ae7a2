//! Dead letters by what their errors have in common.

use crate::db::{Params, Run, Statement, column, query, sql};
use crate::message::claimed::time;
use crate::words::{DeadReason, MessageId, Result};
use postgres::Row;
use serde::Serialize;
use std::time::SystemTime;

static ERROR_GROUPS: Statement = sql!("error_groups", Anew);

/// How many dead letters are looked at: some tens of milliseconds.
const LOOKED_AT: i64 = 10_000;

/// The dead letters of a topic by their errors, as
/// [`dead_letter_groups`](crate::Topic::dead_letter_groups) returns them.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ErrorGroups {
    /// The groups, the largest first.
    pub groups: Vec<ErrorGroup>,
    /// How many dead letters were looked at: those that died last.
    pub looked_at: u64,
    /// Whether there may be more dead letters than were looked at. Then the numbers are those of
    /// the latest ones alone.
    #[serde(rename = "partial")]
    pub is_partial: bool,
}

/// Dead letters that were given up for the same reason, with errors that differ in ids and numbers
/// alone.
///
/// Its JSON is that of `outtray dead groups --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ErrorGroup {
    /// Why they were given up.
    pub reason: DeadReason,
    /// What their errors have in common: `#` stands for ids and numbers, and it has 200 characters
    /// at most. [`Search::error_shape`](crate::Search::error_shape) finds them by it.
    pub shape: String,
    /// How many there are among those that were looked at.
    pub messages: u64,
    /// When the first of them died.
    #[serde(with = "crate::words::moment")]
    pub first_at: SystemTime,
    /// When the last of them died.
    #[serde(with = "crate::words::moment")]
    pub last_at: SystemTime,
    /// The last of them.
    pub last_id: MessageId,
    /// The error of the last one.
    pub last_error: String,
}

pub(crate) fn groups(run: &mut dyn Run, topic: &str, limit: i64) -> Result<ErrorGroups> {
    let params: Params<'_> = &[&topic, &LOOKED_AT, &limit];
    let rows = query(run, &ERROR_GROUPS, params, "grouping dead letters")?;
    let looked_at = match rows.first() {
        Some(row) => column(row, "looked_at")?,
        None => 0,
    };
    Ok(ErrorGroups {
        groups: rows.iter().map(group).collect::<Result<_>>()?,
        looked_at: i64::unsigned_abs(looked_at),
        is_partial: looked_at >= LOOKED_AT,
    })
}

fn group(row: &Row) -> Result<ErrorGroup> {
    Ok(ErrorGroup {
        // One of a newer release reads as this.
        reason: DeadReason::parse(column(row, "reason")?).unwrap_or(DeadReason::Exhausted),
        shape: column(row, "shape")?,
        messages: column::<i64>(row, "messages")?.unsigned_abs(),
        first_at: time(column(row, "first_us")?),
        last_at: time(column(row, "last_us")?),
        last_id: MessageId(column(row, "last_id")?),
        last_error: column(row, "last_error")?,
    })
}
