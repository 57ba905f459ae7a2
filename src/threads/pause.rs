//! Pauses between tries: a broken database is not hammered, and a recovered one is noticed soon.

use crate::threads::Stop;
use crossbeam_channel::select;
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(50);
/// Every thread is back at work this soon after the database is.
const LONGEST: Duration = Duration::from_secs(1);

/// Doubling waits with jitter, from 50 ms to 1 s.
#[derive(Debug)]
pub(crate) struct Pause {
    next: Duration,
}

impl Pause {
    pub(crate) fn new() -> Self {
        Pause { next: FIRST }
    }

    /// Returns the next wait: half of it fixed, half random, so that a hundred threads that lost
    /// the same server do not come back as one.
    pub(crate) fn delay(&mut self) -> Duration {
        let delay = self.next.mul_f64(0.5 + fastrand::f64() / 2.0);
        self.next = (self.next * 2).min(LONGEST);
        delay
    }

    /// Waits; returns whether to go on.
    pub(crate) fn wait(&mut self, stop: &Stop) -> bool {
        wait(stop, self.delay())
    }

    /// Begins again with the short wait.
    pub(crate) fn reset(&mut self) {
        self.next = FIRST;
    }
}

/// Waits unless stopped; returns whether to go on.
pub(crate) fn wait(stop: &Stop, delay: Duration) -> bool {
    select! {
        recv(stop.signal()) -> _ => false,
        default(delay) => true,
    }
}
