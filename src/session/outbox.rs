//! The messages that a session sends, kept until they are stored together.
//!
//! They are stored just before COMMIT: a few of them in the flight that commits, more in one
//! statement. So sending costs one round trip at most, and none if the handler fails. Every message
//! here has been checked already, so that the database has no reason to refuse it.

use crate::capacity::ahead::RoomAhead;
use crate::completion;
use crate::db::{Flight, Run};
use crate::dependencies;
use crate::keys;
use crate::log;
use crate::message::send;
use crate::schedule;
use crate::session::matched::Matched;
use crate::session::outbox_mark::OutboxMark;
use crate::session::undo_settled::UndoSettled;
use crate::words::new_message::{ReadyWhen, TRACKED_FOR};
use crate::words::{MessageId, OnEnd, Outgoing, Result};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

/// The number of messages from which on they are stored before the end of their part. This bounds
/// memory in a session that sends a million, and larger statements are no quicker (measured flat
/// from 1,000 rows).
const MAX_PENDING: usize = 5_000;
/// The same for the bytes of their payloads.
const MAX_PENDING_BYTES: usize = 4 << 20;

/// The most messages that travel in the flight that commits. For more, one statement of their own
/// is cheaper, although it costs a round trip.
const FEW: usize = 4;
/// The same for the bytes of their payloads.
const FEW_BYTES: usize = 16 << 10;

/// Messages sent and not stored yet, and a log of all that were sent.
#[derive(Default)]
pub(crate) struct Outbox {
    pub(super) ready: Vec<Outgoing>,
    pub(super) waiting: Vec<Outgoing>,
    /// What goes into logs.
    pub(super) entries: Vec<Outgoing>,
    /// Whether some messages are not in the order of their ids.
    pub(super) is_out_of_order: bool,
    pub(super) bytes: usize,
    pub(super) log: Vec<LogEntry>,
    pub(super) matched: Matched,
    /// Deliveries that are settled if the transaction commits.
    pub(super) settled: Vec<UndoSettled>,
    /// Room in bounded topics that was taken ahead.
    pub(super) room: RoomAhead,
    /// Where the current part began.
    part: OutboxMark,
    /// Where the [bundle](crate::session::savepoint::Bundle) began.
    bundle: OutboxMark,
}

pub(super) struct LogEntry {
    pub(super) id: MessageId,
    /// Shared by neighbours that go to the same topic.
    pub(super) topic: Arc<str>,
    /// How long the message waits, as far as is known here; `None` if it is ready.
    pub(super) wait: Option<Duration>,
    /// The messages that this one comes after.
    pub(super) after: Vec<MessageId>,
    pub(super) is_entry: bool,
}

impl Outbox {
    pub(crate) fn push(&mut self, outgoing: Outgoing) -> MessageId {
        let id = outgoing.id;
        self.bytes += outgoing.message.content.len();
        self.note(&outgoing);
        let kept = match outgoing.is_ready() {
            true if outgoing.is_entry => &mut self.entries,
            true => &mut self.ready,
            false => &mut self.waiting,
        };
        self.is_out_of_order |= kept.last().is_some_and(|last| last.id.0 > id.0);
        kept.push(outgoing);
        id
    }

    /// Adds a message that is stored already to the log.
    pub(crate) fn note(&mut self, outgoing: &Outgoing) {
        let entry = self.log_entry(outgoing);
        self.log.push(entry);
    }

    /// Returns what the log says of a message.
    pub(super) fn log_entry(&self, outgoing: &Outgoing) -> LogEntry {
        let message = &outgoing.message;
        let topic = match self.log.last() {
            Some(last) if *last.topic == *message.topic => Arc::clone(&last.topic),
            _ => Arc::from(message.topic.as_str()),
        };
        LogEntry {
            id: outgoing.id,
            topic,
            after: message.rare.after.clone(),
            is_entry: outgoing.is_entry,
            wait: match message.start {
                _ if outgoing.is_ready() => None,
                Some(ReadyWhen::After(delay)) => Some(delay),
                // Only the database's clock tells how far away that time is.
                Some(ReadyWhen::At(_)) | None => Some(Duration::ZERO),
            },
        }
    }

    /// Notes a delivery that was settled.
    pub(crate) fn note_settled(&mut self, settled: UndoSettled) {
        self.settled.push(settled);
    }

    /// Marks where the next part begins.
    pub(crate) fn begin_part(&mut self) {
        self.part = self.mark();
    }

    /// Marks where the bundle begins.
    pub(crate) fn begin_bundle(&mut self) {
        self.bundle = self.mark();
    }

    /// Resets the marks for the next transaction.
    pub(crate) fn begin_anew(&mut self) {
        self.part = OutboxMark::default();
        self.bundle = OutboxMark::default();
        self.room = RoomAhead::default();
        self.take_matched();
    }

    /// Drops the messages and settled deliveries of the current part.
    pub(crate) fn roll_back_part(&mut self) {
        self.roll_back(self.part.clone());
    }

    /// Drops the messages and settled deliveries of the bundle.
    pub(crate) fn roll_back_bundle(&mut self) {
        self.roll_back(self.bundle.clone());
    }

    pub(super) fn mark(&self) -> OutboxMark {
        OutboxMark {
            ready: self.ready.len(),
            waiting: self.waiting.len(),
            entries: self.entries.len(),
            bytes: self.bytes,
            log: self.log.len(),
            settled: self.settled.len(),
            room: self.room.clone(),
        }
    }

    /// Drops the messages and settled deliveries since `mark`.
    fn roll_back(&mut self, mark: OutboxMark) {
        self.ready.truncate(mark.ready);
        self.waiting.truncate(mark.waiting);
        self.entries.truncate(mark.entries);
        self.log.truncate(mark.log);
        self.settled.truncate(mark.settled);
        self.bytes = mark.bytes;
        self.room = mark.room;
    }

    /// Returns whether the messages of the current part are to be stored before its end.
    pub(crate) fn is_full(&self) -> bool {
        let mark = &self.part;
        let messages = self.ready.len() - mark.ready + self.waiting.len() - mark.waiting
            + self.entries.len()
            - mark.entries;
        messages >= MAX_PENDING || self.bytes - mark.bytes >= MAX_PENDING_BYTES
    }

    /// Returns how many statements [`store`](Self::store) needs; more than one need a transaction.
    pub(crate) fn statements(&self) -> usize {
        let all = [&self.ready, &self.waiting];
        let more = all.iter().any(|some| completion::has_tracked(some))
            || dependencies::has_dependents(&self.waiting);
        usize::from(!self.ready.is_empty())
            + usize::from(!self.waiting.is_empty())
            + usize::from(more)
            + log::append::statements(&self.entries)
            + usize::from(self.ready.iter().any(Outgoing::is_keyed))
            + usize::from(self.waiting.iter().any(Outgoing::waits_with_key))
    }

    /// Stores the messages of the current part.
    pub(crate) fn store_part(&mut self, run: &mut dyn Run) -> Result<()> {
        self.store_since(run, self.part.clone(), keys::send::send)
    }

    /// Stores all messages.
    pub(crate) fn store(&mut self, run: &mut dyn Run) -> Result<()> {
        self.store_since(run, OutboxMark::default(), keys::send::send)
    }

    /// Stores all messages when no SQL of the caller's follows in the transaction. Messages with
    /// keys then take one round trip.
    pub(crate) fn store_last(&mut self, run: &mut dyn Run) -> Result<()> {
        self.store_since(run, OutboxMark::default(), keys::send::send_last)
    }

    /// Stores the messages since `mark`. Takes one round trip for ready messages, one for those
    /// that wait, and one to read the database's clock if some of the latter have keys.
    fn store_since(
        &mut self,
        run: &mut dyn Run,
        mark: OutboxMark,
        send_keyed: fn(&mut dyn Run, &[Outgoing]) -> Result<()>,
    ) -> Result<()> {
        let mut ready = self.ready.split_off(mark.ready);
        let mut waiting = self.waiting.split_off(mark.waiting);
        let entries = self.entries.split_off(mark.entries);
        self.bytes = mark.bytes;
        if waiting.iter().any(Outgoing::waits_with_key) {
            // Messages whose time is past join the line of their key now. Only the database's
            // clock tells which those are.
            let now_us = schedule::clock(run)?;
            let is_past = |one: &Outgoing| one.waits_with_key() && one.is_past(now_us);
            let (past, later) = waiting.into_iter().partition(is_past);
            waiting = later;
            self.join(&mut ready, past);
        }
        completion::track(run, &ready)?;
        completion::track(run, &waiting)?;
        if !ready.is_empty() {
            match ready.iter().any(Outgoing::is_keyed) {
                true => send_keyed(run, &ready)?,
                false => send::send(run, &ready)?,
            }
        }
        if !waiting.is_empty() {
            let past = send::schedule(run, &waiting)?;
            self.note_past(&past);
            dependencies::depend(run, &waiting)?;
        }
        log::append::append(run, &entries)
    }

    /// Adds the messages whose time is past to the ready ones, in the order in which all were sent.
    fn join(&mut self, ready: &mut Vec<Outgoing>, past: Vec<Outgoing>) {
        self.note_past(&past.iter().map(|outgoing| outgoing.id).collect());
        ready.extend(past);
        if !self.is_out_of_order {
            ready.sort_by_key(|outgoing| outgoing.id.0);
        }
    }

    /// Notes in the log that these messages are ready.
    fn note_past(&mut self, past: &HashSet<MessageId>) {
        if past.is_empty() {
            return;
        }
        let is_past = |entry: &&mut LogEntry| past.contains(&entry.id);
        let entries = self.log.iter_mut().filter(is_past);
        entries.for_each(|entry| entry.wait = None);
    }

    /// Returns whether there are messages, and [`push_few`](Self::push_few) takes them.
    pub(crate) fn has_few(&self) -> bool {
        !(self.ready.is_empty() && self.entries.is_empty()) && self.is_little()
    }

    fn is_little(&self) -> bool {
        let is_little = self.ready.len() + self.entries.len() <= FEW && self.bytes <= FEW_BYTES;
        let is_simple = self.ready.iter().all(Outgoing::is_plain)
            || self.ready.iter().any(Outgoing::is_keyed) && !completion::has_tracked(&self.ready);
        is_little && self.waiting.is_empty() && is_simple
    }

    /// Appends all messages to a flight if they are few, and plain or with keys. Returns whether it
    /// did; then no message is left to store.
    pub(crate) fn push_few(&mut self, flight: &mut Flight) -> bool {
        if !self.is_little() {
            return false;
        }
        self.bytes = 0;
        for outgoing in self.entries.drain(..) {
            log::append::push_append(flight, &outgoing);
        }
        if self.ready.iter().any(Outgoing::is_keyed) {
            let ready = std::mem::take(&mut self.ready);
            keys::send::push(flight, &ready);
            return true;
        }
        for outgoing in self.ready.drain(..) {
            send::push_send(flight, &outgoing);
        }
        true
    }

    /// Makes messages tracked that are not stored yet; returns the ids of the others, each once.
    pub(crate) fn track(&mut self, ids: &[MessageId]) -> Vec<MessageId> {
        let mut wanted: HashSet<MessageId> = ids.iter().copied().collect();
        if !self.is_out_of_order {
            // Ids grow with time, so a binary search finds each.
            let is_elsewhere = |id: &MessageId| match self.find(*id) {
                Some(outgoing) => {
                    track(outgoing);
                    false
                }
                None => true,
            };
            return wanted.into_iter().filter(is_elsewhere).collect();
        }
        for outgoing in self.ready.iter_mut().chain(&mut self.waiting) {
            if wanted.remove(&outgoing.id) {
                track(outgoing);
            }
        }
        wanted.into_iter().collect()
    }

    fn find(&mut self, id: MessageId) -> Option<&mut Outgoing> {
        let place = |kept: &[Outgoing]| kept.binary_search_by_key(&id.0, |kept| kept.id.0).ok();
        match (place(&self.ready), place(&self.waiting)) {
            (Some(place), _) => self.ready.get_mut(place),
            (None, Some(place)) => self.waiting.get_mut(place),
            (None, None) => None,
        }
    }

    /// Returns the ids of all that was sent.
    pub(crate) fn ids(&self) -> Vec<MessageId> {
        self.log.iter().map(|entry| entry.id).collect()
    }
}

fn track(outgoing: &mut Outgoing) {
    outgoing.message.rare.tracked_for.get_or_insert(TRACKED_FOR);
    outgoing.on_end = outgoing.on_end.with(OnEnd::TRACKED);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wake::news::News;
    use crate::words::new_message::NewMessage;

    fn message(topic: &str, delay_s: u64) -> Outgoing {
        let message = NewMessage::bytes(topic, [1, 2, 3]).delay(Duration::from_secs(delay_s));
        Outgoing::new(message, None)
    }

    #[test]
    fn what_is_sent_says_whom_to_wake() {
        let mut outbox = Outbox::default();
        for (topic, delay) in [("a", 0), ("b", 0), ("a", 0), ("c", 9), ("c", 5)] {
            outbox.push(message(topic, delay));
        }

        let news = outbox.take_news(false);

        assert_eq!(news.topics, [("a".to_owned(), 2), ("b".to_owned(), 1)]);
        assert_eq!(news.soonest, Some(Duration::from_secs(5)));
        assert_eq!(outbox.take_news(false), News::default());
    }

    #[test]
    fn a_rollback_drops_only_what_came_after_the_mark() {
        let mut outbox = Outbox::default();
        let kept = outbox.push(message("a", 0));
        let mark = outbox.mark();
        outbox.push(message("a", 0));
        outbox.push(message("b", 5));

        outbox.roll_back(mark);

        assert_eq!(outbox.ids(), [kept]);
        assert_eq!(outbox.statements(), 1);
        assert_eq!(outbox.bytes, 3);
    }
}
