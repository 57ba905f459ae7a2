//! Transactions about the ends of messages that are nobody's session: cancelling, looking at what
//! came after messages that ended, and forgetting how they did.

use crate::connect::connection::Connection;
use crate::connect::transaction::OpenTransaction;
use crate::session::report;
use crate::store::aftermath::{self, End, How};
use crate::store::cancel::{self, Which};
use crate::store::claim::{Held, Position};
use crate::store::dependents::{self, Looked, Place};
use crate::store::outcome;
use crate::words::Result;
use crate::words::message::MessageId;
use crate::words::outcome::DeadReason;
use crate::words::sqlstate::{classify, is_held_up};
use postgres::IsolationLevel;
use std::collections::{BTreeMap, HashSet};
use uuid::Uuid;

/// Messages that one transaction cancels.
const CANCEL_LIMIT: usize = 5_000;
/// Requests to give messages up that are known at a time; the latest.
const ASKED_LIMIT: i64 = 10_000;

/// What a cancel found.
#[derive(Debug, Default)]
pub(crate) struct Cancelling {
    /// What was removed, by topic.
    pub(crate) removed: Vec<(String, End)>,
    /// What is in somebody's hands.
    pub(crate) asked: Vec<Uuid>,
}

impl Cancelling {
    /// Returns the removed messages that somebody may wait for.
    pub(crate) fn tracked(&self) -> Vec<Uuid> {
        let tracked = self.removed.iter().filter(|(_, end)| end.is_tracked());
        tracked.map(|(_, end)| end.held.id.0).collect()
    }

    /// Returns the topics in which the next of a key may be ready now.
    pub(crate) fn moved_topics(&self) -> HashSet<&str> {
        let keyed = self.removed.iter();
        keyed
            .filter(|(_, end)| end.held.key.is_some())
            .map(|(topic, _)| topic.as_str())
            .collect()
    }
}

/// Removes those of the messages that wait, and asks for those in work. What is not found, or is in
/// somebody's hands for a moment, stays among `left`.
pub(crate) fn cancel(
    connection: &mut Connection,
    left: &mut Vec<Uuid>,
    found: &mut Cancelling,
) -> Result<()> {
    let (mut removed, mut asked) = (Vec::new(), Vec::new());
    for some in left.chunks(CANCEL_LIMIT) {
        apart(connection, "cancelling messages", |open| {
            let gone = cancel::remove(open, some, Which::All)?;
            write_ends(open, &gone)?;
            if gone.len() < some.len() {
                // Those only that are still there: who asks may have to read a topic.
                let gone: HashSet<Uuid> = gone.iter().map(|(_, end)| end.held.id.0).collect();
                let is_there = |id: &&Uuid| !gone.contains(*id);
                let kept: Vec<Uuid> = some.iter().filter(is_there).copied().collect();
                asked.extend(cancel::ask(open, &kept)?);
            }
            removed.extend(gone);
            Ok(())
        })?;
    }
    let gone = removed.iter().map(|(_, end)| end.held.id.0);
    let done: HashSet<Uuid> = gone.chain(asked.iter().copied()).collect();
    left.retain(|id| !done.contains(id));
    found.removed.append(&mut removed);
    found.asked.append(&mut asked);
    Ok(())
}

/// Removes those of the messages that wait and that somebody still asks to be given up. What is in
/// somebody's hands is left alone.
fn remove(connection: &mut Connection, ids: &[Uuid]) -> Result<Cancelling> {
    apart(connection, "cancelling messages", |open| {
        let removed = cancel::remove(open, ids, Which::Asked)?;
        write_ends(open, &removed)?;
        Ok(Cancelling {
            removed,
            asked: Vec::new(),
        })
    })
}

/// Removes messages that are to be given up and that came back to where they wait, since nobody
/// heard of it who had them, and notes it with those that were leased since. Returns all that are
/// to be given up, too.
pub(crate) fn remove_asked(connection: &mut Connection) -> Result<(Vec<Uuid>, Cancelling)> {
    let ids = cancel::asked(connection, ASKED_LIMIT)?;
    if ids.is_empty() {
        return Ok((ids, Cancelling::default()));
    }
    let removed = remove(connection, &ids)?;
    cancel::mark_leased(connection, &ids)?;
    Ok((ids, removed))
}

/// Looks at what came after these messages, which may have ended.
pub(crate) fn look(connection: &mut Connection, ended: &[Uuid]) -> Result<Looked> {
    let mut all = Looked::default();
    loop {
        let waiting = dependents::dependents(connection, ended)?;
        if waiting.is_empty() {
            return Ok(all);
        }
        let looked = settle(connection, &waiting, Some(ended))?;
        let is_last = (waiting.len() as i64) < dependents::LOOK_LIMIT;
        let is_stuck = looked.cleared == 0 && looked.orphans.is_empty();
        all.add(looked);
        // The same ones would be met again and again: the sweep goes over the rest.
        if is_last || is_stuck {
            return Ok(all);
        }
    }
}

/// Looks at some of the messages that wait for others, from `place` on. Returns where to go on;
/// nothing at the end. Goes on, too, when somebody holds what the end of one of them is written to:
/// it is looked at the next time.
pub(crate) fn sweep(connection: &mut Connection, place: &Place) -> Result<(Looked, Option<Place>)> {
    let mut waiting = dependents::waiting_after(connection, place)?;
    if waiting.is_empty() {
        return Ok((Looked::default(), None));
    }
    let looked = match settle(connection, &waiting, None) {
        Err(error) if is_held_up(&error) => Looked::default(),
        looked => looked?,
    };
    let is_last = (waiting.len() as i64) < dependents::LOOK_LIMIT;
    Ok((looked, waiting.pop().filter(|_| !is_last)))
}

fn settle(connection: &mut Connection, waiting: &[Place], on: Option<&[Uuid]>) -> Result<Looked> {
    let looked = apart(connection, "releasing messages", |open| {
        let looked = dependents::settle(open, waiting, on)?;
        let orphans: Vec<(String, End)> = looked
            .orphans
            .iter()
            .map(|(topic, id, on_end)| {
                let position = Position { rank: 0, seq: 0 };
                let held = Held {
                    position,
                    id: *id,
                    // It had not joined the line of its key.
                    key: None,
                    on_end: *on_end,
                };
                let (how, result) = (How::Dead, None);
                (topic.clone(), End { held, how, result })
            })
            .collect();
        write_ends(open, &orphans)?;
        Ok(looked)
    })?;
    let mut topics: BTreeMap<&str, Vec<MessageId>> = BTreeMap::new();
    for (topic, id, _) in &looked.orphans {
        topics.entry(topic).or_default().push(*id);
    }
    for (topic, ids) in topics {
        let why = "what it comes after will never be done";
        report::dead_together(topic, &ids, DeadReason::Orphaned, why);
    }
    Ok(looked)
}

/// Removes a batch of outcomes whose time is over; returns whether there may be more.
pub(crate) fn forget(connection: &mut Connection) -> Result<bool> {
    apart(connection, outcome::FORGETTING, |open| {
        outcome::forget(open)
    })
}

/// Writes what the ends of messages call for.
fn write_ends(open: &mut OpenTransaction<'_>, ends: &[(String, End)]) -> Result<()> {
    let mut topics: BTreeMap<&str, Vec<End>> = BTreeMap::new();
    for (topic, end) in ends {
        if End::matters(&end.held) {
            topics.entry(topic).or_default().push(end.clone());
        }
    }
    let mut flight = open.flight().seldom();
    for (topic, ends) in &topics {
        aftermath::push_ended(&mut flight, topic, ends);
    }
    if flight.is_empty() {
        return Ok(());
    }
    open.fly(flight)
        .map_err(|error| classify(error, "writing how messages ended"))?;
    Ok(())
}

/// Runs `work` in a transaction of its own.
fn apart<R>(
    connection: &mut Connection,
    doing: &str,
    work: impl FnOnce(&mut OpenTransaction<'_>) -> Result<R>,
) -> Result<R> {
    // Each statement has to see what those before it waited for.
    let mut open = connection
        .begin(Some(IsolationLevel::ReadCommitted))
        .map_err(|error| classify(error, doing))?;
    let returned = work(&mut open)?;
    open.transaction
        .commit()
        .map_err(|error| classify(error, doing))?;
    Ok(returned)
}
