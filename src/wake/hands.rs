//! Whether the workers of a receiver may have messages in hand, for others to know when its process
//! dies.
//!
//! It is written before the first message after an idle time, and again when no worker has been
//! busy for a while: two small notes for each busy period, whatever happens in it. The first note
//! must be there before the work begins. The second may be late, which only costs needless care.
//!
//! A note is a number that grows, odd for "at work". Of two notes under way the larger one holds,
//! so the second note of an old period cannot override the first of a new one.

use crate::threads::mutex::Mutex;
use std::time::{Duration, Instant};

/// How long no worker has to be at work for that to be noted: short pauses in the work cost
/// nothing.
const PAUSE: Duration = Duration::from_millis(500);

/// What is known of the workers of one receiver.
#[derive(Debug)]
pub(crate) struct Hands(Mutex<HandCounts>);

#[derive(Debug)]
struct HandCounts {
    at_work: usize,
    parked_at: Instant,
    number: i64,
    /// The last number that was written.
    written: i64,
}

impl Default for Hands {
    fn default() -> Self {
        Hands(Mutex::new(HandCounts {
            at_work: 0,
            parked_at: Instant::now(),
            number: 0,
            written: 0,
        }))
    }
}

impl Hands {
    /// Notes that a worker begins to look for messages.
    pub(crate) fn enter(&self) {
        self.0.lock().at_work += 1;
    }

    /// Notes that a worker parks.
    pub(crate) fn leave(&self) {
        let mut state = self.0.lock();
        state.at_work = state.at_work.saturating_sub(1);
        state.parked_at = Instant::now();
    }

    /// Returns the number to write before a message is begun, if one is to be written. The caller
    /// has entered.
    pub(crate) fn to_take(&self) -> Option<i64> {
        let mut state = self.0.lock();
        if state.number % 2 == 0 {
            state.number += 1;
        }
        // Also while another worker is about to write it: it must be there before this one begins.
        (state.written < state.number).then_some(state.number)
    }

    /// Returns the number to write now that no worker has been at work for a while, if one is to be
    /// written.
    pub(crate) fn to_empty(&self, now: Instant) -> Option<i64> {
        let mut state = self.0.lock();
        let is_quiet = state.at_work == 0 && now.duration_since(state.parked_at) >= PAUSE;
        if is_quiet && state.number % 2 == 1 {
            state.number += 1;
        }
        (state.number % 2 == 0 && state.written < state.number).then_some(state.number)
    }

    /// Notes that a number was written.
    pub(crate) fn wrote(&self, number: i64) {
        let mut state = self.0.lock();
        state.written = state.written.max(number);
    }

    /// Returns the number for a row that was lost: at work, since nobody knows what was written
    /// meanwhile, unless no worker ever was.
    pub(crate) fn restored(&self) -> i64 {
        let number = self.0.lock().number;
        if number == 0 { 0 } else { number | 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_of_work_is_written_twice() {
        let hands = Hands::default();
        let later = Instant::now() + PAUSE * 2;
        assert_eq!(hands.to_empty(later), None);

        hands.enter();
        assert_eq!(hands.to_take(), Some(1));
        assert_eq!(hands.to_take(), Some(1), "until it is there");
        hands.wrote(1);
        assert_eq!(hands.to_take(), None);
        assert_eq!(hands.to_empty(later), None, "one is at work");

        hands.leave();
        assert_eq!(hands.to_empty(Instant::now()), None, "a short pause");
        assert_eq!(hands.to_empty(later + PAUSE), Some(2));
        hands.enter();
        assert_eq!(hands.to_take(), Some(3), "the larger one holds");
    }
}
