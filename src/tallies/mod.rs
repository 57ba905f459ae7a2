//! Tallies: what became of the messages of each topic, minute by minute, for those who draw it.
//!
//! Nobody counts rows for it, and nobody has to look while it happens. Each process counts in
//! memory (`observe/tallies`), and once a minute its upkeep adds what it counted to one row for
//! each topic, in one statement; where nothing happened, there is none. So what is counted of a
//! message costs no write of its own, and a process that is killed takes at most a minute of it
//! along. Nothing but statistics rests on these numbers.

pub(crate) mod round;

use crate::connect::connection::Connection;
use crate::db::run::{BATCH, PRUNING};
use crate::db::{Params, Run, Statement, column, execute, query, sql};
use crate::observe::observers::Observers;
use crate::observe::tallies::TopicCounts;
use crate::publish::ephemeral::is_temporary;
use crate::words::Result;
use crate::words::limits::micros;
use postgres::Row;
use serde::Serialize;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

static ADD_TALLIES: Statement = sql!("add_tallies", Kept);
static ALL_TALLIES: Statement = sql!("all_tallies", Anew);
static PRUNE_TALLIES: Statement = sql!("prune_tallies", Kept);
static TALLIES: Statement = sql!("tallies", Kept);

pub(crate) const MINUTE: Duration = Duration::from_secs(60);
/// How long tallies are kept, in minutes: a day, and an hour for those who compare with yesterday.
const KEPT: i64 = 25 * 60;

/// What became of the messages of one topic in one minute, as
/// [`Messaging::tallies`](crate::Messaging::tallies) returns it. All processes together.
///
/// Its JSON has the same names; the minute is an RFC 3339 time, and `handler_time` is
/// `handler_time_ms`, in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Tally {
    /// The topic; for a named reader of a log, `LOG@READER`.
    pub topic: String,
    /// When the minute began, by the database's clock.
    #[serde(with = "crate::words::moment")]
    pub minute: SystemTime,
    /// Messages that were handled, and are gone.
    pub done: u64,
    /// Attempts that failed, also those that were the last of their message.
    pub failed: u64,
    /// Messages that became dead letters.
    pub dead: u64,
    /// Messages that expired and were dropped.
    pub expired: u64,
    /// Messages that were cancelled.
    pub cancelled: u64,
    /// How long handlers took together, also those that failed. Of messages that are taken by hand
    /// nothing is known.
    #[serde(rename = "handler_time_ms", with = "crate::words::millis")]
    pub handler_time: Duration,
}

/// Writes what this process has counted, and returns whether it was anything. What cannot be
/// written is kept for the next time.
pub(crate) fn write(run: &mut dyn Run, observers: &Observers) -> Result<bool> {
    let mut counted = observers.tallies.take();
    // Nobody looks at these by their names, and there may be many.
    counted.retain(|topic, _| !is_temporary(topic));
    if counted.is_empty() {
        return Ok(false);
    }
    let topics: Vec<&str> = counted.keys().map(String::as_str).collect();
    let column = |of: fn(&TopicCounts) -> u64| -> Vec<i64> {
        let numbers = counted.values().map(of);
        numbers
            .map(|number| i64::try_from(number).unwrap_or(i64::MAX))
            .collect()
    };
    let params: Params<'_> = &[
        &topics,
        &column(|counts| counts.done),
        &column(|counts| counts.failed),
        &column(|counts| counts.dead),
        &column(|counts| counts.expired),
        &column(|counts| counts.cancelled),
        &column(|counts| micros(counts.handled).unsigned_abs()),
    ];
    match execute(run, &ADD_TALLIES, params, "writing tallies") {
        Ok(_) => Ok(true),
        Err(error) => {
            observers.tallies.put_back(counted);
            Err(error)
        }
    }
}

/// Writes what was counted, if it was for a minute or more: for those who work where no upkeep may
/// run. An error is met again by whoever uses the connection next, or does not matter.
pub(crate) fn write_if_due(run: &mut dyn Run, observers: &Observers) {
    if observers.tallies.are_due(MINUTE) {
        let _ = write(run, observers);
    }
}

/// Removes tallies that are older than they are kept; returns whether there may be more.
pub(crate) fn prune(connection: &mut Connection) -> Result<bool> {
    let params: Params<'_> = &[&BATCH, &KEPT];
    Ok(execute(connection, &PRUNE_TALLIES, params, PRUNING)? >= BATCH.unsigned_abs())
}

/// Returns the tallies of a topic, or of all of them, whose minutes began within this time.
pub(crate) fn tallies(
    run: &mut dyn Run,
    topic: Option<&str>,
    since: Duration,
) -> Result<Vec<Tally>> {
    let (since, doing) = (micros(since), "reading tallies");
    let rows = match topic {
        Some(topic) => query(run, &TALLIES, &[&topic, &since], doing)?,
        None => query(run, &ALL_TALLIES, &[&since], doing)?,
    };
    rows.iter().map(tally).collect()
}

fn tally(row: &Row) -> Result<Tally> {
    // A hand may have written any number.
    let number = |name| Ok(u64::try_from(column::<i64>(row, name)?).unwrap_or_default());
    let since_1970 = Duration::from_secs(number("minute")?.saturating_mul(60));
    Ok(Tally {
        topic: column(row, "topic")?,
        minute: UNIX_EPOCH.checked_add(since_1970).unwrap_or(UNIX_EPOCH),
        done: number("done")?,
        failed: number("failed")?,
        dead: number("dead")?,
        expired: number("expired")?,
        cancelled: number("cancelled")?,
        handler_time: Duration::from_micros(number("handled_us")?),
    })
}
