//! Removes what is over and what nobody else removes: dedupe keys after their window, full buckets, notes of
//! topics that are not bounded any more.

use crate::store::prune;
use crate::store::run::Run;
use crate::store::statements::Statements;
use crate::words::Result;
use std::time::{Duration, Instant};

/// How often a process looks: one short statement.
const INTERVAL: Duration = Duration::from_secs(60);
/// When it looks first, at the latest.
const FIRST: Duration = Duration::from_secs(5);
/// How soon it goes on when there was more than one batch.
const BETWEEN_BATCHES: Duration = Duration::from_millis(200);

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
    pub(crate) fn run(&mut self, run: &mut dyn Run, statements: &Statements) -> Result<()> {
        self.at = Instant::now() + INTERVAL;
        if prune::prune(run, statements)? {
            self.at = Instant::now() + BETWEEN_BATCHES;
        }
        Ok(())
    }
}
