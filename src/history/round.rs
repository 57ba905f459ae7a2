//! Upkeep's part in the history: empties what is over, a partition in five days.

use crate::db::{Statement, query, sql};
use crate::wake::round::{Round, Work};
use crate::words::Result;
use crate::words::sqlstate::is_held_up;
use std::time::{Duration, Instant};

static PRUNE_HISTORY: Statement = sql!("prune_history", Kept);

/// How often a process looks whether a partition is over: there are five days' time for it.
const INTERVAL: Duration = Duration::from_secs(3600);
/// When it looks again if somebody reads there.
const AGAIN: Duration = Duration::from_secs(60);

/// When to look next.
#[derive(Debug)]
pub(crate) struct PruneHistory {
    at: Instant,
}

impl Default for PruneHistory {
    /// Begins within a minute, for processes that do not live for a day.
    fn default() -> Self {
        PruneHistory {
            at: Instant::now() + Duration::from_secs(60).mul_f64(fastrand::f64()),
        }
    }
}

impl Round for PruneHistory {
    fn at(&self) -> Option<Instant> {
        Some(self.at)
    }

    fn run(&mut self, work: &mut Work<'_>) -> Result<()> {
        self.at = Instant::now() + INTERVAL;
        match query(work.connection, &PRUNE_HISTORY, &[], "emptying the history") {
            Err(error) if is_held_up(&error) => {
                self.at = Instant::now() + AGAIN;
                Ok(())
            }
            pruned => pruned.map(drop),
        }
    }
}
