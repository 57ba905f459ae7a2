//! How many workers of a receiver are at work at the same time.
//!
//! Workers whose handlers wait for something else than the database should all run. Workers that keep
//! the database busy only get into each other's way from some number on: each has its transaction, its
//! snapshot and its share of the processors, every call takes longer, and with the calls the batches
//! shrink (measured on two cores, 64 workers beside 16: 0.26 times the messages). Which number that is
//! depends on the server, so it is found by trying.
//!
//! A worker counts while its handler is younger than [`QUICK`], and in the flights around it. At most
//! `limit` may count: one more that is woken goes back to sleep, and one that ends a transaction while
//! too many count parks. Slow handlers do not count, so they have all workers. One of the workers that
//! were turned away watches: it asks again every [`QUICK`], so that none is missed when handlers turn
//! slow.
//!
//! During a backlog the limit is tried at double and at half its number, for a moment each. Double
//! stays if the receiver handles a tenth more then, half if it handles as much; a try that failed is
//! repeated later and later.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A handler that takes longer waits for something else than a database that is merely busy. Too small a
/// figure feeds on itself: with 16 workers on two cores some take 5 ms, more workers would come in, and
/// they take longer with each.
pub(crate) const QUICK: Duration = Duration::from_millis(20);
/// A flight that takes longer is stuck: others go on.
const STUCK: Duration = Duration::from_secs(1);
/// The limit before anything is known: enough for two cores to share disk flushes between commits.
const FIRST_LIMIT: usize = 8;
/// The least limit that is tried.
const LEAST_LIMIT: usize = 4;
/// How long a rate is measured.
const WINDOW: Duration = Duration::from_millis(100);
/// How long after a try that failed the next one is made: at first, and at most.
const REST: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// The workers of one receiver, by number from 0.
#[derive(Debug)]
pub(crate) struct Crew {
    epoch: Instant,
    /// Until when each worker counts: microseconds since `epoch`; 0 for one that is parked.
    until: Vec<AtomicU64>,
    limit: AtomicUsize,
    /// Whether some worker watches.
    is_watched: AtomicBool,
    trial: Mutex<Trial>,
}

/// What a worker that was woken is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entry {
    /// Work.
    Work,
    /// Ask again after [`QUICK`].
    Watch,
    /// Park.
    Park,
}

impl Crew {
    pub(crate) fn new(workers: usize) -> Self {
        Crew {
            epoch: Instant::now(),
            until: (0..workers).map(|_| AtomicU64::new(0)).collect(),
            limit: AtomicUsize::new(FIRST_LIMIT.min(workers)),
            is_watched: AtomicBool::new(false),
            trial: Mutex::new(Trial::new(Instant::now())),
        }
    }

    /// Asks to work. `is_watching` belongs to the worker, and is false at first.
    pub(crate) fn enter(&self, worker: usize, is_watching: &mut bool) -> Entry {
        if self.counted() < self.limit.load(Ordering::Relaxed) {
            self.flight_begins(worker);
            if std::mem::take(is_watching) {
                self.is_watched.store(false, Ordering::Relaxed);
            }
            return Entry::Work;
        }
        *is_watching |= !self.is_watched.swap(true, Ordering::Relaxed);
        if *is_watching {
            Entry::Watch
        } else {
            Entry::Park
        }
    }

    /// Notes that a worker parks.
    pub(crate) fn leave(&self, worker: usize) {
        self.note(worker, 0);
    }

    /// Notes that a worker is about to run a handler.
    pub(crate) fn handler_begins(&self, worker: usize) {
        self.note(worker, self.now_us() + micros(QUICK));
    }

    /// Notes that a worker is about to commit or to claim.
    pub(crate) fn flight_begins(&self, worker: usize) {
        self.note(worker, self.now_us() + micros(STUCK));
    }

    /// Returns whether more count than may.
    pub(crate) fn is_over(&self) -> bool {
        self.counted() > self.limit.load(Ordering::Relaxed)
    }

    /// Lets a worker leave if more count than may; returns whether it did. One at a time, so that as many
    /// as may are left.
    pub(crate) fn leave_if_over(&self, worker: usize) -> bool {
        let _one_at_a_time = self.trial();
        let is_over = self.is_over();
        if is_over {
            self.leave(worker);
        }
        is_over
    }

    /// Learns from a transaction that handled so many messages, and whether there is a backlog.
    pub(crate) fn learn(&self, messages: usize, is_backlog: bool, now: Instant) {
        let limit = self.limit.load(Ordering::Relaxed);
        if limit < self.until.len() || limit > LEAST_LIMIT {
            let limit = self.trial().learn(messages, is_backlog, now, limit);
            let limit = limit.clamp(LEAST_LIMIT, self.until.len().max(LEAST_LIMIT));
            self.limit.store(limit, Ordering::Relaxed);
        }
    }

    fn counted(&self) -> usize {
        let now = self.now_us();
        let counts = |until: &&AtomicU64| until.load(Ordering::Relaxed) > now;
        self.until.iter().filter(counts).count()
    }

    fn note(&self, worker: usize, until: u64) {
        self.until[worker].store(until, Ordering::Relaxed);
    }

    fn now_us(&self) -> u64 {
        micros(self.epoch.elapsed())
    }

    fn trial(&self) -> MutexGuard<'_, Trial> {
        self.trial.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// The search for the limit.
#[derive(Debug)]
struct Trial {
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

impl Trial {
    fn new(now: Instant) -> Self {
        Trial {
            window: now,
            handled: 0,
            tried: None,
            grows: true,
            next: now,
            rest: REST.0,
        }
    }

    /// Returns the limit from now on.
    fn learn(&mut self, messages: usize, is_backlog: bool, now: Instant, limit: usize) -> usize {
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
            Some(tried) if !tried.is_settled => {
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
            std::cmp::Ordering::Greater => rate > tried.rate * 1.1,
            std::cmp::Ordering::Less => rate >= tried.rate,
            // There was no more to try.
            std::cmp::Ordering::Equal => false,
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Lets a trial learn for `seconds` while `rate` says how many messages a second a limit gives.
    fn after(seconds: u64, mut limit: usize, rate: impl Fn(usize) -> usize) -> usize {
        let begun = Instant::now();
        let mut trial = Trial::new(begun);
        for step in 1..seconds * 20 {
            let now = begun + Duration::from_millis(50) * u32::try_from(step).unwrap();
            limit = trial.learn(rate(limit) / 20, true, now, limit).clamp(4, 64);
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

    #[test]
    fn workers_over_the_limit_park_and_one_watches() {
        let crew = Crew::new(64);
        let mut watching = [false; 64];
        let entries: Vec<Entry> = (0..10)
            .map(|worker| crew.enter(worker, &mut watching[worker]))
            .collect();
        assert_eq!(entries[..8], [Entry::Work; 8]);
        assert_eq!(entries[8..], [Entry::Watch, Entry::Park]);
        assert!(!crew.is_over());

        crew.leave(3);
        assert_eq!(crew.enter(8, &mut watching[8]), Entry::Work);
        assert_eq!(crew.enter(9, &mut watching[9]), Entry::Watch);
    }

    #[test]
    fn slow_handlers_do_not_count() {
        let crew = Crew::new(64);
        let mut is_watching = false;
        for worker in 0..8 {
            assert_eq!(crew.enter(worker, &mut is_watching), Entry::Work);
            crew.handler_begins(worker);
        }
        assert_eq!(crew.counted(), 8);
        let later = Crew {
            epoch: crew.epoch.checked_sub(QUICK).unwrap(),
            ..crew
        };
        assert_eq!(later.counted(), 0);
    }

    #[test]
    fn too_many_leave_one_by_one() {
        let crew = Crew::new(64);
        (0..10).for_each(|worker| crew.flight_begins(worker));
        assert!(crew.leave_if_over(0));
        assert!(crew.leave_if_over(1));
        assert!(!crew.leave_if_over(2));
    }
}
