//! Messages that come after others.
//!
//! Such a message waits in `scheduled`, due at infinity, with a row in `dependency` for each
//! message that it waits for. The transaction that ends a message only writes its outcome. Messages
//! that end at the same time share no row, so a group of ten thousand finishes as quickly as ten
//! thousand messages.
//!
//! After the commit, a separate transaction visits the messages that waited. It locks a waiting
//! message first. Only then, in statements that see everything that earlier visits did, it removes
//! the settled dependencies, and releases the message when none is left. So when the last two
//! dependencies end at the same time, the visit that comes second finds both ends. If a process
//! dies between the commit and the visit, the next sweep makes up for it.

pub(crate) mod release;
pub(crate) mod round;

use crate::db::{Params, Run, Statement, column, execute, query, sql};
use crate::message::end::{End, How};
use crate::words::limits::micros;
use crate::words::new_message::ReadyWhen;
use crate::words::{DeadReason, Error, Outgoing, Result};
use std::collections::{BTreeMap, HashSet};
use std::time::Duration;
use uuid::Uuid;

static CLEAR_DEPENDENCIES: Statement = sql!("clear_dependencies", Kept);
static DEPEND: Statement = sql!("depend", Anew);
static DEPENDENTS: Statement = sql!("dependents", Kept);
static HOLD_DEPENDENTS: Statement = sql!("hold_dependents", Kept);
static KEEP_WAIT: Statement = sql!("keep_wait", Anew);
static ORPHAN: Statement = sql!("orphan", Kept);
static RELEASE: Statement = sql!("release", Kept);
static WAITING_DEPENDENTS: Statement = sql!("waiting_dependents", Kept);

/// Waiting messages that one look takes: their locks are held for milliseconds only.
pub(crate) const LOOK_LIMIT: i64 = 500;

const DOING: &str = "releasing messages that come after others";

/// A waiting message.
pub(crate) type Place = (String, Uuid);

/// What a look changed.
#[derive(Debug, Default)]
pub(crate) struct Changed {
    /// How many of the things that were waited for were settled.
    pub(crate) cleared: u64,
    /// How many messages wait no more.
    pub(crate) released: usize,
    /// When the first of them is due.
    pub(crate) soonest: Option<Duration>,
    /// How many somebody else has in hand: they are to be looked at again.
    pub(crate) in_hand: usize,
    /// Messages that became dead letters, by topic, with their ends. None was in its key's line.
    pub(crate) orphans: Vec<(String, End)>,
    /// What the database has against letting some go.
    pub(crate) refused: Option<Error>,
}

impl Changed {
    /// Returns the dead letters that somebody may wait for.
    pub(crate) fn tracked_orphans(&self) -> Vec<Uuid> {
        let orphans = self.orphans.iter();
        let tracked = orphans.filter(|(_, end)| end.is_tracked());
        tracked.map(|(_, end)| end.id.0).collect()
    }

    /// Adds what a further look changed.
    pub(crate) fn add(&mut self, mut other: Changed) {
        self.cleared += other.cleared;
        self.released += other.released;
        self.in_hand += other.in_hand;
        self.soonest = match (self.soonest, other.soonest) {
            (Some(one), Some(two)) => Some(one.min(two)),
            (one, two) => one.or(two),
        };
        self.orphans.append(&mut other.orphans);
        self.refused = other.refused.or(self.refused.take());
    }
}

/// Returns whether some of the messages come after others.
pub(crate) fn has_dependents(messages: &[Outgoing]) -> bool {
    messages
        .iter()
        .any(|sent| !sent.message.rare.after.is_empty())
}

/// Stores what messages come after, which were stored as due at infinity, and releases those that
/// have nothing to wait for.
pub(crate) fn depend(run: &mut dyn Run, messages: &[Outgoing]) -> Result<()> {
    let waiting: Vec<&Outgoing> = messages
        .iter()
        .filter(|sent| !sent.message.rare.after.is_empty())
        .collect();
    if waiting.is_empty() {
        return Ok(());
    }
    let mut topics: Vec<&str> = Vec::new();
    let (mut ids, mut on_ids, mut needs): (Vec<Uuid>, Vec<Uuid>, Vec<bool>) = Default::default();
    for sent in &waiting {
        for on in &sent.message.rare.after {
            topics.push(&sent.message.topic);
            ids.push(sent.id.0);
            on_ids.push(on.0);
            needs.push(!sent.message.rare.takes_any_end);
        }
    }
    let doing = "storing what messages come after";
    execute(run, &DEPEND, &[&topics, &ids, &on_ids, &needs], doing)?;
    keep_waits(run, &waiting)?;
    let places: Vec<Place> = waiting
        .iter()
        .map(|sent| (sent.message.topic.clone(), sent.id.0))
        .collect();
    // This transaction's own, which nobody else sees.
    let held = hold(run, &places)?;
    release(run, held.by_wait, &mut Changed::default())
}

/// Notes of those with a delay or a time of their own what they wait for in the end.
fn keep_waits(run: &mut dyn Run, waiting: &[&Outgoing]) -> Result<()> {
    let mut topics: Vec<&str> = Vec::new();
    let (mut ids, mut waits, mut untils) = (Vec::new(), Vec::new(), Vec::new());
    for sent in waiting {
        let (wait, until): (Option<i64>, Option<i64>) = match sent.message.start {
            Some(ReadyWhen::After(delay)) if !delay.is_zero() => (Some(micros(delay)), None),
            Some(ReadyWhen::At(us)) => (None, Some(us)),
            _ => continue,
        };
        topics.push(&sent.message.topic);
        ids.push(sent.id.0);
        waits.push(wait);
        untils.push(until);
    }
    if !ids.is_empty() {
        let doing = "storing what messages wait for";
        execute(run, &KEEP_WAIT, &[&topics, &ids, &waits, &untils], doing)?;
    }
    Ok(())
}

/// Returns the messages that come after one of these.
pub(crate) fn dependents(run: &mut dyn Run, on: &[Uuid]) -> Result<Vec<Place>> {
    places(query(run, &DEPENDENTS, &[&on, &LOOK_LIMIT], DOING)?)
}

/// Returns the next messages after `place` that wait for others.
pub(crate) fn waiting_after(run: &mut dyn Run, (topic, id): &Place) -> Result<Vec<Place>> {
    let params: Params<'_> = &[topic, id, &LOOK_LIMIT];
    places(query(run, &WAITING_DEPENDENTS, params, DOING)?)
}

fn places(rows: Vec<postgres::Row>) -> Result<Vec<Place>> {
    rows.iter()
        .map(|row| Ok((column(row, "topic")?, column(row, "id")?)))
        .collect()
}

/// Releases those of the waiting messages that have nothing to wait for any more, and gives up
/// those that never will. Looks only at what they wait for among `on`, or at all of it. In a READ
/// COMMITTED transaction of its own.
pub(crate) fn settle(run: &mut dyn Run, waiting: &[Place], on: Option<&[Uuid]>) -> Result<Changed> {
    let mut looked = Changed::default();
    let held = hold(run, waiting)?;
    looked.in_hand = held.in_hand.len();
    // Also of those that wait no more: nobody needs what they waited for.
    let (topics, ids): (Vec<&str>, Vec<Uuid>) = waiting
        .iter()
        .filter(|place| !held.in_hand.contains(*place))
        .map(|(topic, id)| (topic.as_str(), *id))
        .unzip();
    looked.cleared = execute(run, &CLEAR_DEPENDENCIES, &[&topics, &ids, &on], DOING)?;
    let reason = DeadReason::Orphaned.as_str();
    let params: Params<'_> = &[&topics, &ids, &reason, &on];
    for row in query(run, &ORPHAN, params, DOING)? {
        let orphan = (column(&row, "topic")?, End::read(&row, How::Dead)?);
        looked.orphans.push(orphan);
    }
    release(run, held.by_wait, &mut looked)?;
    Ok(looked)
}

/// Messages that still wait for others.
#[derive(Default)]
struct StillWaiting {
    /// Those that are locked now, by what else they wait for then, in microseconds.
    by_wait: BTreeMap<i64, Vec<Place>>,
    /// Those that somebody else has in hand.
    in_hand: HashSet<Place>,
}

/// Locks those that still wait and that nobody has in hand.
fn hold(run: &mut dyn Run, waiting: &[Place]) -> Result<StillWaiting> {
    let (topics, ids) = columns(waiting);
    let mut held = StillWaiting::default();
    for row in query(run, &HOLD_DEPENDENTS, &[&topics, &ids], DOING)? {
        let place = (column(&row, "topic")?, column(&row, "id")?);
        match column(&row, "wait_us")? {
            Some(wait_us) => held.by_wait.entry(wait_us).or_default().push(place),
            None => drop(held.in_hand.insert(place)),
        }
    }
    Ok(held)
}

fn release(run: &mut dyn Run, held: BTreeMap<i64, Vec<Place>>, looked: &mut Changed) -> Result<()> {
    for (wait_us, places) in held {
        let (topics, ids) = columns(&places);
        let params: Params<'_> = &[&topics, &ids, &wait_us];
        let released = query(run, &RELEASE, params, DOING)?.len();
        looked.released += released;
        if released > 0 && looked.soonest.is_none() {
            looked.soonest = Some(Duration::from_micros(wait_us.unsigned_abs()));
        }
    }
    Ok(())
}

fn columns(places: &[Place]) -> (Vec<&str>, Vec<Uuid>) {
    places
        .iter()
        .map(|(topic, id)| (topic.as_str(), *id))
        .unzip()
}
