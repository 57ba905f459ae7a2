//! Transactions outside any session that end messages or follow up on ends: cancelling, releasing
//! dependent messages, and forgetting outcomes.

use crate::cancel::{self, Which};
use crate::connect::apart::{apart, in_parts};
use crate::connect::connection::Connection;
use crate::db::Run;
use crate::message::end::End;
use crate::observe::event::Event;
use crate::observe::observers::Observers;
use crate::on_end::write_ends;
use crate::wake::waker::Waker;
use crate::words::{Error, Result};
use std::collections::HashSet;
use uuid::Uuid;

const DOING: &str = "cancelling messages";
/// Messages that one transaction cancels.
const CANCEL_LIMIT: usize = 5_000;
/// Requests to give messages up that are known at a time; the latest.
pub(super) const ASKED_LIMIT: i64 = 10_000;

/// What a cancel found.
#[derive(Debug, Default)]
pub(crate) struct Cancelling {
    /// What was removed, by topic.
    pub(crate) removed: Vec<(String, End)>,
    /// What is in somebody's hands.
    pub(crate) asked: Vec<Uuid>,
    /// What the database has against removing some.
    pub(crate) refused: Option<Error>,
}

impl Cancelling {
    /// Announces the ends, that what waited behind a key or a head may be next, and what is to be
    /// given up.
    pub(crate) fn announce(&self, waker: &Waker) {
        let tracked = self.tracked();
        if !tracked.is_empty() {
            waker.ended(&tracked);
        }
        for topic in self.topics() {
            waker.ready(topic, 1);
        }
        waker.asked(&self.asked);
    }

    /// Tells observers which messages are gone.
    pub(crate) fn tell(&self, observers: &Observers) {
        for (topic, end) in &self.removed {
            let id = end.id;
            observers.tell(|| Event::Cancelled { topic, id });
        }
    }

    /// Returns the removed messages that somebody may wait for.
    pub(crate) fn tracked(&self) -> Vec<Uuid> {
        let tracked = self.removed.iter().filter(|(_, end)| end.is_tracked());
        tracked.map(|(_, end)| end.id.0).collect()
    }

    /// Returns the topics that messages were removed from.
    fn topics(&self) -> HashSet<&str> {
        let topics = self.removed.iter().map(|(topic, _)| topic.as_str());
        topics.collect()
    }
}

/// Notes in the transaction what is removed, by topic, and what is asked for.
pub(crate) type Noting<'n> =
    &'n mut dyn FnMut(&mut dyn Run, &[(String, End)], &[Uuid]) -> Result<()>;

/// Removes those of the messages that wait, and asks for those in work. What is not found, or is in
/// somebody's hands for a moment, stays among `left`.
pub(crate) fn cancel(
    connection: &mut Connection,
    left: &mut Vec<Uuid>,
    found: &mut Cancelling,
    note: Noting<'_>,
) -> Result<()> {
    let mut done: HashSet<Uuid> = HashSet::new();
    for some in left.chunks(CANCEL_LIMIT) {
        let (removed, asked) = apart(connection, DOING, |open| {
            let gone = cancel::remove(open, some, Which::All)?;
            write_ends(open, &gone)?;
            if gone.len() == some.len() {
                note(open, &gone, &[])?;
                return Ok((gone, Vec::new()));
            }
            // Those only that are still there: who asks may have to read a topic.
            let ids: HashSet<Uuid> = gone.iter().map(|(_, end)| end.id.0).collect();
            let is_there = |id: &&Uuid| !ids.contains(*id);
            let kept: Vec<Uuid> = some.iter().filter(is_there).copied().collect();
            let asked = cancel::ask(open, &kept)?;
            note(open, &gone, &asked)?;
            Ok((gone, asked))
        })?;
        done.extend(removed.iter().map(|(_, end)| end.id.0));
        done.extend(&asked);
        found.removed.extend(removed);
        found.asked.extend(asked);
    }
    left.retain(|id| !done.contains(id));
    Ok(())
}

/// Removes those of the messages that wait and that somebody still asks to be given up. What is in
/// somebody's hands is left alone, and so is what the database does not let go.
fn remove(connection: &mut Connection, ids: &[Uuid]) -> Result<Cancelling> {
    let mut found = Cancelling::default();
    let refused = in_parts(ids, |some| {
        let removed = apart(connection, DOING, |open| {
            let removed = cancel::remove(open, some, Which::Asked)?;
            write_ends(open, &removed)?;
            // There may be more requests than are known at a time, and these would keep the others
            // out.
            cancel::forget(open, &removed)?;
            Ok(removed)
        })?;
        found.removed.extend(removed);
        Ok(())
    })?;
    found.refused = refused;
    Ok(found)
}

/// Removes messages that are to be given up and that came back to where they wait, since nobody
/// heard of it who had them, and notes it with those that were leased since. Returns all that are
/// to be given up, too.
pub(crate) fn remove_asked(connection: &mut Connection) -> Result<(Vec<Uuid>, Cancelling)> {
    let ids = cancel::asked(connection, ASKED_LIMIT)?;
    if ids.is_empty() {
        return Ok((ids, Cancelling::default()));
    }
    let mut removed = remove(connection, &ids)?;
    if let Err(error) = cancel::mark_leased(connection, &ids) {
        // What was removed is to be told all the same.
        removed.refused.get_or_insert(error);
    }
    Ok((ids, removed))
}
