//! The floor: where a claim begins to look.
//!
//! The claim index is walked from its head, and the head is where the dead rows are: entries of
//! messages that were deleted and that vacuum cannot remove yet, because some old transaction
//! might still see them. Behind 300,000 of them a claim takes 61 ms; from a floor it takes 0.1 ms.
//!
//! A floor is a hint in memory, one for each priority of a topic: the first position that the last
//! claim got. Messages can be below it (their transaction committed late, or a worker that held
//! them died), so now and then a claim sweeps from the very beginning, and always before a worker
//! concludes for good that there is nothing to do. Sweeps cost what the floor saves, so they are
//! rationed to one part in fifty of the time: a worker that would have to sweep too early parks, and
//! comes back when it may. The floor can delay a message, never lose it. The gaps
//! between the priorities it knows are looked into from their beginnings by every claim, so a more
//! urgent message never waits for a sweep.

use crate::store::claim::{EVERYTHING, Position, Span};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The least time between two sweeps, and so what a message below the floor waits at most while
/// others keep the workers busy (unless sweeps are slow).
const SWEEP_INTERVAL: Duration = Duration::from_millis(500);
/// Sweeps take at most one part in this many of the time: 2 %.
const SWEEP_SHARE: u32 = 50;
/// Priorities that have floors at a time. More would make the claim itself long; then there are none.
const MAX_RANKS: usize = 16;

/// The floors of one topic in one receiver.
#[derive(Debug)]
pub(crate) struct Floors {
    by_rank: BTreeMap<i16, i64>,
    swept_at: Instant,
    sweep_cost: Duration,
    /// Whether some worker is going to come back for a sweep that would have been too early.
    is_owed: bool,
}

/// A claim as it was planned, to be handed back with its result.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) spans: Vec<Span>,
    pub(crate) is_sweep: bool,
}

impl Floors {
    pub(crate) fn new() -> Self {
        Floors {
            by_rank: BTreeMap::new(),
            swept_at: Instant::now(),
            sweep_cost: Duration::ZERO,
            is_owed: false,
        }
    }

    /// Plans the next claim: from the floors, or everything when a sweep is due.
    pub(crate) fn plan(&self, now: Instant) -> Plan {
        let ration = SWEEP_INTERVAL.max(self.sweep_cost * SWEEP_SHARE);
        if self.by_rank.is_empty() || now >= self.swept_at + ration {
            return sweep();
        }
        let mut spans = Vec::with_capacity(self.by_rank.len() + 1);
        let mut from = EVERYTHING.from;
        for (&rank, &seq) in &self.by_rank {
            let until = i32::from(rank);
            if i32::from(from.rank) < until {
                spans.push(Span { from, until });
            }
            from = Position { rank, seq };
        }
        spans.push(Span {
            from,
            until: EVERYTHING.until,
        });
        Plan {
            spans,
            is_sweep: false,
        }
    }

    /// Learns from what a claim returned, in claim order.
    pub(crate) fn learn(
        &mut self,
        is_sweep: bool,
        claimed: impl Iterator<Item = Position>,
        now: Instant,
        took: Duration,
    ) {
        let mut last = None;
        for position in claimed {
            if last != Some(position.rank) {
                self.by_rank.insert(position.rank, position.seq);
                last = Some(position.rank);
            }
        }
        if self.by_rank.len() > MAX_RANKS {
            self.by_rank.clear();
        }
        if is_sweep {
            self.swept_at = now;
            self.sweep_cost = took;
            self.is_owed = false;
        }
    }

    /// Returns how long a worker that found nothing above the floors has to wait before it may
    /// sweep; zero for now.
    pub(crate) fn until_sweep(&self, now: Instant) -> Duration {
        (self.swept_at + self.sweep_cost * SWEEP_SHARE).saturating_duration_since(now)
    }

    /// Notes that a sweep is owed; returns whether it is up to the caller.
    pub(crate) fn owe_sweep(&mut self) -> bool {
        !std::mem::replace(&mut self.is_owed, true)
    }

    /// Forgets all floors: a transaction failed, and what it held is free again.
    pub(crate) fn forget(&mut self) {
        self.by_rank.clear();
    }

    /// Notes that messages at or after `position` are free again.
    pub(crate) fn lower(&mut self, position: Position) {
        if let Some(seq) = self.by_rank.get_mut(&position.rank) {
            *seq = position.seq.min(*seq);
        }
    }
}

/// Plans a claim from the very beginning.
pub(crate) fn sweep() -> Plan {
    Plan {
        spans: vec![EVERYTHING],
        is_sweep: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(rank: i16, seq: i64) -> Position {
        Position { rank, seq }
    }

    fn learned(claimed: &[Position]) -> (Floors, Instant) {
        let now = Instant::now();
        let mut floors = Floors::new();
        floors.learn(true, claimed.iter().copied(), now, Duration::ZERO);
        (floors, now)
    }

    #[track_caller]
    fn check_spans(floors: &Floors, now: Instant, expected: &[(Position, i32)]) {
        let spans: Vec<_> = floors
            .plan(now)
            .spans
            .iter()
            .map(|span| (span.from, span.until))
            .collect();
        assert_eq!(spans, expected);
    }

    #[test]
    fn a_claim_begins_at_the_floor_of_each_priority_and_looks_into_every_gap() {
        let (floors, now) = learned(&[at(-5, 70), at(-5, 71), at(0, 20), at(0, 30)]);

        check_spans(
            &floors,
            now,
            &[(EVERYTHING.from, -5), (at(-5, 70), 0), (at(0, 20), 32768)],
        );
    }

    #[test]
    fn a_sweep_is_due_after_half_a_second_or_fifty_times_its_cost() {
        let (mut floors, now) = learned(&[at(0, 20)]);
        assert!(!floors.plan(now + Duration::from_millis(499)).is_sweep);
        assert!(floors.plan(now + Duration::from_millis(500)).is_sweep);

        floors.learn(true, [].into_iter(), now, Duration::from_millis(100));
        assert!(!floors.plan(now + Duration::from_millis(4999)).is_sweep);
        assert!(floors.plan(now + Duration::from_millis(5000)).is_sweep);
    }

    #[test]
    fn a_worker_that_found_nothing_may_sweep_when_the_last_sweep_is_paid_for() {
        let (mut floors, now) = learned(&[at(0, 20)]);
        assert_eq!(floors.until_sweep(now), Duration::ZERO);

        floors.learn(true, [].into_iter(), now, Duration::from_millis(2));
        let later = now + Duration::from_millis(40);
        assert_eq!(floors.until_sweep(later), Duration::from_millis(60));
        assert_eq!(
            floors.until_sweep(now + Duration::from_millis(100)),
            Duration::ZERO
        );
    }

    #[test]
    fn a_message_that_comes_back_lowers_the_floor() {
        let (mut floors, now) = learned(&[at(0, 20)]);
        floors.lower(at(0, 7));
        floors.lower(at(3, 1));
        check_spans(&floors, now, &[(EVERYTHING.from, 0), (at(0, 7), 32768)]);
    }

    #[test]
    fn too_many_priorities_have_no_floors_and_the_most_urgent_one_has_no_gap_before_it() {
        let many: Vec<Position> = (0..20).map(|rank| at(rank, 1)).collect();
        let (floors, now) = learned(&many);
        assert!(floors.plan(now).is_sweep);

        let (floors, now) = learned(&[at(i16::MIN, 9)]);
        check_spans(&floors, now, &[(at(i16::MIN, 9), 32768)]);
    }
}
