//! Where a claim begins to look: at the head, at the floor, or at the very beginning.
//!
//! A walk of the claim index from its start meets two kinds of entries that a claim does not want.
//! Messages that were deleted, but that vacuum cannot remove yet because an old transaction might
//! still see them (behind 300,000 of them a claim takes 61 ms). And messages that other workers
//! hold (4,000 with 64 workers: 6 ms). So each receiver remembers, for each priority of its topic:
//!
//! - the *head*: the first position that none of its workers has claimed. While claims come back
//!   full there is a backlog, and claims begin here, past everything that the other workers hold.
//! - the *floor*: the first position that the last claim from the floor got. Claims begin here when
//!   there is no backlog, and now and then when there is.
//!
//! Both are hints in memory. Messages can lie below them: because their transaction committed late,
//! a worker that held them died, or the message before them of their key ended while others held
//! its lane (then looks at the floor begin past that one for a while). What a head hides, the next
//! look at the floor finds. What a floor hides, a sweep finds: a claim that begins at the very
//! beginning and trusts no hint, as a garbage collector's sweep does.
//! A worker concludes that there is nothing to do only after a sweep. Look-backs and sweeps cost
//! what head and floor save, so they are limited to 5 % and 1 % of the time; a worker whose sweep
//! is not allowed yet parks, and comes back when it is. So a message can be delayed, but never
//! lost. Every claim looks into the gaps between the known priorities from their beginnings, so a
//! more urgent message waits for neither.

use crate::message::claimed::{EVERYTHING, Span};
use crate::threads::cost::Cost;
use crate::words::ClaimPlace;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The least time between two sweeps, and so what a message below the floor waits at most while
/// others keep the workers busy (unless sweeps are slow).
const SWEEP_INTERVAL: Duration = Duration::from_millis(500);
/// Sweeps take at most one part in this many of the time: 1 %, so that no more than that share of
/// the messages meets one (with 2 % and 140,000 dead rows the 99th percentile of their waits
/// doubled).
const SWEEP_SHARE: u32 = 100;
/// The longest time between two sweeps: what a late commit waits at most. What took so long that 1
/// % is less than that was mostly no walk over rows, but the wait for a lock or for a processor.
const LONGEST_UNSWEPT: Duration = Duration::from_secs(5);
/// The least time between two looks at the floor during a backlog.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);
/// The same while the next of a key is awaited: it is one of a line, and each of them has to be
/// found.
const AWAITING_LOOK_INTERVAL: Duration = Duration::from_millis(1);
/// And the most: there is not much between what was handled within a second and where claims begin.
const LONGEST_AWAITING: Duration = Duration::from_millis(50);
/// What they take beyond a claim from the head is at most one part in this many of the time: 5 %.
const LOOK_SHARE: u32 = 20;
/// How long at least the next of a key is awaited that somebody else makes ready; twice that at
/// most. A sender does within milliseconds, unless its transaction stays open for long; then a
/// sweep finds it.
const AWAIT_INTERVAL: Duration = Duration::from_millis(500);
/// Priorities that are remembered at a time. More would make the claim itself long; then there are
/// none.
const MAX_RANKS: usize = 16;

/// What one receiver remembers of its topic.
#[derive(Debug)]
pub(crate) struct Floors {
    by_rank: BTreeMap<i16, Bounds>,
    awaited: Awaited,
    /// Whether the last claim got as much as it asked for.
    is_backlog: bool,
    look: TimeShare,
    /// What a claim from the head took lately, with all that shares its flight.
    head_took: Duration,
    sweep: TimeShare,
    /// Until when some worker is going to come back for a sweep that would have been too early, if
    /// one is.
    owed_until: Option<Instant>,
    /// How many sweeps there were.
    sweeps: u64,
}

#[derive(Debug, Clone, Copy)]
struct Bounds {
    floor: i64,
    head: i64,
}

/// The first places past which the next of a key may become ready: of the last half second or so,
/// and of the one before.
#[derive(Debug, Clone, Copy)]
struct Awaited {
    lately: i64,
    before: i64,
    since: Instant,
}

impl Awaited {
    fn nothing(now: Instant) -> Self {
        Awaited {
            lately: i64::MAX,
            before: i64::MAX,
            since: now,
        }
    }

    /// Forgets what is over.
    fn age(&mut self, now: Instant) {
        while now.saturating_duration_since(self.since) >= AWAIT_INTERVAL && self.first() < i64::MAX
        {
            self.before = std::mem::replace(&mut self.lately, i64::MAX);
            self.since += AWAIT_INTERVAL;
        }
    }

    fn first(&self) -> i64 {
        self.lately.min(self.before)
    }
}

/// A step that may take only a share of the time: when it last ran, and what it costs.
#[derive(Debug)]
struct TimeShare {
    at: Instant,
    cost: Cost,
}

impl TimeShare {
    fn note(&mut self, now: Instant, took: Duration) {
        self.at = now;
        self.cost.learn(took);
    }

    /// Returns how long to wait for the next time: so long after the last at `least`, and until
    /// that is no more than one part in `share` of the time, `most` at most.
    fn until_next(&self, least: Duration, share: u32, most: Duration, now: Instant) -> Duration {
        let pause = self.cost.get().saturating_mul(share).min(most).max(least);
        (self.at + pause).saturating_duration_since(now)
    }
}

/// Where a claim begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Start {
    Head,
    Floor,
    Everything,
}

/// A claim as it was planned, to be handed back with its result.
#[derive(Debug)]
pub(crate) struct ClaimPlan {
    pub(crate) spans: Vec<Span>,
    pub(crate) start: Start,
}

impl Floors {
    pub(crate) fn new() -> Self {
        let never = || TimeShare {
            at: Instant::now(),
            cost: Cost::default(),
        };
        Floors {
            by_rank: BTreeMap::new(),
            awaited: Awaited::nothing(Instant::now()),
            is_backlog: false,
            look: never(),
            head_took: Duration::ZERO,
            sweep: never(),
            owed_until: None,
            sweeps: 0,
        }
    }

    /// Returns how many sweeps there were.
    pub(crate) fn sweeps(&self) -> u64 {
        self.sweeps
    }

    /// Plans the next claim. One that looks further back than it must counts at once, so that not
    /// all workers do so together.
    pub(crate) fn plan(&mut self, now: Instant) -> ClaimPlan {
        self.awaited.age(now);
        if self.by_rank.is_empty() || self.is_sweep_due(now) {
            self.sweep.at = now;
            return sweep();
        }
        let (least, most) = match self.awaited.first() {
            i64::MAX => (LOOK_INTERVAL, SWEEP_INTERVAL),
            _ => (AWAITING_LOOK_INTERVAL, LONGEST_AWAITING),
        };
        let until_look = self.look.until_next(least, LOOK_SHARE, most, now);
        if !self.is_backlog || until_look.is_zero() {
            self.look.at = now;
            return self.look_back();
        }
        self.starting(Start::Head, |mark| mark.head)
    }

    /// Returns whether the next claim is to be a sweep, which needs a flight of its own: what
    /// shares it would seem to be its cost, and a COMMIT may wait for a disk or for somebody's
    /// lock.
    pub(crate) fn is_sweep_due(&self, now: Instant) -> bool {
        self.until_sweep(SWEEP_INTERVAL, now).is_zero()
    }

    fn until_sweep(&self, least: Duration, now: Instant) -> Duration {
        self.sweep
            .until_next(least, SWEEP_SHARE, LONGEST_UNSWEPT, now)
    }

    /// Plans a claim from the floors.
    pub(crate) fn look_back(&self) -> ClaimPlan {
        let awaited = self.awaited.first();
        self.starting(Start::Floor, |mark| mark.floor.min(awaited))
    }

    fn starting(&self, start: Start, first: impl Fn(&Bounds) -> i64) -> ClaimPlan {
        let mut spans = Vec::with_capacity(self.by_rank.len() + 1);
        let mut from = EVERYTHING.from;
        for (&rank, mark) in &self.by_rank {
            let until = i32::from(rank);
            if i32::from(from.rank) < until {
                spans.push(Span { from, until });
            }
            let seq = first(mark);
            from = ClaimPlace { rank, seq };
        }
        let until = EVERYTHING.until;
        spans.push(Span { from, until });
        ClaimPlan { spans, start }
    }

    /// Learns from what a claim returned, in claim order, and whether it was as much as it asked
    /// for.
    pub(crate) fn learn(
        &mut self,
        start: Start,
        claimed: impl Iterator<Item = ClaimPlace>,
        is_full: bool,
        now: Instant,
        took: Duration,
    ) {
        self.is_backlog = is_full;
        let mut last = None;
        for ClaimPlace { rank, seq } in claimed {
            let mark = self.by_rank.entry(rank).or_insert(Bounds {
                floor: seq,
                head: seq,
            });
            if last != Some(rank) && start > Start::Head {
                mark.floor = seq;
            }
            mark.head = mark.head.max(seq.saturating_add(1));
            last = Some(rank);
        }
        if self.by_rank.len() > MAX_RANKS {
            self.by_rank.clear();
        }
        match start {
            Start::Head => self.head_took = took,
            Start::Floor => self.look.note(now, took.saturating_sub(self.head_took)),
            Start::Everything => {
                self.sweep.note(now, took);
                self.owed_until = None;
                self.sweeps += 1;
            }
        }
    }

    /// Plans a sweep for a worker that found nothing above the floors. It counts at once, so that
    /// one worker sweeps and not all of them.
    ///
    /// # Errors
    /// How long it has to wait before it may sweep.
    pub(crate) fn plan_sweep(&mut self, now: Instant) -> Result<ClaimPlan, Duration> {
        let too_early = self.until_sweep(Duration::ZERO, now);
        if !too_early.is_zero() {
            return Err(too_early);
        }
        self.sweep.at = now;
        Ok(sweep())
    }

    /// Notes that a sweep is owed after `wait`; returns whether it is up to the caller. Whoever
    /// owed it and did not come in time may be in a long handler, or have been held up by a limit
    /// or a pause.
    pub(crate) fn owe_sweep(&mut self, wait: Duration, now: Instant) -> bool {
        if self.owed_until.is_some_and(|until| now <= until) {
            return false;
        }
        self.owed_until = now.checked_add(wait);
        true
    }

    /// Notes that the next of a key may become ready anywhere past `seq`, of whichever priority.
    pub(crate) fn await_next(&mut self, seq: i64, now: Instant) {
        if self.awaited.first() == i64::MAX {
            self.awaited = Awaited::nothing(now);
        }
        self.awaited.age(now);
        self.awaited.lately = self.awaited.lately.min(seq);
    }

    /// Forgets everything: a transaction failed, and what it held is free again.
    pub(crate) fn forget(&mut self) {
        self.by_rank.clear();
    }

    /// Notes that messages at or after `position` are free again.
    pub(crate) fn lower(&mut self, position: ClaimPlace) {
        if let Some(mark) = self.by_rank.get_mut(&position.rank) {
            mark.floor = mark.floor.min(position.seq);
            mark.head = mark.head.min(position.seq);
        }
    }
}

/// A claim from the very beginning.
pub(crate) fn sweep() -> ClaimPlan {
    ClaimPlan {
        spans: vec![EVERYTHING],
        start: Start::Everything,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(rank: i16, seq: i64) -> ClaimPlace {
        ClaimPlace { rank, seq }
    }

    fn learned(claimed: &[ClaimPlace], is_full: bool) -> (Floors, Instant) {
        let now = Instant::now();
        let mut floors = Floors::new();
        let claimed = claimed.iter().copied();
        floors.learn(Start::Everything, claimed, is_full, now, Duration::ZERO);
        (floors, now)
    }

    #[track_caller]
    fn check(plan: &ClaimPlan, start: Start, expected: &[(ClaimPlace, i32)]) {
        let spans: Vec<_> = plan
            .spans
            .iter()
            .map(|span| (span.from, span.until))
            .collect();
        assert_eq!((plan.start, spans.as_slice()), (start, expected));
    }

    #[test]
    fn a_claim_begins_at_the_floor_of_each_priority_and_looks_into_every_gap() {
        let (mut floors, now) = learned(&[at(-5, 70), at(-5, 71), at(0, 20), at(0, 30)], false);

        check(
            &floors.plan(now),
            Start::Floor,
            &[(EVERYTHING.from, -5), (at(-5, 70), 0), (at(0, 20), 32768)],
        );
    }

    #[test]
    fn during_a_backlog_claims_begin_past_what_others_claimed() {
        let (mut floors, now) = learned(&[at(0, 20), at(0, 30)], true);
        floors.look.at = now;
        check(
            &floors.plan(now),
            Start::Head,
            &[(EVERYTHING.from, 0), (at(0, 31), 32768)],
        );

        floors.learn(
            Start::Head,
            [at(0, 31)].into_iter(),
            false,
            now,
            Duration::ZERO,
        );
        check(
            &floors.plan(now),
            Start::Floor,
            &[(EVERYTHING.from, 0), (at(0, 20), 32768)],
        );
    }

    #[test]
    fn a_backlog_has_looks_back_each_ten_milliseconds_or_twenty_times_their_cost() {
        let (mut floors, now) = learned(&[at(0, 20)], true);
        let start = |floors: &mut Floors, ms| floors.plan(now + Duration::from_millis(ms)).start;
        floors.look.at = now;
        assert_eq!(start(&mut floors, 9), Start::Head);
        assert_eq!(start(&mut floors, 10), Start::Floor);
        assert_eq!(start(&mut floors, 10), Start::Head);

        floors.learn(
            Start::Floor,
            [].into_iter(),
            true,
            now,
            Duration::from_millis(3),
        );
        assert_eq!(start(&mut floors, 59), Start::Head);
        assert_eq!(start(&mut floors, 60), Start::Floor);
    }

    #[test]
    fn a_sweep_is_due_after_half_a_second_or_a_hundred_times_its_cost_but_within_five() {
        let (mut floors, now) = learned(&[at(0, 20)], false);
        let start = |floors: &mut Floors, ms| floors.plan(now + Duration::from_millis(ms)).start;
        assert_eq!(start(&mut floors, 499), Start::Floor);
        assert_eq!(start(&mut floors, 500), Start::Everything);
        assert_eq!(start(&mut floors, 500), Start::Floor);

        let swept = |floors: &mut Floors, cost| {
            floors.learn(Start::Everything, [].into_iter(), false, now, cost);
        };
        for _ in 0..3 {
            swept(&mut floors, Duration::from_millis(40));
        }
        assert_eq!(start(&mut floors, 3999), Start::Floor);
        assert_eq!(start(&mut floors, 4000), Start::Everything);

        swept(&mut floors, Duration::from_secs(20));
        assert_eq!(start(&mut floors, 4999), Start::Floor);
        assert_eq!(start(&mut floors, 5000), Start::Everything);
    }

    #[test]
    fn a_worker_that_found_nothing_may_sweep_when_the_last_sweep_is_paid_for() {
        let (mut floors, now) = learned(&[at(0, 20)], false);
        assert!(floors.plan_sweep(now).is_ok());

        let cost = Duration::from_millis(2);
        floors.learn(Start::Everything, [].into_iter(), false, now, cost);
        let later = now + Duration::from_millis(40);
        let too_early = floors.plan_sweep(later).err();
        assert_eq!(too_early, Some(Duration::from_millis(160)));
        let later = now + Duration::from_millis(200);
        assert!(floors.plan_sweep(later).is_ok());
        assert!(floors.plan_sweep(later).is_err(), "one is on its way");
    }

    #[test]
    fn one_worker_owes_a_sweep_until_it_should_have_come() {
        let (mut floors, now) = learned(&[at(0, 20)], false);
        let wait = Duration::from_millis(160);
        assert!(floors.owe_sweep(wait, now));
        assert!(!floors.owe_sweep(wait, now));
        assert!(!floors.owe_sweep(Duration::ZERO, now + wait));

        let later = now + wait * 2;
        assert!(floors.owe_sweep(wait, later), "it did not come");
        assert!(!floors.owe_sweep(wait, later));
        floors.learn(Start::Everything, [].into_iter(), false, later, wait);
        assert!(floors.owe_sweep(wait, later), "it swept");
    }

    #[test]
    fn a_message_that_comes_back_lowers_head_and_floor() {
        let (mut floors, now) = learned(&[at(0, 20)], true);
        floors.lower(at(0, 7));
        floors.lower(at(3, 1));
        let expected = [(EVERYTHING.from, 0), (at(0, 7), 32768)];
        check(&floors.look_back(), Start::Floor, &expected);
        floors.look.at = now;
        check(&floors.plan(now), Start::Head, &expected);
    }

    #[test]
    fn what_others_make_ready_past_a_message_that_ended_is_looked_for_from_there_for_a_while() {
        let (mut floors, now) = learned(&[at(-5, 70), at(0, 20)], true);
        floors.await_next(10, now);
        let expected = [(EVERYTHING.from, -5), (at(-5, 10), 0), (at(0, 10), 32768)];
        check(&floors.look_back(), Start::Floor, &expected);

        floors.learn(
            Start::Floor,
            [at(0, 20)].into_iter(),
            true,
            now,
            Duration::ZERO,
        );
        floors.plan(now + AWAIT_INTERVAL);
        check(&floors.look_back(), Start::Floor, &expected);
        floors.plan(now + AWAIT_INTERVAL * 2);
        check(
            &floors.look_back(),
            Start::Floor,
            &[(EVERYTHING.from, -5), (at(-5, 70), 0), (at(0, 20), 32768)],
        );
    }

    #[test]
    fn too_many_priorities_have_no_floors_and_the_most_urgent_one_has_no_gap_before_it() {
        let many: Vec<ClaimPlace> = (0..20).map(|rank| at(rank, 1)).collect();
        let (mut floors, now) = learned(&many, false);
        assert_eq!(floors.plan(now).start, Start::Everything);

        let (mut floors, now) = learned(&[at(i16::MIN, 9)], false);
        check(&floors.plan(now), Start::Floor, &[(at(i16::MIN, 9), 32768)]);
    }
}
