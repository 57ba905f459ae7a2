//! A message in the hands of who took it, under a lease.

use crate::session::messaging_session::MessagingSession;
use crate::surface::manual::receipt::Receipt;
use crate::words::{HandlerError, Message, Result};
use serde::Serialize;
use std::fmt;
use std::ops::Deref;
use std::time::Duration;

/// A message under a lease: exclusive time to work on it, with no transaction open. It derefs to
/// its [`Message`].
///
/// Settle it: [`ack`](Self::ack) ends it, the other methods say when it is delivered again. A
/// delivery that is dropped unsettled is [nacked](Self::nack); if that fails, or the process dies,
/// the message is delivered again when the lease ends. All methods that settle block for a
/// connection of the pool and one or two round trips.
///
/// An expired lease still counts as long as nobody else got the message: the work is done, and done
/// once. After the message was delivered again or settled, all methods fail with
/// [`LeaseLost`](crate::ErrorKind::LeaseLost) and change nothing. Work that may take longer than
/// the lease needs a [heartbeat](Self::keep_alive).
///
/// A delivery borrows nothing: any thread may keep and settle it. When the message goes elsewhere,
/// keep only its [`Receipt`]; see [`into_parts`](Self::into_parts).
///
/// # Errors
/// Of all methods that settle: `LeaseLost`; `OutcomeUnknown` when the connection broke and the
/// settlement may or may not have happened; `Conflict`, `Unavailable` and `PoolExhausted` when
/// nothing happened: try again.
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

    /// Returns the receipt that settles the message.
    pub fn receipt(&self) -> &Receipt {
        &self.receipt
    }

    /// Splits the delivery into the message and the receipt that settles it. Settles nothing.
    pub fn into_parts(self) -> (Message<T>, Receipt) {
        (self.message, self.receipt)
    }

    /// Acknowledges the message: it is done and removed.
    pub fn ack(&self) -> Result<()> {
        self.receipt.ack()
    }

    /// Acknowledges the message and records a result, as JSON, for those who wait for the message.
    /// Records nothing for a message that was not sent as [`tracked`](crate::NewMessage::tracked).
    ///
    /// # Errors
    /// `Payload` or `TooLarge` as for a payload; then nothing is settled.
    pub fn ack_with<R: Serialize + ?Sized>(&self, result: &R) -> Result<()> {
        self.receipt.ack_with(result)
    }

    /// Gives the message back at once, to its old place, without a backoff. The attempt counts:
    /// after the last one the message becomes a dead letter. A cancelled message does not come
    /// back.
    pub fn nack(&self) -> Result<()> {
        self.receipt.nack()
    }

    /// Reports that the work failed, as a handler does by returning an error. The error is kept,
    /// and the message comes back after the topic's [`backoff`](crate::TopicConfig::backoff), or by
    /// default that of receivers (1 s, doubling, at most 15 minutes). After the last attempt, of
    /// the topic's [`max_attempts`](crate::TopicConfig::max_attempts) or by default 10, it becomes
    /// a dead letter. A [`HandlerError`] can ask for something else: `retry_after`, `reject`,
    /// `snooze`. A cancelled message does not come back.
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

    /// Gives the message back after this long, by the database's clock: at most ten years; zero is
    /// a [`nack`](Self::nack). The attempt counts: after the last one the message becomes a dead
    /// letter. The message queues at the end when it is due; one with a key keeps its place.
    ///
    /// # Errors
    /// `Invalid` for more than ten years.
    pub fn retry_after(&self, delay: Duration) -> Result<()> {
        self.receipt.retry_after(delay)
    }

    /// Rejects the message: it becomes a dead letter with this reason.
    pub fn reject(&self, why: impl Into<String>) -> Result<()> {
        self.receipt.reject(why)
    }

    /// Gives the message back at once, to its old place, as if it had never been delivered. No
    /// attempt is spent.
    pub fn release(&self) -> Result<()> {
        self.receipt.release()
    }

    /// Sets the lease to end this long from now, by the database's clock: 1 ms to a day. This may
    /// shorten it. Also updates [`is_cancelled`](Self::is_cancelled).
    ///
    /// # Errors
    /// `Invalid` for a time out of range; `LeaseLost`.
    pub fn extend(&self, lease: Duration) -> Result<()> {
        self.receipt.extend(lease)
    }

    /// Keeps the lease alive until the message is settled, or the delivery or its [`Receipt`] is
    /// dropped. A heartbeat of the process renews the lease now and after each third of its time,
    /// which is that of the last [`extend`](Self::extend), or else the time for which it was taken.
    /// So the work may take as long as it likes, and if the process dies, the message is free when
    /// the lease ends. The heartbeat also keeps [`is_cancelled`](Self::is_cancelled) up to date.
    ///
    /// Does not block for the database. Starts one thread for all heartbeats of the process, and
    /// the threads that serve receivers, unless they run already.
    ///
    /// # Errors
    /// `Invalid` for a lease under 100 ms, which a busy machine could not keep alive; `LeaseLost`
    /// when the message is settled; `Unavailable` when a thread cannot start.
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

    /// Returns whether the message was cancelled, or its lease was found to be lost. Does not ask
    /// the database: a cancel by this process is known at once. A cancel by another process is
    /// known at once too if notifications arrive and this process [keeps](Self::keep_alive) leases
    /// alive, waits for messages or receives; otherwise from the next heartbeat or
    /// [`extend`](Self::extend) on. Unless the holder acknowledges a cancelled message, it does not
    /// come back.
    pub fn is_cancelled(&self) -> bool {
        self.receipt.is_cancelled()
    }

    /// Acknowledges in a session's transaction: what `work` writes and sends, and the end of the
    /// message, commit together. Returns what `work` returns. If the lease was lost, all of it is
    /// rolled back. [`record_result`](MessagingSession::record_result) records a result. For
    /// several deliveries, or a transaction of your own, see [`MessagingSession::settle`].
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
