//! What a drain did with each message, for tests that ask.

use crate::message::outcome::{Cause, Outcome};
use crate::threads::mutex::Mutex;
use crate::words::{DeadReason, MessageId};
use std::collections::HashMap;
use std::time::Duration;

/// One delivery of a message, and what became of the message; committed.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Ran {
    /// Its topic.
    pub topic: String,
    /// Its id.
    pub id: MessageId,
    /// The number of the delivery, from 1; 0 where the message ended without its handler.
    pub attempt: u32,
    /// What became of it.
    pub outcome: RunOutcome,
}

/// What became of a message that was run.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum RunOutcome {
    /// Its handler succeeded, and it is gone.
    Done,
    /// Its handler failed; the attempt counts.
    Retried {
        /// How long it waits for the next attempt: its backoff, or what the handler asked for.
        after: Duration,
        /// Why it failed.
        error: String,
    },
    /// Its handler snoozed it, or something that is no failure was in its way, such as a conflict
    /// with another transaction. No attempt is spent.
    Snoozed {
        /// How long it waits.
        after: Duration,
        /// Why it waits.
        error: String,
    },
    /// It is a dead letter.
    Dead {
        /// What it died of.
        reason: DeadReason,
        /// The error of its last attempt.
        error: String,
    },
    /// Its time was over, and its topic drops such messages.
    Expired,
    /// It was cancelled.
    Cancelled,
    /// It went back to its place at once, with no attempt spent.
    Released,
}

impl Ran {
    /// Returns whether its handler succeeded.
    pub fn is_done(&self) -> bool {
        self.outcome == RunOutcome::Done
    }

    /// Returns whether it became a dead letter.
    pub fn is_dead(&self) -> bool {
        matches!(self.outcome, RunOutcome::Dead { .. })
    }

    /// Returns how long it waits for its next attempt, if it does.
    pub fn retried_after(&self) -> Option<Duration> {
        match self.outcome {
            RunOutcome::Retried { after, .. } | RunOutcome::Snoozed { after, .. } => Some(after),
            _ => None,
        }
    }

    /// Returns why its handler failed, if it did.
    pub fn error(&self) -> Option<&str> {
        match &self.outcome {
            RunOutcome::Retried { error, .. }
            | RunOutcome::Snoozed { error, .. }
            | RunOutcome::Dead { error, .. } => Some(error),
            _ => None,
        }
    }
}

/// Keeps what became of messages.
#[derive(Debug, Default)]
pub(crate) struct RunLog {
    /// Whether the drain ends with the first one.
    pub(crate) is_single: bool,
    ran: Mutex<Vec<Ran>>,
    /// The deliveries that handlers saw.
    attempts: Mutex<HashMap<MessageId, u32>>,
}

impl RunLog {
    pub(crate) fn new(is_single: bool) -> Self {
        RunLog {
            is_single,
            ..RunLog::default()
        }
    }

    /// Notes deliveries that a handler is about to see.
    pub(crate) fn begin(&self, deliveries: impl Iterator<Item = (MessageId, u32)>) {
        self.attempts.lock().extend(deliveries);
    }

    /// Notes what became of a message, once that is committed.
    pub(crate) fn note(&self, topic: &str, id: MessageId, outcome: &Outcome) {
        let attempt = self.attempts.lock().remove(&id).unwrap_or_default();
        self.ran.lock().push(Ran {
            topic: topic.to_owned(),
            id,
            attempt,
            outcome: RunOutcome::of(outcome),
        });
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_single && !self.ran.lock().is_empty()
    }

    pub(crate) fn take(&self) -> Vec<Ran> {
        std::mem::take(&mut *self.ran.lock())
    }
}

impl RunOutcome {
    fn of(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Done(_) => RunOutcome::Done,
            Outcome::Retry(retry) => {
                let (after, error) = (retry.delay, retry.error.clone());
                match retry.cause {
                    Cause::Failed => RunOutcome::Retried { after, error },
                    Cause::Snoozed | Cause::PutOff => RunOutcome::Snoozed { after, error },
                }
            }
            Outcome::Dead(burial) => RunOutcome::Dead {
                reason: burial.reason,
                error: burial.error.clone(),
            },
            Outcome::Dropped => RunOutcome::Expired,
            Outcome::Cancelled => RunOutcome::Cancelled,
            Outcome::GiveBack | Outcome::Nacked(_) => RunOutcome::Released,
        }
    }
}
