//! Removes what is over and what nothing else removes: dead letters past their topic's retention,
//! dedupe keys after their window, outcomes after their retention, full buckets, old counts of
//! deliveries, notes of topics that are no longer bounded. Subtracts notes of vacated room from the
//! numbers of bounded topics, which senders do only where a topic looks full.

use crate::capacity;
use crate::completion;
use crate::connect::connection::Connection;
use crate::crashes::attempt;
use crate::dead_letters::round;
use crate::dedupe;
use crate::rate_limit;
use crate::session::process::Process;
use crate::wake::waker::Waker;
use crate::words::Result;
use crate::words::sqlstate::{classify, is_held_up};
use postgres::IsolationLevel;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// How often a process looks: some short statements.
const INTERVAL: Duration = Duration::from_secs(60);
/// How soon after it has removed more than a few batches: as much may be over again.
const SOON: Duration = Duration::from_secs(10);
/// When it looks first, at the latest.
const FIRST: Duration = Duration::from_secs(5);
/// For how long it removes rows of one kind in a turn.
const TURN: Duration = Duration::from_millis(25);
/// How long a room is waited for: behind a few senders that take some of it, not behind one whose
/// transaction stays open.
const ROOM_PATIENCE: &str = "SET LOCAL lock_timeout = '20ms'";
/// How soon it goes on when there was more.
const BETWEEN_TURNS: Duration = Duration::from_millis(50);
/// With many to remove, the pauses are at least so many times as long as the turns: half of the
/// time.
const SHARE: u32 = 1;

/// Removes a batch of one kind; returns whether there may be more.
type Removal = fn(&mut Connection) -> Result<bool>;

/// All kinds. One that fails does not keep the others from being removed.
const KINDS: [Removal; 6] = [
    |connection| dedupe::prune(connection),
    completion::forget,
    fold,
    |connection| capacity::prune(connection),
    |connection| rate_limit::prune(connection),
    |connection| attempt::prune(connection),
];

/// When to look next.
#[derive(Debug)]
pub(crate) struct Prune {
    at: Instant,
    /// Whether the turn before left something.
    was_behind: bool,
    /// How far dedupe keys that are taken until their messages end were compared with the messages
    /// that there are.
    compared: Uuid,
}

impl Prune {
    /// Begins within a few seconds, for processes that do not live for long; those that start
    /// together look one after the other.
    pub(crate) fn new() -> Self {
        Prune {
            at: Instant::now() + FIRST.mul_f64(fastrand::f64()),
            was_behind: false,
            compared: Uuid::nil(),
        }
    }

    /// Returns when the duty is to be done.
    pub(crate) fn at(&self) -> Instant {
        self.at
    }

    /// Removes some of each kind: all that is over, or as much as fits into a turn.
    pub(crate) fn run(
        &mut self,
        connection: &mut Connection,
        kit: &Process,
        waker: &Waker,
    ) -> Result<()> {
        let started = Instant::now();
        self.at = started + INTERVAL;
        let (mut is_behind, mut result) = (false, Ok(()));
        let letters = round::remove(connection, &kit.configs, waker, TURN);
        let others = KINDS.map(|remove| take_turn(connection, remove));
        for done in [letters].into_iter().chain(others) {
            match done {
                Ok(has_more) => is_behind |= has_more,
                Err(error) if connection.is_closed() => return Err(error),
                Err(error) => result = Err(error),
            }
        }
        match self.compare(connection) {
            Err(error) if connection.is_closed() => return Err(error),
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

    /// Compares some of the dedupe keys that are taken until their messages end with the messages
    /// that there are. As many as fit into a turn, however many there are: those who end messages
    /// free their keys, and this is for what was done by hand.
    fn compare(&mut self, connection: &mut Connection) -> Result<()> {
        let started = Instant::now();
        while started.elapsed() < TURN {
            let (freed, next) = dedupe::prune_held(connection, self.compared)?;
            if freed > 0 {
                log::warn!(
                    "{freed} dedupe keys were held for messages that are nowhere any more: they are free now"
                );
            }
            self.compared = next.unwrap_or_default();
            if next.is_none() {
                break;
            }
        }
        Ok(())
    }
}

/// Removes batches of a kind until there are no more or the turn is over; returns whether there may
/// be more.
fn take_turn(connection: &mut Connection, remove: Removal) -> Result<bool> {
    let started = Instant::now();
    while remove(connection)? {
        if started.elapsed() >= TURN {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Takes some of what was vacated off the numbers of topics that have many notes of it.
fn fold(connection: &mut Connection) -> Result<bool> {
    let started = Instant::now();
    let mut topics = capacity::crowded(connection)?;
    // In any order: senders may hold the rooms of some for long.
    fastrand::shuffle(&mut topics);
    let mut is_behind = false;
    for topic in &topics {
        while fold_topic(connection, topic)? {
            if started.elapsed() >= TURN {
                return Ok(true);
            }
        }
        is_behind |= started.elapsed() >= TURN;
    }
    Ok(is_behind)
}

/// Takes a batch of what was vacated off the number of one topic, unless senders hold its room.
fn fold_topic(connection: &mut Connection, topic: &str) -> Result<bool> {
    let failed = |error| classify(error, "taking off what was vacated");
    let mut open = connection
        .begin(Some(IsolationLevel::ReadCommitted))
        .map_err(failed)?;
    open.transaction
        .batch_execute(ROOM_PATIENCE)
        .map_err(failed)?;
    match capacity::fold_batch(&mut open, topic) {
        Ok(has_more) => {
            open.transaction.commit().map_err(failed)?;
            Ok(has_more)
        }
        Err(error) if is_held_up(&error) => Ok(false),
        Err(error) => Err(error),
    }
}
