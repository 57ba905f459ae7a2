//! Topics that are limited to so many messages in work at the same time, over all processes.
//!
//! Such a topic has as many slots as its limit: rows that are locked and never changed. A worker
//! that handles messages in its transaction holds the lock of one as long as the transaction lasts,
//! if it handles them one after the other, and of one for each if it handles them together: a slot
//! is one message in work. A worker that dies loses it with its connection. A lower limit leaves
//! the slots above it unused; who holds one finishes.
//!
//! Leases outlive transactions and hold no lock, so they are counted. Both ways decide while they
//! hold locks:
//!
//! - Who wants to lease locks all free slots until its transaction ends, and counts the leases in
//!   the next statement: it may lease as many as there were free slots, less the leases
//!   ([`leasable`]).
//! - Who wants to work in its transaction locks as many slots as it wants to have messages in work.
//!   If there are leases, it locks all other free slots too, counts the leases, and gives those
//!   slots back (a rollback to a savepoint): it may have as many in work as there were free slots,
//!   its own among them, less the leases.
//!
//! Let `n` be the limit, `t` the slots that workers hold, `l` the leases. Free slots are `n - t` at
//! most, and both rules keep `t + l ≤ n`. Two that decide at the same moment see fewer free slots
//! than there are: they may refuse each other, and come back a little later; never are there too
//! many.

use crate::db::run::{Params, Run, column, execute, query};
use crate::db::statement::{Statement, sql};
use crate::words::Result;
use postgres::Row;

static COUNT_LEASED: Statement = sql!("count_leased", Anew);
static ENSURE_SLOTS: Statement = sql!("ensure_slots", Kept);
static TAKE_FREE_SLOTS: Statement = sql!("take_free_slots", Kept);
static TAKE_SLOTS: Statement = sql!("take_slots", Kept);

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
    rows.first().map(|row| column(row, "slot")).transpose()
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
    let count = rows.first().map(|row| column::<i64>(row, "leased"));
    Ok(usize::try_from(count.transpose()?.unwrap_or_default()).unwrap_or_default())
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
