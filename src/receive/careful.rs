//! Careful deliveries on suspect topics: noted before the handlers run, in a separate transaction,
//! so that the note outlives the process.
//!
//! What a worker has in hand is one row of its own, written anew for each transaction and emptied
//! by its commit. If its process dies, the row says what was in hand then, and each message in it
//! is counted. So a batch costs one note, whatever its size, and the living and the dead cannot be
//! mixed up: no worker ever counts for another.
//!
//! When a process dies, everything that it had in hand is affected, and one of those messages
//! caused it. Bystanders must not suffer, and the culprit must be found:
//!
//! - A message that saw no death goes with others in batches, beside whatever else is in work.
//! - A message that saw one death goes alone in its transaction, and its process runs no other such
//!   message beside it. Messages that saw none flow on, so a slow bystander holds up no others.
//! - A message that saw two deaths, or has no attempt left to lose by mistake, runs with no other
//!   careful delivery of its process beside it. If that process dies again, there is no doubt.
//!   Hardly any but the culprits get here.
//! - Only a message that was alone in one of its deaths is charged with them. A message that was
//!   never alone is charged with none, however often it was near.
//!
//! So a message that kills reaches its limit: its deaths are counted each time, and at the second,
//! or before the last, it is alone. No worker waits for another with a transaction open: a worker
//! that may not start what it claimed takes other messages, or lets go of all and comes back.

use crate::connect::connection::Connection;
use crate::crashes::attempt::{self, Deaths, Liveness};
use crate::crashes::presence;
use crate::crashes::round::end_if_over;
use crate::db::flight::Flight;
use crate::db::run::Run;
use crate::message::claimed::Claimed;
use crate::receive::claim::{self, Taken};
use crate::receive::decide::refuse;
use crate::receive::line::Line;
use crate::receive::options::Terms;
use crate::receive::state::State;
use crate::session::handler_session::HandlerSession;
use crate::threads::cost::Cost;
use crate::words::Result;
use crate::words::message::MessageId;
use crate::words::position::Position;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// How soon a worker comes back that may not begin what it found.
pub(crate) const COME_BACK: Duration = Duration::from_millis(50);
/// How long others hold back for a message that has to be alone, after the last worker met it.
/// Whoever met it comes back much sooner; it may have gone to another process.
const HOLD_BACK: Duration = Duration::from_secs(1);
/// The most messages that a claim looks at for some that may begin.
const FURTHEST_LOOK: usize = 4096;
/// The part of the time that is spent on asking whether the suspicion is over: one in so many.
const ASK_SHARE: u32 = 50;
/// How often that is asked at most.
const ASK_EVERY: Duration = Duration::from_millis(50);

/// The careful deliveries of a process.
#[derive(Debug, Default)]
pub(crate) struct Quarantine(Mutex<Inside>);

#[derive(Debug, Default)]
struct Inside {
    /// Deliveries of messages that saw no death.
    others: usize,
    /// One that saw a death.
    is_docked: bool,
    /// One that tolerates no other.
    is_alone: bool,
    /// Until when nothing begins, for one that has to be alone.
    held_back_until: Option<Instant>,
}

/// How a careful delivery runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    BesideOthers,
    Docked,
    Alone,
}

/// The right to a careful delivery; ends when it is dropped.
pub(crate) struct Pass<'a> {
    quarantine: &'a Quarantine,
    way: Way,
}

impl Pass<'_> {
    /// Returns whether no other careful delivery runs beside it.
    pub(crate) fn is_alone(&self) -> bool {
        self.way == Way::Alone
    }
}

impl Quarantine {
    /// Lets a delivery begin, if it may now.
    fn admit(&self, way: Way, now: Instant) -> Option<Pass<'_>> {
        let mut inside = self.lock();
        let is_held_back = inside.held_back_until.is_some_and(|until| now < until);
        let is_free = match way {
            Way::BesideOthers => !inside.is_alone && !is_held_back,
            Way::Docked => !inside.is_alone && !is_held_back && !inside.is_docked,
            Way::Alone => !inside.is_alone && !inside.is_docked && inside.others == 0,
        };
        if !is_free {
            if way == Way::Alone {
                inside.held_back_until = now.checked_add(HOLD_BACK);
            }
            return None;
        }
        match way {
            Way::BesideOthers => inside.others += 1,
            Way::Docked => inside.is_docked = true,
            Way::Alone => {
                inside.is_alone = true;
                inside.held_back_until = None;
            }
        }
        Some(Pass {
            quarantine: self,
            way,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        let mut inside = self.quarantine.lock();
        match self.way {
            Way::BesideOthers => inside.others -= 1,
            Way::Docked => inside.is_docked = false,
            Way::Alone => inside.is_alone = false,
        }
    }
}

/// Chooses from what was claimed what may begin now, `most` at most, and returns the right to it.
/// The rest is free again with the transaction. None, with nothing left: none of it may begin.
pub(crate) fn choose<'a>(
    line: &'a Line,
    session: &mut HandlerSession<'_>,
    taken: &mut Taken,
    me: i64,
    most: usize,
) -> Result<Option<Pass<'a>>> {
    let ids: Vec<Uuid> = taken
        .messages
        .iter()
        .map(|message| message.held.id.0)
        .collect();
    let settings = line.base.dedicated.settings();
    let liveness = Liveness {
        namespace: settings.schema.lock_namespace(),
        unseen_s: presence::UNSEEN_S,
    };
    let open = session.open()?;
    taken.deaths = attempt::deaths(open, &line.topic, &ids, me, liveness)?;
    let terms = line.terms();
    let sorted = Sorted::of(std::mem::take(&mut taken.messages), &taken.deaths, &terms);
    let (pass, chosen, left) = sorted.admit(&line.base.quarantine, &terms, &taken.deaths, most);
    // Free again with the end of the transaction; the floor must not hide it.
    claim::lower(&line.floors, left);
    taken.messages = chosen;
    Ok(pass)
}

/// What was claimed, by what may be done with it.
struct Sorted {
    /// Their handlers do not run any more.
    over: Vec<Claimed>,
    /// They saw no death.
    others: Vec<Claimed>,
    /// They saw one.
    near: Vec<Claimed>,
}

impl Sorted {
    fn of(messages: Vec<Claimed>, deaths: &HashMap<MessageId, Deaths>, terms: &Terms) -> Self {
        let mut sorted = Sorted {
            over: Vec::new(),
            others: Vec::new(),
            near: Vec::new(),
        };
        for message in messages {
            let deaths = deaths.get(&message.held.id);
            let own = deaths.map_or(0, |deaths| deaths.own());
            match (is_over(&message, own, terms), deaths) {
                (true, _) => sorted.over.push(message),
                (false, None) => sorted.others.push(message),
                (false, Some(_)) => sorted.near.push(message),
            }
        }
        sorted
    }

    /// Returns the right to what may begin, that and what is over, and the places of the rest. In
    /// the order of the claim as far as that may be.
    fn admit<'a>(
        mut self,
        quarantine: &'a Quarantine,
        terms: &Terms,
        deaths: &HashMap<MessageId, Deaths>,
        most: usize,
    ) -> (Option<Pass<'a>>, Vec<Claimed>, Vec<Position>) {
        let now = Instant::now();
        let place = |messages: &[Claimed]| messages.first().map(|message| message.held.position);
        let is_near_first = match (place(&self.near), place(&self.others)) {
            (Some(near), Some(others)) => near < others,
            (near, _) => near.is_some(),
        };
        let way = self.near.first().map(|message| {
            let seen = deaths.get(&message.held.id).copied().unwrap_or_default();
            way(message, seen, terms)
        });
        let dock = |way: Option<Way>| way.and_then(|way| quarantine.admit(way, now));
        let mut chosen = self.over;
        let mut pass = if is_near_first { dock(way) } else { None };
        if pass.is_some() {
            chosen.push(self.near.remove(0));
        } else if !self.others.is_empty() {
            pass = quarantine.admit(Way::BesideOthers, now);
            if pass.is_some() {
                let count = self.others.len().min(most);
                chosen.extend(self.others.drain(..count));
            }
        }
        if pass.is_none() && !is_near_first && !self.near.is_empty() {
            pass = dock(way);
            if pass.is_some() {
                chosen.push(self.near.remove(0));
            }
        }
        let left = self.others.iter().chain(&self.near);
        let left = left.map(|message| message.held.position).collect();
        (pass, chosen, left)
    }
}

/// Returns whether a message's handler does not run any more.
pub(crate) fn is_over(message: &Claimed, crashes: u32, terms: &Terms) -> bool {
    refuse(message, message.attempts + crashes, crashes, terms).is_some()
}

fn way(message: &Claimed, seen: Deaths, terms: &Terms) -> Way {
    // The next death counts, and may be the last.
    let is_last = message.attempts + seen.count + 1 >= terms.max_attempts;
    match seen.count {
        0 => Way::Docked,
        1 if !is_last => Way::Docked,
        _ => Way::Alone,
    }
}

/// Appends the end of what was noted: that nothing is in hand any more, and that these messages,
/// which saw a death, ended.
pub(crate) fn push_close(line: &Line, state: &State<'_>, flight: &mut Flight, counted: &[Uuid]) {
    if let Some(holder) = line.holder(state.worker).filter(|_| state.has_noted) {
        attempt::push_empty_hand(flight, &line.topic, holder);
    }
    if !counted.is_empty() {
        attempt::push_forget(flight, &line.topic, counted);
    }
}

/// Takes back what a worker noted for a transaction that ended in a rollback, or began nothing.
pub(crate) fn let_go(line: &Line, run: &mut dyn Run, state: &mut State<'_>) -> Result<()> {
    if let Some(holder) = line.holder(state.worker).filter(|_| state.has_noted) {
        attempt::empty_hand(run, &line.topic, holder)?;
        state.has_noted = false;
    }
    Ok(())
}

/// Returns how far to look the next time, having found nothing that may begin among `looked_at`
/// messages.
pub(crate) fn look_further(looked_at: usize) -> usize {
    looked_at.saturating_mul(4).clamp(64, FURTHEST_LOOK)
}

/// When the end of a suspicion is asked for.
#[derive(Debug, Default)]
pub(crate) struct Asking(Mutex<NextAsk>);

#[derive(Debug, Default)]
struct NextAsk {
    next: Option<Instant>,
    cost: Cost,
}

impl Asking {
    fn lock(&self) -> MutexGuard<'_, NextAsk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns whether a worker that takes care, or does not, has to turn around before it claims
/// again: since it should not, or should, from now on, or since it is time to ask for the end of
/// the suspicion.
pub(crate) fn has_to_turn(line: &Line, is_careful: bool) -> bool {
    let is_suspect = line.station.is_suspect();
    let is_time = || {
        line.asking
            .lock()
            .next
            .is_none_or(|at| Instant::now() >= at)
    };
    is_suspect != is_careful || (is_suspect && is_time())
}

/// Ends the suspicion of the line's topic if it is time to ask, and all that may have been in hand
/// has ended.
pub(crate) fn ask_for_the_end(line: &Line, connection: &mut Connection) -> Result<()> {
    let started = Instant::now();
    {
        let mut asking = line.asking.lock();
        if asking.next.is_some_and(|at| started < at) {
            return Ok(());
        }
        asking.next = started.checked_add(ASK_EVERY);
    }
    end_if_over(connection, &line.base.waker, &line.topic)?;
    let mut asking = line.asking.lock();
    let pause = (asking.cost.learn(started.elapsed()) * ASK_SHARE).max(ASK_EVERY);
    asking.next = Instant::now().checked_add(pause);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_saw_a_death_tolerates_others_and_none_of_its_kind() {
        let quarantine = Quarantine::default();
        let now = Instant::now();
        let other = quarantine.admit(Way::BesideOthers, now);
        let near = quarantine.admit(Way::Docked, now);
        assert!(other.is_some() && near.is_some());
        assert!(quarantine.admit(Way::Docked, now).is_none());
        assert!(quarantine.admit(Way::BesideOthers, now).is_some());
        drop(near);
        assert!(quarantine.admit(Way::Docked, now).is_some());
    }

    #[test]
    fn one_that_has_to_be_alone_waits_for_the_others_and_they_for_it() {
        let quarantine = Quarantine::default();
        let now = Instant::now();
        let other = quarantine.admit(Way::BesideOthers, now);
        assert!(quarantine.admit(Way::Alone, now).is_none());
        assert!(
            quarantine.admit(Way::BesideOthers, now).is_none(),
            "held back"
        );
        assert!(
            quarantine
                .admit(Way::BesideOthers, now + HOLD_BACK)
                .is_some(),
            "not for ever"
        );

        drop(other);
        let alone = quarantine.admit(Way::Alone, now);
        assert!(alone.as_ref().is_some_and(Pass::is_alone));
        for way in [Way::BesideOthers, Way::Docked, Way::Alone] {
            assert!(quarantine.admit(way, now).is_none());
        }
        drop(alone);
        // The last one that was refused has to be alone, too, and is waited for.
        assert!(quarantine.admit(Way::BesideOthers, now).is_none());
        let later = now + HOLD_BACK;
        assert!(quarantine.admit(Way::BesideOthers, later).is_some());
    }
}
