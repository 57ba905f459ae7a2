//! Dedupe keys: which message has one, and which sender takes it first.
//!
//! A key may outlive its message, so it has a row of its own, written in the transaction that
//! sends. Another transaction that wants the same key waits for that transaction to end: after a
//! commit the key is taken, after a rollback it is free.
//!
//! A key that is taken until its message has ended is freed by whatever ends the message, in the
//! same transaction, through [`on_end`](crate::on_end). A dead letter has ended. It remembers its
//! key, and a redrive takes the key again or, where another message has it, leaves the dead letter
//! where it is. So there are never two waiting or running messages with one key. Upkeep compares
//! such keys with the existing messages, to find messages that were removed by hand.

pub(crate) mod round;

use crate::db::run::{BATCH, PRUNING};
use crate::db::{Flight, Params, Run, Statement, Value, column, execute, first, query, sql};
use crate::message::end::{End, How};
use crate::words::rare::Remembered;
use crate::words::{Doing, Error, ErrorKind, MessageId, OnEnd, Result};
use postgres::{Row, SimpleQueryRow};
use std::collections::HashMap;
use std::time::Duration;
use uuid::Uuid;

static PRUNE_DEDUPE: Statement = sql!("prune_dedupe", Kept);
static PRUNE_HELD_DEDUPE: Statement = sql!("prune_held_dedupe", Kept);
static CHANGE_DEDUPE: Statement = sql!("change_dedupe", Anew);
static FORGET_DEDUPE: Statement = sql!("forget_dedupe", Anew);
static FREE_DEDUPE: Statement = sql!("free_dedupe", Kept);
static FREE_DEDUPE_OF_DEAD: Statement = sql!("free_dedupe_of_dead", Anew);
static KNOWN_DEDUPE: Statement = sql!("known_dedupe", Anew);
static RELEASE_DEDUPE: Statement = sql!("release_dedupe", Anew);
static TAKE_DEDUPE: Statement = sql!("take_dedupe", Keys);
static TAKE_DEDUPE_ONE: Statement = sql!("take_dedupe_one", Key);

/// Dedupe keys that one statement compares with the messages that there are.
const LOOKED_AT: i64 = 1000;

/// The topic of keys that belong to no message but to a piece of work. No topic can have this name.
pub(crate) const NO_TOPIC: &str = "";

pub(crate) const DOING: &str = "taking dedupe keys";

/// How often a key is asked for again that somebody else took, and that is free when we look.
const MAX_ROUNDS: usize = 10;

/// A key that is wanted for an id.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyWish<'a> {
    pub(crate) topic: &'a str,
    pub(crate) key: &'a str,
    pub(crate) id: Uuid,
    pub(crate) remembered: Remembered,
}

/// Who has a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeyHolder {
    pub(crate) id: Uuid,
    pub(crate) is_new: bool,
}

/// Who has which keys, as far as was asked.
#[derive(Debug, Default)]
pub(crate) struct KnownHolders(HashMap<(String, String), KeyHolder>);

impl KnownHolders {
    /// Reads a row that came as text.
    pub(crate) fn read(&mut self, row: &SimpleQueryRow) -> Result<()> {
        let text = |name: &str| {
            let found = row.try_get(name).doing(DOING);
            found.map(Option::unwrap_or_default)
        };
        let id = text("id")?.parse::<MessageId>()?.0;
        let is_new = text("is_new")? == "t";
        let name = (text("topic")?.to_owned(), text("key")?.to_owned());
        self.0.insert(name, KeyHolder { id, is_new });
        Ok(())
    }

    fn insert(&mut self, row: &Row, is_new: bool) -> Result<()> {
        let id = column(row, "id")?;
        let name = (column(row, "topic")?, column(row, "key")?);
        self.0.entry(name).or_insert(KeyHolder { id, is_new });
        Ok(())
    }

    fn get(&self, wish: &KeyWish<'_>) -> Option<KeyHolder> {
        let name = (wish.topic.to_owned(), wish.key.to_owned());
        self.0.get(&name).copied()
    }
}

/// Appends the statement that takes keys.
pub(crate) fn push_take(flight: &mut Flight, wishes: &[KeyWish<'_>]) {
    if let [only] = wishes {
        let values = [
            Value::Text(only.topic),
            Value::Text(only.key),
            Value::Uuid(only.id),
            Value::Number(window_us(only)),
        ];
        return flight.call(&TAKE_DEDUPE_ONE, &values);
    }
    let values = [
        Value::Texts(wishes.iter().map(|wish| Some(wish.topic)).collect()),
        Value::Texts(wishes.iter().map(|wish| Some(wish.key)).collect()),
        Value::Uuids(wishes.iter().map(|wish| wish.id).collect()),
        Value::Numbers(wishes.iter().map(window_us).collect()),
    ];
    flight.call(&TAKE_DEDUPE, &values);
}

/// Takes keys that are free, unless that was done and gave `known`; returns who has each, in the
/// order of the wishes, which are of different keys. Inside a transaction: the keys are free again
/// if it rolls back. One round trip, but for races.
///
/// # Errors
/// `Conflict` when the transaction's snapshot is older than what another one did, and those of the
/// statement.
pub(crate) fn take(
    run: &mut dyn Run,
    wishes: &[KeyWish<'_>],
    known: Option<KnownHolders>,
) -> Result<Vec<KeyHolder>> {
    let mut is_asked = known.is_some();
    let mut known = known.unwrap_or_default();
    for _ in 0..MAX_ROUNDS {
        let open = |known: &KnownHolders| -> Vec<KeyWish<'_>> {
            let is_open = |wish: &&KeyWish<'_>| known.get(wish).is_none();
            wishes.iter().filter(is_open).copied().collect()
        };
        if !std::mem::take(&mut is_asked) {
            ask(run, &open(&known), &mut known)?;
        }
        let missing = open(&known);
        if missing.is_empty() {
            break;
        }
        // Somebody committed them while we waited: our statement began too early to see that.
        let params: Params<'_> = &[&topics(&missing), &keys(&missing)];
        for row in query(run, &KNOWN_DEDUPE, params, DOING)? {
            known.insert(&row, false)?;
        }
        if open(&known).is_empty() {
            break;
        }
    }
    wishes
        .iter()
        .map(|wish| known.get(wish).ok_or_else(|| contested(wish)))
        .collect()
}

/// Returns the id that has a key, if one has.
pub(crate) fn holder(run: &mut dyn Run, topic: &str, key: &str) -> Result<Option<Uuid>> {
    let (topics, keys) = (vec![topic], vec![key]);
    first(&query(run, &KNOWN_DEDUPE, &[&topics, &keys], DOING)?, "id")
}

/// Frees keys that were taken in this transaction.
pub(crate) fn release(run: &mut dyn Run, wishes: &[KeyWish<'_>]) -> Result<()> {
    let ids: Vec<Uuid> = wishes.iter().map(|wish| wish.id).collect();
    let params: Params<'_> = &[&topics(wishes), &keys(wishes), &ids];
    execute(run, &RELEASE_DEDUPE, params, "freeing dedupe keys").map(drop)
}

/// Appends the freeing of the keys that messages of one topic had until they ended: dead letters
/// remember theirs.
pub(crate) fn push_ended(flight: &mut Flight, topic: &str, ends: &[End]) {
    let unique = ends.iter().filter(|end| end.on_end.has(OnEnd::UNIQUE));
    let (dead, gone): (Vec<&End>, Vec<&End>) = unique.partition(|end| end.how == How::Dead);
    if !gone.is_empty() {
        let ids = gone.iter().map(|end| end.id.0).collect();
        let values = [Value::Text(topic), Value::Uuids(ids)];
        flight.call(&FREE_DEDUPE, &values);
    }
    for end in dead {
        let values = [Value::Text(topic), Value::Uuid(end.id.0)];
        let free = &FREE_DEDUPE_OF_DEAD;
        flight.call_once(free, &values);
    }
}

/// Forgets a key, whoever has it; returns whether it was taken.
pub(crate) fn forget(run: &mut dyn Run, topic: &str, key: &str) -> Result<bool> {
    let doing = "forgetting a dedupe key";
    let forgotten = execute(run, &FORGET_DEDUPE, &[&topic, &key], doing)?;
    Ok(forgotten > 0)
}

/// Remembers a key that is taken for this long from now on; returns whether it is.
pub(crate) fn change(run: &mut dyn Run, topic: &str, key: &str, window: Duration) -> Result<bool> {
    let us = Remembered::For(window).micros();
    let params: Params<'_> = &[&topic, &key, &us];
    let doing = "changing the window of a dedupe key";
    Ok(execute(run, &CHANGE_DEDUPE, params, doing)? > 0)
}

fn ask(run: &mut dyn Run, wishes: &[KeyWish<'_>], known: &mut KnownHolders) -> Result<()> {
    if let [only] = wishes {
        let params: Params<'_> = &[&only.topic, &only.key, &only.id, &window_us(only)];
        for row in query(run, &TAKE_DEDUPE_ONE, params, DOING)? {
            let is_new = column(&row, "is_new")?;
            known.insert(&row, is_new)?;
        }
        return Ok(());
    }
    let ids: Vec<Uuid> = wishes.iter().map(|wish| wish.id).collect();
    let windows: Vec<i64> = wishes.iter().map(window_us).collect();
    let params: Params<'_> = &[&topics(wishes), &keys(wishes), &ids, &windows];
    for row in query(run, &TAKE_DEDUPE, params, DOING)? {
        let is_new = column(&row, "is_new")?;
        known.insert(&row, is_new)?;
    }
    Ok(())
}

fn window_us(wish: &KeyWish<'_>) -> i64 {
    wish.remembered.micros()
}

fn topics<'a>(wishes: &[KeyWish<'a>]) -> Vec<&'a str> {
    wishes.iter().map(|wish| wish.topic).collect()
}

fn keys<'a>(wishes: &[KeyWish<'a>]) -> Vec<&'a str> {
    wishes.iter().map(|wish| wish.key).collect()
}

fn contested(wish: &KeyWish<'_>) -> Error {
    Error::new(
        ErrorKind::Conflict,
        format!(
            "the dedupe key {:?} of topic {} was taken and freed {MAX_ROUNDS} times meanwhile, run it again",
            wish.key, wish.topic
        ),
    )
}

/// Removes a batch of dedupe keys whose window is over; returns whether there may be more.
pub(crate) fn prune(run: &mut dyn Run) -> Result<bool> {
    Ok(execute(run, &PRUNE_DEDUPE, &[&BATCH], PRUNING)? >= BATCH.unsigned_abs())
}

/// Frees dedupe keys that are taken until their messages end and whose messages are nowhere, among
/// some from the first after an id on. Returns how many, and where to go on; `None` at the end.
pub(crate) fn prune_held(run: &mut dyn Run, after: Uuid) -> Result<(i64, Option<Uuid>)> {
    let rows = query(run, &PRUNE_HELD_DEDUPE, &[&after, &LOOKED_AT], DOING)?;
    let Some(row) = rows.first() else {
        return Ok((0, None));
    };
    let freed: i64 = column(row, "freed")?;
    let is_full = column::<i64>(row, "looked_at")? >= LOOKED_AT;
    let last = column::<Option<Uuid>>(row, "last")?;
    Ok((freed, last.filter(|_| is_full)))
}
