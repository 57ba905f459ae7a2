//! What the thread of a lane remembers from transaction to transaction.

use crate::connect::connection::Whereabouts;
use crate::observe::delivered::Deliveries;
use crate::receive::log::ahead::Ahead;
use crate::receive::log::aside::Fate;
use crate::receive::log::lane::{LaneAt, LaneHand};
use crate::words::log_position::LogPosition;
use crate::words::message::MessageId;
use std::time::Instant;

/// The most entries of a transaction with several batches, where handlers leave their sessions
/// alone. They go one by one if the process dies, which takes some seconds.
const MOST_TOGETHER: usize = 2_000;

/// What the thread of a lane remembers from transaction to transaction.
#[derive(Debug)]
pub(crate) struct LaneState {
    /// The lane's number, from 0.
    pub(crate) lane: usize,
    /// The most entries of a batch.
    full: usize,
    size: usize,
    /// Whether the handlers of the last transaction left their sessions alone, and were quick.
    pub(crate) are_light: bool,
    /// Entries that still go one by one: a transaction of several failed as a whole.
    singles: usize,
    /// Entries that go one by one, each noted as alone before: a process died with them in hand.
    pub(crate) careful: usize,
    /// How many processes died with the first of those in hand.
    pub(crate) deaths: u32,
    /// The place of the lane, by its number, that this thread wrote last, or took over: as long as
    /// it is still there, nobody else was here.
    pub(crate) place: Option<(i64, LogPosition)>,
    /// When something was changed last, as far as it was known when the place was looked at.
    pub(crate) changed_at: Option<i64>,
    /// To which server the last connection led.
    pub(crate) whereabouts: Option<Whereabouts>,
    /// What was read from there on.
    pub(crate) ahead: Ahead,
    /// What that place says to be in hand here.
    pub(crate) noted: Noted,
    /// Since when nothing is, although the place says so.
    pub(crate) idle_since: Option<Instant>,
    /// Whether entries of some key may be aside.
    pub(crate) may_have_aside: bool,
    /// The entries of the last call of the handler in the open transaction.
    pub(crate) entered: Option<EntriesInHand>,
    /// What becomes of an entry that was alone in a transaction which failed, or in its process.
    pub(crate) charge: Option<EntryCharge>,
    /// Conflicts in a row.
    pub(crate) conflicts: u32,
    /// Deliveries that were told to have started.
    pub(crate) deliveries: Deliveries,
}

/// What the place of a lane says to be in the hands of its thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Noted {
    Nothing,
    /// A batch.
    Batch,
    /// One entry, alone.
    Alone,
}

/// Some entries that were given to a handler, by the first of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EntriesInHand {
    pub(crate) id: MessageId,
    pub(crate) position: LogPosition,
    pub(crate) count: usize,
    /// How many the transaction has before them.
    pub(crate) before: usize,
    /// How many calls of the handler the transaction has had, this one included.
    pub(crate) calls: usize,
}

/// What becomes of an entry whose handler is not to run again.
#[derive(Debug, Clone)]
pub(crate) struct EntryCharge {
    pub(crate) position: LogPosition,
    pub(crate) fate: Fate,
}

impl LaneState {
    pub(crate) fn new(lane: usize, full: usize) -> Self {
        LaneState {
            lane,
            full,
            size: full,
            are_light: false,
            singles: 0,
            careful: 0,
            deaths: 0,
            place: None,
            changed_at: None,
            whereabouts: None,
            ahead: Ahead::default(),
            noted: Noted::Nothing,
            idle_since: None,
            may_have_aside: true,
            entered: None,
            charge: None,
            conflicts: 0,
            deliveries: Deliveries::default(),
        }
    }

    /// Returns how many entries the next transaction takes.
    pub(crate) fn size(&self) -> usize {
        match self.singles + self.careful {
            0 => self.size,
            _ => 1,
        }
    }

    /// Returns how many entries the next transaction may hold: one batch, or several.
    pub(crate) fn most(&self) -> usize {
        match self.size == self.full && self.singles + self.careful == 0 {
            true => self.most_in_hand(),
            false => self.size(),
        }
    }

    /// Lets so many entries go one by one.
    pub(crate) fn single(&mut self, count: usize) {
        self.singles = self.singles.max(count);
    }

    /// Learns that so many entries are done; if a failure was narrowed down and that is not over,
    /// with how many to go on.
    pub(crate) fn learn(&mut self, entries: usize, narrowed_to: Option<usize>) {
        self.singles = self.singles.saturating_sub(entries);
        self.careful = self.careful.saturating_sub(entries);
        if entries > 0 {
            self.deaths = 1;
        }
        self.size = match narrowed_to {
            Some(size) => size.max(1),
            None => (self.size * 2).min(self.full),
        };
    }

    /// Returns what is to be said of what comes next, that so many entries are done before.
    pub(crate) fn hand(&self, holder: Option<i64>, done: usize) -> (Noted, LaneHand) {
        let hand = |in_hand, is_alone, deaths| LaneHand {
            holder,
            in_hand,
            is_alone,
            deaths,
        };
        match (self.careful.saturating_sub(done), done) {
            (0, _) => (Noted::Batch, hand(self.most_in_hand(), false, 0)),
            (left, 0) => (Noted::Alone, hand(left, true, self.deaths)),
            (left, _) => (Noted::Alone, hand(left, true, 1)),
        }
    }

    /// Returns how many entries may be in hand at a time.
    fn most_in_hand(&self) -> usize {
        match self.are_light {
            true => self.full.max(MOST_TOGETHER),
            false => self.full,
        }
    }

    /// Lets so many entries go one by one, each noted as alone; so many processes died with the
    /// first of them in hand.
    pub(crate) fn take_care(&mut self, entries: usize, deaths: u32) {
        self.careful = entries;
        self.deaths = deaths;
    }

    /// Returns the lane, and the number of its place.
    pub(crate) fn lane_at(&self) -> LaneAt {
        (self.lane, self.moved())
    }

    /// Returns the number of the place.
    pub(crate) fn moved(&self) -> Option<i64> {
        self.place.map(|(moved, _)| moved)
    }

    /// Returns up to where the lane is read.
    pub(crate) fn at(&self) -> Option<LogPosition> {
        self.place.map(|(_, at)| at)
    }

    /// Returns what the place has to say before the next handler runs.
    pub(crate) fn wanted(&self) -> Noted {
        match self.careful {
            0 => Noted::Batch,
            _ => Noted::Alone,
        }
    }

    /// Returns whether it is known what becomes of the entry at a position.
    pub(crate) fn is_charged(&self, position: LogPosition) -> bool {
        let charge = self.charge.as_ref();
        charge.is_some_and(|charge| charge.position == position)
    }

    /// Notes that another place of the lane was written, and what it says.
    pub(crate) fn note_moved(&mut self, to: LogPosition, noted: Noted) {
        self.place = self.moved().map(|moved| (moved + 1, to));
        self.noted = noted;
        self.idle_since = None;
    }

    /// Forgets all that holds only as long as nobody else has the lane.
    pub(crate) fn lose(&mut self) {
        self.place = None;
        self.noted = Noted::Nothing;
        self.idle_since = None;
        self.may_have_aside = true;
        self.careful = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_failure_batches_grow_again() {
        let mut state = LaneState::new(0, 500);
        assert_eq!(state.size(), 500);
        state.learn(30, Some(3));
        assert_eq!(state.size(), 3);
        state.learn(3, None);
        assert_eq!(state.size(), 6);
        (0..9).for_each(|_| state.learn(6, None));
        assert_eq!(state.size(), 500);
    }

    #[test]
    fn what_is_to_go_one_by_one_does_so_to_its_end() {
        let mut state = LaneState::new(0, 500);
        state.single(2);
        state.take_care(2, 3);
        assert_eq!(state.hand(Some(7), 0).1.deaths, 3);
        assert_eq!(state.hand(Some(7), 0).0, Noted::Alone);
        assert_eq!((state.size(), state.hand(Some(7), 1).1.in_hand), (1, 1));
        state.learn(1, None);
        assert_eq!((state.size(), state.hand(Some(7), 0).1.deaths), (1, 1));
        assert_eq!(state.hand(Some(7), 1).0, Noted::Batch);
        state.learn(1, None);
        assert_eq!(state.size(), 500);
    }
}
