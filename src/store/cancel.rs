//! Cancelling: messages that wait are removed, those in somebody's hands are asked for.

use crate::store::aftermath::{End, How};
use crate::store::claim::{Held, Position};
use crate::store::run::{Run, column, execute, query};
use crate::store::statements;
use crate::words::Result;
use crate::words::filter_program::Program;
use crate::words::message::MessageId;
use crate::words::outcome::OnEnd;
use std::collections::HashSet;
use uuid::Uuid;

const DOING: &str = "cancelling messages";

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
    // In the direction in which messages move, but for retries, after which the caller comes again.
    for statement in [
        &statements::CANCEL_SCHEDULED,
        &statements::CANCEL_FOLLOWERS,
        &statements::CANCEL_READY,
    ] {
        for row in query(run, statement, &[&ids, &(which == Which::Asked)], DOING)? {
            let held = Held {
                position: Position {
                    rank: column(&row, "rank")?,
                    seq: column(&row, "seq")?,
                },
                id: MessageId(column(&row, "id")?),
                key: column(&row, "key")?,
                on_end: OnEnd::read(column(&row, "on_end")?),
            };
            let end = End {
                held,
                how: How::Cancelled,
                result: None,
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
    positions: &[Position],
) -> Result<HashSet<MessageId>> {
    let ranks: Vec<i16> = positions.iter().map(|position| position.rank).collect();
    let seqs: Vec<i64> = positions.iter().map(|position| position.seq).collect();
    query(
        run,
        &statements::END_CANCELLED,
        &[&topic, &ranks, &seqs],
        DOING,
    )?
    .iter()
    .map(|row| column(row, "id").map(MessageId))
    .collect()
}

/// Asks those who have the messages in hand to give them up; returns which are in somebody's hands.
pub(crate) fn ask(run: &mut dyn Run, ids: &[Uuid]) -> Result<Vec<Uuid>> {
    let mut asked = Vec::new();
    for statement in [&statements::ASK_HELD, &statements::ASK_LEASED] {
        for row in query(run, statement, &[&ids], DOING)? {
            asked.push(column(&row, "id")?);
        }
    }
    Ok(asked)
}

/// Asks for messages that wait, but could not be removed since others had their rows in hand;
/// returns which.
pub(crate) fn ask_rest(run: &mut dyn Run, ids: &[Uuid]) -> Result<Vec<Uuid>> {
    query(run, &statements::ASK_REST, &[&ids], DOING)?
        .iter()
        .map(|row| column(row, "id"))
        .collect()
}

/// Notes with leased messages that were asked for before they were leased that they are to be given
/// up.
pub(crate) fn mark_leased(run: &mut dyn Run, ids: &[Uuid]) -> Result<()> {
    execute(run, &statements::MARK_LEASED, &[&ids], DOING)?;
    Ok(())
}

/// Returns the messages that are to be given up, the latest first.
pub(crate) fn asked(run: &mut dyn Run, limit: i64) -> Result<Vec<Uuid>> {
    query(
        run,
        &statements::CANCELLATIONS,
        &[&limit],
        "looking for cancelled messages",
    )?
    .iter()
    .map(|row| column(row, "id"))
    .collect()
}

/// Forgets requests for messages that are gone.
pub(crate) fn prune(run: &mut dyn Run, ids: &[Uuid]) -> Result<()> {
    let doing = "forgetting cancelled messages";
    execute(
        run,
        &statements::PRUNE_CANCELLATIONS,
        &[&ids, &KEPT_S],
        doing,
    )?;
    Ok(())
}

/// Returns the messages of a topic that wait or are in work and that a filter wants.
pub(crate) fn matching(run: &mut dyn Run, topic: &str, filter: &Program) -> Result<Vec<Uuid>> {
    let [steps, names, operands] = filter.columns();
    let params: [&(dyn postgres::types::ToSql + Sync); 4] = [&topic, &steps, &names, &operands];
    query(run, &statements::QUEUED_MATCHING, &params, DOING)?
        .iter()
        .map(|row| column(row, "id"))
        .collect()
}
