//! What a committed session means to others.

use crate::message::claimed::Held;
use crate::observe::delivered::Delivered;
use crate::observe::event::Event;
use crate::observe::observers::Observers;
use crate::words::MessageId;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// What a committed session means to others: whom to wake.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct News {
    /// Topics with messages that are ready now, and how many.
    pub(crate) topics: Vec<(String, usize)>,
    /// The shortest delay among those that wait.
    pub(crate) soonest: Option<Duration>,
    /// What messages that wait come after. It may have ended since they were stored, unseen by both
    /// sides.
    pub(crate) after: Vec<Uuid>,
    /// Whether a thread waits for what is sent to be handled.
    pub(crate) is_awaited: bool,
    /// What was settled.
    pub(crate) ended: Vec<Held>,
    /// What was sent, if somebody looks.
    pub(crate) sent: Vec<SentTogether>,
    /// What was taken by hand and is done.
    pub(crate) done: Vec<DoneByHand>,
}

/// Messages of one topic that were sent in a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SentTogether {
    pub(crate) topic: Arc<str>,
    /// Whether they wait for something.
    pub(crate) is_scheduled: bool,
    /// Whether the topic is a log.
    pub(crate) is_entry: bool,
    pub(crate) ids: Vec<MessageId>,
}

/// A message that was taken by hand, and that a session acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DoneByHand {
    pub(crate) topic: Arc<str>,
    pub(crate) id: MessageId,
    /// `None` where nobody looked when it was taken, and for a receipt of another process.
    pub(crate) delivered: Option<Delivered>,
}

impl News {
    /// Tells observers what was sent and settled. After the COMMIT, with nothing locked.
    pub(crate) fn tell(&self, observers: &Observers) {
        for sent in &self.sent {
            observers.tell(|| Event::Sent {
                topic: &sent.topic,
                ids: &sent.ids,
                is_scheduled: sent.is_scheduled,
                is_entry: sent.is_entry,
            });
        }
        for done in &self.done {
            Delivered::tell_done(done.delivered, observers, &done.topic, done.id);
        }
    }

    /// Returns the ids of what was sent, if somebody looks.
    pub(crate) fn sent_ids(&self) -> Vec<MessageId> {
        let sent = self.sent.iter();
        sent.flat_map(|sent| sent.ids.iter().copied()).collect()
    }
}
