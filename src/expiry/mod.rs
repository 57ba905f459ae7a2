//! Expired messages of all topics, where no worker claims them.

pub(crate) mod round;

use crate::db::{Params, Run, Statement, column, columns, query, sql};
use crate::message::claimed::Held;
use crate::words::{ClaimPlace, MessageId, OnEnd, Result};
use postgres::Row;
use std::time::Duration;

static EXPIRE_FOLLOWERS: Statement = sql!("expire_followers", Kept);
static EXPIRE_READY: Statement = sql!("expire_ready", Kept);
static EXPIRE_SCHEDULED: Statement = sql!("expire_scheduled", Kept);
static LOCK_EXPIRED_LANES: Statement = sql!("lock_expired_lanes", Kept);
static NEXT_EXPIRY: Statement = sql!("next_expiry", Kept);

/// The error of dead letters whose time was over.
pub(crate) const ERROR: &str = "its time was over before it was handled";

/// Messages of one kind that one transaction takes: few enough to hold its locks for milliseconds.
pub(crate) const EXPIRE_LIMIT: i64 = 1000;

const DOING: &str = "taking out expired messages";

/// Takes out a batch of expired messages of each kind. Those of the topics `dropping` are dropped,
/// and those that are wanted no longer than that; the others become dead letters. Each is returned
/// with its key only if others of the key waited for it. Runs in the caller's transaction; the
/// caller follows up on the ends.
pub(crate) fn expire(run: &mut dyn Run, dropping: &[String]) -> Result<Vec<(String, Held)>> {
    let params: Params<'_> = &[&EXPIRE_LIMIT, &dropping, &ERROR];
    let mut rows = query(run, &EXPIRE_READY, params, DOING)?;
    rows.extend(query(run, &EXPIRE_SCHEDULED, params, DOING)?);
    // Locked in a statement of their own: the next one has to see what the last holder did.
    let lanes = query(run, &LOCK_EXPIRED_LANES, &[&EXPIRE_LIMIT], DOING)?;
    if !lanes.is_empty() {
        let topics: Vec<String> = columns(&lanes, "topic")?;
        let keys: Vec<String> = columns(&lanes, "key")?;
        let params: Params<'_> = &[&topics, &keys, &dropping, &ERROR, &EXPIRE_LIMIT];
        rows.extend(query(run, &EXPIRE_FOLLOWERS, params, DOING)?);
    }
    rows.iter().map(read).collect()
}

/// Returns in how long the time of the next message is over; zero if it is.
pub(crate) fn next_expiry(run: &mut dyn Run) -> Result<Option<Duration>> {
    let rows = query(run, &NEXT_EXPIRY, &[], "looking for expired messages")?;
    let us: Option<i64> = match rows.first() {
        Some(row) => column(row, "expiry_us")?,
        None => None,
    };
    Ok(us.map(distance))
}

/// Turns microseconds from now into a duration; what is past is now.
pub(crate) fn distance(us: i64) -> Duration {
    Duration::from_micros(us.max(0).unsigned_abs())
}

fn read(row: &Row) -> Result<(String, Held)> {
    let held = Held {
        position: ClaimPlace {
            rank: column(row, "rank")?,
            seq: column(row, "seq")?,
        },
        id: MessageId(column(row, "id")?),
        key: column(row, "key")?,
        on_end: OnEnd::read(column(row, "on_end")?),
    };
    Ok((column(row, "topic")?, held))
}
