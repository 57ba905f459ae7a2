//! Cancelling: waiting messages are removed; for messages in work a request is left.

pub(crate) mod ends;
pub(crate) mod round;

use crate::db::{Params, Run, Statement, column, columns, execute, query, sql};
use crate::message::end::{End, How};
use crate::words::{ClaimPlace, MessageId, Program, Result};
use std::collections::HashSet;
use uuid::Uuid;

static ASK_HELD: Statement = sql!("ask_held", Anew);
static ASK_LEASED: Statement = sql!("ask_leased", Anew);
static ASK_REST: Statement = sql!("ask_rest", Anew);
static CANCEL_FOLLOWERS: Statement = sql!("cancel_followers", Anew);
static CANCEL_READY: Statement = sql!("cancel_ready", Anew);
static CANCEL_SCHEDULED: Statement = sql!("cancel_scheduled", Anew);
static CANCELLATIONS: Statement = sql!("cancellations", Kept);
static END_CANCELLED: Statement = sql!("end_cancelled", Anew);
static FORGET_REMOVED: Statement = sql!("forget_removed", Kept);
static MARK_LEASED: Statement = sql!("mark_leased", Kept);
static PRUNE_CANCELLATIONS: Statement = sql!("prune_cancellations", Kept);
static QUEUED_MATCHING: Statement = sql!("queued_matching", Kept);
static SCHEDULED_TOPICS: Statement = sql!("scheduled_topics", Anew);

const DOING: &str = "cancelling messages";
const FORGETTING: &str = "forgetting cancelled messages";

/// How long a request is kept when its message is gone: a process that has not heard of it yet has
/// not got it either.
const KEPT_S: i64 = 60;

/// Which of the messages are to be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// All: the caller asks now.
    All,
    /// Those for which there still is a request.
    Asked,
}

/// Removes those of the messages that wait, wherever; returns them by topic.
pub(crate) fn remove(run: &mut dyn Run, ids: &[Uuid], which: Which) -> Result<Vec<(String, End)>> {
    let mut removed = Vec::new();
    let (topics, is_asked) = (scheduled_topics(run)?, which == Which::Asked);
    // In the direction in which messages move, but for retries, after which the caller comes again.
    let statements: [(&Statement, Params<'_>); 3] = [
        (&CANCEL_SCHEDULED, &[&ids, &is_asked, &topics]),
        (&CANCEL_FOLLOWERS, &[&ids, &is_asked]),
        (&CANCEL_READY, &[&ids, &is_asked]),
    ];
    for (statement, params) in statements {
        for row in query(run, statement, params, DOING)? {
            let end = End {
                key: column(&row, "key")?,
                ..End::read(&row, How::Cancelled)?
            };
            removed.push((column(&row, "topic")?, end));
        }
    }
    Ok(removed)
}

/// Removes those of the held messages that somebody still asks to be given up; returns which.
pub(crate) fn end_held(
    run: &mut dyn Run,
    topic: &str,
    positions: &[ClaimPlace],
) -> Result<HashSet<MessageId>> {
    let ranks: Vec<i16> = positions.iter().map(|position| position.rank).collect();
    let seqs: Vec<i64> = positions.iter().map(|position| position.seq).collect();
    query(run, &END_CANCELLED, &[&topic, &ranks, &seqs], DOING)?
        .iter()
        .map(|row| column(row, "id").map(MessageId))
        .collect()
}

/// Asks those who have the messages in hand to give them up; returns which are in somebody's hands.
pub(crate) fn ask(run: &mut dyn Run, ids: &[Uuid]) -> Result<Vec<Uuid>> {
    let mut asked: Vec<Uuid> = columns(&query(run, &ASK_HELD, &[&ids], DOING)?, "id")?;
    // What is leased after this look had to be held before.
    let topics = scheduled_topics(run)?;
    let leased = query(run, &ASK_LEASED, &[&ids, &topics], DOING)?;
    asked.append(&mut columns(&leased, "id")?);
    Ok(asked)
}

/// Asks for messages that wait, but could not be removed since others had their rows in hand;
/// returns which.
pub(crate) fn ask_rest(run: &mut dyn Run, ids: &[Uuid]) -> Result<Vec<Uuid>> {
    let topics = scheduled_topics(run)?;
    columns(&query(run, &ASK_REST, &[&ids, &topics], DOING)?, "id")
}

/// Returns the topics of which something is scheduled or leased.
fn scheduled_topics(run: &mut dyn Run) -> Result<Vec<String>> {
    columns(&query(run, &SCHEDULED_TOPICS, &[], DOING)?, "topic")
}

/// Notes with leased messages that were asked for before they were leased that they are to be given
/// up.
pub(crate) fn mark_leased(run: &mut dyn Run, ids: &[Uuid]) -> Result<()> {
    execute(run, &MARK_LEASED, &[&ids], DOING)?;
    Ok(())
}

/// Returns the messages that are to be given up, the latest first.
pub(crate) fn asked(run: &mut dyn Run, limit: i64) -> Result<Vec<Uuid>> {
    let doing = "looking for cancelled messages";
    columns(&query(run, &CANCELLATIONS, &[&limit], doing)?, "id")
}

/// Forgets the requests for messages that waited and that the transaction removed.
pub(crate) fn forget(run: &mut dyn Run, removed: &[(String, End)]) -> Result<()> {
    if removed.is_empty() {
        return Ok(());
    }
    let topics: Vec<&str> = removed.iter().map(|(topic, _)| topic.as_str()).collect();
    let ids: Vec<Uuid> = removed.iter().map(|(_, end)| end.id.0).collect();
    execute(run, &FORGET_REMOVED, &[&topics, &ids], FORGETTING).map(drop)
}

/// Forgets requests for messages that are gone.
pub(crate) fn prune(run: &mut dyn Run, ids: &[Uuid]) -> Result<()> {
    execute(run, &PRUNE_CANCELLATIONS, &[&ids, &KEPT_S], FORGETTING).map(drop)
}

/// Returns the messages of a topic that wait or are in work and that a filter wants.
pub(crate) fn matching(run: &mut dyn Run, topic: &str, filter: &Program) -> Result<Vec<Uuid>> {
    let [steps, names, operands] = filter.columns();
    let params: Params<'_> = &[&topic, &steps, &names, &operands];
    columns(&query(run, &QUEUED_MATCHING, params, DOING)?, "id")
}
