//! A message as a handler gets it.

use crate::words::error::Error;
use crate::words::headers::Headers;
use crate::words::log_position::LogPosition;
pub use crate::words::message_id::MessageId;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;
use uuid::Uuid;

/// A message as a handler gets it.
///
/// `T` is the type that the payload decodes to; by default any JSON value.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Message<T = serde_json::Value> {
    /// Its id, the same that the sender got.
    pub id: MessageId,
    /// The topic it was sent to.
    pub topic: String,
    /// Its payload.
    pub payload: T,
    /// The number of this delivery, from 1. A snooze, a conflict with another transaction and a
    /// broken connection do not count.
    pub attempt: u32,
    /// The number of failed attempts after which it becomes a dead letter.
    pub max_attempts: u32,
    /// Its priority; higher priorities are claimed first. 0 by default.
    pub priority: i16,
    /// Its key, if any: no other message of the topic with the same key is in work.
    pub key: Option<String>,
    /// Its headers: texts that the sender attached.
    pub headers: Headers,
    /// When it was sent, by the database's clock: the start of the sender's transaction.
    pub sent_at: SystemTime,
    pub(crate) cancel: CancelToken,
    pub(crate) log_position: Option<LogPosition>,
}

impl<T> Message<T> {
    /// Returns the message's place in its log; `None` for a message of a queue.
    pub fn log_position(&self) -> Option<LogPosition> {
        self.log_position
    }

    /// Returns the same message with another payload.
    pub(crate) fn with_payload<U>(self, payload: U) -> Message<U> {
        let Message {
            id,
            topic,
            payload: _,
            attempt,
            max_attempts,
            priority,
            key,
            headers,
            sent_at,
            cancel,
            log_position,
        } = self;
        Message {
            id,
            topic,
            payload,
            attempt,
            max_attempts,
            priority,
            key,
            headers,
            sent_at,
            cancel,
            log_position,
        }
    }

    /// Returns whether the message was cancelled, or its lease was lost. A handler that takes long
    /// should check now and then, and end early. An error that it returns after a cancel ends the
    /// message for good, without another attempt. After a lost lease, others decide about the
    /// message.
    pub fn is_cancelled(&self) -> bool {
        self.cancel.is_set()
    }
}

/// Tells a handler that its message is to be given up. One that nobody can set costs nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct CancelToken(Option<Arc<AtomicBool>>);

impl CancelToken {
    /// Makes one that can be set.
    pub(crate) fn new() -> Self {
        CancelToken(Some(Arc::default()))
    }

    /// Makes it one that is not set, for the next message; the same one if nobody else has it.
    pub(crate) fn renew(&mut self) {
        match self.0.as_mut().and_then(Arc::get_mut) {
            Some(flag) => *flag.get_mut() = false,
            None => *self = CancelToken::new(),
        }
    }

    /// Returns whether it is the same one.
    pub(crate) fn is(&self, other: &CancelToken) -> bool {
        match (&self.0, &other.0) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }

    pub(crate) fn set(&self) {
        if let Some(flag) = &self.0 {
            flag.store(true, Ordering::Relaxed);
        }
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0
            .as_ref()
            .is_some_and(|flag| flag.load(Ordering::Relaxed))
    }
}

impl FromStr for MessageId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::parse_str(text).map(MessageId).map_err(|error| {
            let shown: String = text.chars().take(64).collect();
            Error::invalid(format!("\"{}\" is not a message id", shown.escape_debug()))
                .because(error)
        })
    }
}
