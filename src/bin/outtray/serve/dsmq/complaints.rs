//! Warnings about clients: a hostile one must not fill the disk with them.

use crate::output::escaped;
use std::fmt::Display;
use std::time::{Duration, Instant};

/// Warnings in a period; more are counted.
const MOST: u32 = 20;
const PERIOD: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct Complaints {
    since: Instant,
    made: u32,
    unsaid: u64,
}

impl Default for Complaints {
    fn default() -> Self {
        Complaints {
            since: Instant::now(),
            made: 0,
            unsaid: 0,
        }
    }
}

impl Complaints {
    /// Warns about somebody or something.
    pub(crate) fn about(&mut self, who: &str, what: &dyn Display) {
        if self.since.elapsed() >= PERIOD {
            if self.unsaid > 0 {
                tracing::warn!(
                    "{} more connections were closed for their faults",
                    self.unsaid
                );
            }
            *self = Complaints::default();
        }
        if self.made >= MOST {
            self.unsaid += 1;
            return;
        }
        self.made += 1;
        tracing::warn!("{who}: {}", escaped(&what.to_string()));
    }
}
