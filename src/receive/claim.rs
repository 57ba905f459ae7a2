//! Claiming: how messages are found, by workers in their transactions, by those under leases, and
//! by who takes messages by hand. What differs is one look; where it looks is decided here.

use crate::crashes::attempt::Deaths;
use crate::keys::Promoted;
use crate::max_in_work::ASK_AGAIN;
use crate::message::claimed::{Claimed, Held};
use crate::message::floor::{ClaimPlan, Floors, Start};
use crate::observe::spans;
use crate::rate_limit::Grant;
use crate::threads::mutex::Mutex;
use crate::words::{ClaimPlace, MessageId, Result};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Messages that were claimed, or how long to leave the topic alone.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// In claim order.
    pub(crate) messages: Vec<Claimed>,
    /// Whether there were as many as were asked for, so that there may be more.
    pub(crate) is_full: bool,
    /// Whether all of the topic was looked at.
    pub(crate) is_sure: bool,
    /// How long to wait if there was no message: the failed head of a strict topic waits, or a
    /// search further back is due then.
    pub(crate) wait: Option<Duration>,
    /// Whether there was no message because the topic's limit of messages in work is reached.
    pub(crate) is_used_up: bool,
    /// Whether there was no message because none of the ready ones may begin now.
    pub(crate) is_held_up: bool,
    /// The deaths of processes that had these messages in hand.
    pub(crate) deaths: HashMap<MessageId, Deaths>,
    /// Tokens of keys that were taken for these messages.
    pub(crate) grants: Option<HashMap<String, Grant>>,
}

/// What one look found.
pub(crate) struct Looked {
    pub(crate) messages: Vec<Claimed>,
    /// How many it asked for.
    pub(crate) asked: usize,
    pub(crate) started: Instant,
}

impl Taken {
    /// Makes an empty result: come back after this long, or when woken.
    pub(crate) fn later(wait: Option<Duration>) -> Self {
        Taken {
            wait,
            ..Taken::default()
        }
    }

    /// Makes an empty result of a topic whose limit of messages in work is reached.
    pub(crate) fn used_up(wait: Option<Duration>) -> Self {
        Taken {
            is_used_up: true,
            is_sure: true,
            ..Taken::later(wait)
        }
    }

    /// Adds the result of a search further back.
    pub(crate) fn add(&mut self, mut rest: Taken) {
        self.messages.append(&mut rest.messages);
        self.messages
            .sort_unstable_by_key(|message| message.held.position);
        self.is_full = rest.is_full;
        self.is_sure = rest.is_sure;
        self.wait = rest.wait;
    }

    /// Returns how many deaths of processes a message is charged with.
    pub(crate) fn crashes(&self, message: &Claimed) -> u32 {
        let deaths = self.deaths.get(&message.held.id);
        deaths.map_or(0, |deaths| deaths.own())
    }

    /// Keeps only some of the messages. The others are free, or soon will be, so the floor is
    /// lowered to them.
    pub(crate) fn keep(&mut self, floors: &Mutex<Floors>, is_kept: impl Fn(&Claimed) -> bool) {
        let (kept, left): (Vec<_>, Vec<_>) = self.messages.drain(..).partition(is_kept);
        self.messages = kept;
        lower(floors, left.iter().map(|message| message.held.position));
    }
}

/// Runs a claim in a span of its own.
pub(crate) fn in_span(topic: &str, claim: impl FnOnce() -> Result<Taken>) -> Result<Taken> {
    spans::within(spans::claim(topic), |span| {
        claim().inspect(|taken| spans::note_count(span, taken.messages.len()))
    })
}

/// Searches where `plan` says. A search that finds no message is followed by one further back, if
/// its share of time allows one now; otherwise one worker is told when to come back for it.
pub(crate) fn claim(
    floors: &Mutex<Floors>,
    mut plan: ClaimPlan,
    mut look: impl FnMut(&ClaimPlan) -> Result<Option<Looked>>,
) -> Result<Taken> {
    loop {
        let taken = look_once(floors, &plan, &mut look)?;
        if !taken.messages.is_empty() || taken.is_sure {
            return Ok(taken);
        }
        let mut floors = floors.lock();
        let further_back = match plan.start {
            Start::Head => Ok(floors.look_back()),
            _ => floors.plan_sweep(Instant::now()),
        };
        plan = match further_back {
            Ok(plan) => plan,
            Err(too_early) => {
                // One worker that comes back for it is enough.
                let is_ours = floors.owe_sweep(too_early, Instant::now());
                return Ok(Taken::later(is_ours.then_some(too_early)));
            }
        };
    }
}

/// Searches only where `plan` says. `look` returns `None` if the topic's limit of messages in work
/// is reached.
pub(crate) fn look_once(
    floors: &Mutex<Floors>,
    plan: &ClaimPlan,
    look: impl FnOnce(&ClaimPlan) -> Result<Option<Looked>>,
) -> Result<Taken> {
    let Some(looked) = look(plan)? else {
        return Ok(Taken::used_up(Some(ASK_AGAIN)));
    };
    let is_full = looked.messages.len() == looked.asked;
    floors.lock().learn(
        plan.start,
        looked.messages.iter().map(|message| message.held.position),
        is_full,
        Instant::now(),
        looked.started.elapsed(),
    );
    Ok(Taken {
        messages: looked.messages,
        is_full,
        is_sure: plan.start == Start::Everything,
        ..Taken::default()
    })
}

/// Lowers the floors to these places, where messages are ready that claims may have passed.
pub(crate) fn lower(floors: &Mutex<Floors>, positions: impl IntoIterator<Item = ClaimPlace>) {
    let mut positions = positions.into_iter().peekable();
    if positions.peek().is_some() {
        let mut floors = floors.lock();
        positions.for_each(|position| floors.lower(position));
    }
}

/// Lowers the floors to the next messages of the keys of messages that ended. If another
/// transaction holds a key's lane and will promote the next message, the floors wait for it.
pub(crate) fn note_promoted<'a>(
    floors: &Mutex<Floors>,
    promoted: &Promoted,
    ended: impl Iterator<Item = &'a Held>,
) {
    lower(floors, promoted.places.iter().copied());
    if promoted.awaited.is_empty() {
        return;
    }
    let is_awaited = |held: &&Held| {
        let key = held.key.as_ref();
        key.is_some_and(|key| promoted.awaited.contains(key))
    };
    await_next(floors, ended.filter(is_awaited));
}

/// Notes that the next messages of these keys may become ready below the floors.
pub(crate) fn await_next<'a>(floors: &Mutex<Floors>, ended: impl Iterator<Item = &'a Held>) {
    let keyed = ended.filter(|held| held.key.is_some());
    if let Some(first) = keyed.map(|held| held.position.seq).min() {
        floors.lock().await_next(first, Instant::now());
    }
}
