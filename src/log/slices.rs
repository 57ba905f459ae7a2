//! What the readers of one log in one process read only once.
//!
//! Each reader has a place of its own, but all see the same entries in the same order, and an entry
//! that is in a tick never changes. So what one of them has read from a place on is kept for a
//! moment, and serves every other that comes to that place, or to one within it: four readers who
//! follow a log cost the database little more than one. Places still move each in its own
//! transaction, so that sharing decides nothing: whoever finds no slice reads for itself.
//!
//! One reader reads at a time, and the others wait for it a moment, since they want the same. The
//! first that begins a slice reads the one after it before, so that seldom anybody waits. What
//! was read before a connection broke is forgotten by all: the database may be another one since,
//! restored from a dump.

use crate::log::entry::EntryRow;
use crate::threads::mutex::Mutex;
use crate::threads::timed_lock::{TimedGuard, TimedLock};
use crate::words::log_position::LogPosition;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};

/// Slices of a log that are kept. Readers further apart than this read for themselves.
const MOST: usize = 4;
/// The most bytes of payloads of a slice that is kept.
const MOST_BYTES: usize = 2 << 20;

/// All entries of a log between two places, in order.
#[derive(Debug)]
pub(crate) struct LogSlice {
    /// The place before the first.
    pub(crate) from: LogPosition,
    /// The place after the last.
    pub(crate) upto: LogPosition,
    pub(crate) entries: Vec<EntryRow>,
    /// Whether these are as many as were asked for, so that there probably are more.
    pub(crate) is_full: bool,
}

/// The logs that are read in this process.
#[derive(Debug, Default)]
pub(crate) struct SharedLogs(Mutex<HashMap<String, Weak<SharedSlices>>>);

/// The slices of one log.
#[derive(Debug, Default)]
pub(crate) struct SharedSlices {
    kept: Mutex<KeptSlices>,
    /// Who has it reads.
    pub(crate) reading: TimedLock,
}

#[derive(Debug, Default)]
struct KeptSlices {
    slices: VecDeque<Arc<LogSlice>>,
    /// How often all was forgotten.
    age: u64,
}

/// The turn of a reader, until it is dropped; or its reading without one.
pub(crate) struct ReadTurn<'s> {
    slices: &'s SharedSlices,
    _reading: Option<TimedGuard<'s>>,
    /// What is read in it is of this age.
    age: u64,
}

impl SharedLogs {
    /// Returns what the readers of a log share, as long as there is one.
    pub(crate) fn of(&self, log: &str) -> Arc<SharedSlices> {
        let mut logs = self.0.lock();
        logs.retain(|_, shared| shared.strong_count() > 0);
        if let Some(shared) = logs.get(log).and_then(Weak::upgrade) {
            return shared;
        }
        let shared = Arc::<SharedSlices>::default();
        logs.insert(log.to_owned(), Arc::downgrade(&shared));
        shared
    }
}

impl SharedSlices {
    /// Returns whether another reader shares them.
    pub(crate) fn are_wanted(self: &Arc<Self>) -> bool {
        Arc::strong_count(self) > 1
    }

    /// Returns the slice with what comes after a place, if it is kept.
    pub(crate) fn after(&self, place: LogPosition) -> Option<Arc<LogSlice>> {
        let kept = self.kept.lock();
        let mut slices = kept.slices.iter();
        let found = slices.find(|slice| slice.from <= place && place < slice.upto);
        found.map(Arc::clone)
    }

    /// Begins to read, with the lock or, where it was not free in time, without it.
    pub(crate) fn begin<'s>(&'s self, reading: Option<TimedGuard<'s>>) -> ReadTurn<'s> {
        ReadTurn {
            slices: self,
            _reading: reading,
            age: self.kept.lock().age,
        }
    }

    /// Forgets all that is kept, and what is being read.
    pub(crate) fn forget(&self) {
        let mut kept = self.kept.lock();
        kept.slices.clear();
        kept.age += 1;
    }
}

impl ReadTurn<'_> {
    /// Keeps a slice for others.
    pub(crate) fn keep(&self, slice: &Arc<LogSlice>) {
        let bytes: usize = slice.entries.iter().map(EntryRow::len).sum();
        let mut kept = self.slices.kept.lock();
        if slice.entries.is_empty() || bytes > MOST_BYTES || kept.age != self.age {
            return;
        }
        kept.slices.push_back(Arc::clone(slice));
        if kept.slices.len() > MOST {
            kept.slices.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(tick: i64) -> LogPosition {
        LogPosition::before(tick)
    }

    #[test]
    fn readers_of_one_log_share_and_others_do_not() {
        let logs = SharedLogs::default();
        let one = logs.of("ledger");
        assert!(!one.are_wanted());
        let other = logs.of("ledger");
        assert!(one.are_wanted() && Arc::ptr_eq(&one, &other));
        assert!(!logs.of("else").are_wanted());
        drop(other);
        assert!(!one.are_wanted());
    }

    #[test]
    fn nothing_is_kept_that_has_no_entries_or_was_read_before_all_was_forgotten() {
        let slices = SharedSlices::default();
        let turn = slices.begin(None);
        slices.forget();
        assert_ne!(turn.age, slices.kept.lock().age);
        let empty = Arc::new(LogSlice {
            from: at(1),
            upto: at(2),
            entries: Vec::new(),
            is_full: false,
        });
        turn.keep(&empty);
        assert!(slices.after(at(1)).is_none());
    }
}
