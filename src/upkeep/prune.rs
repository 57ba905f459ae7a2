//! Removes what is over and what nothing else removes: dead letters past their topic's retention,
//! dedupe keys after their window, outcomes after their retention, full buckets, old counts of
//! deliveries, notes of topics that are no longer bounded, messages in topics of ephemeral
//! subscriptions that have ended. Subtracts notes of vacated room from the
//! numbers of bounded topics, which senders do only where a topic looks full.

use crate::capacity;
use crate::completion;
use crate::connect::connection::Connection;
use crate::crashes::attempt;
use crate::dead_letters;
use crate::dedupe;
use crate::dedupe::round::Compared;
use crate::publish;
use crate::rate_limit;
use crate::wake::round::{Round, Work};
use crate::words::Result;
use std::time::{Duration, Instant};

/// How often a process looks: some short statements.
const INTERVAL: Duration = Duration::from_secs(60);
/// How soon after it has removed more than a few batches: as much may be over again.
const SOON: Duration = Duration::from_secs(10);
/// When it looks first, at the latest.
const FIRST: Duration = Duration::from_secs(5);
/// For how long it removes rows of one kind in a turn.
const TURN: Duration = Duration::from_millis(25);
/// How soon it goes on when there was more.
const BETWEEN_TURNS: Duration = Duration::from_millis(50);
/// With many to remove, the pauses are at least so many times as long as the turns: half of the
/// time.
const SHARE: u32 = 1;

/// Removes some of one kind, for a turn at most; returns whether there may be more.
type Removal = fn(&mut Work<'_>) -> Result<bool>;

/// All kinds. One that fails does not keep the others from being removed.
const KINDS: [Removal; 8] = [
    |work| dead_letters::round::remove(work, TURN),
    |work| publish::round::remove_orphans(work, TURN),
    |work| by_batches(work, |connection| dedupe::prune(connection)),
    |work| by_batches(work, completion::forget),
    |work| by_batches(work, |connection| capacity::round::fold(connection, TURN)),
    |work| by_batches(work, |connection| capacity::prune(connection)),
    |work| by_batches(work, |connection| rate_limit::prune(connection)),
    |work| by_batches(work, |connection| attempt::prune(connection)),
];

/// When to look next.
#[derive(Debug)]
pub(crate) struct Prune {
    at: Instant,
    /// Whether the turn before left something.
    was_behind: bool,
    compared: Compared,
}

impl Prune {
    /// Begins within a few seconds, for processes that do not live for long; those that start
    /// together look one after the other.
    pub(crate) fn new() -> Self {
        Prune {
            at: Instant::now() + FIRST.mul_f64(fastrand::f64()),
            was_behind: false,
            compared: Compared::default(),
        }
    }
}

impl Round for Prune {
    fn at(&self) -> Option<Instant> {
        Some(self.at)
    }

    /// Removes some of each kind: all that is over, or as much as fits into a turn.
    fn run(&mut self, work: &mut Work<'_>) -> Result<()> {
        let started = Instant::now();
        self.at = started + INTERVAL;
        let (mut is_behind, mut result) = (false, Ok(()));
        for remove in KINDS {
            match remove(work) {
                Ok(has_more) => is_behind |= has_more,
                Err(error) if work.connection.is_closed() => return Err(error),
                Err(error) => result = Err(error),
            }
        }
        match self.compared.go_on(work.connection, TURN) {
            Err(error) if work.connection.is_closed() => return Err(error),
            compared => result = result.and(compared),
        }
        let now = Instant::now();
        if is_behind {
            self.at = now + BETWEEN_TURNS.max((now - started) * SHARE);
        } else if self.was_behind {
            // More may be over again, or a room free.
            self.at = now + SOON;
        }
        self.was_behind = is_behind;
        result
    }
}

/// Removes batches of a kind until there are no more or the turn is over; returns whether there may
/// be more.
fn by_batches(work: &mut Work<'_>, remove: fn(&mut Connection) -> Result<bool>) -> Result<bool> {
    let started = Instant::now();
    while remove(work.connection)? {
        if started.elapsed() >= TURN {
            return Ok(true);
        }
    }
    Ok(false)
}
