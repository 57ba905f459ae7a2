//! A message as a test sees it that was sent.

use crate::schedule::scheduled::ScheduledMessage;
use crate::topics::peek::WaitingMessage;
use crate::words::{Headers, MessageId, Payload};
use std::time::{Duration, SystemTime};

/// A message that was sent and has not ended.
///
/// `T` is the type that its payload decodes to.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SentMessage<T = Payload> {
    /// Its id, the same that the sender got.
    pub id: MessageId,
    /// The topic it is in.
    pub topic: String,
    /// Its payload.
    pub payload: T,
    /// How long it waits for its time yet, by the database's clock: a delay, or the backoff of a
    /// retry. `None` if it is ready, or comes after other messages.
    pub due_in: Option<Duration>,
    /// When that is.
    pub due_at: Option<SystemTime>,
    /// The messages that it comes after and that have not ended.
    pub after: Vec<MessageId>,
    /// The key that it was sent with.
    pub key: Option<String>,
    /// Its priority.
    pub priority: i16,
    /// Failed deliveries so far.
    pub attempts: u32,
    /// The error of the last of them, while it waits for the next.
    pub error: Option<String>,
    /// Its headers.
    pub headers: Headers,
    /// When it was sent, by the database's clock.
    pub sent_at: SystemTime,
}

impl<T> SentMessage<T> {
    /// Returns the value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    pub(crate) fn with_payload<U>(self, payload: U) -> SentMessage<U> {
        SentMessage {
            id: self.id,
            topic: self.topic,
            payload,
            due_in: self.due_in,
            due_at: self.due_at,
            after: self.after,
            key: self.key,
            priority: self.priority,
            attempts: self.attempts,
            error: self.error,
            headers: self.headers,
            sent_at: self.sent_at,
        }
    }
}

impl SentMessage {
    /// Shows one that can be claimed, or is in other hands, or behind others.
    pub(crate) fn waiting(topic: &str, one: WaitingMessage) -> Self {
        SentMessage {
            id: one.id,
            topic: topic.to_owned(),
            payload: one.payload,
            due_in: None,
            due_at: None,
            after: Vec::new(),
            key: one.key,
            priority: one.priority,
            attempts: one.attempts,
            error: None,
            headers: one.headers,
            sent_at: one.sent_at,
        }
    }

    /// Shows one that waits for its time, or for others.
    pub(crate) fn due(topic: &str, one: ScheduledMessage) -> Self {
        SentMessage {
            id: one.id,
            topic: topic.to_owned(),
            payload: one.payload,
            due_in: one.due_in,
            due_at: one.due_at,
            after: one.after,
            key: one.key,
            priority: one.priority,
            attempts: one.attempts,
            error: one.error,
            headers: one.headers,
            sent_at: one.sent_at,
        }
    }
}
