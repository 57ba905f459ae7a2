//! Moves the lines of keys on that were left behind when a message ended, and checks now and then
//! whether a key is stuck.

use crate::keys::Lane;
use crate::keys::stalled::{self, IfHeld, Parked, Parking};
use crate::threads::cost::Cost;
use crate::wake::round::{Polled, Round, Work};
use crate::words::Result;
use std::time::{Duration, Instant};

/// The least time between two looks: keys that are stalled one after the other go together.
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);
/// Looks take at most one part in this many of the time: 5 %. Only while messages with keys end.
const LOOK_SHARE: u32 = 20;
/// How long a key is left alone at most whose lane a sender holds. Doubled each time up to here:
/// its transaction may stay open for hours.
const MOST_WHILE_HELD: Duration = Duration::from_millis(500);
/// How often it is made sure that no key is stuck. None should ever be. A sweep goes over some keys
/// at a time: other rounds are not to wait for it.
const SWEEP_INTERVAL: Duration = Duration::from_secs(30);
/// Sweeps take at most one part in this many of the time: 1 %.
const SWEEP_SHARE: u32 = 100;

/// When to look next.
#[derive(Debug)]
pub(crate) struct Stalled {
    parked: Parked,
    next: Option<Instant>,
    not_before: Instant,
    look_cost: Cost,
    sweep_cost: Cost,
    while_held: Duration,
    /// How far the look has come over the stalled keys, of which it takes some at a time.
    place: Lane,
    /// Stalled keys of this look whose lanes others hold.
    held: usize,
    /// Others were said to be stalled since this look began, maybe where it has been.
    is_told: bool,
    sweep_at: Instant,
    swept: Lane,
}

impl Stalled {
    pub(crate) fn new(parked: Parked) -> Self {
        let now = Instant::now();
        Stalled {
            parked,
            next: None,
            not_before: now,
            look_cost: Cost::default(),
            sweep_cost: Cost::default(),
            while_held: BETWEEN_LOOKS,
            place: Lane::default(),
            held: 0,
            is_told: false,
            swept: Lane::default(),
            sweep_at: now + SWEEP_INTERVAL,
        }
    }

    /// Sweeps over some keys; returns whether there are stalled ones to look at, found or told of.
    fn sweep(&mut self, work: &mut Work<'_>, started: Instant) -> Result<bool> {
        let (found, next) = stalled::sweep(work.connection, &self.swept)?;
        let interval = match next {
            Some(_) => Duration::ZERO,
            None => SWEEP_INTERVAL,
        };
        let cost = self.sweep_cost.learn(started.elapsed());
        self.sweep_at = Instant::now() + interval.max(cost * SWEEP_SHARE);
        self.swept = next.unwrap_or_default();
        Ok(found > 0 || self.next.is_some_and(|at| at <= started))
    }

    /// Learns that keys may be stalled.
    pub(crate) fn learn(&mut self) {
        self.is_told = true;
        let soon = self.not_before.max(Instant::now());
        self.next = Some(self.next.map_or(soon, |next| next.min(soon)));
    }
}

impl Round for Stalled {
    fn at(&self) -> Option<Instant> {
        let next = self.next.into_iter();
        next.chain([self.sweep_at]).min()
    }

    fn run(&mut self, work: &mut Work<'_>) -> Result<()> {
        let started = Instant::now();
        if self.sweep_at <= started && !self.sweep(work, started)? {
            return Ok(());
        }
        if self.place == Lane::default() {
            self.is_told = false;
        }
        let if_held = match self.while_held < MOST_WHILE_HELD {
            true => IfHeld::PassOver,
            // It is held for long, or one sender comes after the other: without a turn between them
            // what says that the key is stalled would become ever more.
            false => IfHeld::Await,
        };
        let parking = Parking {
            push: self.parked,
            observers: &work.waker.observers,
        };
        let tended = stalled::tend(work.connection, &self.place, if_held, parking)?;
        let now = Instant::now();
        for (topic, keys) in &tended.topics {
            work.waker.ready(topic, *keys);
        }
        let cost = self.look_cost.learn(now - started);
        self.not_before = now + BETWEEN_LOOKS.max(cost * LOOK_SHARE);
        self.next = None;
        self.held += tended.held;
        let is_over = tended.next.is_none();
        self.place = tended.next.unwrap_or_default();
        if !is_over {
            self.not_before = now;
            self.next = Some(now);
        } else if std::mem::take(&mut self.held) > 0 {
            self.next = Some(now + self.while_held);
            self.while_held = (self.while_held * 2).min(MOST_WHILE_HELD);
        } else {
            self.while_held = BETWEEN_LOOKS;
            self.next = self.is_told.then_some(self.not_before);
        }
        Ok(())
    }

    fn polled(&mut self, polled: &Polled, _: &mut Work<'_>) -> Result<()> {
        if polled.has_stalled {
            self.learn();
        }
        Ok(())
    }
}
