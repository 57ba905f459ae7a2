//! Upkeep's part in tallies: writes them once a minute, close to the end of it. The first are
//! written soon, for processes that do not live for long.

use crate::schedule;
use crate::tallies::{self, MINUTE};
use crate::wake::round::{Round, Work};
use crate::words::Result;
use std::time::{Duration, Instant};

/// In which part of a minute a process writes: late, since what it counted belongs to that minute
/// then, but for the last seconds.
const WRITTEN_AT: (Duration, Duration) = (Duration::from_secs(55), Duration::from_secs(59));
/// How soon the first are written, and how often it is looked for those: that asks the database
/// nothing.
const SOON: Duration = Duration::from_secs(5);
/// Batches of old ones that are removed at a time: more than one minute of ten thousand topics
/// leaves.
const MOST_BATCHES: usize = 10;

/// When to write next.
#[derive(Debug)]
pub(crate) struct WriteTallies {
    at: Instant,
    has_written: bool,
    /// Where in a minute this process writes: not all at the same moment.
    second: Duration,
}

impl Default for WriteTallies {
    fn default() -> Self {
        let (first, last) = WRITTEN_AT;
        WriteTallies {
            at: Instant::now() + SOON.mul_f64(fastrand::f64()),
            has_written: false,
            second: first + (last - first).mul_f64(fastrand::f64()),
        }
    }
}

impl Round for WriteTallies {
    fn at(&self) -> Option<Instant> {
        Some(self.at)
    }

    /// Writes what was counted, if anything was, and removes what is old.
    fn run(&mut self, work: &mut Work<'_>) -> Result<()> {
        let now = Instant::now();
        self.at = now + if self.has_written { MINUTE } else { SOON };
        if !tallies::write(work.connection, &work.waker.observers)? {
            return Ok(());
        }
        self.has_written = true;
        let now_us = schedule::clock(work.connection)?.unsigned_abs();
        self.at = now + until(self.second, Duration::from_micros(now_us));
        // What is left is removed in a minute.
        for _ in 0..MOST_BATCHES {
            if !tallies::prune(work.connection)? {
                break;
            }
        }
        Ok(())
    }
}

/// Returns how long it is from `now`, a time since 1970, until the clock says this second of a
/// minute: of the next one, where that is but a moment.
fn until(second: Duration, now: Duration) -> Duration {
    let passed =
        Duration::from_micros(u64::try_from(now.as_micros() % MINUTE.as_micros()).unwrap_or(0));
    let wait = match second.checked_sub(passed) {
        Some(wait) => wait,
        None => second + MINUTE - passed,
    };
    match wait < MINUTE / 6 {
        true => wait + MINUTE,
        false => wait,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(now_s: u64, expected_s: u64) {
        let wait = until(Duration::from_secs(57), Duration::from_secs(now_s));
        assert_eq!(wait, Duration::from_secs(expected_s));
    }

    #[test]
    fn a_process_writes_late_in_a_minute_and_not_twice_in_a_moment() {
        check(600, 57);
        check(600 + 30, 27);
        check(600 + 47, 10);
        check(600 + 48, 69);
        check(600 + 57, 60);
        check(600 + 59, 58);
    }
}
