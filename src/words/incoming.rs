//! A message on its way to a handler, undecoded.

use crate::words::envelope::{self, MESSAGE_TYPE};
use crate::words::error::Result;
use crate::words::headers::Headers;
use crate::words::log_position::LogPosition;
use crate::words::message::{CancelToken, Message, MessageId};
use crate::words::payload::Payload;
use serde::de::DeserializeOwned;
use std::time::SystemTime;

/// A message on its way to a handler, undecoded: what a
/// [middleware](crate::ReceiverBuilder::middleware) sees. It has the fields of a [`Message`],
/// borrowed.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Incoming<'a> {
    /// Its id, the same that the sender got.
    pub id: MessageId,
    /// The topic it was sent to.
    pub topic: &'a str,
    /// Its payload, as it was sent.
    pub payload: &'a Payload,
    /// The number of this delivery, from 1.
    pub attempt: u32,
    /// The number of failed attempts after which it becomes a dead letter.
    pub max_attempts: u32,
    /// Its priority; higher priorities are claimed first. 0 by default.
    pub priority: i16,
    /// Its key, if any.
    pub key: Option<&'a str>,
    /// Its headers: texts that the sender attached.
    pub headers: &'a Headers,
    /// When it was sent, by the database's clock: the start of the sender's transaction.
    pub sent_at: SystemTime,
    pub(crate) cancel: &'a CancelToken,
    pub(crate) log_position: Option<LogPosition>,
}

impl Incoming<'_> {
    /// Returns the message's place in its log; `None` for a message of a queue.
    pub fn log_position(&self) -> Option<LogPosition> {
        self.log_position
    }

    /// Returns whether the message was cancelled, or its lease was lost; see
    /// [`Message::is_cancelled`].
    pub fn is_cancelled(&self) -> bool {
        self.cancel.is_set()
    }

    /// Returns the header [`message-type`](MESSAGE_TYPE): what the message says.
    pub fn message_type(&self) -> Option<&str> {
        self.headers.get(MESSAGE_TYPE).map(String::as_str)
    }

    /// Returns the header [`schema-version`](envelope::SCHEMA_VERSION); `None` also where it is not
    /// a whole number up to that of `u32`.
    pub fn schema_version(&self) -> Option<u32> {
        envelope::schema_version(self.headers)
    }

    /// Returns the header [`traceparent`](envelope::TRACEPARENT). `None` also where it is not what
    /// W3C Trace Context allows.
    pub fn traceparent(&self) -> Option<&str> {
        envelope::traceparent(self.headers)
    }

    /// Returns the header [`tracestate`](envelope::TRACESTATE). `None` also where it, or the
    /// [`traceparent`](Self::traceparent) that it belongs to, is missing or is not what W3C Trace
    /// Context allows.
    pub fn tracestate(&self) -> Option<&str> {
        envelope::tracestate(self.headers)
    }

    /// Decodes the payload into the type that a handler asks for.
    ///
    /// # Errors
    /// `Payload`, with the path of what does not fit.
    pub(crate) fn decode<T: DeserializeOwned>(&self) -> Result<Message<T>> {
        Ok(Message {
            id: self.id,
            topic: self.topic.to_owned(),
            payload: self.payload.decode(self.topic)?,
            attempt: self.attempt,
            max_attempts: self.max_attempts,
            priority: self.priority,
            key: self.key.map(str::to_owned),
            headers: self.headers.clone(),
            sent_at: self.sent_at,
            cancel: self.cancel.clone(),
            log_position: self.log_position,
        })
    }
}

impl Message<Payload> {
    /// Returns the message as it was before it was decoded.
    pub(crate) fn incoming(&self) -> Incoming<'_> {
        Incoming {
            id: self.id,
            topic: &self.topic,
            payload: &self.payload,
            attempt: self.attempt,
            max_attempts: self.max_attempts,
            priority: self.priority,
            key: self.key.as_deref(),
            headers: &self.headers,
            sent_at: self.sent_at,
            cancel: &self.cancel,
            log_position: self.log_position,
        }
    }
}
