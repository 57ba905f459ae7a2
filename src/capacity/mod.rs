//! The room of bounded topics.
//!
//! Each topic has a number that says how much room is used. Senders add to it one after the other:
//! each holds the row until its commit, which is the price of a limit that holds. A transaction
//! that ends messages must never wait for a sender, so it only notes the vacated room in rows of
//! its own. Senders subtract those from the number when it looks full.

pub(crate) mod ahead;
pub(crate) mod round;
pub(crate) mod take;

use crate::db::run::{BATCH, PRUNING};
use crate::db::{Params, Run, Statement, column, columns, execute, first, query, sql};
use crate::words::Result;

static PRUNE_VACATED: Statement = sql!("prune_vacated", Kept);
static UNCOUNTED_TOPICS: Statement = sql!("uncounted_topics", Kept);
static CROWDED_ROOMS: Statement = sql!("crowded_rooms", Kept);
static CHANGE_ROOM: Statement = sql!("change_room", Kept);
static COUNT_ROOM: Statement = sql!("count_room", Kept);
static ENSURE_ROOM: Statement = sql!("ensure_room", Kept);
static FOLD_SOME_VACATED: Statement = sql!("fold_some_vacated", Kept);
static FOLD_VACATED: Statement = sql!("fold_vacated", Kept);
static FORGET_ROOM: Statement = sql!("forget_room", Kept);
static LOCK_ROOM: Statement = sql!("lock_room", Kept);
static LOOK_ROOM: Statement = sql!("look_room", Kept);
static RECOUNT_ROOM: Statement = sql!("recount_room", Kept);
static RETURN_ROOM: Statement = sql!("return_room", Key);
static TAKE_ROOM: Statement = sql!("take_room", Kept);

/// A topic that has more notes of vacated room than this is looked after: senders read them all
/// where it looks full.
const NOTES_LEFT: i64 = 100;

const DOING: &str = "taking room in a bounded topic";

/// What a look at a room found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    pub(crate) used: i64,
    /// How much of it was vacated and not taken off yet.
    pub(crate) vacated: i64,
    /// Whether a later look in the same transaction may find something else.
    pub(crate) is_fresh: bool,
}

/// Adds `messages` to the number if there is room for them; returns what it is then, or `None`.
/// Waits for senders that hold it.
pub(crate) fn add(
    run: &mut dyn Run,
    topic: &str,
    messages: i64,
    limit: i64,
) -> Result<Option<i64>> {
    let params: Params<'_> = &[&topic, &messages, &limit];
    first(&query(run, &TAKE_ROOM, params, DOING)?, "used")
}

/// Looks without locking; `None` if the room was never counted.
pub(crate) fn look(run: &mut dyn Run, topic: &str) -> Result<Option<Look>> {
    let rows = query(run, &LOOK_ROOM, &[&topic], DOING)?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    Ok(Some(Look {
        used: column(row, "used")?,
        vacated: column(row, "vacated")?,
        is_fresh: column(row, "is_fresh")?,
    }))
}

/// Takes what was vacated off the number.
pub(crate) fn fold(run: &mut dyn Run, topic: &str) -> Result<()> {
    // The room first, always: two that hold one of each would wait for each other.
    query(run, &LOCK_ROOM, &[&topic], DOING)?;
    let rows = query(run, &FOLD_VACATED, &[&topic], DOING)?;
    let vacated: i64 = rows.first().map_or(Ok(0), |row| column(row, "messages"))?;
    change(run, topic, -vacated)
}

/// Takes some of what was vacated off the number; returns how many notes that were.
pub(crate) fn fold_some(run: &mut dyn Run, topic: &str, most: i64) -> Result<i64> {
    // The room first, as in `fold`. Whoever counts anew holds it, too: a note is taken off once.
    query(run, &LOCK_ROOM, &[&topic], DOING)?;
    let params: Params<'_> = &[&topic, &most];
    let rows = query(run, &FOLD_SOME_VACATED, params, DOING)?;
    let Some(row) = rows.first() else {
        return Ok(0);
    };
    change(run, topic, -column::<i64>(row, "messages")?)?;
    column(row, "notes")
}

/// Adds to the number, or takes off it.
pub(crate) fn change(run: &mut dyn Run, topic: &str, messages: i64) -> Result<()> {
    let params: Params<'_> = &[&topic, &messages];
    execute(run, &CHANGE_ROOM, params, DOING).map(drop)
}

/// Counts what the topic holds; far more than `limit` is not counted to the end.
pub(crate) fn count(run: &mut dyn Run, topic: &str, limit: i64) -> Result<i64> {
    let params: Params<'_> = &[&topic, &limit.saturating_add(1)];
    let rows = query(run, &COUNT_ROOM, params, DOING)?;
    rows.first().map_or(Ok(0), |row| column(row, "messages"))
}

/// Makes the number what the topic holds, and `pending` that this transaction did not store yet.
pub(crate) fn recount(run: &mut dyn Run, topic: &str, pending: i64) -> Result<()> {
    execute(run, &ENSURE_ROOM, &[&topic], DOING)?;
    query(run, &LOCK_ROOM, &[&topic], DOING)?;
    let params: Params<'_> = &[&topic, &pending];
    execute(run, &RECOUNT_ROOM, params, DOING).map(drop)
}

/// Forgets the number.
pub(crate) fn forget(run: &mut dyn Run, topic: &str) -> Result<()> {
    execute(run, &FORGET_ROOM, &[&topic], DOING).map(drop)
}

/// The same for notes of room in topics that nobody counts.
pub(crate) fn prune(run: &mut dyn Run) -> Result<bool> {
    let found = query(run, &UNCOUNTED_TOPICS, &[&BATCH], PRUNING)?;
    let topics: Vec<String> = columns(&found, "topic")?;
    if topics.is_empty() {
        return Ok(false);
    }
    let pruned = execute(run, &PRUNE_VACATED, &[&topics, &BATCH], PRUNING)?;
    Ok(pruned >= BATCH.unsigned_abs())
}

/// Returns the bounded topics in which many notes say what was vacated.
pub(crate) fn crowded(run: &mut dyn Run) -> Result<Vec<String>> {
    columns(
        &query(run, &CROWDED_ROOMS, &[&NOTES_LEFT], PRUNING)?,
        "topic",
    )
}

/// Takes a batch of the notes off the number of a topic; returns whether there may be more. In a
/// READ COMMITTED transaction of its own; waits for senders that hold the room.
pub(crate) fn fold_batch(run: &mut dyn Run, topic: &str) -> Result<bool> {
    fold_some(run, topic, BATCH).map(|notes| notes >= BATCH)
}
