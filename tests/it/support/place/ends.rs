//! Messages are handled, and how they ended.

use super::Place;
use crate::support::done;
use outtray::{How, Message, MessageId, MessagingSession};
use serde::de::DeserializeOwned;

impl Place {
    /// Drains a topic; returns how many messages were handled.
    pub(crate) fn drained(&self, topic: &str) -> u64 {
        self.messaging.drain(topic, done).unwrap().handled
    }

    /// Drains a topic; returns the payloads in the order of handling.
    pub(crate) fn handled<T>(&self, topic: &str) -> Vec<T>
    where
        T: DeserializeOwned,
    {
        let mut handled = Vec::new();
        let handler = |_: &mut MessagingSession<'_>, message: Message<T>| {
            handled.push(message.payload);
            Ok(())
        };
        self.messaging.drain(topic, handler).unwrap();
        handled
    }

    /// Returns how a tracked message ended, if it did.
    pub(crate) fn ended(&self, id: MessageId) -> Option<How> {
        self.messaging
            .completion(id)
            .unwrap()
            .map(|completion| completion.how)
    }

    /// Starts a receiver of another topic, for the duties of a process.
    pub(crate) fn idle_receiver(&self) -> outtray::Receiver {
        self.messaging
            .start_receiving_messages("elsewhere", |_, _: Message<i32>| Ok(()))
            .unwrap()
    }
}
