//! Removes outcomes whose time is over.

use crate::store::outcome;
use crate::store::run::Run;
use crate::store::statements::Statements;
use crate::words::Result;
use std::time::{Duration, Instant};

/// How often it is done: outcomes are kept for hours.
const EVERY: Duration = Duration::from_secs(60);
/// How long after the start it is done for the first time: not while a process is busy with its beginning.
const FIRST: Duration = Duration::from_secs(1);
/// Outcomes removed by one statement, of each length of keeping.
const LIMIT: i64 = 1000;
/// With many to remove, it takes at most one part in this many of the time.
const SHARE: u32 = 20;

/// When it is done next.
#[derive(Debug)]
pub(crate) struct Outcomes {
    at: Instant,
}

impl Outcomes {
    pub(crate) fn new() -> Self {
        Outcomes {
            at: Instant::now() + FIRST,
        }
    }

    pub(crate) fn at(&self) -> Instant {
        self.at
    }

    pub(crate) fn run(&mut self, run: &mut dyn Run, statements: &Statements) -> Result<()> {
        let started = Instant::now();
        self.at = started + EVERY;
        if outcome::forget(run, statements, LIMIT)? >= LIMIT {
            self.at = Instant::now() + started.elapsed() * SHARE;
        }
        Ok(())
    }
}
