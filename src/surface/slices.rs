//! Ending many messages of a topic: slice by slice, each in a transaction of its own, so that no
//! statement takes long and no lock is held for long, however many there are.

use crate::db::run::Run;
use crate::dead_letters::selection::Selection;
use crate::dead_letters::slices::{Rest, Slice, purge_dead, redrive};
use crate::message::end::How;
use crate::on_end::push_gone;
use crate::surface::looking::read_in_order;
use crate::surface::topic::Topic;
use crate::topics;
use crate::words::error::{Error, ErrorKind, Result};
use crate::words::sqlstate::classify;
use crate::words::topic;
use postgres::IsolationLevel;

/// How often one slice is tried that others are in the way of.
const TRIES: usize = 5;

impl Topic<'_> {
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
        let mut rest = Rest::of(&which);
        self.slices("redriven", &mut progress, |topic| {
            let slice = topic.slice(|run, name| redrive(run, name, &rest))?;
            rest.go_on(&slice);
            let moved = usize::try_from(slice.messages).unwrap_or(usize::MAX);
            if moved > 0 {
                topic.messaging.base().waker.ready(&topic.name, moved);
            }
            Ok((slice.messages, !rest.is_over()))
        })
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
        let mut rest = Rest::of(&which);
        self.slices("removed", &mut progress, |topic| {
            let slice = topic.slice(|run, name| purge_dead(run, name, &rest))?;
            rest.go_on(&slice);
            Ok((slice.messages, !rest.is_over()))
        })
    }

    /// Removes all ready and scheduled messages for good, and those behind others of their key.
    /// Messages in work and dead letters stay. Returns how many were removed. Works in slices, like
    /// [`redrive`](Self::redrive), so messages that are sent meanwhile may be removed too.
    pub fn purge(&self) -> Result<u64> {
        self.purge_with_progress(|_| ())
    }

    /// Does the same as [`purge`](Self::purge), and calls `progress` after each slice with the
    /// number of messages removed so far.
    pub fn purge_with_progress(&self, mut progress: impl FnMut(u64)) -> Result<u64> {
        self.slices("removed", &mut progress, |topic| {
            let mut may_be_more = false;
            let slice = topic.slice(|run, name| {
                let (slice, is_full) = topics::purge(run, name)?;
                may_be_more = is_full;
                Ok(slice)
            })?;
            Ok((slice.messages, may_be_more))
        })
    }

    /// Takes slices until there are no more, and moves the lines of keys on. `next` returns how
    /// many messages a slice was, and whether there may be more.
    fn slices(
        &self,
        done: &str,
        progress: &mut dyn FnMut(u64),
        mut next: impl FnMut(&Self) -> Result<(u64, bool)>,
    ) -> Result<u64> {
        topic::check(&self.name)?;
        let mut so_far = 0;
        loop {
            match next(self) {
                Ok((messages, may_be_more)) => {
                    so_far += messages;
                    progress(so_far);
                    if !may_be_more {
                        break;
                    }
                }
                Err(error) if so_far == 0 => return Err(error),
                Err(error) => {
                    // Looked after by those who receive, if not now.
                    let _ = self.tend();
                    return Err(self.part_way(done, so_far, error));
                }
            }
        }
        self.tend()?;
        Ok(so_far)
    }

    fn part_way(&self, done: &str, so_far: u64, error: Error) -> Error {
        let text = format!(
            "{so_far} messages of topic {} were {done} before this, and stay so: {error}",
            self.name
        );
        Error::new(error.kind(), text).because(error)
    }

    /// Removes or moves a slice of messages in one transaction, and does what their end calls for.
    fn slice(&self, mut work: impl FnMut(&mut dyn Run, &str) -> Result<Slice>) -> Result<Slice> {
        let mut tries = 1;
        loop {
            match self.try_slice(&mut work) {
                Err(error) if error.kind() == ErrorKind::Conflict && tries < TRIES => tries += 1,
                tried => return tried,
            }
        }
    }

    fn try_slice(
        &self,
        work: &mut impl FnMut(&mut dyn Run, &str) -> Result<Slice>,
    ) -> Result<Slice> {
        self.messaging.with_connection(|connection, base| {
            let failed = |error| classify(error, "ending messages of a topic");
            let mut open = connection
                .begin(Some(IsolationLevel::ReadCommitted))
                .map_err(failed)?;
            read_in_order(&mut open).map_err(failed)?;
            let mut slice = work(&mut open, &self.name)?;
            let mut flight = open.flight().seldom();
            let gone = std::mem::take(&mut slice.gone);
            push_gone(&mut flight, &self.name, gone, How::Purged);
            flight.commit();
            open.fly(flight).map_err(failed)?;
            open.committed();
            base.waker.ended_unnamed();
            Ok(slice)
        })
    }
}
