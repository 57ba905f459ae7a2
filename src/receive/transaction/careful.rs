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

use crate::crashes::attempt::Deaths;
use crate::crashes::quarantine::{CarefulWay, Pass, Quarantine};
use crate::message::claimed::Claimed;
use crate::message::floor::Floors;
use crate::receive::claim::{self, Taken};
use crate::receive::decide::refuse;
use crate::receive::options::Terms;
use crate::threads::mutex::Mutex;
use crate::words::{ClaimPlace, MessageId};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How soon a worker comes back that may not begin the messages that it found.
pub(crate) const COME_BACK: Duration = Duration::from_millis(50);
/// The most messages that a claim reads in search of some that may begin.
const FURTHEST_LOOK: usize = 4096;
/// Keeps only the claimed messages that may begin now, at most `most`, and returns the right to
/// begin them. The others are free again at the end of the transaction. Returns `None`, with no
/// message left, if none may begin.
pub(crate) fn choose<'a>(
    quarantine: &'a Quarantine,
    floors: &Mutex<Floors>,
    terms: &Terms,
    taken: &mut Taken,
    most: usize,
) -> Option<Pass<'a>> {
    let sorted = Sorted::of(std::mem::take(&mut taken.messages), &taken.deaths, terms);
    let (pass, chosen, left) = sorted.admit(quarantine, terms, &taken.deaths, most);
    // Free again with the end of the transaction; the floor must not hide it.
    claim::lower(floors, left);
    taken.messages = chosen;
    pass
}

/// Claimed messages, sorted by the deaths that they saw.
struct Sorted {
    /// Messages whose handlers do not run any more.
    over: Vec<Claimed>,
    /// Messages that saw no death.
    others: Vec<Claimed>,
    /// Messages that saw at least one death.
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

    /// Returns the right to begin messages, the messages that may begin with those that are over,
    /// and the places of the others. Keeps the order of the claim as far as possible.
    fn admit<'a>(
        mut self,
        quarantine: &'a Quarantine,
        terms: &Terms,
        deaths: &HashMap<MessageId, Deaths>,
        most: usize,
    ) -> (Option<Pass<'a>>, Vec<Claimed>, Vec<ClaimPlace>) {
        let now = Instant::now();
        let place = |messages: &[Claimed]| messages.first().map(|message| message.held.position);
        let is_near_first = match (place(&self.near), place(&self.others)) {
            (Some(near), Some(others)) => near < others,
            (near, _) => near.is_some(),
        };
        let way = self.near.first().map(|message| {
            let seen = deaths.get(&message.held.id).copied().unwrap_or_default();
            CarefulWay::of(message.attempts, seen, terms.max_attempts)
        });
        let dock = |way: Option<CarefulWay>| way.and_then(|way| quarantine.admit(way, now));
        let mut chosen = self.over;
        let mut pass = if is_near_first { dock(way) } else { None };
        if pass.is_some() {
            chosen.push(self.near.remove(0));
        } else if !self.others.is_empty() {
            pass = quarantine.admit(CarefulWay::BesideOthers, now);
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

/// Returns how many messages the next claim reads, after none of `looked_at` messages may begin.
pub(crate) fn look_further(looked_at: usize) -> usize {
    looked_at.saturating_mul(4).clamp(64, FURTHEST_LOOK)
}
