//! Entries that are put aside: those that failed alone, and those of their keys that come after
//! them.
//!
//! They are copied into a topic of the reader's own, `TOPIC@READER`, under the ids they have, in
//! the transaction that moves the place past them. There they are messages like any others, and
//! the receiver that reads the log handles them too. As long as a key has messages there, the
//! entries of that key follow it, so that its order stays; all others pass by. Only whoever has
//! the key's lane of the log puts entries of it aside, so that a key which has none when a
//! transaction looks has none until its end.

use crate::connect::transaction::OpenTransaction;
use crate::db::run::{Params, Run, execute};
use crate::db::statement::{Statement, sql};
use crate::db::value::Value;
use crate::keys;
use crate::log::entry::EntryRow;
use crate::message::outcome::Outcome;
use crate::message::report;
use crate::message::settle::{micros, small, storable};
use crate::observe::delivered::Deliveries;
use crate::receive::log::reading::LogReading;
use crate::receive::shared_state::SharedState;
use crate::receive::telling::Settled;
use crate::words::limits::micros_since_1970;
use crate::words::outcome::DeadReason;
use crate::words::sqlstate::classify;
use crate::words::topic_config::PoisonedKey;
use crate::words::{OnEnd, Result};
use postgres::SimpleQueryRow;
use std::collections::HashSet;
use std::time::Duration;
use uuid::Uuid;

static COUNT_DEATHS: Statement = sql!("count_deaths", Anew);
static KEYS_ASIDE: Statement = sql!("keys_aside", Order);
static SET_ASIDE: Statement = sql!("set_aside", Anew);

/// An entry that is put aside, and why.
#[derive(Debug)]
pub(crate) struct Aside<'e> {
    pub(crate) entry: &'e EntryRow,
    pub(crate) fate: Fate,
}

/// Why an entry is put aside.
#[derive(Debug, Clone)]
pub(crate) enum Fate {
    /// Something of its key is there before it.
    Follow,
    /// It failed.
    Failed(Outcome),
    /// It killed so many processes, and may once more after this long.
    Killed { deaths: u32, delay: Duration },
}

impl Fate {
    /// Returns whether it is given up.
    pub(crate) fn is_dead(&self) -> bool {
        matches!(self, Fate::Failed(Outcome::Dead(_)))
    }
}

impl Aside<'_> {
    /// Returns whether entries of the same key have to follow.
    pub(crate) fn holds_key(&self) -> bool {
        self.entry.key_text().is_some() && !self.fate.is_dead()
    }
}

/// The keys of some entries that have messages aside.
#[derive(Debug, Default)]
pub(crate) struct KeysAside {
    pub(crate) keys: HashSet<String>,
    /// Whether any key has.
    pub(crate) are_any: bool,
}

/// Returns which keys of the entries have messages aside.
pub(crate) fn keys_aside(
    open: &mut OpenTransaction<'_>,
    reading: &LogReading,
    entries: &[EntryRow],
) -> Result<KeysAside> {
    let keys: HashSet<&str> = entries.iter().filter_map(EntryRow::key_text).collect();
    let holds = holds_after_dead(reading);
    let mut flight = open.flight();
    let values = [
        Value::Text(&reading.side.topic),
        Value::Texts(keys.into_iter().map(Some).collect()),
        Value::Number(holds.into()),
    ];
    flight.call(&KEYS_ASIDE, &values);
    let rows = open.fly(flight);
    let rows = rows.map_err(|error| classify(error, "looking for keys that are aside"))?;
    let key = |row: &SimpleQueryRow| row.try_get("key").ok().flatten().map(str::to_owned);
    Ok(KeysAside {
        keys: rows.iter().filter_map(key).collect(),
        are_any: holds || !rows.is_empty(),
    })
}

/// Returns whether a dead letter holds up what comes after it of its key.
pub(crate) fn holds_after_dead(reading: &LogReading) -> bool {
    let configs = &reading.side.base.process.configs;
    let setting = configs.get(&reading.side.topic);
    setting.is_some_and(|setting| {
        setting
            .config
            .poisoned_key
            .is_some_and(|poisoned| poisoned != PoisonedKey::Skip)
    })
}

/// Writes them, in order, at the top level of the transaction.
pub(crate) fn write(run: &mut dyn Run, topic: &str, aside: &[Aside<'_>]) -> Result<()> {
    let waiting = aside.iter().filter(|one| one.holds_key());
    let mut keys: Vec<Option<&str>> = waiting.map(|one| one.entry.key_text()).collect();
    if !keys.is_empty() {
        keys.sort_unstable();
        keys.dedup();
        keys::lock(run, &vec![topic; keys.len()], &keys)?;
    }
    let mut columns = AsideColumns::default();
    aside.iter().try_for_each(|one| columns.push(one))?;
    let said_by = Uuid::now_v7();
    let params: Params<'_> = &[
        &topic,
        &columns.ids,
        &columns.keys,
        &columns.sent_us,
        &columns.headers,
        &columns.payloads,
        &columns.bodies,
        &columns.fates,
        &columns.attempts,
        &columns.delays,
        &columns.errors,
        &columns.reasons,
        &said_by,
        &columns.failures,
        &OnEnd::ASIDE.stored(),
    ];
    let doing = "setting entries of a log aside";
    execute(run, &SET_ASIDE, params, doing)?;
    if columns.killers.is_empty() {
        return Ok(());
    }
    // There they are counted on.
    let params: Params<'_> = &[&topic, &columns.killers, &columns.deaths];
    execute(run, &COUNT_DEATHS, params, doing).map(drop)
}

/// The parameters of `set_aside`.
#[derive(Default)]
struct AsideColumns<'e> {
    ids: Vec<Uuid>,
    keys: Vec<Option<&'e str>>,
    sent_us: Vec<i64>,
    headers: Vec<Option<&'e str>>,
    payloads: Vec<Option<&'e str>>,
    bodies: Vec<Option<&'e [u8]>>,
    fates: Vec<&'static str>,
    attempts: Vec<i16>,
    delays: Vec<i64>,
    errors: Vec<Option<String>>,
    failures: Vec<Option<String>>,
    reasons: Vec<Option<&'static str>>,
    /// Those that killed processes, and how many.
    killers: Vec<Uuid>,
    deaths: Vec<i16>,
}

impl<'e> AsideColumns<'e> {
    fn push(&mut self, aside: &'e Aside<'e>) -> Result<()> {
        let entry = aside.entry;
        let failure = match &aside.fate {
            Fate::Failed(Outcome::Dead(dead)) => dead.failure(),
            Fate::Failed(Outcome::Retry(retry)) => retry.failure(),
            _ => None,
        };
        let (fate, attempts, delay, error, reason) = match &aside.fate {
            Fate::Follow => ("follow", 0, Duration::ZERO, None, None),
            Fate::Failed(Outcome::Dead(dead)) => {
                let (error, reason) = (Some(&dead.error), Some(dead.reason));
                ("dead", dead.attempts, Duration::ZERO, error, reason)
            }
            Fate::Failed(Outcome::Retry(retry)) => {
                let error = Some(&retry.error);
                ("retry", retry.attempts, retry.delay, error, None)
            }
            Fate::Killed { deaths, delay } => {
                self.killers.push(entry.id()?.0);
                self.deaths.push(small(*deaths));
                ("retry", 0, *delay, None, None)
            }
            // Nothing else comes of an entry that failed.
            Fate::Failed(_) => ("retry", 0, Duration::ZERO, None, None),
        };
        self.ids.push(entry.id()?.0);
        self.keys.push(entry.key_text());
        self.sent_us.push(micros_since_1970(entry.sent_at()?));
        self.headers.push(entry.headers_text()?);
        self.payloads.push(entry.json()?);
        self.bodies.push(entry.body()?);
        self.fates.push(fate);
        self.attempts.push(small(attempts));
        self.delays.push(micros(delay));
        self.errors.push(error.map(|error| storable(error)));
        self.failures.push(failure);
        self.reasons.push(reason.map(DeadReason::as_str));
        Ok(())
    }
}

/// After the commit: logs what failed, and has those woken who go on with it.
pub(crate) fn announce(reading: &LogReading, aside: &[Aside<'_>]) {
    let SharedState { topic, base, .. } = &*reading.side;
    let most = reading.side.terms().max_attempts;
    let mut soonest: Option<Duration> = None;
    let (mut retried, mut dead) = (0, 0);
    for Aside { entry, fate } in aside {
        match fate {
            Fate::Follow => base.waker.keys_ended(),
            Fate::Failed(outcome) => {
                if let Ok(id) = entry.id() {
                    report::outcome(topic, id, outcome, None, most);
                }
                dead += usize::from(outcome.delay().is_none());
                retried += usize::from(outcome.delay().is_some());
                soonest = [soonest, outcome.delay()].into_iter().flatten().min();
            }
            Fate::Killed { deaths, delay } => {
                if let Ok(id) = entry.id() {
                    report::crashed(topic, id, *deaths, deaths + 1, most);
                }
                soonest = [soonest, Some(*delay)].into_iter().flatten().min();
            }
        }
    }
    reading.side.progress.count(0, retried, dead);
    if let Some(soonest) = soonest {
        base.waker.due_in(soonest);
    }
}

/// After the commit: tells observers what failed.
pub(crate) fn tell(reading: &LogReading, aside: &[Aside<'_>], deliveries: &mut Deliveries) {
    let SharedState { topic, .. } = &*reading.side;
    for Aside { entry, fate } in aside {
        if let (Fate::Failed(outcome), Ok(id)) = (fate, entry.id()) {
            let settled = Settled {
                topic,
                id,
                delivered: deliveries.take(id),
                is_cancelled: false,
            };
            settled.tell(reading.side.observers(), outcome);
        }
    }
}
