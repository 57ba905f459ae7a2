//! Removes what is over and what nobody else removes: dedupe keys after their window, outcomes after the time they are
//! kept, full buckets, notes of topics that are not bounded any more.

use crate::connect::connection::Connection;
use crate::session::ends;
use crate::store::prune;
use crate::store::statements::Statements;
use crate::words::Result;
use std::time::{Duration, Instant};

/// How often a process looks: two short statements.
const INTERVAL: Duration = Duration::from_secs(60);
/// When it looks first, at the latest.
const FIRST: Duration = Duration::from_secs(5);
/// How soon it goes on when there was more than one batch.
const BETWEEN_BATCHES: Duration = Duration::from_millis(200);
/// With many to remove, it takes at most one part in this many of the time.
const SHARE: u32 = 20;

/// When to look next.
#[derive(Debug)]
pub(crate) struct Prune {
    at: Instant,
}

impl Prune {
    /// Begins within a few seconds, for processes that do not live for long; those that start together look one
    /// after the other.
    pub(crate) fn new() -> Self {
        Prune {
            at: Instant::now() + FIRST.mul_f64(fastrand::f64()),
        }
    }

    /// Returns when the duty is to be done.
    pub(crate) fn at(&self) -> Instant {
        self.at
    }

    /// Removes a batch of each kind.
    pub(crate) fn run(
        &mut self,
        connection: &mut Connection,
        statements: &Statements,
    ) -> Result<()> {
        let started = Instant::now();
        self.at = started + INTERVAL;
        let has_more = [
            prune::prune(connection, statements)?,
            ends::forget(connection, statements)?,
        ];
        if has_more.contains(&true) {
            self.at = Instant::now() + BETWEEN_BATCHES.max(started.elapsed() * SHARE);
        }
        Ok(())
    }
}
