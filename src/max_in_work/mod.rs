//! Topics with a limit of messages in work at the same time, over all processes.
//!
//! Such a topic has as many slots as its limit: rows that are locked and never changed. A slot is
//! one message in work. A worker that handles messages in its transaction holds the lock of one
//! slot for as long as the transaction lasts, or of one slot for each message if it handles them
//! together. A worker that dies loses its locks with its connection. A lower limit leaves the slots
//! above it unused; their holders finish.
//!
//! Leases outlive transactions and hold no lock, so they are counted. Both ways decide while they
//! hold locks:
//!
//! - A transaction that wants to lease locks all free slots until it ends, and counts the leases in
//!   the next statement. It may lease as many messages as there were free slots, minus the leases
//!   ([`leasable`]).
//! - A worker that handles messages in its transaction locks as many slots as it wants to have
//!   messages in work. If there are leases, it also locks all other free slots, counts the leases,
//!   and gives those slots back (by a rollback to a savepoint). It may have as many messages in
//!   work as there were free slots, including its own, minus the leases.
//!
//! Let `n` be the limit, `t` the slots that workers hold, `l` the leases. There are at most `n - t`
//! free slots, and both rules keep `t + l ≤ n`. Two transactions that decide at the same moment see
//! fewer free slots than there are. They may refuse each other and come back a little later, but
//! there are never too many.

pub(crate) mod slots;

use crate::db::{Params, Run, Statement, execute, first, query, sql};
use crate::words::Result;
use postgres::Row;
use std::time::Duration;

static COUNT_LEASED: Statement = sql!("count_leased", Anew);
static ENSURE_SLOTS: Statement = sql!("ensure_slots", Kept);
static TAKE_FREE_SLOTS: Statement = sql!("take_free_slots", Kept);
static TAKE_SLOTS: Statement = sql!("take_slots", Kept);

/// How soon somebody looks again who found the limit used up.
pub(crate) const ASK_AGAIN: Duration = Duration::from_millis(100);

const DOING: &str = "taking a slot of a limited topic";

/// Makes the slots of a topic where there are none; returns how many. Cheap where they are there.
pub(crate) fn ensure(run: &mut dyn Run, topic: &str, limit: u32) -> Result<u64> {
    let doing = "making the slots of a limited topic";
    execute(run, &ENSURE_SLOTS, &[&topic, &number(limit)], doing)
}

/// Takes a slot until the transaction ends, leases aside; returns its number, if one was free.
pub(crate) fn take(run: &mut dyn Run, topic: &str, limit: u32) -> Result<Option<i32>> {
    // Slots are counted from 1.
    let rows = lock(run, topic, limit, 1, 0)?;
    first(&rows, "slot")
}

/// Takes up to `most` slots beside the transaction's `own` one until it ends; returns how many
/// there were, leases aside.
pub(crate) fn take_more(
    run: &mut dyn Run,
    topic: &str,
    limit: u32,
    most: usize,
    own: i32,
) -> Result<usize> {
    lock(run, topic, limit, most, own).map(|rows| rows.len())
}

fn lock(run: &mut dyn Run, topic: &str, limit: u32, most: usize, own: i32) -> Result<Vec<Row>> {
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let values: Params<'_> = &[&topic, &number(limit), &most, &own];
    query(run, &TAKE_SLOTS, values, DOING)
}

/// Returns how many messages of the topic are leased. After the statement that locked slots.
pub(crate) fn leased(run: &mut dyn Run, topic: &str) -> Result<usize> {
    // No more than there can be slots.
    let most = 10_000_i64;
    let rows = query(run, &COUNT_LEASED, &[&topic, &most], DOING)?;
    let count: i64 = first(&rows, "leased")?.unwrap_or_default();
    Ok(usize::try_from(count).unwrap_or_default())
}

/// Returns how many messages of a limited topic may be in work beside those of others: the slots
/// that are free or held by this transaction, less the leases. Holds the free slots until it ends,
/// or its savepoint. The slots have to be there ([`ensure`]).
pub(crate) fn leasable(run: &mut dyn Run, topic: &str, limit: u32) -> Result<usize> {
    let values: Params<'_> = &[&topic, &number(limit)];
    let free = query(run, &TAKE_FREE_SLOTS, values, DOING)?.len();
    Ok(free.saturating_sub(leased(run, topic)?))
}

fn number(limit: u32) -> i32 {
    i32::try_from(limit).unwrap_or(i32::MAX)
}
