//! What observers are told of deliveries and of what became of messages.
//!
//! Whoever settles tells, once that is committed: workers (`settle`), leases, readers of logs, and
//! those who take messages by hand.

use crate::db::Run;
use crate::message::outcome::{Burial, Cause, Outcome, Retry};
use crate::observe::delivered::{Delivered, Deliveries, Starting};
use crate::observe::event::Event;
use crate::observe::observers::Observers;
use crate::receive::handler::Attempt;
use crate::receive::shared_state::SharedState;
use crate::schedule;
use crate::words::sqlstate::failure_of;
use crate::words::{Error, ErrorKind, Failure, MessageId, chain};
use std::time::{Duration, Instant};

/// Looks at the database's clock, if somebody wants to know how long things took, and it is time
/// to. What fails is met by whatever comes next on the connection.
pub(crate) fn look_at_clock(observers: &Observers, run: &mut dyn Run) {
    if observers.are_any() && observers.clock.is_stale() {
        let asked_at = Instant::now();
        if let Ok(now_us) = schedule::clock(run) {
            observers.clock.learn(asked_at, now_us);
        }
    }
}

/// Returns whether a chain of transactions is to be interrupted, so that the clock is looked at.
pub(crate) fn wants_clock(observers: &Observers) -> bool {
    observers.are_any() && observers.clock.is_stale()
}

/// Tells that a handler is about to run.
pub(crate) fn start(shared: &SharedState, deliveries: &mut Deliveries, attempts: &[Attempt<'_>]) {
    let observers = shared.observers();
    if observers.are_any() {
        let starting: Vec<Starting> = attempts.iter().map(starting).collect();
        deliveries.start(observers, &shared.topic, &starting);
    }
}

/// Returns what is told of an attempt that is about to start.
pub(crate) fn starting(attempt: &Attempt<'_>) -> Starting {
    let message = attempt.message;
    Starting {
        id: message.held.id,
        attempt: attempt.attempt,
        sent_at: message.sent_at,
        due_at: message.due_at(),
    }
}

/// Counts what became of messages of which nobody is told, as events would be counted. Takes them
/// together, since there may be a hundred thousand a second.
pub(crate) fn count<'o>(
    observers: &Observers,
    topic: &str,
    outcomes: impl Iterator<Item = &'o Outcome>,
) {
    observers.tallies.change(topic, |counts| {
        for outcome in outcomes {
            match outcome {
                Outcome::Done(_) => counts.done += 1,
                Outcome::Dropped => counts.expired += 1,
                Outcome::Cancelled => counts.cancelled += 1,
                Outcome::Dead(burial) => {
                    counts.dead += 1;
                    counts.failed += u64::from(burial.reason.is_attempt());
                }
                Outcome::Retry(retry) => counts.failed += u64::from(retry.cause == Cause::Failed),
                Outcome::Nacked(_) => counts.failed += 1,
                Outcome::GiveBack => {}
            }
        }
    });
}

/// A message and its delivery, if its handler ran.
#[derive(Clone, Copy)]
pub(crate) struct Settled<'a> {
    pub(crate) topic: &'a str,
    pub(crate) id: MessageId,
    pub(crate) delivered: Option<Delivered>,
    /// Whether somebody asked for it to be given up, and it did not succeed: then it is gone.
    pub(crate) is_cancelled: bool,
}

impl Settled<'_> {
    /// Tells what became of a message, once that is committed.
    pub(crate) fn tell(&self, observers: &Observers, outcome: &Outcome) {
        let Settled { topic, id, .. } = *self;
        match outcome {
            Outcome::Done(_) => Delivered::tell_done(self.delivered, observers, topic, id),
            Outcome::Dead(burial) => self.tell_dead(observers, burial),
            Outcome::Dropped => observers.tell(|| Event::Expired { topic, id }),
            _ if self.is_cancelled => observers.tell(|| Event::Cancelled { topic, id }),
            Outcome::Retry(retry) => self.tell_retry(observers, retry),
            Outcome::Nacked(nacked) => {
                let attempt = self.delivered.map_or(1, |delivered| delivered.attempt);
                self.tell_failed(observers, attempt, &nacked.error, Some(Duration::ZERO));
            }
            Outcome::GiveBack | Outcome::Cancelled => {
                observers.tell(|| Event::Released { topic, id });
            }
        }
    }

    fn tell_retry(&self, observers: &Observers, retry: &Retry) {
        let Settled { topic, id, .. } = *self;
        let delay = retry.delay;
        match retry.cause {
            Cause::Failed => {
                self.tell_failed(observers, retry.attempts, &retry.error, Some(delay));
            }
            Cause::Snoozed => observers.tell(|| Event::Snoozed {
                topic,
                id,
                delay,
                took: self.took(),
            }),
            Cause::PutOff => observers.tell(|| Event::PutOff {
                topic,
                id,
                delay,
                why: &retry.error,
            }),
        }
    }

    fn tell_dead(&self, observers: &Observers, burial: &Burial) {
        let Settled { topic, id, .. } = *self;
        let Burial {
            attempts,
            reason,
            error,
            ..
        } = burial;
        if reason.is_attempt() {
            self.tell_failed(observers, *attempts, error, None);
        }
        observers.tell(|| Event::Dead {
            topic,
            id,
            attempts: Some(*attempts),
            reason: *reason,
            error,
        });
    }

    /// Tells that attempts failed, up to the one of this number: mostly one. A message whose work
    /// the database refused beside that of others, and alone again, has failed twice.
    fn tell_failed(
        &self,
        observers: &Observers,
        last: u32,
        error: &str,
        retry_in: Option<Duration>,
    ) {
        let Settled { topic, id, .. } = *self;
        let first = self
            .delivered
            .map_or(last, |delivered| delivered.attempt.min(last));
        for attempt in first..=last {
            let is_last = attempt == last;
            observers.tell(|| Event::Failed {
                topic,
                id,
                attempt,
                batch: self.delivered.map_or(1, |delivered| delivered.batch),
                took: self.took(),
                error,
                retry_in: if is_last {
                    retry_in
                } else {
                    Some(Duration::ZERO)
                },
            });
        }
    }

    fn took(&self) -> Option<Duration> {
        let delivered = self.delivered?;
        Some(
            delivered
                .took
                .unwrap_or_else(|| delivered.started_at.elapsed()),
        )
    }
}

/// Tells that handlers ran whose transaction failed as a whole, with `error`.
pub(crate) fn tell_undone(
    observers: &Observers,
    deliveries: &mut Deliveries,
    topic: &str,
    error: &Error,
) {
    let ids = deliveries.take_all();
    if !ids.is_empty() {
        let error = &chain(error);
        observers.tell(|| Event::Undone {
            topic,
            ids: &ids,
            error,
        });
    }
}

/// Tells that a flight with a COMMIT failed such that it may have happened. Then what was handled
/// is forgotten. `is_last` says whether nothing came after the COMMIT in the flight.
pub(crate) fn tell_unknown(
    observers: &Observers,
    deliveries: &mut Deliveries,
    topic: &str,
    sent: &[MessageId],
    (error, is_last): (&Error, bool),
) {
    if !observers.are_any() || !may_be_committed(error, is_last) {
        return;
    }
    let handled = deliveries.take_all();
    let error = &chain(error);
    observers.tell(|| Event::CommitUnknown {
        topic: Some(topic),
        handled: &handled,
        sent,
        error,
    });
}

/// Tells that leases were settled and nobody knows whether that was committed, if `error` says so.
pub(crate) fn tell_unsettled(observers: &Observers, topic: &str, error: &Error) {
    if observers.are_any() && error.kind() == ErrorKind::OutcomeUnknown {
        let (handled, error) = (error.unknown_ids(), &chain(error));
        observers.tell(|| Event::CommitUnknown {
            topic: Some(topic),
            handled,
            sent: &[],
            error,
        });
    }
}

/// Returns whether a flight that failed may have committed: its connection broke, or it went on
/// after the COMMIT, and what failed can be a claim.
fn may_be_committed(error: &Error, is_last: bool) -> bool {
    if matches!(failure_of(error), Some(Failure::Lost | Failure::Overlong)) {
        return true;
    }
    let code = error
        .cause::<postgres::Error>()
        .and_then(postgres::Error::code)
        .map_or("", |code| code.code());
    // No room, an operator, the server itself: nothing that a constraint says.
    !is_last
        && ["53", "57", "58", "XX"]
            .iter()
            .any(|class| code.starts_with(class))
}
