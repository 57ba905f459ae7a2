//! How many messages a transaction takes.
//!
//! A transaction costs the same whether it carries one message or fifty, so quick handlers want
//! many. But all of them stay locked until it ends, so slow handlers want one. The number follows
//! how long handlers took: about ten milliseconds of work per transaction. Where more than a commit
//! has to be paid for, because messages are noted before they are handled, it is more work.

use crate::receive::options::MAX_PER_TRANSACTION;
use std::time::Duration;

/// The work that one transaction is to hold. It bounds how long a message waits for its
/// batch-mates, and spreads the cost of a commit (about a millisecond with fsync) ten times thin.
pub(crate) const BUDGET: Duration = Duration::from_millis(10);
/// The most of it, where a transaction costs more than a commit.
const LARGEST_BUDGET: Duration = Duration::from_millis(100);
/// What is done before the handlers run takes at most one part in this many of what they take.
const PREPARATION_SHARE: u32 = 2;
/// Weight of the latest transaction in the average: the last five or so decide.
const WEIGHT: f64 = 0.2;
/// Transactions of one message after a commit that failed: as many as the batch may have held, so
/// that the message at fault is met alone.
const SINGLES: usize = MAX_PER_TRANSACTION;

/// The adaptive number of messages for each transaction of one worker.
#[derive(Debug)]
pub(crate) struct Pace {
    fixed: Option<usize>,
    size: usize,
    per_message: f64,
    /// What was done lately before the handlers ran, in seconds.
    preparation: f64,
    singles: usize,
    /// Whether batches are of no use at present: most messages have to go alone.
    is_thin: bool,
}

impl Pace {
    pub(crate) fn new(fixed: Option<usize>) -> Self {
        Pace {
            fixed,
            size: 1,
            per_message: 0.0,
            preparation: 0.0,
            singles: 0,
            is_thin: false,
        }
    }

    /// Returns how many messages the next transaction may take.
    pub(crate) fn size(&self) -> usize {
        if self.singles > 0 {
            return 1;
        }
        match self.fixed {
            // More than get their turn would only be kept from other workers.
            Some(fixed) if self.is_thin => fixed.min(self.size),
            Some(fixed) => fixed,
            None => self.size,
        }
    }

    /// Notes whether most messages of the last transaction had to go alone.
    pub(crate) fn note_thin(&mut self, is_thin: bool) {
        self.is_thin = is_thin;
    }

    /// Notes whether a message had to go alone: the next one may have to, too, and what is taken
    /// with it would only go back.
    pub(crate) fn note_alone(&mut self, is_alone: bool) {
        self.is_thin = is_alone;
        if is_alone {
            self.size = 1;
        }
    }

    /// Returns the work that the next transaction is to hold.
    pub(crate) fn budget(&self) -> Duration {
        let preparation = Duration::try_from_secs_f64(self.preparation).unwrap_or(LARGEST_BUDGET);
        preparation
            .saturating_mul(PREPARATION_SHARE)
            .clamp(BUDGET, LARGEST_BUDGET)
    }

    /// Learns how long it took to get ready for the handlers, beyond a claim that came with the
    /// last commit.
    pub(crate) fn note_preparation(&mut self, took: Duration) {
        self.preparation += WEIGHT * (took.as_secs_f64() - self.preparation);
    }

    /// Learns from a transaction: grows by doubling at most, shrinks at once.
    pub(crate) fn learn(&mut self, messages: usize, took: Duration) {
        self.singles = self.singles.saturating_sub(1);
        let messages = u32::try_from(messages.max(1)).unwrap_or(u32::MAX);
        let latest = took.as_secs_f64() / f64::from(messages);
        self.per_message += WEIGHT * (latest - self.per_message);
        let slower = self.per_message.max(latest).max(1e-9);
        let fitting = (self.budget().as_secs_f64() / slower).clamp(1.0, MAX_PER_TRANSACTION as f64);
        self.size = (fitting as usize).min(self.size * 2);
    }

    /// Goes back to one message at a time for a while, whatever was fixed: to find out which one
    /// makes a commit fail.
    pub(crate) fn single(&mut self) {
        self.size = 1;
        self.singles = self.fixed.unwrap_or_default().max(SINGLES);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quick_handlers_get_large_batches_and_slow_ones_single_messages() {
        let mut pace = Pace::new(None);
        assert_eq!(pace.size(), 1);
        for expected in [2, 4, 8, 16, 32, 64, 64] {
            pace.learn(pace.size(), Duration::from_micros(20) * pace.size() as u32);
            assert_eq!(pace.size(), expected);
        }

        pace.learn(64, Duration::from_millis(640));
        assert_eq!(pace.size(), 1);
    }

    #[test]
    fn handlers_of_two_milliseconds_share_a_transaction_by_fives() {
        let mut pace = Pace::new(None);
        for _ in 0..100 {
            pace.learn(pace.size(), Duration::from_millis(2) * pace.size() as u32);
        }
        assert_eq!(pace.size(), 5);
    }

    #[test]
    fn a_transaction_that_costs_more_holds_more() {
        let mut pace = Pace::new(None);
        let learn = |pace: &mut Pace, preparation| {
            for _ in 0..100 {
                pace.note_preparation(Duration::from_millis(preparation));
                pace.learn(pace.size(), Duration::from_millis(3) * pace.size() as u32);
            }
            pace.size()
        };
        assert_eq!(learn(&mut pace, 1), 3);
        assert_eq!(learn(&mut pace, 25), 16);
        assert_eq!(learn(&mut pace, 9000), 33);
        assert_eq!(learn(&mut pace, 0), 3);
    }

    #[test]
    fn after_a_failed_commit_messages_go_one_by_one_for_a_while() {
        for fixed in [None, Some(7)] {
            let mut pace = Pace::new(fixed);
            pace.single();
            for _ in 0..SINGLES {
                assert_eq!(pace.size(), 1);
                pace.learn(1, Duration::from_micros(20));
            }
            assert!(pace.size() > 1);
        }
    }

    #[test]
    fn a_batch_that_could_not_commit_goes_one_by_one_to_its_end() {
        let mut pace = Pace::new(Some(500));
        pace.single();
        (0..499).for_each(|_| pace.learn(1, Duration::from_micros(20)));
        assert_eq!(pace.size(), 1);
        pace.learn(1, Duration::from_micros(20));
        assert_eq!(pace.size(), 500);
    }

    #[test]
    fn messages_that_go_alone_are_taken_as_quickly_as_they_are_handled() {
        let mut pace = Pace::new(Some(500));
        pace.learn(3, Duration::from_millis(30));
        pace.note_thin(true);
        assert_eq!(pace.size(), 1);
        pace.note_thin(false);
        assert_eq!(pace.size(), 500);
    }

    #[test]
    fn a_fixed_size_stays() {
        let mut pace = Pace::new(Some(7));
        pace.learn(7, Duration::from_secs(9));
        assert_eq!(pace.size(), 7);
    }
}
