//! Releases messages that come after others, once those have ended.
//!
//! Ends in this process are followed up as soon as they are reported. Ends that were never
//! reported, because a process died between its commit and the report, are found by a sweep: one
//! page of the waiting messages at a time, as long as a poll says that there are any, and for one
//! hundredth of the time.

use crate::connect::connection::Connection;
use crate::dependencies::release;
use crate::dependencies::{Changed, Place};
use crate::observe::fields::told;
use crate::threads::cost::Cost;
use crate::wake::round::{Polled, Round, Work};
use crate::wake::waker::Waker;
use crate::words::{Result, chain};
use crossbeam_channel::after;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// How soon those are looked at again that somebody else has in hand, who may look at other ends;
/// doubled each time.
const WHILE_HELD: Duration = Duration::from_millis(20);
/// How often somebody without the thread looks again, at that pace.
const LOOKS_AGAIN: usize = 3;
const LONGEST: Duration = Duration::from_secs(1);
/// A sweep takes at most one part in this many of the time: 1 %.
const SWEEP_SHARE: u32 = 100;

/// Ends to look at, and how far the sweep is.
#[derive(Debug, Default)]
pub(crate) struct Dependents {
    ended: Vec<Uuid>,
    look_at: Option<Instant>,
    /// How long what somebody has in hand was left alone the last time.
    while_held: Option<Duration>,
    sweep_at: Option<Instant>,
    /// The last one that the sweep looked at.
    place: Place,
    paid_for: Option<Instant>,
    sweep_cost: Cost,
}

impl Dependents {
    /// Learns that messages may have ended.
    pub(crate) fn learn(&mut self, ended: Vec<Uuid>) {
        if !ended.is_empty() {
            self.ended.extend(ended);
            self.look_at = Some(Instant::now());
        }
    }

    /// Has whatever is planned be done by the next run. Returns whether anything is.
    pub(crate) fn hurry(&mut self) -> bool {
        let now = Instant::now();
        let is_any = self.at().is_some();
        for at in [&mut self.look_at, &mut self.sweep_at]
            .into_iter()
            .flatten()
        {
            *at = now;
        }
        is_any
    }

    /// Learns that there are messages that wait.
    pub(crate) fn sweep_soon(&mut self) {
        let now = Instant::now();
        let at = self.paid_for.map_or(now, |paid_for| paid_for.max(now));
        self.sweep_at.get_or_insert(at);
    }

    /// Plans another look at what came after these, if somebody had some of that in hand.
    fn look_again(&mut self, ended: Vec<Uuid>, in_hand: usize) {
        if in_hand == 0 {
            self.while_held = None;
            return;
        }
        let pause = self.while_held.map_or(WHILE_HELD, |pause| pause * 2);
        if pause > LONGEST {
            // By now it is the sweep's: others end meanwhile, and are not to gather here.
            self.while_held = None;
            self.sweep_soon();
            return;
        }
        self.while_held = Some(pause);
        self.ended = ended;
        self.look_at = Some(Instant::now() + pause);
    }
}

impl Round for Dependents {
    fn at(&self) -> Option<Instant> {
        [self.look_at, self.sweep_at].into_iter().flatten().min()
    }

    fn run(&mut self, work: &mut Work<'_>) -> Result<()> {
        let observers = &work.waker.observers;
        let mut looked = Changed::default();
        if self.look_at.is_some_and(|at| at <= Instant::now()) {
            self.look_at = None;
            let ended = std::mem::take(&mut self.ended);
            match release::look(work.connection, observers, &ended) {
                Ok(found) => {
                    self.look_again(ended, found.in_hand);
                    looked.add(found);
                }
                Err(error) => {
                    // Looked at again by the sweep.
                    self.sweep_soon();
                    return Err(error);
                }
            }
        }
        let now = Instant::now();
        if self.sweep_at.is_some_and(|at| at <= now) {
            let (found, next) = release::sweep(work.connection, observers, &self.place)?;
            let cost = self.sweep_cost.learn(now.elapsed());
            let paid_for = Instant::now() + cost * SWEEP_SHARE;
            self.paid_for = Some(paid_for);
            self.sweep_at = next.is_some().then_some(paid_for);
            self.place = next.unwrap_or_default();
            looked.add(found);
        }
        announce(&looked, work.waker);
        Ok(())
    }

    fn polled(&mut self, polled: &Polled, _: &mut Work<'_>) -> Result<()> {
        if polled.has_dependents {
            self.sweep_soon();
        }
        Ok(())
    }
}

/// Tells of what a look changed: when the first of those that were released is due, and which of
/// those that never will be somebody may wait for.
fn announce(looked: &Changed, waker: &Waker) {
    if let Some(error) = &looked.refused {
        let why = chain(error);
        tracing::warn!(
            error = told(&why),
            "messages that come after others wait on: {why}"
        );
    }
    if let Some(delay) = looked.soonest {
        waker.due_in_all(delay);
    }
    let tracked = looked.tracked_orphans();
    if !tracked.is_empty() {
        waker.ended(&tracked);
    }
}

/// Looks at what comes after messages that may have ended, where no thread may be that does.
/// Whatever fails is found by a sweep.
pub(crate) fn look_now(connection: &mut Connection, waker: &Waker, ended: &[Uuid]) {
    let observers = &waker.observers;
    let mut looked = release::look(connection, observers, ended);
    for _ in 0..LOOKS_AGAIN {
        match &mut looked {
            Ok(looked) if looked.in_hand > 0 => {}
            _ => break,
        }
        // Who has it in hand may look at another end. A plain wait, shorter than what the caller
        // just did.
        let _ = after(WHILE_HELD).recv();
        let again = release::look(connection, observers, ended);
        looked = looked.and_then(|mut looked| {
            looked.in_hand = 0;
            looked.add(again?);
            Ok(looked)
        });
    }
    match looked {
        Ok(looked) => announce(&looked, waker),
        Err(error) => tracing::debug!(
            error = told(&error),
            "messages that come after others are left to a sweep: {error}"
        ),
    }
}

/// Releases messages of all topics that come after others which have ended; returns how many.
pub(crate) fn release_all(work: &mut Work<'_>) -> Result<usize> {
    let mut released = 0;
    let mut place = Some(Place::default());
    while let Some(from) = place {
        let (looked, next) = release::sweep(work.connection, &work.waker.observers, &from)?;
        announce(&looked, work.waker);
        released += looked.released;
        place = next;
    }
    Ok(released)
}
