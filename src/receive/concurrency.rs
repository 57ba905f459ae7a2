//! How many workers of a receiver are at work at the same time.
//!
//! Workers whose handlers wait for something else than the database should all run. Workers that
//! keep the database busy only get into each other's way from some number on: each has its
//! transaction, its snapshot and its share of the processors, every call takes longer, and with the
//! calls the batches shrink (measured on two cores, 64 workers beside 16: 0.26 times the messages).
//! Which number that is depends on the server, so it is found by trying.
//!
//! A worker counts while its handler is younger than [`QUICK`], and in the flights around it. At
//! most `limit` may count: one more that is woken goes back to sleep, and one that ends a
//! transaction while too many count parks. Slow handlers do not count, so they have all workers.
//! One of the workers that were turned away watches: it asks again every [`QUICK`], so that none is
//! missed when handlers turn slow.
//!
//! The limit is what [`HillClimb`] finds during a backlog.

use crate::receive::hill_climb::HillClimb;
use crate::threads::mutex::Mutex;
use std::sync::MutexGuard;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// A handler that takes longer waits for something else than a database that is merely busy. Too
/// small a figure feeds on itself: with 16 workers on two cores some take 5 ms, more workers would
/// come in, and they take longer with each.
pub(crate) const QUICK: Duration = Duration::from_millis(20);
/// A flight that takes longer is stuck: others go on.
const STUCK: Duration = Duration::from_secs(1);
/// The limit before anything is known, and the least while there is no backlog: then nobody is in
/// anybody's way, and a burst is to be handled at once.
const FIRST_LIMIT: usize = 8;
/// The least limit that is tried.
const LEAST_LIMIT: usize = 4;

/// The workers of one receiver, by number from 0.
#[derive(Debug)]
pub(crate) struct Concurrency {
    epoch: Instant,
    /// Until when each worker counts: microseconds since `epoch`; 0 for one that is parked.
    until: Vec<AtomicU64>,
    /// Whether a handler of each worker's transaction took long.
    was_slow: Vec<AtomicBool>,
    limit: AtomicUsize,
    /// Whether some worker watches.
    is_watched: AtomicBool,
    climb: Mutex<HillClimb>,
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

impl Concurrency {
    pub(crate) fn new(workers: usize) -> Self {
        Concurrency {
            epoch: Instant::now(),
            until: (0..workers).map(|_| AtomicU64::new(0)).collect(),
            was_slow: (0..workers).map(|_| AtomicBool::new(false)).collect(),
            limit: AtomicUsize::new(FIRST_LIMIT.min(workers)),
            is_watched: AtomicBool::new(false),
            climb: Mutex::new(HillClimb::new(Instant::now())),
        }
    }

    /// Asks to work. `is_watching` belongs to the worker, and is false at first. One at a time, so
    /// that no more come in than may: too many at once would be slow from the start, and so not
    /// count.
    pub(crate) fn enter(&self, worker: usize, is_watching: &mut bool) -> Entry {
        let _one_at_a_time = self.climb();
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
        let now = self.now_us();
        self.remember_slow(worker, now);
        self.note(worker, now + micros(QUICK));
    }

    /// Notes that a worker is about to commit or to claim.
    pub(crate) fn flight_begins(&self, worker: usize) {
        let now = self.now_us();
        self.remember_slow(worker, now);
        self.note(worker, now + micros(STUCK));
    }

    /// Notes that a worker's transaction ended.
    pub(crate) fn end_transaction(&self, worker: usize) {
        self.was_slow[worker].store(false, Ordering::Relaxed);
    }

    /// Returns the other workers of whose transactions a handler takes, or took, long, or whose
    /// flights are stuck.
    pub(crate) fn slow(&self, but: usize) -> Vec<usize> {
        let now = self.now_us();
        let is_slow = |worker: &usize| {
            *worker != but
                && (self.was_slow[*worker].load(Ordering::Relaxed) || self.is_slow(*worker, now))
        };
        (0..self.until.len()).filter(is_slow).collect()
    }

    fn is_slow(&self, worker: usize, now: u64) -> bool {
        let until = self.until[worker].load(Ordering::Relaxed);
        until != 0 && until <= now
    }

    fn remember_slow(&self, worker: usize, now: u64) {
        if self.is_slow(worker, now) {
            self.was_slow[worker].store(true, Ordering::Relaxed);
        }
    }

    /// Returns whether more count than may.
    pub(crate) fn is_over(&self) -> bool {
        self.counted() > self.limit.load(Ordering::Relaxed)
    }

    /// Lets a worker leave if more count than may; returns whether it did. One at a time, so that
    /// as many as may are left.
    pub(crate) fn leave_if_over(&self, worker: usize) -> bool {
        let _one_at_a_time = self.climb();
        let is_over = self.is_over();
        if is_over {
            self.leave(worker);
        }
        is_over
    }

    /// Returns how many workers are at work, and how many may count at present.
    pub(crate) fn numbers(&self) -> (usize, usize) {
        let is_at_work = |until: &&AtomicU64| until.load(Ordering::Relaxed) != 0;
        let at_work = self.until.iter().filter(is_at_work).count();
        (at_work, self.limit.load(Ordering::Relaxed))
    }

    /// Returns how long ago a worker began to run its handler, if it runs one: a handler that runs
    /// again in its transaction seems to have run for up to [`STUCK`] less.
    pub(crate) fn handler_age(&self, worker: usize) -> Duration {
        let until = self.until[worker].load(Ordering::Relaxed);
        let begun = until.saturating_sub(micros(QUICK));
        Duration::from_micros(self.now_us().saturating_sub(begun))
    }

    /// Learns from a transaction that handled so many messages, and whether there is a backlog.
    pub(crate) fn learn(&self, messages: usize, is_backlog: bool, now: Instant) {
        let workers = self.until.len();
        if workers <= LEAST_LIMIT {
            return;
        }
        let limit = self.limit.load(Ordering::Relaxed);
        let limit = self.climb().learn(messages, is_backlog, now, limit);
        let least = if is_backlog { LEAST_LIMIT } else { FIRST_LIMIT };
        let limit = limit.clamp(least.min(workers), workers);
        self.limit.store(limit, Ordering::Relaxed);
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

    fn climb(&self) -> MutexGuard<'_, HillClimb> {
        self.climb.lock()
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_over_the_limit_park_and_one_watches() {
        let concurrency = Concurrency::new(64);
        let mut watching = [false; 64];
        let mut enter = |worker: usize| concurrency.enter(worker, &mut watching[worker]);
        for worker in 0..FIRST_LIMIT {
            assert_eq!(enter(worker), Entry::Work);
        }
        let (one, other) = (FIRST_LIMIT, FIRST_LIMIT + 1);
        assert_eq!((enter(one), enter(other)), (Entry::Watch, Entry::Park));
        assert!(!concurrency.is_over());

        concurrency.leave(3);
        assert_eq!((enter(one), enter(other)), (Entry::Work, Entry::Watch));
    }

    #[test]
    fn slow_handlers_do_not_count() {
        let concurrency = Concurrency::new(64);
        let mut is_watching = false;
        for worker in 0..8 {
            assert_eq!(concurrency.enter(worker, &mut is_watching), Entry::Work);
            concurrency.handler_begins(worker);
        }
        assert_eq!(concurrency.counted(), 8);
        let later = Concurrency {
            epoch: concurrency.epoch.checked_sub(QUICK).unwrap(),
            ..concurrency
        };
        assert_eq!(later.counted(), 0);
    }

    #[test]
    fn without_a_backlog_nobody_is_in_the_way() {
        let concurrency = Concurrency::new(64);
        concurrency.limit.store(LEAST_LIMIT, Ordering::Relaxed);
        concurrency.learn(1, true, Instant::now());
        assert_eq!(concurrency.limit.load(Ordering::Relaxed), LEAST_LIMIT);
        concurrency.learn(1, false, Instant::now());
        assert_eq!(concurrency.limit.load(Ordering::Relaxed), FIRST_LIMIT);
    }

    #[test]
    fn too_many_leave_one_by_one() {
        let concurrency = Concurrency::new(64);
        (0..FIRST_LIMIT + 2).for_each(|worker| concurrency.flight_begins(worker));
        assert!(concurrency.leave_if_over(0));
        assert!(concurrency.leave_if_over(1));
        assert!(!concurrency.leave_if_over(2));
    }
}
