//! Deliveries on topics where a process died: what workers have in hand is noted before their
//! handlers run, and counted when their process dies with it.

use crate::crashes::liveness::{Liveness, free_locks};
use crate::db::run::{BATCH, PRUNING};
use crate::db::{Flight, Params, Run, Statement, Value, column, execute, query, sql};
use crate::words::{MessageId, Result};
use std::collections::HashMap;
use uuid::Uuid;

static PRUNE_ATTEMPTS: Statement = sql!("prune_attempts", Kept);
static DEATHS: Statement = sql!("deaths", Anew);
static EMPTY_HAND: Statement = sql!("empty_hand", Kept);
static FORGET_ATTEMPTS: Statement = sql!("forget_attempts", Kept);
static TAKE_IN_HAND: Statement = sql!("take_in_hand", Kept);

/// Counted deliveries older than this are of no interest to anybody.
const ATTEMPTS_KEPT_S: i64 = 7 * 86_400;

/// A worker of a receiver, by its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) receiver: i64,
    pub(crate) worker: usize,
}

impl Holder {
    fn values(self, topic: &str) -> [Value<'_>; 3] {
        let worker = i64::try_from(self.worker).unwrap_or(i64::MAX);
        [
            Value::Text(topic),
            Value::Number(self.receiver),
            Value::Number(worker),
        ]
    }
}

/// How often a process died with a message in hand, as far as that is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Deaths {
    pub(crate) count: u32,
    /// Holders of which nobody knows yet whether they died: the server lets go of a message and of
    /// the sign of life beside it in either order.
    pub(crate) undecided: u32,
    /// Whether the message was alone in one of them.
    pub(crate) is_certain: bool,
}

impl Deaths {
    /// Returns how many are the message's own doing: none, unless it was alone in one.
    pub(crate) fn own(self) -> u32 {
        if self.is_certain { self.count } else { 0 }
    }
}

/// A death of a process with a message in hand, or what may be one.
struct Death {
    id: MessageId,
    count: i64,
    is_certain: bool,
    /// Who has the message in hand, unless the death is counted.
    holder: Option<i64>,
    is_dead: bool,
    /// Whether that has to be asked of the holder's lock.
    has_lock: bool,
}

/// Returns those of the messages that were in hand when a process died, or are in other hands for
/// all that is known.
pub(crate) fn deaths(
    run: &mut dyn Run,
    topic: &str,
    ids: &[Uuid],
    mine: i64,
    liveness: Liveness,
) -> Result<HashMap<MessageId, Deaths>> {
    let params: Params<'_> = &[&topic, &ids, &mine, &liveness.unseen_s];
    let mut looked = look_for_deaths(run, params)?;
    let locked = looked.iter().filter(|death| death.has_lock);
    let locked: Vec<i64> = locked.filter_map(|death| death.holder).collect();
    let free = free_locks(run, liveness.namespace, &locked)?;
    if !free.is_empty() {
        // One that ended in peace let go of what it had in hand before it let go of its lock.
        looked = look_for_deaths(run, params)?;
    }
    let mut found = HashMap::<MessageId, Deaths>::new();
    for death in looked {
        let of = found.entry(death.id).or_default();
        if death.is_dead || death.holder.is_some_and(|holder| free.contains(&holder)) {
            let count = u32::try_from(death.count).unwrap_or_default();
            of.count = of.count.saturating_add(count);
            of.is_certain |= death.is_certain;
        } else {
            of.undecided += 1;
        }
    }
    Ok(found)
}

fn look_for_deaths(run: &mut dyn Run, params: Params<'_>) -> Result<Vec<Death>> {
    let rows = query(run, &DEATHS, params, "looking for deaths of processes")?;
    let death = |row| {
        Ok(Death {
            id: MessageId(column(row, "id")?),
            count: column(row, "deaths")?,
            is_certain: column(row, "is_certain")?,
            holder: column(row, "holder")?,
            is_dead: column(row, "is_dead")?,
            has_lock: column(row, "has_lock")?,
        })
    };
    rows.iter().map(death).collect()
}

/// Appends the note that a worker has these messages in hand.
pub(crate) fn push_take_in_hand(
    flight: &mut Flight,
    topic: &str,
    holder: Holder,
    ids: Vec<Uuid>,
    is_alone: bool,
) {
    let [topic, receiver, worker] = holder.values(topic);
    let is_alone = Value::Number(is_alone.into());
    let values = [topic, receiver, worker, Value::Uuids(ids), is_alone];
    flight.call(&TAKE_IN_HAND, &values);
}

/// Appends the note that a worker has nothing in hand any more.
pub(crate) fn push_empty_hand(flight: &mut Flight, topic: &str, holder: Holder) {
    flight.call(&EMPTY_HAND, &holder.values(topic));
}

/// Appends that messages which saw a death ended.
pub(crate) fn push_forget(flight: &mut Flight, topic: &str, ids: &[Uuid]) {
    let values = [Value::Text(topic), Value::Uuids(ids.to_vec())];
    flight.call(&FORGET_ATTEMPTS, &values);
}

/// Notes that a worker has nothing in hand any more.
pub(crate) fn empty_hand(run: &mut dyn Run, topic: &str, holder: Holder) -> Result<()> {
    let doing = "letting go of messages";
    let worker = i32::try_from(holder.worker).unwrap_or(i32::MAX);
    let params: Params<'_> = &[&topic, &holder.receiver, &worker];
    execute(run, &EMPTY_HAND, params, doing).map(drop)
}

/// Drops what is counted of messages whose deliveries ended.
pub(crate) fn forget(run: &mut dyn Run, topic: &str, ids: &[Uuid]) -> Result<()> {
    let doing = "closing counted attempts";
    execute(run, &FORGET_ATTEMPTS, &[&topic, &ids], doing).map(drop)
}

/// The same for counts of deliveries that nobody will ask about any more.
pub(crate) fn prune(run: &mut dyn Run) -> Result<bool> {
    let params: Params<'_> = &[&BATCH, &ATTEMPTS_KEPT_S];
    let removed = execute(run, &PRUNE_ATTEMPTS, params, PRUNING)?;
    Ok(removed >= BATCH.unsigned_abs())
}
