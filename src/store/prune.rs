//! Removing rows that are over.

use crate::store::room;
use crate::store::run::{Run, column, execute, query};
use crate::store::statements;
use crate::words::Result;
use uuid::Uuid;

/// Rows that one statement removes: its locks are held for some tens of milliseconds.
pub(crate) const BATCH: i64 = 4000;
/// Dedupe keys that one statement compares with the messages that there are.
const LOOKED_AT: i64 = 1000;
/// Counted deliveries older than this are of no interest to anybody.
const ATTEMPTS_KEPT_S: i64 = 7 * 86_400;
/// A topic that has more notes of vacated room than this is looked after: senders read them all
/// where it looks full.
const NOTES_LEFT: i64 = 100;

const DOING: &str = "removing what is over";

/// Removes a batch of dedupe keys whose window is over; returns whether there may be more.
pub(crate) fn dedupe(run: &mut dyn Run) -> Result<bool> {
    Ok(execute(run, &statements::PRUNE_DEDUPE, &[&BATCH], DOING)? >= BATCH.unsigned_abs())
}

/// Frees dedupe keys that are taken until their messages end and whose messages are nowhere, among
/// some from the first after an id on. Returns how many, and where to go on; nothing at the end.
pub(crate) fn held_dedupe(run: &mut dyn Run, after: Uuid) -> Result<(i64, Option<Uuid>)> {
    let rows = query(
        run,
        &statements::PRUNE_HELD_DEDUPE,
        &[&after, &LOOKED_AT],
        DOING,
    )?;
    let Some(row) = rows.first() else {
        return Ok((0, None));
    };
    let freed: i64 = column(row, "freed")?;
    let is_full = column::<i64>(row, "looked_at")? >= LOOKED_AT;
    let last = column::<Option<Uuid>>(row, "last")?;
    Ok((freed, last.filter(|_| is_full)))
}

/// The same for buckets that are full.
pub(crate) fn buckets(run: &mut dyn Run) -> Result<bool> {
    Ok(execute(run, &statements::PRUNE_BUCKETS, &[&BATCH], DOING)? >= BATCH.unsigned_abs())
}

/// The same for notes of room in topics that nobody counts.
pub(crate) fn vacated(run: &mut dyn Run) -> Result<bool> {
    Ok(execute(run, &statements::PRUNE_VACATED, &[&BATCH], DOING)? >= BATCH.unsigned_abs())
}

/// The same for counts of deliveries that nobody will ask about any more.
pub(crate) fn attempts(run: &mut dyn Run) -> Result<bool> {
    let params: [&(dyn postgres::types::ToSql + Sync); 2] = [&BATCH, &ATTEMPTS_KEPT_S];
    let removed = execute(run, &statements::PRUNE_ATTEMPTS, &params, DOING)?;
    Ok(removed >= BATCH.unsigned_abs())
}

/// Returns the bounded topics in which many notes say what was vacated.
pub(crate) fn crowded_rooms(run: &mut dyn Run) -> Result<Vec<String>> {
    query(run, &statements::CROWDED_ROOMS, &[&NOTES_LEFT], DOING)?
        .iter()
        .map(|row| column(row, "topic"))
        .collect()
}

/// Takes a batch of the notes off the number of a topic; returns whether there may be more. In a
/// READ COMMITTED transaction of its own; waits for senders that hold the room.
pub(crate) fn fold(run: &mut dyn Run, topic: &str) -> Result<bool> {
    room::fold_some(run, topic, BATCH).map(|notes| notes >= BATCH)
}
