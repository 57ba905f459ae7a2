//! Which ticks a reader went by, to notice that the database lacks some of them.
//!
//! A standby that was promoted without the latest commits of the primary makes other ticks with the
//! same numbers, and gives the same transaction ids out again. So a tick is told from another by
//! when it was made.

use crate::log::ticks::Tick;
use std::collections::VecDeque;

/// Ticks that are remembered: far more than a standby lacks.
const MOST: usize = 2000;

/// The ticks that were read last, in order.
#[derive(Debug, Default)]
pub(crate) struct TickHistory(VecDeque<(i64, i64)>);

impl TickHistory {
    /// Notes that ticks are read.
    pub(crate) fn learn(&mut self, ticks: &[Tick]) {
        for tick in ticks {
            if self.0.back().is_none_or(|(last, _)| *last < tick.tick) {
                self.0.push_back((tick.tick, tick.made_us));
            }
        }
        let more = self.0.len().saturating_sub(MOST);
        self.0.drain(..more);
    }

    /// Returns the first tick that is remembered.
    pub(crate) fn first(&self) -> Option<i64> {
        self.0.front().map(|(tick, _)| *tick)
    }

    /// Returns whether ticks that were read from `from` on are not those that were before: another
    /// one has the number of one of them, or `from` is not there.
    pub(crate) fn is_broken_by(&self, ticks: &[Tick], from: i64) -> bool {
        let is_missing =
            self.made(from).is_some() && ticks.first().is_none_or(|it| it.tick != from);
        is_missing || ticks.iter().any(|tick| self.is_other(tick))
    }

    /// Returns the last of some ticks that is one of those remembered.
    pub(crate) fn last_of(&self, ticks: &[Tick]) -> Option<i64> {
        let is_same = |tick: &&Tick| self.made(tick.tick) == Some(tick.made_us);
        ticks.iter().rfind(is_same).map(|tick| tick.tick)
    }

    /// Forgets the ticks after one.
    pub(crate) fn forget_after(&mut self, last: i64) {
        self.0.retain(|(tick, _)| *tick <= last);
    }

    fn is_other(&self, tick: &Tick) -> bool {
        self.made(tick.tick)
            .is_some_and(|made| made != tick.made_us)
    }

    fn made(&self, tick: i64) -> Option<i64> {
        let at = self.0.binary_search_by_key(&tick, |(tick, _)| *tick).ok()?;
        Some(self.0[at].1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks(made: &[(i64, i64)]) -> Vec<Tick> {
        let tick = |&(tick, made_us): &(i64, i64)| Tick::bare(tick, made_us);
        made.iter().map(tick).collect()
    }

    #[test]
    fn ticks_that_are_others_or_missing_are_noticed() {
        let mut history = TickHistory::default();
        assert!(!history.is_broken_by(&ticks(&[(4, 40)]), 4));
        history.learn(&ticks(&[(4, 40), (5, 50)]));
        history.learn(&ticks(&[(5, 50), (6, 60)]));

        assert!(!history.is_broken_by(&ticks(&[(6, 60), (7, 70)]), 6));
        assert!(!history.is_broken_by(&ticks(&[(7, 70)]), 7));
        assert!(history.is_broken_by(&ticks(&[]), 6));
        assert!(history.is_broken_by(&ticks(&[(6, 61)]), 6));
        assert!(history.is_broken_by(&ticks(&[(5, 50), (6, 61)]), 5));

        let now = ticks(&[(4, 40), (5, 50), (6, 61)]);
        assert_eq!((history.first(), history.last_of(&now)), (Some(4), Some(5)));
        history.forget_after(5);
        assert!(!history.is_broken_by(&now, 4));
        assert_eq!(history.last_of(&ticks(&[(1, 1)])), None);
    }
}
