//! A message as a handler of batches gets it.

use crate::words::{HandlerError, Message};
use std::cell::RefCell;
use std::ops::Deref;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::Duration;

/// One message of a batch, as a handler of batches gets it. It derefs to a [`Message`].
///
/// The message is acked if the handler returns `Ok(())`, unless the handler called
/// [`fail`](Self::fail) or one of the other methods, which decide what becomes of this message
/// alone; the last call counts. The writes and sends of the batch are one unit and stay, including
/// those made for this message: decide before you make them, or put a
/// [`session.transaction()`](crate::MessagingSession::transaction) around them.
///
/// If the handler returns an error or panics, that decides for all messages, and the calls are
/// forgotten. One exception: a conflict with another transaction that was reported for one of them
/// still lets the whole batch run again without spending an attempt.
///
/// [`is_cancelled`](Message::is_cancelled) tells which message was cancelled: whatever the handler
/// says about it, it is not tried again. Failing the whole batch because of it costs the other
/// messages an attempt.
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

    /// Fails this message with an error, as if a handler of single messages had returned it: any
    /// error is retried with backoff, and a [`HandlerError`] can ask for something else.
    ///
    /// If an SQL statement failed outside a
    /// [`session.transaction()`](crate::MessagingSession::transaction), the whole batch fails,
    /// whatever is said about single messages: its transaction cannot continue.
    pub fn fail(&self, error: impl Into<HandlerError>) {
        *self.failure.borrow_mut() = Some(error.into());
    }

    /// Retries this message with backoff. Past the limit it becomes a dead letter with this text.
    pub fn retry(&self, why: impl Into<String>) {
        self.fail(HandlerError::failed(why));
    }

    /// Retries this message after this long, at most ten years. The attempt counts.
    pub fn retry_after(&self, delay: Duration) {
        self.fail(HandlerError::retry_after(delay));
    }

    /// Rejects this message: it becomes a dead letter at once, with this reason.
    pub fn reject(&self, why: impl Into<String>) {
        self.fail(HandlerError::reject(why));
    }

    /// Puts this message off for this long, at most ten years, without spending an attempt.
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
