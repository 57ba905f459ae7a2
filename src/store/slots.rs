//! Topics that are limited to so many messages in work at the same time, over all processes.
//!
//! Such a topic has as many slots as its limit: rows that are locked and never changed. A worker that handles
//! messages in its transaction holds the lock of one as long as the transaction lasts; it handles its messages one
//! after the other, so a slot is one message in work. A worker that dies loses it with its connection. A lower
//! limit leaves the slots above it unused; who holds one finishes.
//!
//! Leases outlive transactions and hold no lock, so they are counted. Both ways decide while they hold locks:
//!
//! - Who wants to lease locks all free slots until its transaction ends, and counts the leases in the next
//!   statement: it may lease as many as there were free slots, less the leases ([`leasable`]).
//! - Who wants to work in its transaction locks one slot. If there are leases, it locks all other free slots too, counts
//!   the leases, and gives those slots back (a rollback to a savepoint): it may work if there were as many
//!   of them as leases.
//!
//! Let `n` be the limit, `t` the slots that workers hold, `l` the leases. Free slots are `n - t` at most, and both
//! rules keep `t + l ≤ n`. Two that decide at the same moment see fewer free slots than there are: they may refuse
//! each other, and come back a little later; never are there too many.

use crate::store::run::{Run, column, execute, query};
use crate::store::statements::Statements;
use crate::words::Result;

const DOING: &str = "taking a slot of a limited topic";

/// Makes the slots of a topic where there are none.
pub(crate) fn ensure(
    run: &mut dyn Run,
    statements: &Statements,
    topic: &str,
    limit: u32,
) -> Result<()> {
    let doing = "making the slots of a limited topic";
    execute(
        run,
        &statements.ensure_slots,
        &[&topic, &number(limit)],
        doing,
    )
    .map(drop)
}

/// Takes a free slot until the transaction ends; returns whether there was one, leases aside.
pub(crate) fn take(
    run: &mut dyn Run,
    statements: &Statements,
    topic: &str,
    limit: u32,
) -> Result<bool> {
    let values: crate::store::run::Params<'_> = &[&topic, &number(limit)];
    Ok(!query(run, &statements.take_slot, values, DOING)?.is_empty())
}

/// Returns how many messages of the topic are leased. After the statement that locked slots.
pub(crate) fn leased(run: &mut dyn Run, statements: &Statements, topic: &str) -> Result<u64> {
    // No more than there can be slots.
    let most = 10_000_i64;
    let rows = query(run, &statements.count_leased, &[&topic, &most], DOING)?;
    let count = rows.first().map(|row| column::<i64>(row, "leased"));
    Ok(count.transpose()?.unwrap_or_default().unsigned_abs())
}

/// Locks all free slots; returns how many there were, those that this transaction holds already included.
pub(crate) fn take_all(
    run: &mut dyn Run,
    statements: &Statements,
    topic: &str,
    limit: u32,
) -> Result<u64> {
    let values: crate::store::run::Params<'_> = &[&topic, &number(limit)];
    Ok(query(run, &statements.take_free_slots, values, DOING)?.len() as u64)
}

/// Returns how many more messages of a limited topic may be leased by this transaction. Holds the free slots until it
/// ends: lease and commit. Three statements at most; the slots have to be there ([`ensure`]).
pub(crate) fn leasable(
    run: &mut dyn Run,
    statements: &Statements,
    topic: &str,
    limit: u32,
) -> Result<u64> {
    let free = take_all(run, statements, topic, limit)?;
    Ok(free.saturating_sub(leased(run, statements, topic)?))
}

fn number(limit: u32) -> i32 {
    i32::try_from(limit).unwrap_or(i32::MAX)
}
