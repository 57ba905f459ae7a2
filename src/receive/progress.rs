//! What a receiver is doing and has done, in numbers.

use crate::message::outcome::Outcome;
use crate::receive::ran::RunLog;
use crate::words::MessageId;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Counters shared by the workers of one receiver. Independent numbers: relaxed order is enough.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Messages whose handler has begun and whose transaction has not ended.
    in_hand: AtomicUsize,
    pub(crate) handled: AtomicU64,
    pub(crate) retried: AtomicU64,
    pub(crate) dead: AtomicU64,
    pub(crate) dropped: AtomicU64,
    /// What becomes of each message, where a test asks.
    pub(crate) runs: Option<RunLog>,
}

impl Progress {
    pub(crate) fn in_hand(&self) -> usize {
        self.in_hand.load(Ordering::Relaxed)
    }

    /// Notes a message whose handler begins now; it is in hand until `hand` is dropped.
    pub(crate) fn take<'a>(&'a self, hand: &mut Hand<'a>) {
        self.take_some(hand, 1);
    }

    /// The same for several.
    pub(crate) fn take_some<'a>(&'a self, hand: &mut Hand<'a>, count: usize) {
        hand.progress = Some(self);
        hand.count += count;
        self.in_hand.fetch_add(count, Ordering::Relaxed);
    }

    /// Notes what became of a message, where a test asks.
    pub(crate) fn note(&self, topic: &str, id: MessageId, outcome: &Outcome) {
        if let Some(runs) = &self.runs {
            runs.note(topic, id, outcome);
        }
    }

    /// Returns whether the work is to end with the next commit.
    pub(crate) fn is_single(&self) -> bool {
        self.runs.as_ref().is_some_and(|runs| runs.is_single)
    }

    /// Returns whether it has ended with that commit.
    pub(crate) fn is_over(&self) -> bool {
        self.runs.as_ref().is_some_and(RunLog::is_over)
    }

    pub(crate) fn count(&self, handled: usize, retried: usize, dead: usize) {
        self.handled.fetch_add(handled as u64, Ordering::Relaxed);
        self.retried.fetch_add(retried as u64, Ordering::Relaxed);
        self.dead.fetch_add(dead as u64, Ordering::Relaxed);
    }

    pub(crate) fn count_dropped(&self, dropped: usize) {
        self.dropped.fetch_add(dropped as u64, Ordering::Relaxed);
    }
}

/// The messages in hand of one transaction; drops them all, however it ends.
#[derive(Debug, Default)]
pub(crate) struct Hand<'a> {
    progress: Option<&'a Progress>,
    count: usize,
}

impl Drop for Hand<'_> {
    fn drop(&mut self) {
        if let Some(progress) = self.progress {
            progress.in_hand.fetch_sub(self.count, Ordering::Relaxed);
        }
    }
}
