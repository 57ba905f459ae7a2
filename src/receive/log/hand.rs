//! Processes that die with entries of a log in hand.
//!
//! A place says who has the entries after it in hand, and how many those are at most. It says so
//! before the first handler runs, each move of the place says it anew, and when the lane has been
//! idle for a moment a last move takes it back: two small commits for each busy period, nothing
//! beside the moves in between. So whoever gets the lane finds out how the one before ended.
//!
//! If that one is gone and did not take it back, one of the entries in hand may have killed it.
//! They are handled one by one, each noted as alone in a commit of its own (which is the move of
//! the one before), and with no other careful delivery of the process beside it. If a process dies
//! with such an entry again and again, there is no doubt: the entry is put aside with all its
//! deaths, which go on being counted there as those of any message, or it is given up. So an entry
//! that kills reaches its limit, the others flow, and ordinary batches pay nothing.

use crate::crashes::liveness::free_locks;
use crate::crashes::quarantine::{CarefulWay, Pass};
use crate::db::run::{Run, first, query};
use crate::db::statement::{Statement, sql};
use crate::message::outcome::{Burial, Outcome};
use crate::receive::log::aside::Fate;
use crate::receive::log::lane::LaneHand;
use crate::receive::log::lane_state::LaneState;
use crate::receive::log::reading::LogReading;
use crate::receive::options::Terms;
use crate::words::Result;
use crate::words::outcome::DeadReason;
use std::time::Instant;

static LANE_HOLDER: Statement = sql!("lane_holder", Anew);

/// Deaths of which an entry was alone in all but one, before it is put aside: others kill processes
/// too, and who is put aside loses its place among the entries of other keys.
const LEAST_TO_SET_ASIDE: u32 = 4;
/// The same before it is given up, however few attempts it may have.
const LEAST_TO_GIVE_UP: u32 = 3;

/// How the one ended who had a lane before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Before {
    /// In peace, or it lives.
    Well,
    /// It died with so many entries in hand, at most.
    Died { entries: usize },
    /// It died with one entry in hand, alone, after so many deaths; so many others are to go one by
    /// one after it.
    Killed { deaths: u32, others: usize },
}

/// Returns how the one ended who had the lane before, by what its place says.
pub(crate) fn before(run: &mut dyn Run, reading: &LogReading, hand: &LaneHand) -> Result<Before> {
    let Some(holder) = hand.holder.filter(|holder| Some(*holder) != reading.me()) else {
        return Ok(Before::Well);
    };
    let settings = reading.side.base.dedicated.settings();
    let (topic, namespace) = (&reading.side.topic, settings.schema.lock_namespace());
    let is_dead = is_dead(run, topic, holder, namespace)?;
    Ok(match (is_dead, hand.is_alone) {
        (false, _) => Before::Well,
        (true, false) => Before::Died {
            entries: hand.in_hand.max(1),
        },
        (true, true) => Before::Killed {
            deaths: hand.deaths + 1,
            others: hand.in_hand.saturating_sub(1),
        },
    })
}

/// Returns whether a receiver is gone: it has no row any more, or its lock is free. Of one that
/// holds none nobody knows in time; it counts as gone.
fn is_dead(run: &mut dyn Run, topic: &str, receiver: i64, namespace: i64) -> Result<bool> {
    let doing = "looking who had a lane of a log";
    let rows = query(run, &LANE_HOLDER, &[&topic, &receiver], doing)?;
    let holds_lock: Option<bool> = first(&rows, "holds_lock")?;
    match holds_lock {
        Some(true) => Ok(free_locks(run, namespace, &[receiver])?.contains(&receiver)),
        Some(false) | None => Ok(true),
    }
}

/// The right to handle entries one by one, as long as there are any that have to go so.
#[derive(Default)]
pub(crate) struct Care<'r>(Option<Pass<'r>>);

impl<'r> Care<'r> {
    /// Returns whether the next entries may be handled now.
    pub(crate) fn is_taken(
        &mut self,
        reading: &'r LogReading,
        state: &LaneState,
        now: Instant,
    ) -> bool {
        if state.careful == 0 {
            self.0 = None;
            return true;
        }
        if self.0.is_none() {
            let quarantine = &reading.side.base.quarantine;
            self.0 = quarantine.admit(CarefulWay::Alone, now);
        }
        self.0.is_some()
    }
}

/// Decides about an entry that killed its process so often; `None`: it runs once more in its place.
pub(crate) fn killed(terms: &Terms, deaths: u32) -> Option<Fate> {
    if deaths >= terms.max_attempts.max(LEAST_TO_GIVE_UP) {
        let dead = Outcome::Dead(Burial {
            attempts: deaths,
            reason: DeadReason::Crashed,
            error: format!("the process that worked on it died, {deaths} times at least"),
            took: None,
        });
        return Some(Fate::Failed(dead));
    }
    let delay = terms.backoff.delay(deaths);
    (deaths >= LEAST_TO_SET_ASIDE).then_some(Fate::Killed { deaths, delay })
}
