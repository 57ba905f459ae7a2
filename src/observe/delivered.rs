//! Deliveries of messages from their start to their end, as far as observers want to know.

use crate::observe::event::Event;
use crate::observe::observers::Observers;
use crate::words::MessageId;
use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime};

/// A delivery that has started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Delivered {
    /// Its number, from 1.
    pub(crate) attempt: u32,
    /// How many messages are handled in the same call.
    pub(crate) batch: usize,
    pub(crate) sent_at: SystemTime,
    pub(crate) started_at: Instant,
    /// How long its handler took, once it has ended.
    pub(crate) took: Option<Duration>,
}

/// The deliveries that a thread has started and not told the end of. Empty where nobody looks.
#[derive(Debug, Default)]
pub(crate) struct Deliveries(HashMap<MessageId, Delivered>);

/// A delivery that is about to start.
pub(crate) struct Starting {
    pub(crate) id: MessageId,
    pub(crate) attempt: u32,
    pub(crate) sent_at: SystemTime,
    /// Since when it could have been delivered.
    pub(crate) due_at: SystemTime,
}

impl Delivered {
    /// Starts deliveries that go together, and tells that; returns them in their order.
    pub(crate) fn start(
        observers: &Observers,
        topic: &str,
        starting: &[Starting],
    ) -> Vec<Delivered> {
        let (batch, started_at) = (starting.len(), Instant::now());
        let start = |one: &Starting| {
            let waited = observers.clock.since(one.due_at);
            let (id, attempt) = (one.id, one.attempt);
            observers.tell(|| Event::Started {
                topic,
                id,
                attempt,
                batch,
                waited,
            });
            Delivered {
                attempt,
                batch,
                sent_at: one.sent_at,
                started_at,
                took: None,
            }
        };
        starting.iter().map(start).collect()
    }

    /// Tells that a message was handled. How it was delivered is not known where nobody looked
    /// then, or where it was taken by hand in another process.
    pub(crate) fn tell_done(
        delivered: Option<Delivered>,
        observers: &Observers,
        topic: &str,
        id: MessageId,
    ) {
        let took = |one: Delivered| one.took.unwrap_or_else(|| one.started_at.elapsed());
        observers.tell(|| Event::Done {
            topic,
            id,
            attempt: delivered.map_or(1, |one| one.attempt),
            batch: delivered.map_or(1, |one| one.batch),
            took: delivered.map(took),
            since_sent: delivered.and_then(|one| observers.clock.since(one.sent_at)),
        });
    }
}

impl Deliveries {
    /// Starts deliveries that go together, and tells that.
    pub(crate) fn start(&mut self, observers: &Observers, topic: &str, starting: &[Starting]) {
        let started = Delivered::start(observers, topic, starting);
        let ids = starting.iter().map(|one| one.id);
        self.0.extend(ids.zip(started));
    }

    /// Notes that the handler of the deliveries that started last has ended.
    pub(crate) fn end(&mut self, ids: impl Iterator<Item = MessageId>) {
        if self.0.is_empty() {
            return;
        }
        for id in ids {
            if let Some(delivered) = self.0.get_mut(&id) {
                delivered.took = Some(delivered.started_at.elapsed());
            }
        }
    }

    /// Takes one whose end is told.
    pub(crate) fn take(&mut self, id: MessageId) -> Option<Delivered> {
        match self.0.is_empty() {
            true => None,
            false => self.0.remove(&id),
        }
    }

    /// Forgets all, and returns their ids.
    pub(crate) fn take_all(&mut self) -> Vec<MessageId> {
        let mut ids: Vec<MessageId> = self.0.drain().map(|(id, _)| id).collect();
        ids.sort_unstable();
        ids
    }
}
