//! Dead letters: looking at them, sending them back to their topics, removing them.

use crate::changes::{Note, What};
use crate::dead_letters::letter::{self, DeadLetter};
use crate::dead_letters::selection::Selection;
use crate::dead_letters::slices::{Remaining, purge_dead, redrive};
use crate::observe::event::Event;
use crate::surface::messaging::Messaging;
use crate::surface::topics::Topic;
use crate::words::limits::count;
use crate::words::{MessageId, Result};
use serde_json::json;

impl Topic<'_> {
    /// Returns the oldest dead letters, at most `limit`, in the order in which they died.
    /// [`Messaging::dead_letters`] returns those of all topics.
    pub fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>> {
        self.dead_letters_of(.., limit)
    }

    /// Returns the oldest of the selected dead letters, at most `limit`, in the order in which they
    /// died. Select those of a [key](Selection::key), or several by their ids.
    pub fn dead_letters_of(
        &self,
        which: impl Into<Selection>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>> {
        let which = which.into();
        which.check(&self.name)?;
        self.look(|run, topic| letter::dead_letters(run, topic, count(limit), &which))
    }

    /// Returns one dead letter, or `None` if there is no such one.
    pub fn dead_letter(&self, id: MessageId) -> Result<Option<DeadLetter>> {
        let found = self.dead_letters_of(id, 1)?;
        Ok(found.into_iter().next())
    }

    /// Moves dead letters back to the topic, with a clean count of attempts: `..` for all, an id,
    /// several ids, or those of a [key](Selection::key). Returns how many were moved. They keep
    /// their ids, priorities and the times when they were sent, and queue at the end.
    ///
    /// Dead letters with a key return to their places among the key's messages: before all that
    /// were sent later and are not done. If one follows another dead letter of its key, it is held
    /// or parked again where the topic is configured so. One that had a dedupe key [until it
    /// ended](crate::NewMessage::dedupe_until_end) takes the key again. It stays a dead letter if
    /// another message has the key, and of several with the same key, only one is moved.
    ///
    /// However many there are, they are moved in slices of a thousand in the order of their ids,
    /// each slice in a transaction of its own. An error says how many were moved before it: call
    /// again for the rest. Messages that die again meanwhile stay dead letters.
    pub fn redrive(&self, which: impl Into<Selection>) -> Result<u64> {
        self.redrive_with_progress(which, |_| ())
    }

    /// Does the same as [`redrive`](Self::redrive), and calls `progress` after each slice with the
    /// number of messages redriven so far.
    pub fn redrive_with_progress(
        &self,
        which: impl Into<Selection>,
        mut progress: impl FnMut(u64),
    ) -> Result<u64> {
        let which = which.into();
        which.check(&self.name)?;
        let mut rest = Remaining::of(&which);
        let note = noted(What::Redriven, &which);
        self.slices("redriven", &mut progress, |topic| {
            let slice = topic.slice(|run, name| {
                let slice = redrive(run, name, &rest)?;
                topic.note_slice(run, &note, slice.messages)?;
                Ok(slice)
            })?;
            rest.go_on(&slice);
            topic.tell_redriven(slice.messages);
            Ok((slice.messages, !rest.is_over()))
        })
    }

    /// Wakes those who want messages that were redriven, if any were, and tells observers.
    pub(crate) fn tell_redriven(&self, messages: u64) {
        if messages > 0 {
            let (base, topic) = (self.messaging.base(), &self.name);
            let moved = usize::try_from(messages).unwrap_or(usize::MAX);
            base.waker.ready(topic, moved);
            base.process
                .observers
                .tell(|| Event::Redriven { topic, messages });
        }
    }

    /// Removes dead letters for good: `..` for all, an id, several ids, or those of a
    /// [key](Selection::key). Returns how many were removed. Works in slices, like
    /// [`redrive`](Self::redrive).
    pub fn purge_dead_letters(&self, which: impl Into<Selection>) -> Result<u64> {
        self.purge_dead_letters_with_progress(which, |_| ())
    }

    /// Does the same as [`purge_dead_letters`](Self::purge_dead_letters), and calls `progress`
    /// after each slice with the number of messages removed so far.
    pub fn purge_dead_letters_with_progress(
        &self,
        which: impl Into<Selection>,
        mut progress: impl FnMut(u64),
    ) -> Result<u64> {
        let which = which.into();
        which.check(&self.name)?;
        let mut rest = Remaining::of(&which);
        let note = noted(What::DeadPurged, &which);
        self.slices("removed", &mut progress, |topic| {
            let slice = topic.slice(|run, name| {
                let slice = purge_dead(run, name, &rest)?;
                topic.note_slice(run, &note, slice.messages)?;
                Ok(slice)
            })?;
            rest.go_on(&slice);
            topic.tell_purged(slice.messages, true);
            Ok((slice.messages, !rest.is_over()))
        })
    }
}

/// Returns what is noted of a change to some dead letters.
fn noted(what: What, which: &Selection) -> Note {
    let note = Note::new(what);
    match (which.ids(), which.key_chosen()) {
        (Some(ids), _) => note.ids(ids),
        (None, Some(key)) => note.details(json!({ "key": key })),
        (None, None) => note,
    }
}

impl Messaging {
    /// Returns the oldest dead letters of all topics, at most `limit`, in the order in which they
    /// died. Costs one query, and one for each topic that has any.
    ///
    /// ```no_run
    /// # fn f(messaging: &outtray::Messaging) -> outtray::Result<()> {
    /// for letter in messaging.dead_letters(100)? {
    ///     println!("{} {}: {}", letter.topic, letter.id, letter.error);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// `SchemaMissing`, `Unavailable`, `PoolExhausted`.
    pub fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>> {
        self.dead_letters_of(.., limit)
    }

    /// Returns the oldest of the selected dead letters of all topics, at most `limit`, in the order
    /// in which they died. Select those of a [key](Selection::key), or several by their ids.
    ///
    /// # Errors
    /// Those of [`dead_letters`](Self::dead_letters), and `Invalid` for a bad key.
    pub fn dead_letters_of(
        &self,
        which: impl Into<Selection>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>> {
        let which = which.into();
        which.check_everywhere()?;
        self.in_order(|run| letter::dead_letters_everywhere(run, count(limit), &which))
    }
}
