//! Mending messages: redriving or removing the dead letters that a search finds, editing one before
//! it is redriven, and running scheduled messages before their time.

use crate::changes::{Note, What};
use crate::connect::connection::Connection;
use crate::db::Run;
use crate::dead_letters::edit::{self, Edit};
use crate::dead_letters::selection::Selection;
use crate::dead_letters::slices::{Remaining, SLICE, Slice, purge_dead, redrive};
use crate::finding::found::{self, FoundMessage};
use crate::finding::place::MessagePlace;
use crate::finding::search::Search;
use crate::finding::{locate, pages};
use crate::schedule::{self, InPlace};
use crate::surface::topics::Topic;
use crate::words::outcome::MessageState;
use crate::words::topic;
use crate::words::{ClaimPlace, Error, ErrorKind, MessageId, Result};
use std::slice;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// What is done to some dead letters in a slice.
type Take = fn(&mut dyn Run, &str, &Remaining<'_>) -> Result<Slice>;

impl Topic<'_> {
    /// Redrives the dead letters that a search finds, all of them, whatever its limits and places
    /// are; calls `progress` after each slice with the number of messages redriven so far. Returns
    /// how many were redriven. Otherwise like [`redrive`](Self::redrive).
    ///
    /// ```no_run
    /// # fn f(messaging: &outtray::Messaging) -> outtray::Result<()> {
    /// use outtray::Search;
    ///
    /// let timed_out = Search::new().error("timed out");
    /// messaging.topic("orders").redrive_matching(&timed_out, |_| ())?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Those of [`search`](Self::search), besides those of all methods.
    pub fn redrive_matching(&self, search: &Search, progress: impl FnMut(u64)) -> Result<u64> {
        self.each_found("redriven", search, What::Redriven, redrive, None, progress)
            .map(|(messages, _)| messages)
    }

    /// Removes the dead letters that a search finds for good, like
    /// [`redrive_matching`](Self::redrive_matching).
    ///
    /// # Errors
    /// Those of [`search`](Self::search), besides those of all methods.
    pub fn purge_dead_letters_matching(
        &self,
        search: &Search,
        progress: impl FnMut(u64),
    ) -> Result<u64> {
        self.each_found(
            "removed",
            search,
            What::DeadPurged,
            purge_dead,
            None,
            progress,
        )
        .map(|(messages, _)| messages)
    }

    /// Redrives what a search finds until a time, at least a slice; returns how many were redriven,
    /// and whether these were all.
    #[cfg(feature = "dashboard")]
    pub(crate) fn redrive_some(&self, search: &Search, until: Instant) -> Result<(u64, bool)> {
        let until = Some(until);
        self.each_found("redriven", search, What::Redriven, redrive, until, |_| ())
    }

    /// Removes what a search finds in the same way.
    #[cfg(feature = "dashboard")]
    pub(crate) fn purge_some(&self, search: &Search, until: Instant) -> Result<(u64, bool)> {
        let until = Some(until);
        self.each_found(
            "removed",
            search,
            What::DeadPurged,
            purge_dead,
            until,
            |_| (),
        )
    }

    fn each_found(
        &self,
        done: &str,
        search: &Search,
        what: What,
        take: Take,
        until: Option<Instant>,
        mut progress: impl FnMut(u64),
    ) -> Result<(u64, bool)> {
        topic::check(&self.name)?;
        search.check(&self.name)?;
        let mut rest = search.of_dead_letters(SLICE);
        let note = Note::new(what).details(search.described());
        let mut is_all = false;
        let taken = self.slices(done, &mut progress, |topic| {
            let walked = topic.look(|run, name| pages::walk(run, name, &rest))?;
            is_all = walked.next.is_none();
            let is_late = until.is_some_and(|until| until <= Instant::now());
            if let Some(next) = walked.next {
                rest = rest.clone().after(next);
            }
            let ids = walked.found.iter().map(|found| MessageId(found.id));
            let which = Selection::from(ids.collect::<Vec<_>>());
            let taken = Remaining::of(&which);
            let slice = topic.slice(|run, name| {
                let slice = take(run, name, &taken)?;
                topic.note_slice(run, &note, slice.messages)?;
                Ok(slice)
            })?;
            match what {
                What::Redriven => topic.tell_redriven(slice.messages),
                _ => topic.tell_purged(slice.messages, true),
            }
            Ok((slice.messages, !is_all && !is_late))
        })?;
        Ok((taken, is_all))
    }

    /// Changes the payload or the headers of a dead letter and redrives it, in one transaction.
    /// Returns whether there is such a dead letter. The message keeps its id, its key and its
    /// priority. What it becomes is checked as a message that is sent is.
    ///
    /// The old payload is gone. The [list of changes](crate::Messaging::changes) has its size and
    /// its SHA-256, where the edit is made in the name of an operator.
    ///
    /// ```no_run
    /// # fn f(messaging: &outtray::Messaging, id: outtray::MessageId) -> outtray::Result<()> {
    /// use outtray::Edit;
    ///
    /// let mended = Edit::new().json(&serde_json::json!({"amount": 12}))?;
    /// messaging.topic("orders").redrive_edited(id, &mended)?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// `Invalid`, `TooLarge` or `Payload` for a message that could not be sent, and `InUse` where
    /// another message has its dedupe key by now. Then it is as it was.
    pub fn redrive_edited(&self, id: MessageId, edit: &Edit) -> Result<bool> {
        topic::check(&self.name)?;
        let which = Selection::from(id);
        let rest = Remaining::of(&which);
        let max_payload_bytes = self.messaging.base().process.max_payload_bytes;
        let slice = self.slice(|run, name| {
            let edited = edit::edit(run, name, id.0, edit, max_payload_bytes)?;
            let slice = redrive(run, name, &rest)?;
            let Some(details) = edited else {
                return Ok(slice);
            };
            if slice.messages == 0 {
                return Err(Error::new(
                    ErrorKind::InUse,
                    format!("another message of topic {name} has the dedupe key of this one"),
                ));
            }
            let note = Note::new(What::Edited).ids(&[id.0]).details(details);
            self.note_slice(run, &note, slice.messages)?;
            Ok(slice)
        })?;
        self.tell_redriven(slice.messages);
        self.tend()?;
        Ok(slice.messages > 0)
    }

    /// Makes scheduled messages ready before their time: those of these that wait for a delay or a
    /// retry, also in their places in strict order. Returns how many these were; a message that is
    /// in work, or that comes after others, stays as it is. A process with a receiver moves them,
    /// at once where notifications arrive.
    ///
    /// ```no_run
    /// # fn f(messaging: &outtray::Messaging) -> outtray::Result<()> {
    /// let orders = messaging.topic("orders");
    /// let first: Vec<_> = orders.scheduled(10)?.iter().map(|message| message.id).collect();
    /// println!("{} are ready now", orders.run_now(&first)?);
    /// # Ok(()) }
    /// ```
    pub fn run_now(&self, ids: &[MessageId]) -> Result<u64> {
        topic::check(&self.name)?;
        let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
        let name = &self.name;
        let run = |connection: &mut Connection| {
            let make_due = |run: &mut dyn Run| {
                let moved = schedule::make_due(run, name, &ids)?;
                match moved >= ids.len() as u64 {
                    true => Ok(moved),
                    false => Ok(moved + begin_in_place(run, name, &ids)?),
                }
            };
            let note = Note::new(What::RunNow).ids(&ids);
            let note = |moved: &u64| (*moved > 0).then(|| note.messages(*moved));
            self.messaging.noting(connection, name, make_due, note)
        };
        let moved = self
            .messaging
            .with_connection(|connection, _| run(connection))?;
        if moved > 0 {
            let waker = &self.messaging.base().waker;
            waker.due_in_all(Duration::ZERO);
            waker.ready(name, usize::try_from(moved).unwrap_or(usize::MAX));
        }
        Ok(moved)
    }
}

/// Makes those of the messages ready that wait for their time in their places; returns how many.
fn begin_in_place(run: &mut dyn Run, topic: &str, ids: &[Uuid]) -> Result<u64> {
    let mut begun = 0;
    for id in ids {
        let Some(located) = locate::quick(run, *id, Some(topic))? else {
            continue;
        };
        let found = found::read(run, topic, located.place, slice::from_ref(&located))?;
        let waits = |found: &FoundMessage| matches!(found.state, MessageState::Retrying { .. });
        if located.place == MessagePlace::Ready && found.iter().any(waits) {
            let waiting = InPlace {
                id: *id,
                attempts: 0,
                place: ClaimPlace {
                    rank: located.rank,
                    seq: located.seq,
                },
            };
            begun += schedule::begin_in_place(run, topic, &[&waiting])? as u64;
        }
    }
    Ok(begun)
}
