//! The proof that a message was taken: what settles it, without its payload.

use crate::history;
use crate::leases::Proof;
use crate::leases::settle::{self, BEGIN_BRIEFLY};
use crate::message::claimed::Claimed;
use crate::message::outcome::{Cause, Outcome};
use crate::message::report;
use crate::observe::delivered::{Delivered, Starting};
use crate::observe::fields::told;
use crate::observe::observers::Observers;
use crate::receive::decide::decide;
use crate::receive::handler::Ending;
use crate::receive::lease::claim::check_lease;
use crate::receive::lease::keeper::Kept;
use crate::receive::leases_in_hand::LEAST_BEATEN_LEASE;
use crate::receive::options::{Options, Terms};
use crate::receive::telling::{Settled, tell_unsettled};
use crate::session::messaging_session::MessagingSession;
use crate::surface::messaging::Messaging;
use crate::wake::asked::Slot;
use crate::words::json_text;
use crate::words::limits::MAX_DELAY;
use crate::words::panics::catch;
use crate::words::{
    CancelToken, DeadReason, Error, ErrorKind, HandlerError, Lineage, MessageId, Result,
};
use serde::Serialize;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long dropping a receipt waits for a connection of the pool.
const DROP_TIMEOUT: Duration = Duration::from_secs(1);

/// The proof that a message was taken by hand, which settles it: what remains of a
/// [`Delivery`](crate::Delivery) when its message [goes elsewhere](crate::Delivery::into_parts).
/// Small; it may be kept anywhere and used by any thread.
///
/// Everything about settling a delivery holds here: a receipt that is dropped unsettled is
/// [nacked](Self::nack), and all methods that settle block for a connection of the pool and one or
/// two round trips.
///
/// # Errors
/// Of all methods that settle: [`LeaseLost`](ErrorKind::LeaseLost) when the lease was lost or the
/// message already settled, and nothing was changed; `OutcomeUnknown` when the connection broke and
/// the settlement may or may not have happened; `Conflict`, `Unavailable` and `PoolExhausted` when
/// nothing happened: try again.
///
/// ```no_run
/// # fn f(messaging: &outtray::Messaging) -> outtray::Result<()> {
/// use outtray::{MessageId, Receipt};
/// use std::collections::HashMap;
/// use std::time::Duration;
///
/// let mut in_work: HashMap<MessageId, Receipt> = HashMap::new();
/// for delivery in messaging.topic("jobs").receive_batch::<String>(10, Duration::from_secs(60))? {
///     let (message, receipt) = delivery.into_parts();
///     println!("begin {}", message.payload);
///     in_work.insert(message.id, receipt);
/// }
/// // Later, from any thread: one of them, and then all others.
/// let done = in_work.keys().next().copied();
/// if let Some(receipt) = done.and_then(|id| in_work.remove(&id)) {
///     receipt.ack()?;
/// }
/// let lost = messaging.ack_all(in_work.values())?;
/// assert!(lost.is_empty(), "the work took longer than the leases");
/// # Ok(()) }
/// ```
#[must_use = "a message whose receipt is dropped is given back"]
pub struct Receipt {
    pub(crate) messaging: Messaging,
    pub(crate) topic: Arc<str>,
    pub(crate) proof: Proof,
    /// What is sent where it is settled carries on from this.
    pub(crate) lineage: Option<Arc<Lineage>>,
    pub(crate) attempt: u32,
    pub(crate) max_attempts: u32,
    /// How long the lease was said to last when it was taken.
    pub(crate) lease: Duration,
    /// What observers were told of the delivery, if there are any.
    pub(crate) delivered: Option<Delivered>,
    pub(crate) cancel: CancelToken,
    pub(crate) is_settled: Arc<AtomicBool>,
    /// Where this process hears that the message is to be given up.
    pub(crate) slot: Arc<Slot>,
}

impl Receipt {
    /// Returns the message's id.
    pub fn id(&self) -> MessageId {
        self.proof.held.id
    }

    /// Returns the topic.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Returns whether the message is settled, or its lease known to be lost. A message that was
    /// settled in a session is unsettled again when that session is rolled back.
    pub fn is_settled(&self) -> bool {
        self.is_settled.load(Ordering::Relaxed)
    }

    /// Returns whether the message was cancelled, or its lease was found to be lost; see
    /// [`Delivery::is_cancelled`](crate::Delivery::is_cancelled).
    pub fn is_cancelled(&self) -> bool {
        self.cancel.is_set()
    }

    /// Does the same as [`Delivery::ack`](crate::Delivery::ack).
    pub fn ack(&self) -> Result<()> {
        self.settle(Outcome::Done(None))
    }

    /// Does the same as [`Delivery::ack_with`](crate::Delivery::ack_with).
    ///
    /// # Errors
    /// `Payload` or `TooLarge` as for a payload; then nothing is settled.
    pub fn ack_with<R: Serialize + ?Sized>(&self, result: &R) -> Result<()> {
        let limit = self.messaging.base().process.max_payload_bytes;
        let result = json_text::of_result(result, limit)?;
        self.settle(Outcome::Done(Some(result)))
    }

    /// Does the same as [`Delivery::nack`](crate::Delivery::nack).
    pub fn nack(&self) -> Result<()> {
        self.settle(self.nacked("nacked"))
    }

    /// Does the same as [`Delivery::fail`](crate::Delivery::fail).
    pub fn fail(&self, error: impl Into<HandlerError>) -> Result<()> {
        let terms = self.terms()?;
        self.settle(self.failed(&terms, &error.into()))
    }

    /// Does the same as [`Delivery::retry_after`](crate::Delivery::retry_after).
    ///
    /// # Errors
    /// `Invalid` for more than ten years.
    pub fn retry_after(&self, delay: Duration) -> Result<()> {
        if delay > MAX_DELAY {
            return Err(Error::invalid(format!(
                "retry of message {} after {} s is longer than ten years",
                self.id(),
                delay.as_secs()
            )));
        }
        let why = "retried later";
        let outcome = match self.nacked(why) {
            Outcome::Nacked(_) if !delay.is_zero() => {
                Outcome::retry(self.attempt, delay, why, Cause::Failed)
            }
            outcome => outcome,
        };
        self.settle(outcome)
    }

    /// Does the same as [`Delivery::reject`](crate::Delivery::reject).
    pub fn reject(&self, why: impl Into<String>) -> Result<()> {
        self.settle(Outcome::dead(self.attempt, DeadReason::Rejected, why))
    }

    /// Does the same as [`Delivery::release`](crate::Delivery::release).
    pub fn release(&self) -> Result<()> {
        self.settle(Outcome::GiveBack)
    }

    /// Does the same as [`Delivery::keep_alive`](crate::Delivery::keep_alive).
    ///
    /// # Errors
    /// `Invalid` for a lease under 100 ms; `LeaseLost` when the message is settled; `Unavailable`
    /// when a thread cannot start.
    pub fn keep_alive(&self) -> Result<()> {
        self.check()?;
        check_lease(&self.topic, self.lease, LEAST_BEATEN_LEASE)?;
        // They hear of a cancel before the next beat.
        self.messaging.errands()?;
        let kept = Kept {
            topic: Arc::clone(&self.topic),
            proof: self.proof.clone(),
            cancel: self.cancel.clone(),
            is_settled: Arc::clone(&self.is_settled),
            lease: self.lease,
        };
        self.messaging.keep_alive(kept)
    }

    /// Does the same as [`Delivery::settle_in`](crate::Delivery::settle_in).
    ///
    /// # Errors
    /// `LeaseLost`, and those of [`Messaging::session`].
    pub fn settle_in<R>(
        &self,
        work: impl FnOnce(&mut MessagingSession<'_>) -> Result<R, HandlerError>,
    ) -> Result<R> {
        self.check()?;
        self.messaging.session(|session| {
            session.works_on_one_of(self.id(), || self.lineage.clone());
            let (returned, result) = session.recording(work)?;
            session.settle_receipt(self, result)?;
            Ok(returned)
        })
    }

    /// Notes that nothing is left to settle.
    pub(crate) fn close(&self) {
        self.is_settled.store(true, Ordering::Relaxed);
        self.messaging.by_hand().keeper.leave(self.proof.receipt);
    }

    /// The same as far as a session has its say, which may be rolled back.
    pub(crate) fn close_for_now(&self) {
        self.is_settled.store(true, Ordering::Relaxed);
    }

    pub(crate) fn check(&self) -> Result<()> {
        match self.is_settled() {
            true => Err(self.lost()),
            false => Ok(()),
        }
    }

    pub(crate) fn lost(&self) -> Error {
        let (id, topic) = (self.id(), &self.topic);
        let text = format!(
            "the lease of message {id} of topic {topic} is over, or the message was settled already: nothing was changed"
        );
        Error::new(ErrorKind::LeaseLost, text)
    }

    /// Returns what a delivery comes to that is given back: its place, or the dead letters after
    /// the last attempt.
    pub(crate) fn nacked(&self, why: &str) -> Outcome {
        if self.attempt < self.max_attempts {
            return Outcome::nacked(self.attempt, why);
        }
        let error = format!("{why} in its last attempt");
        Outcome::dead(self.attempt, DeadReason::Exhausted, error)
    }

    /// Returns what a delivery comes to that failed: as for a handler.
    pub(crate) fn failed(&self, terms: &Terms, error: &HandlerError) -> Outcome {
        decide(terms, self.attempt - 1, Ending::failed(error))
    }

    /// Returns what is done with failures of the topic at present.
    pub(crate) fn terms(&self) -> Result<Terms> {
        self.messaging.with_connection(|connection, base| {
            let configs = &base.process.configs;
            configs.refresh(connection)?;
            let setting = configs.get(&self.topic);
            let config = setting.as_ref().map(|setting| &setting.config);
            Ok(Options::default().terms(config))
        })
    }

    /// Logs what failed, once it is written.
    pub(crate) fn report(&self, outcome: &Outcome) {
        let attempt = Some(self.attempt);
        report::outcome(&self.topic, self.id(), outcome, attempt, self.max_attempts);
    }

    /// Tells observers that the message was taken.
    pub(crate) fn start(&mut self, claimed: &Claimed) {
        let observers = &self.messaging.base().process.observers;
        if observers.are_any() {
            let starting = Starting {
                id: self.id(),
                attempt: self.attempt,
                sent_at: claimed.sent_at,
                due_at: claimed.due_at(),
            };
            let started = Delivered::start(observers, &self.topic, &[starting]);
            self.delivered = started.first().copied();
        }
    }

    /// Tells observers what became of the message.
    pub(crate) fn tell(&self, observers: &Observers, outcome: &Outcome, is_cancelled: bool) {
        let settled = Settled {
            topic: &self.topic,
            id: self.id(),
            delivered: self.delivered,
            is_cancelled,
        };
        settled.tell(observers, outcome);
    }

    /// Gives the message back if that is possible soon.
    fn give_back(&self) -> Result<()> {
        let mut connection = self.messaging.pooled_within(DROP_TIMEOUT)?;
        let base = self.messaging.base();
        let outcome = self.nacked("dropped unsettled");
        let outcomes = [(&self.proof, &outcome)];
        let topic = &self.topic;
        let is_recorded = history::is_kept(&base.process.configs, topic);
        let begin = &BEGIN_BRIEFLY;
        let settled = settle::settle(&mut connection, begin, topic, &outcomes, is_recorded);
        let observers = &base.process.observers;
        let settled = settled.inspect_err(|error| tell_unsettled(observers, topic, error))?;
        if let Some(is_cancelled) = settled.get(&self.proof.receipt) {
            self.report(&outcome);
            self.messaging
                .by_hand()
                .lower(topic, self.proof.held.position);
            self.messaging
                .announce_settled(&mut connection, topic, outcomes.into_iter());
            self.tell(observers, &outcome, *is_cancelled);
        }
        Ok(())
    }
}

impl AsRef<Receipt> for Receipt {
    fn as_ref(&self) -> &Receipt {
        self
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receipt")
            .field("topic", &self.topic)
            .field("id", &self.id())
            .field("is_settled", &self.is_settled())
            .finish_non_exhaustive()
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        let by_hand = self.messaging.by_hand();
        self.slot.leave_one(self.id(), &self.cancel);
        by_hand.keeper.leave(self.proof.receipt);
        if self.is_settled() || by_hand.is_troubled() {
            return;
        }
        // A panic here, while another one unwinds, would end the process.
        let given_back = catch(|| self.give_back());
        let trouble = match given_back {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(text) => text,
        };
        by_hand.note_trouble();
        let (id, topic) = (self.id(), &self.topic);
        tracing::warn!(
            topic = told(&topic),
            message_id = told(&id),
            "topic {topic}: message {id} was dropped and could not be given back, it is free when its lease ends: {trouble}"
        );
    }
}
