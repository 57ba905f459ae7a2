//! What becomes of a message that was claimed, whoever holds it and however it is written.

use crate::message::claimed::Held;
use crate::observe::process_name::process_name;
use crate::words::DeadReason;
use crate::words::failed_attempt::FailedAttempt;
use std::time::Duration;

/// What becomes of a claimed message.
#[derive(Debug, Clone)]
pub(crate) enum Outcome {
    /// It was handled; with what its handler recorded as JSON.
    Done(Option<String>),
    /// It waits for another attempt.
    Retry(Retry),
    /// It goes back to its place at once, and no attempt is spent.
    GiveBack,
    /// It goes back to its place at once, after an attempt that failed.
    Nacked(Retry),
    /// It becomes a dead letter.
    Dead(Burial),
    /// Its time was over, and its topic keeps no dead letters of that.
    Dropped,
    /// It seems to be asked for, and did not succeed. The request has the last word.
    Cancelled,
}

/// How a message waits for another attempt.
#[derive(Debug, Clone)]
pub(crate) struct Retry {
    /// Failed deliveries, this one included if it counts.
    pub(crate) attempts: u32,
    pub(crate) delay: Duration,
    pub(crate) error: String,
    pub(crate) cause: Cause,
    /// How long its handler took, if that is known.
    pub(crate) took: Option<Duration>,
}

/// How a message becomes a dead letter.
#[derive(Debug, Clone)]
pub(crate) struct Burial {
    /// Failed deliveries, this one included if it counts.
    pub(crate) attempts: u32,
    pub(crate) reason: DeadReason,
    pub(crate) error: String,
    /// How long its handler took, if that is known.
    pub(crate) took: Option<Duration>,
}

/// Why a message waits for another attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// An attempt failed that counts.
    Failed,
    /// Its handler wants it later.
    Snoozed,
    /// It was claimed too early, or something was in its way. No failure.
    PutOff,
}

/// A message in hand, and what becomes of it.
pub(crate) type Decision<'m> = (&'m Held, Outcome);

impl Outcome {
    /// A message that was claimed too early comes back later, without an attempt spent.
    pub(crate) fn put_off(attempts: u32, delay: Duration, why: impl Into<String>) -> Self {
        Outcome::retry(attempts, delay, why, Cause::PutOff)
    }

    pub(crate) fn retry(
        attempts: u32,
        delay: Duration,
        error: impl Into<String>,
        cause: Cause,
    ) -> Self {
        Outcome::Retry(Retry {
            attempts,
            delay,
            error: error.into(),
            cause,
            took: None,
        })
    }

    /// A message goes back to its place after an attempt that failed.
    pub(crate) fn nacked(attempts: u32, error: impl Into<String>) -> Self {
        Outcome::Nacked(Retry {
            attempts,
            delay: Duration::ZERO,
            error: error.into(),
            cause: Cause::Failed,
            took: None,
        })
    }

    pub(crate) fn dead(attempts: u32, reason: DeadReason, error: impl Into<String>) -> Self {
        Outcome::Dead(Burial {
            attempts,
            reason,
            error: error.into(),
            took: None,
        })
    }

    /// Notes how long the handler took, if it failed.
    pub(crate) fn after(mut self, time: Duration) -> Self {
        match &mut self {
            Outcome::Retry(Retry { took, .. })
            | Outcome::Nacked(Retry { took, .. })
            | Outcome::Dead(Burial { took, .. }) => {
                *took = Some(time);
            }
            _ => {}
        }
        self
    }

    /// Returns whether the attempt counts of a message that goes back to its place; `None` for
    /// one that does not go back.
    pub(crate) fn given_back(&self) -> Option<bool> {
        match self {
            Outcome::Nacked(_) => Some(true),
            // A lease that is given back ends as cancelled if the message is asked for.
            Outcome::GiveBack | Outcome::Cancelled => Some(false),
            _ => None,
        }
    }

    /// Returns how long the message waits for another attempt, if it does.
    pub(crate) fn delay(&self) -> Option<Duration> {
        match self {
            Outcome::Retry(retry) => Some(retry.delay),
            _ => None,
        }
    }
}

impl Retry {
    /// Returns what is kept of the attempt, if it was one that failed.
    pub(crate) fn failure(&self) -> Option<String> {
        let is_failure = self.cause == Cause::Failed;
        is_failure.then(|| failure(self.attempts, self.took, &self.error))
    }
}

impl Burial {
    /// Returns what is kept of the last attempt, if the message died of one.
    pub(crate) fn failure(&self) -> Option<String> {
        let is_attempt = self.reason.is_attempt();
        is_attempt.then(|| failure(self.attempts, self.took, &self.error))
    }
}

fn failure(attempt: u32, took: Option<Duration>, error: &str) -> String {
    FailedAttempt::to_stored(attempt, took, process_name(), error)
}
