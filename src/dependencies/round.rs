//! Releases messages that come after others, once those have ended.
//!
//! Ends in this process are followed up as soon as they are reported. Ends that were never
//! reported, because a process died between its commit and the report, are found by a sweep: one
//! page of the waiting messages at a time, as long as a poll says that there are any, and for one
//! hundredth of the time.

use crate::connect::connection::Connection;
use crate::dependencies::release;
use crate::dependencies::{Looked, Place};
use crate::threads::cost::Cost;
use crate::wake::waker::Waker;
use crate::words::Result;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// How soon those are looked at again that somebody else has in hand, who may look at other ends;
/// doubled each time.
const WHILE_HELD: Duration = Duration::from_millis(20);
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
    /// Returns when the duty is to be done.
    pub(crate) fn at(&self) -> Option<Instant> {
        [self.look_at, self.sweep_at].into_iter().flatten().min()
    }

    /// Learns that messages may have ended.
    pub(crate) fn learn(&mut self, ended: Vec<Uuid>) {
        if !ended.is_empty() {
            self.ended.extend(ended);
            self.look_at = Some(Instant::now());
        }
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

    /// Looks. Returns when the first of those that were released is due.
    pub(crate) fn run(
        &mut self,
        connection: &mut Connection,
        waker: &Waker,
    ) -> Result<Option<Duration>> {
        let mut looked = Looked::default();
        if self.look_at.is_some_and(|at| at <= Instant::now()) {
            self.look_at = None;
            let ended = std::mem::take(&mut self.ended);
            match release::look(connection, &ended) {
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
            let (found, next) = release::sweep(connection, &self.place)?;
            let cost = self.sweep_cost.learn(now.elapsed());
            let paid_for = Instant::now() + cost * SWEEP_SHARE;
            self.paid_for = Some(paid_for);
            self.sweep_at = next.is_some().then_some(paid_for);
            self.place = next.unwrap_or_default();
            looked.add(found);
        }
        let tracked = looked.tracked_orphans();
        if !tracked.is_empty() {
            waker.ended(&tracked);
        }
        Ok(looked.soonest)
    }
}
