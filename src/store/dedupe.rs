//! Dedupe keys: who has them, and who takes them first.
//!
//! A key outlives its message, so it has a row of its own, written in the transaction that sends. Another
//! transaction that wants the same key waits for that one to end: it committed, and the key is taken, or it
//! rolled back, and the key is free.

use crate::store::run::{Run, column, execute, query};
use crate::store::statements::Statements;
use crate::words::error::{Error, ErrorKind, Result};
use postgres::Row;
use std::collections::HashMap;
use std::time::Duration;
use uuid::Uuid;

/// The topic of keys that belong to no message but to a piece of work. No topic can have this name.
pub(crate) const NO_TOPIC: &str = "";

/// How often a key is asked for again that somebody else took, and that is free when we look.
const MAX_ROUNDS: usize = 5;

/// A key that is wanted for an id.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wish<'a> {
    pub(crate) topic: &'a str,
    pub(crate) key: &'a str,
    pub(crate) id: Uuid,
    pub(crate) window: Duration,
}

/// Who has a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) id: Uuid,
    pub(crate) is_new: bool,
}

/// Takes keys that are free; returns who has each, in the order of the wishes, which are of different keys.
/// Inside a transaction: the keys are free again if it rolls back. One round trip, but for races.
///
/// # Errors
/// `Conflict` when the transaction's snapshot is older than what another one did, and those of the statement.
pub(crate) fn take(
    run: &mut dyn Run,
    statements: &Statements,
    wishes: &[Wish<'_>],
) -> Result<Vec<Holder>> {
    let mut holders: HashMap<(String, String), Holder> = HashMap::with_capacity(wishes.len());
    for _ in 0..MAX_ROUNDS {
        let open: Vec<Wish<'_>> = wishes
            .iter()
            .filter(|wish| !holders.contains_key(&(wish.topic.to_owned(), wish.key.to_owned())))
            .copied()
            .collect();
        if open.is_empty() {
            break;
        }
        ask(run, statements, &open, &mut holders)?;
    }
    wishes
        .iter()
        .map(|wish| {
            let holder = holders.get(&(wish.topic.to_owned(), wish.key.to_owned()));
            holder.copied().ok_or_else(|| contested(wish))
        })
        .collect()
}

/// Frees keys that were taken in this transaction.
pub(crate) fn release(
    run: &mut dyn Run,
    statements: &Statements,
    wishes: &[Wish<'_>],
) -> Result<()> {
    let ids: Vec<Uuid> = wishes.iter().map(|wish| wish.id).collect();
    execute(
        run,
        &statements.release_dedupe,
        &[&topics(wishes), &keys(wishes), &ids],
        "freeing dedupe keys",
    )
    .map(drop)
}

fn ask(
    run: &mut dyn Run,
    statements: &Statements,
    wishes: &[Wish<'_>],
    holders: &mut HashMap<(String, String), Holder>,
) -> Result<()> {
    let doing = "taking dedupe keys";
    let (topics, keys) = (topics(wishes), keys(wishes));
    let ids: Vec<Uuid> = wishes.iter().map(|wish| wish.id).collect();
    let windows: Vec<i64> = wishes
        .iter()
        .map(|wish| i64::try_from(wish.window.as_micros()).unwrap_or(i64::MAX))
        .collect();
    let params: [&(dyn postgres::types::ToSql + Sync); 4] = [&topics, &keys, &ids, &windows];
    let rows = query(run, &statements.take_dedupe, &params, doing)?;
    let found = rows.len();
    for row in &rows {
        let is_new = column(row, "is_new")?;
        insert(holders, row, is_new)?;
    }
    if found < wishes.len() {
        // Somebody committed them while we waited: our statement began too early to see that.
        let params: [&(dyn postgres::types::ToSql + Sync); 2] = [&topics, &keys];
        for row in query(run, &statements.known_dedupe, &params, doing)? {
            let (topic, key) = (column(&row, "topic")?, column(&row, "key")?);
            if !holders.contains_key(&(topic, key)) {
                insert(holders, &row, false)?;
            }
        }
    }
    Ok(())
}

fn insert(holders: &mut HashMap<(String, String), Holder>, row: &Row, is_new: bool) -> Result<()> {
    let id = column(row, "id")?;
    let name = (column(row, "topic")?, column(row, "key")?);
    holders.insert(name, Holder { id, is_new });
    Ok(())
}

fn topics<'a>(wishes: &[Wish<'a>]) -> Vec<&'a str> {
    wishes.iter().map(|wish| wish.topic).collect()
}

fn keys<'a>(wishes: &[Wish<'a>]) -> Vec<&'a str> {
    wishes.iter().map(|wish| wish.key).collect()
}

fn contested(wish: &Wish<'_>) -> Error {
    Error::new(
        ErrorKind::Conflict,
        format!(
            "the dedupe key {:?} of topic {} was taken and freed {MAX_ROUNDS} times meanwhile, run it again",
            wish.key, wish.topic
        ),
    )
}
