//! What becomes of a message that was claimed, whoever holds it and however it is written.

use crate::message::claimed::Held;
use crate::words::DeadReason;
use std::time::Duration;

/// What becomes of a claimed message.
#[derive(Debug, Clone)]
pub(crate) enum Outcome {
    /// It was handled; with what its handler recorded as JSON.
    Done(Option<String>),
    /// It waits for another attempt.
    Retry(Retry),
    /// It goes back to its place at once.
    GiveBack {
        /// Whether the attempt counts.
        counts: bool,
    },
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
}

/// How a message becomes a dead letter.
#[derive(Debug, Clone)]
pub(crate) struct Burial {
    /// Failed deliveries, this one included if it counts.
    pub(crate) attempts: u32,
    pub(crate) reason: DeadReason,
    pub(crate) error: String,
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
        })
    }

    pub(crate) fn dead(attempts: u32, reason: DeadReason, error: impl Into<String>) -> Self {
        Outcome::Dead(Burial {
            attempts,
            reason,
            error: error.into(),
        })
    }

    /// Returns whether the attempt counts of a message that goes back to its place; `None` for
    /// one that does not go back.
    pub(crate) fn given_back(&self) -> Option<bool> {
        match self {
            Outcome::GiveBack { counts } => Some(*counts),
            // A lease that is given back ends as cancelled if the message is asked for.
            Outcome::Cancelled => Some(false),
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
