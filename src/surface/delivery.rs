//! A message in the hands of who took it, under a lease.

use crate::session::messaging_session::MessagingSession;
use crate::surface::receipt::Receipt;
use crate::words::error::Result;
use crate::words::handler_error::HandlerError;
use crate::words::message::Message;
use serde::Serialize;
use std::fmt;
use std::ops::Deref;
use std::time::Duration;

/// A message under a lease: exclusive time to work on it, with no transaction open. It derefs to
/// its
/// [`Message`].
///
/// Settle it: [`ack`](Self::ack) ends it, the others say when it is delivered again. One that is
/// dropped unsettled is [nacked](Self::nack); if that fails, or the process dies, the message is
/// delivered again when the lease ends. All that settle block for a connection of the pool and a
/// round trip or two.
///
/// A lease whose time is over counts as long as nobody else got the message: the work is done, and
/// done once. From when it is delivered again, and after it was settled, everything here fails with
/// [`LeaseLost`](crate::ErrorKind::LeaseLost) and changes nothing. Work that may take longer than the lease asks for a
/// [heartbeat](Self::keep_alive).
///
/// It borrows nothing, and may be kept and settled anywhere, by any thread; or only its [`Receipt`]
/// is, when the message goes
/// [another way](Self::into_parts).
///
/// # Errors
/// Of all methods that settle: `LeaseLost`; `OutcomeUnknown` when the connection broke and it may
/// have happened or not; `Conflict`, `Unavailable` and `PoolExhausted` when nothing happened: do it
/// again.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use outtray::{ErrorKind, Messaging, testing::Server};
/// use std::time::Duration;
///
/// # let server = Server::start()?;
/// # let messaging = Messaging::connect(&server.database()?)?;
/// # messaging.migrate()?;
/// messaging.session(|session| Ok(session.send_message("mails", "hello")?))?;
///
/// let mails = messaging.topic("mails");
/// if let Some(delivery) = mails.receive::<String>(Duration::from_secs(30))? {
///     println!("delivering {:?}, attempt {}", delivery.payload, delivery.attempt);
///     delivery.ack()?;
///     assert_eq!(delivery.ack().unwrap_err().kind(), ErrorKind::LeaseLost);
/// }
/// assert!(mails.is_empty()?);
/// # Ok(()) }
/// ```
#[must_use = "a delivery that is dropped is given back"]
pub struct Delivery<T = serde_json::Value> {
    message: Message<T>,
    receipt: Receipt,
}

impl<T> Delivery<T> {
    pub(crate) fn new(message: Message<T>, receipt: Receipt) -> Self {
        Delivery { message, receipt }
    }

    /// Returns the message, the same that the delivery derefs to.
    pub fn message(&self) -> &Message<T> {
        &self.message
    }

    /// Returns what settles the message.
    pub fn receipt(&self) -> &Receipt {
        &self.receipt
    }

    /// Takes the message and what settles it apart: the one to be worked on, the other to be kept.
    /// Nothing is settled.
    pub fn into_parts(self) -> (Message<T>, Receipt) {
        (self.message, self.receipt)
    }

    /// Acknowledges: the message is done and gone.
    pub fn ack(&self) -> Result<()> {
        self.receipt.ack()
    }

    /// Acknowledges, and records what came of it, as JSON, for those who wait for the message. Of
    /// one that was not sent as [`tracked`](crate::NewMessage::tracked) nothing is recorded.
    ///
    /// # Errors
    /// `Payload` or `TooLarge` as for a payload: nothing is settled then.
    pub fn ack_with<R: Serialize + ?Sized>(&self, result: &R) -> Result<()> {
        self.receipt.ack_with(result)
    }

    /// Gives the message back at once, to its old place, without a backoff. The attempt counts:
    /// after the last one the message becomes a dead letter. One that somebody cancelled does not
    /// come back.
    pub fn nack(&self) -> Result<()> {
        self.receipt.nack()
    }

    /// Says that the work failed, as a handler does by returning an error: the message comes back
    /// after the topic's
    /// [`backoff`](crate::TopicConfig::backoff), else that of receivers (1 s, doubling, at most 15 minutes), with this error,
    /// which is kept. After the last attempt, of the topic's
    /// [`max_attempts`](crate::TopicConfig::max_attempts), else 10, it becomes a dead letter. A
    /// [`HandlerError`] says what else is to be done: `retry_after`, `reject`, `snooze`. One that
    /// somebody cancelled does not come back.
    ///
    /// ```no_run
    /// # fn call(url: &str) -> Result<(), std::io::Error> { Ok(()) }
    /// # fn f(messaging: &outtray::Messaging) -> outtray::Result<()> {
    /// use std::time::Duration;
    ///
    /// let calls = messaging.topic("calls");
    /// while let Some(delivery) = calls.receive::<String>(Duration::from_secs(30))? {
    ///     match call(&delivery.payload) {
    ///         Ok(()) => delivery.ack()?,
    ///         Err(error) => delivery.fail(error)?,
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    pub fn fail(&self, error: impl Into<HandlerError>) -> Result<()> {
        self.receipt.fail(error)
    }

    /// Gives the message back after this long, by the database's clock: ten years at most, and zero
    /// is a
    /// [`nack`](Self::nack). The attempt counts: after the last one the message becomes a dead letter. It takes its
    /// place at the end then; one with a key keeps its place.
    ///
    /// # Errors
    /// `Invalid` for more than ten years.
    pub fn retry_after(&self, delay: Duration) -> Result<()> {
        self.receipt.retry_after(delay)
    }

    /// Gives the message up: it becomes a dead letter with this reason.
    pub fn reject(&self, why: impl Into<String>) -> Result<()> {
        self.receipt.reject(why)
    }

    /// Gives the message back at once, to its old place, as if it had never been delivered: no
    /// attempt is spent.
    pub fn release(&self) -> Result<()> {
        self.receipt.release()
    }

    /// Lets the lease last this long from now, by the database's clock: 1 ms to a day. It may
    /// become shorter. Then
    /// [`is_cancelled`](Self::is_cancelled) knows whether somebody asked for the message to be given up.
    ///
    /// # Errors
    /// `Invalid` for a time out of range; `LeaseLost`.
    pub fn extend(&self, lease: Duration) -> Result<()> {
        self.receipt.extend(lease)
    }

    /// Keeps the lease alive until the message is settled or the delivery, or its [`Receipt`], is
    /// dropped: a heartbeat of the process prolongs it, now and at each third of its time, which is
    /// that of the last [`extend`](Self::extend) since, else that for which it was taken. So the
    /// work may take as long as it likes, and if the process dies, the message is free when the
    /// lease ends. [`is_cancelled`](Self::is_cancelled) is kept up to date.
    ///
    /// Does not block for the database. Starts a thread for all heartbeats of the process, and
    /// those that serve receivers, unless they run.
    ///
    /// # Errors
    /// `Invalid` for a lease of under 100 ms, which a busy machine could not keep alive;
    /// `LeaseLost` when the message is settled; `Unavailable` when a thread cannot start.
    ///
    /// ```no_run
    /// # fn convert(part: usize) {}
    /// # fn f(messaging: &outtray::Messaging) -> outtray::Result<()> {
    /// use std::time::Duration;
    ///
    /// let videos = messaging.topic("videos");
    /// if let Some(delivery) = videos.receive::<String>(Duration::from_secs(30))? {
    ///     delivery.keep_alive()?;
    ///     // Hours, maybe.
    ///     for part in 0..1_000 {
    ///         if delivery.is_cancelled() {
    ///             return delivery.release();
    ///         }
    ///         convert(part);
    ///     }
    ///     delivery.ack()?;
    /// }
    /// # Ok(()) }
    /// ```
    pub fn keep_alive(&self) -> Result<()> {
        self.receipt.keep_alive()
    }

    /// Returns whether somebody asked for the message to be given up, or its lease was found to be
    /// lost. Asks nobody: a cancel by this process is known at once; one by another process too, if
    /// this one is [keeping](Self::keep_alive) leases alive, waiting for messages or receiving, and
    /// notifications arrive; else from the next heartbeat or [`extend`](Self::extend) on. Whatever
    /// the holder says then but an acknowledgement, the message does not come back.
    pub fn is_cancelled(&self) -> bool {
        self.receipt.is_cancelled()
    }

    /// Acknowledges in a session's transaction: what `work` writes and sends, and the end of the
    /// message, are one. Returns what `work` returns. If the lease was lost, all of it is rolled
    /// back. A result is recorded with
    /// [`record_result`](MessagingSession::record_result). For several deliveries, or a transaction of your own, see
    /// [`MessagingSession::settle`].
    ///
    /// After an error the message is still leased, unless the lease was lost: try again, or give it
    /// back.
    ///
    /// # Errors
    /// `LeaseLost`, and those of [`Messaging::session`](crate::Messaging::session).
    pub fn settle_in<R>(
        &self,
        work: impl FnOnce(&mut MessagingSession<'_>) -> Result<R, HandlerError>,
    ) -> Result<R> {
        self.receipt.settle_in(work)
    }
}

impl<T> AsRef<Receipt> for Delivery<T> {
    fn as_ref(&self) -> &Receipt {
        &self.receipt
    }
}

impl<T> Deref for Delivery<T> {
    type Target = Message<T>;

    fn deref(&self) -> &Message<T> {
        &self.message
    }
}

impl<T: fmt::Debug> fmt::Debug for Delivery<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("message", &self.message)
            .field("is_settled", &self.receipt.is_settled())
            .finish_non_exhaustive()
    }
}
