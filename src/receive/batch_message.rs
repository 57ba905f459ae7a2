//! A message as a handler of batches gets it.

use crate::words::handler_error::HandlerError;
use crate::words::message::Message;
use std::cell::RefCell;
use std::ops::Deref;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::Duration;

/// One message of a batch, in the hands of a handler of batches. It reads as a [`Message`].
///
/// It is acked if the handler returns `Ok(())` and said nothing else about it. What is said, by
/// [`fail`](Self::fail) and the others, decides what becomes of this message alone; the last word counts. The
/// writes and sends of the batch are one and stay, those made for this message too: say it before
/// they are made, or put a [`session.transaction()`](crate::MessagingSession::transaction) around
/// them. If the handler returns an error or panics, that decides for all of them, and what was said
/// is forgotten; but a conflict with another transaction that was said of one of them still lets
/// the whole batch run again, with no attempt spent.
///
/// [`is_cancelled`](Message::is_cancelled) tells which message somebody asked to be given up: whatever is said
/// about that one, it is not tried again. To give up the whole batch costs the others an attempt.
#[derive(Debug)]
pub struct BatchMessage<T = serde_json::Value> {
    message: Message<T>,
    failure: RefCell<Option<HandlerError>>,
}

// What was said last is either there or not.
impl<T: UnwindSafe> UnwindSafe for BatchMessage<T> {}
impl<T: RefUnwindSafe> RefUnwindSafe for BatchMessage<T> {}

impl<T> BatchMessage<T> {
    pub(crate) fn new(message: Message<T>) -> Self {
        BatchMessage {
            message,
            failure: RefCell::new(None),
        }
    }

    /// Lets this message fail with an error, as if a handler of single messages had returned it:
    /// any error is retried with backoff, a [`HandlerError`] says what else is to be done.
    ///
    /// After an SQL statement that failed outside a
    /// [`session.transaction()`](crate::MessagingSession::transaction) the whole batch fails, whatever is
    /// said about single messages: its transaction cannot go on.
    pub fn fail(&self, error: impl Into<HandlerError>) {
        *self.failure.borrow_mut() = Some(error.into());
    }

    /// Retries this message with backoff; past the limit it becomes a dead letter, with this text.
    pub fn retry(&self, why: impl Into<String>) {
        self.fail(HandlerError::failed(why));
    }

    /// Retries this message after this long, ten years at most. The attempt counts.
    pub fn retry_after(&self, delay: Duration) {
        self.fail(HandlerError::retry_after(delay));
    }

    /// Gives this message up: a dead letter at once, with this reason.
    pub fn reject(&self, why: impl Into<String>) {
        self.fail(HandlerError::reject(why));
    }

    /// Puts this message off for this long, ten years at most, without spending an attempt.
    pub fn snooze(&self, delay: Duration) {
        self.fail(HandlerError::snooze(delay));
    }

    /// Returns the message, and what was said about it.
    pub(crate) fn into_parts(self) -> (Message<T>, Option<HandlerError>) {
        (self.message, self.failure.into_inner())
    }
}

impl<T> Deref for BatchMessage<T> {
    type Target = Message<T>;

    fn deref(&self) -> &Message<T> {
        &self.message
    }
}
