//! A message in the hands of who took it, under a lease.

use crate::receive::lease::claim::check_lease;
use crate::receive::lease::settle::{self, BEGIN_BRIEFLY, announce};
use crate::session::messaging_session::MessagingSession;
use crate::store::lease::{BEGIN, Proof, Verdict};
use crate::surface::messaging::Messaging;
use crate::words::error::{Error, ErrorKind, Result};
use crate::words::handler_error::HandlerError;
use crate::words::json_text;
use crate::words::message::{CancelToken, Message};
use crate::words::new_message::MAX_DELAY;
use crate::words::outcome::DeadReason;
use crate::words::panics::catch;
use serde::Serialize;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Shortest lease that is taken by hand: what a round trip takes.
pub(crate) const LEAST_LEASE: Duration = Duration::from_millis(1);
/// How long dropping a delivery waits for a connection of the pool.
const DROP_TIMEOUT: Duration = Duration::from_secs(1);

/// A message under a lease: exclusive time to work on it, with no transaction open. It derefs to its
/// [`Message`].
///
/// Settle it: [`ack`](Self::ack) ends it, the others say when it is delivered again. One that is dropped unsettled
/// is [nacked](Self::nack); if that fails, or the process dies, the message is delivered again when the lease
/// ends. All that settle block for a connection of the pool and a round trip or two.
///
/// A lease whose time is over counts as long as nobody else got the message: the work is done, and done
/// once. From when it is delivered again, and after it was settled, everything here fails with
/// [`LeaseLost`](ErrorKind::LeaseLost) and changes nothing.
///
/// # Errors
/// Of all methods that settle: `LeaseLost`; `OutcomeUnknown` when the connection broke and it may have happened
/// or not; `Conflict`, `Unavailable` and `PoolExhausted` when nothing happened: do it again.
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
    lease: Lease,
}

impl<T> Delivery<T> {
    pub(crate) fn new(message: Message<T>, lease: Lease) -> Self {
        Delivery { message, lease }
    }

    pub(crate) fn lease(&self) -> &Lease {
        &self.lease
    }

    /// Returns the message, the same that the delivery derefs to.
    pub fn message(&self) -> &Message<T> {
        &self.message
    }

    /// Acknowledges: the message is done and gone.
    pub fn ack(&self) -> Result<()> {
        self.lease.settle(Verdict::Ack(None))
    }

    /// Acknowledges, and records what came of it, as JSON, for those who wait for the message. Of one that was not
    /// sent as [`tracked`](crate::NewMessage::tracked) nothing is recorded.
    ///
    /// # Errors
    /// `Payload` or `TooLarge` as for a payload: nothing is settled then.
    pub fn ack_with<R: Serialize + ?Sized>(&self, result: &R) -> Result<()> {
        let limit = self.lease.messaging.base().kit.max_payload_bytes;
        let result = json_text::of_result(result, limit)?;
        self.lease.settle(Verdict::Ack(Some(result)))
    }

    /// Gives the message back at once, to its old place, without a backoff. The attempt counts: after the last one
    /// the message becomes a dead letter. One that somebody cancelled does not come back.
    pub fn nack(&self) -> Result<()> {
        self.lease.settle(self.lease.nack("nacked"))
    }

    /// Gives the message back after this long, by the database's clock: ten years at most, and zero is a
    /// [`nack`](Self::nack). The attempt counts: after the last one the message becomes a dead letter. It takes its
    /// place at the end then; one with a key keeps its place.
    ///
    /// # Errors
    /// `Invalid` for more than ten years.
    pub fn retry_after(&self, delay: Duration) -> Result<()> {
        let id = self.message.id;
        if delay > MAX_DELAY {
            return Err(Error::invalid(format!(
                "retry of message {id} after {} s is longer than ten years",
                delay.as_secs()
            )));
        }
        let why = "retried later";
        let verdict = match self.lease.nack(why) {
            Verdict::Nack if !delay.is_zero() => Verdict::Retry {
                attempts: self.message.attempt,
                delay,
                error: why.to_owned(),
            },
            verdict => verdict,
        };
        self.lease.settle(verdict)
    }

    /// Gives the message up: it becomes a dead letter with this reason.
    pub fn reject(&self, why: impl Into<String>) -> Result<()> {
        self.lease.settle(Verdict::Bury {
            attempts: self.message.attempt,
            reason: DeadReason::Rejected,
            error: why.into(),
        })
    }

    /// Gives the message back at once, to its old place, as if it had never been delivered: no attempt is spent.
    pub fn release(&self) -> Result<()> {
        self.lease.settle(Verdict::Release)
    }

    /// Lets the lease last this long from now, by the database's clock: 1 ms to a day. It may become shorter. Then
    /// [`is_cancelled`](Message::is_cancelled) knows whether somebody asked for the message to be given up.
    ///
    /// # Errors
    /// `Invalid` for a time out of range; `LeaseLost`.
    pub fn extend(&self, lease: Duration) -> Result<()> {
        match extend_all(std::slice::from_ref(self), lease)?.is_empty() {
            true => Ok(()),
            false => Err(self.lease.lost()),
        }
    }

    /// Acknowledges in a session's transaction: what `work` writes and sends, and the end of the message, are one.
    /// Returns what `work` returns. If the lease was lost, all of it is rolled back. A result is recorded with
    /// [`record_result`](MessagingSession::record_result). For several deliveries, or a transaction of your own, see
    /// [`MessagingSession::settle`].
    ///
    /// After an error the message is still leased, unless the lease was lost: try again, or give it back.
    ///
    /// # Errors
    /// `LeaseLost`, and those of [`Messaging::session`].
    pub fn settle_in<R>(
        &self,
        work: impl FnOnce(&mut MessagingSession<'_>) -> Result<R, HandlerError>,
    ) -> Result<R> {
        self.lease.check()?;
        self.lease.messaging.session(|session| {
            session.takes_result = true;
            let returned = work(session)?;
            let result = session.result.take();
            session.settle_lease(&self.lease, result)?;
            Ok(returned)
        })
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
            .field("is_settled", &self.lease.is_settled())
            .finish_non_exhaustive()
    }
}

/// The lease of one delivery, whatever its payload is. Dropped unsettled, it is given back.
pub(crate) struct Lease {
    pub(crate) messaging: Messaging,
    pub(crate) topic: Arc<str>,
    pub(crate) proof: Proof,
    pub(crate) attempt: u32,
    pub(crate) max_attempts: u32,
    pub(crate) cancel: CancelToken,
    pub(crate) is_settled: Arc<AtomicBool>,
}

impl Lease {
    pub(crate) fn is_settled(&self) -> bool {
        self.is_settled.load(Ordering::Relaxed)
    }

    /// Notes that nothing is left to settle.
    pub(crate) fn close(&self) {
        self.is_settled.store(true, Ordering::Relaxed);
    }

    pub(crate) fn check(&self) -> Result<()> {
        match self.is_settled() {
            true => Err(self.lost()),
            false => Ok(()),
        }
    }

    pub(crate) fn lost(&self) -> Error {
        let (id, topic) = (self.proof.held.id, &self.topic);
        let text = format!(
            "the lease of message {id} of topic {topic} is over, or the message was settled already: nothing was changed"
        );
        Error::new(ErrorKind::LeaseLost, text)
    }

    /// Returns what a failed delivery comes to: back, or the dead letters after the last attempt.
    pub(crate) fn nack(&self, why: &str) -> Verdict {
        if self.attempt < self.max_attempts {
            return Verdict::Nack;
        }
        Verdict::Bury {
            attempts: self.attempt,
            reason: DeadReason::Exhausted,
            error: format!("{why} in its last attempt"),
        }
    }

    fn settle(&self, verdict: Verdict) -> Result<()> {
        self.check()?;
        match settle_all(&self.messaging, &[(self, verdict)])?.is_empty() {
            true => Ok(()),
            false => Err(self.lost()),
        }
    }

    /// Gives the message back if that is possible soon.
    fn give_back(&self) -> Result<()> {
        let mut connection = self.messaging.pooled_within(DROP_TIMEOUT)?;
        let base = self.messaging.base();
        let verdict = self.nack("dropped unsettled");
        let verdicts = [(&self.proof, &verdict)];
        let statements = &base.kit.statements;
        let topic = &self.topic;
        let settled = settle::settle(&mut connection, statements, BEGIN_BRIEFLY, topic, &verdicts)?;
        drop(connection);
        if !settled.is_empty() {
            self.messaging.desk().lower(topic, self.proof.held.position);
            announce(&base.waker, topic, verdicts.into_iter());
        }
        Ok(())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let desk = self.messaging.desk();
        if self.is_settled() || desk.is_troubled() {
            return;
        }
        // A panic here, while another one unwinds, would end the process.
        let given_back = catch(|| self.give_back());
        let trouble = match given_back {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(text) => text,
        };
        desk.note_trouble();
        let (id, topic) = (self.proof.held.id, &self.topic);
        log::warn!(
            "topic {topic}: message {id} was dropped and could not be given back, it is free when its lease ends: {trouble}"
        );
    }
}

/// Settles leases, those of each topic together. Returns those that were lost.
pub(crate) fn settle_all<'l>(
    messaging: &Messaging,
    verdicts: &'l [(&'l Lease, Verdict)],
) -> Result<Vec<&'l Lease>> {
    let mut lost = Vec::new();
    let mut connection = messaging.pooled()?;
    let base = messaging.base();
    for (topic, mine) in by_topic(verdicts.iter().map(|(lease, verdict)| (*lease, verdict))) {
        let proofs: Vec<(&Proof, &Verdict)> = mine
            .iter()
            .filter(|(lease, _)| !lease.is_settled())
            .map(|(lease, verdict)| (&lease.proof, *verdict))
            .collect();
        let mut settled = Default::default();
        if !proofs.is_empty() {
            let statements = &base.kit.statements;
            settled = settle::settle(&mut connection, statements, BEGIN, topic, &proofs)?;
        }
        for (lease, verdict) in &mine {
            if !settled.contains(&lease.proof.receipt) {
                lost.push(*lease);
            } else if matches!(verdict, Verdict::Nack | Verdict::Release) {
                messaging.desk().lower(topic, lease.proof.held.position);
            }
            lease.close();
        }
        let was_settled = |(lease, _): &&(&Lease, &Verdict)| settled.contains(&lease.proof.receipt);
        let settled = mine.iter().filter(was_settled);
        let settled = settled.map(|(lease, verdict)| (&lease.proof, *verdict));
        announce(&base.waker, topic, settled);
    }
    Ok(lost)
}

/// Prolongs leases, those of each topic together. Returns those that were lost.
pub(crate) fn extend_all<T>(deliveries: &[Delivery<T>], lease: Duration) -> Result<Vec<&Lease>> {
    let mut lost = Vec::new();
    let Some(first) = deliveries.first() else {
        return Ok(lost);
    };
    check_lease(&first.lease.topic, lease, LEAST_LEASE)?;
    let messaging = &first.lease.messaging;
    let mut connection = messaging.pooled()?;
    let leases = deliveries.iter().map(|delivery| (&delivery.lease, &()));
    for (topic, mine) in by_topic(leases) {
        let proofs: Vec<&Proof> = mine
            .iter()
            .filter(|(lease, ())| !lease.is_settled())
            .map(|(lease, ())| &lease.proof)
            .collect();
        let mut extended = Default::default();
        if !proofs.is_empty() {
            let statements = &messaging.base().kit.statements;
            extended = settle::extend(&mut connection, statements, topic, &proofs, lease)?;
        }
        for (held, ()) in mine {
            match extended.get(&held.proof.receipt) {
                Some(true) => held.cancel.set(),
                Some(false) => {}
                None => {
                    held.close();
                    lost.push(held);
                }
            }
        }
    }
    messaging.base().waker.due_in(lease);
    Ok(lost)
}

/// Sorts leases by topic; most batches have one.
fn by_topic<'l, V>(
    leases: impl Iterator<Item = (&'l Lease, &'l V)>,
) -> Vec<(&'l str, Vec<(&'l Lease, &'l V)>)> {
    let mut topics: Vec<(&str, Vec<_>)> = Vec::new();
    for (lease, verdict) in leases {
        match topics.iter_mut().find(|(topic, _)| *topic == &*lease.topic) {
            Some((_, mine)) => mine.push((lease, verdict)),
            None => topics.push((&lease.topic, vec![(lease, verdict)])),
        }
    }
    topics
}
