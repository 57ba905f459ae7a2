//! What became of messages, counted by topic until somebody writes it down.
//!
//! A count is a look at a map under a lock that nobody holds for longer. Workers count a whole
//! transaction at a time, so that they do not meet there.

use crate::observe::event::Event;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How many topics are counted between two times that the counts are written: what is handled on
/// others meanwhile is not counted. Bounds the memory of a process that cannot write them.
const MOST_TOPICS: usize = 10_000;

/// What became of the messages of one topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct TopicCounts {
    pub(crate) done: u64,
    pub(crate) failed: u64,
    pub(crate) dead: u64,
    pub(crate) expired: u64,
    pub(crate) cancelled: u64,
    /// How long handlers took together.
    pub(crate) handled: Duration,
}

/// The counts of a process; none where nobody wants them.
#[derive(Debug, Default)]
pub(crate) struct Tallies(Option<Mutex<Counting>>);

#[derive(Debug, Default)]
struct Counting {
    topics: HashMap<String, TopicCounts>,
    taken_at: Option<Instant>,
}

impl TopicCounts {
    fn add(&mut self, other: TopicCounts) {
        self.done += other.done;
        self.failed += other.failed;
        self.dead += other.dead;
        self.expired += other.expired;
        self.cancelled += other.cancelled;
        self.handled += other.handled;
    }
}

impl Tallies {
    /// Makes empty ones, if they are wanted.
    pub(crate) fn new(are_wanted: bool) -> Self {
        Tallies(are_wanted.then(Mutex::default))
    }

    /// Returns whether anything is counted.
    pub(crate) fn are_kept(&self) -> bool {
        self.0.is_some()
    }

    /// Counts what an event says of a message's end, or of an attempt that failed.
    pub(crate) fn count(&self, event: &Event<'_>) {
        match event {
            Event::Done { topic, .. } => self.change(topic, |counts| counts.done += 1),
            Event::Failed { topic, .. } => self.change(topic, |counts| counts.failed += 1),
            Event::Dead { topic, .. } => self.change(topic, |counts| counts.dead += 1),
            Event::Expired { topic, .. } => self.change(topic, |counts| counts.expired += 1),
            Event::Cancelled { topic, .. } => self.change(topic, |counts| counts.cancelled += 1),
            _ => {}
        }
    }

    /// Counts messages that were handled.
    pub(crate) fn count_done(&self, topic: &str, messages: usize) {
        let messages = u64::try_from(messages).unwrap_or(u64::MAX);
        if messages > 0 {
            self.change(topic, |counts| counts.done += messages);
        }
    }

    /// Adds how long handlers took.
    pub(crate) fn add_time(&self, topic: &str, took: Duration) {
        if !took.is_zero() {
            self.change(topic, |counts| counts.handled += took);
        }
    }

    /// Returns whether there are counts, and nobody took any for this time.
    pub(crate) fn are_due(&self, after: Duration) -> bool {
        self.0.as_ref().is_some_and(|counting| {
            let counting = lock(counting);
            let is_old = counting.taken_at.is_none_or(|at| at.elapsed() >= after);
            is_old && !counting.topics.is_empty()
        })
    }

    /// Takes all counts, which begin anew.
    pub(crate) fn take(&self) -> HashMap<String, TopicCounts> {
        let Some(counting) = &self.0 else {
            return HashMap::new();
        };
        let mut counting = lock(counting);
        counting.taken_at = Some(Instant::now());
        let mut topics = std::mem::take(&mut counting.topics);
        topics.retain(|_, counts| *counts != TopicCounts::default());
        topics
    }

    /// Puts counts back that could not be written.
    pub(crate) fn put_back(&self, counts: HashMap<String, TopicCounts>) {
        for (topic, counted) in counts {
            self.change(&topic, |counts| counts.add(counted));
        }
    }

    /// Changes the counts of a topic. Nothing else is locked meanwhile.
    pub(crate) fn change(&self, topic: &str, change: impl FnOnce(&mut TopicCounts)) {
        let Some(counting) = &self.0 else { return };
        let topics = &mut lock(counting).topics;
        if let Some(counts) = topics.get_mut(topic) {
            change(counts);
        } else if topics.len() < MOST_TOPICS {
            change(topics.entry(topic.to_owned()).or_default());
        }
    }
}

/// A count is whole whoever panicked.
fn lock(counting: &Mutex<Counting>) -> MutexGuard<'_, Counting> {
    counting.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::MessageId;

    #[test]
    fn ends_are_counted_by_topic_and_counts_that_could_not_be_written_are_kept() {
        let tallies = Tallies::new(true);
        let expired = |topic| {
            tallies.count(&Event::Expired {
                topic,
                id: MessageId::new(),
            });
        };

        expired("a");
        tallies.count_done("b", 3);
        let taken = tallies.take();
        expired("a");
        tallies.add_time("a", Duration::from_millis(2));
        tallies.put_back(taken);

        assert!(tallies.are_due(Duration::ZERO));
        assert!(!tallies.are_due(Duration::from_secs(3600)));
        let counts = tallies.take();
        let (a, b) = (counts["a"], counts["b"]);
        assert_eq!((a.expired, a.handled), (2, Duration::from_millis(2)));
        assert_eq!((b.done, b.expired), (3, 0));
        assert!(!tallies.are_due(Duration::ZERO));
    }

    #[test]
    fn topics_beyond_the_most_are_not_counted() {
        let tallies = Tallies::new(true);

        for topic in 0..MOST_TOPICS + 5 {
            tallies.count_done(&topic.to_string(), 1);
        }

        assert_eq!(tallies.take().len(), MOST_TOPICS);
    }

    #[test]
    fn nothing_is_counted_where_nobody_wants_it() {
        let tallies = Tallies::new(false);

        tallies.count_done("a", 1);

        assert!(!tallies.are_kept());
        assert!(tallies.take().is_empty());
    }
}
