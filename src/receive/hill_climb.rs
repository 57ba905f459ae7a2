//! The search for how many workers do most.
//!
//! During a backlog a limit is tried at double and at half its number, for a moment each. Double
//! stays if the receiver handles a tenth more then, half if it handles as much; a try that failed
//! is repeated later and later. Rates are compared within half a second, so what else the machine
//! does matters little.

use std::cmp::Ordering;
use std::time::{Duration, Instant};

/// How long a rate is measured.
const WINDOW: Duration = Duration::from_millis(100);
/// How long after a try that failed the next one is made: at first, and at most.
const REST: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// A try of more workers that does less than this part of what was done before ends at once. Fewer
/// workers first need a moment, until their batches have grown.
const HOPELESS: f64 = 0.8;

/// The search for the best number of workers at the same time.
#[derive(Debug)]
pub(crate) struct HillClimb {
    window: Instant,
    handled: usize,
    /// What is being tried, if anything is.
    tried: Option<Try>,
    grows: bool,
    next: Instant,
    rest: Duration,
}

#[derive(Debug)]
struct Try {
    /// The limit before, and the messages a second with it.
    limit: usize,
    rate: f64,
    /// The first window only lets things settle.
    is_settled: bool,
}

impl HillClimb {
    pub(crate) fn new(now: Instant) -> Self {
        HillClimb {
            window: now,
            handled: 0,
            tried: None,
            grows: false,
            // The first rates are of workers that still connect.
            next: now + REST.0,
            rest: REST.0,
        }
    }

    /// Learns from a transaction that handled so many messages; returns the limit from now on.
    pub(crate) fn learn(
        &mut self,
        messages: usize,
        is_backlog: bool,
        now: Instant,
        limit: usize,
    ) -> usize {
        self.handled += messages;
        if !is_backlog {
            // Rates say how much there was to do, not how much could be done.
            self.begin_window(now);
            return self.tried.take().map_or(limit, |tried| tried.limit);
        }
        let took = now.saturating_duration_since(self.window);
        if took < WINDOW {
            return limit;
        }
        let rate = self.handled as f64 / took.as_secs_f64();
        self.begin_window(now);
        match self.tried.take() {
            None if now < self.next => limit,
            None => {
                self.tried = Some(Try {
                    limit,
                    rate,
                    is_settled: false,
                });
                if self.grows { limit * 2 } else { limit / 2 }
            }
            Some(tried) if !tried.is_settled && !is_hopeless(&tried, limit, rate) => {
                self.tried = Some(Try {
                    is_settled: true,
                    ..tried
                });
                limit
            }
            Some(tried) => self.judge(&tried, rate, now, limit),
        }
    }

    fn judge(&mut self, tried: &Try, rate: f64, now: Instant, limit: usize) -> usize {
        let is_better = match limit.cmp(&tried.limit) {
            Ordering::Greater => rate > tried.rate * 1.1,
            Ordering::Less => rate >= tried.rate,
            // There was no more to try.
            Ordering::Equal => false,
        };
        if is_better {
            self.rest = REST.0;
            self.next = now;
            return limit;
        }
        self.grows = !self.grows;
        self.next = now + self.rest;
        self.rest = (self.rest * 2).min(REST.1);
        tried.limit
    }

    fn begin_window(&mut self, now: Instant) {
        self.window = now;
        self.handled = 0;
    }
}

fn is_hopeless(tried: &Try, limit: usize, rate: f64) -> bool {
    limit > tried.limit && rate < tried.rate * HOPELESS
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lets a trial learn for `seconds` while `rate` says how many messages a second a limit gives.
    fn after(seconds: u64, mut limit: usize, rate: impl Fn(usize) -> usize) -> usize {
        let begun = Instant::now();
        let mut climb = HillClimb::new(begun);
        for step in 1..seconds * 20 {
            let now = begun + Duration::from_millis(50) * u32::try_from(step).unwrap();
            limit = climb.learn(rate(limit) / 20, true, now, limit).clamp(4, 64);
        }
        limit
    }

    #[test]
    fn a_limit_grows_as_long_as_more_workers_do_more() {
        assert_eq!(after(5, 8, |limit| limit * 1000), 64);
        assert!(after(60, 8, |limit| limit.min(32) * 1000) >= 32);
    }

    #[test]
    fn a_limit_shrinks_to_where_fewer_workers_do_less() {
        assert!(after(60, 64, |limit| 100_000 / limit.max(8)) <= 8);
    }
}
