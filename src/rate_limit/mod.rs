//! Tokens of topics with a rate: starting a message spends one.
//!
//! Each statement here runs on a connection outside any transaction: the row of a bucket must not
//! stay locked while a handler runs, and a spent token stays spent.

pub(crate) mod round;
pub(crate) mod tokens;

use crate::connect::apart::apart;
use crate::connect::connection::Connection;
use crate::db::commands::READ_IN_ORDER;
use crate::db::run::{BATCH, PRUNING};
use crate::db::{Params, Run, Statement, column, execute, query, sql};
use crate::words::limits::micros;
use crate::words::topic_config::Rate;
use crate::words::{Doing, Result, TopicConfig};
use postgres::Row;
use std::collections::HashMap;
use std::time::Duration;

static DUE_BY_TOKEN: Statement = sql!("due_by_token", Anew);
static PRUNE_BUCKETS: Statement = sql!("prune_buckets", Kept);
static FORGET_BUCKETS: Statement = sql!("forget_buckets", Anew);
static PUT_OFF: Statement = sql!("put_off", Anew);
static RESET_BUCKET: Statement = sql!("reset_bucket", Anew);
static RETURN_TOKENS: Statement = sql!("return_tokens", Kept);
static TAKE_TOKENS: Statement = sql!("take_tokens", Kept);

/// What a message says that was put off, since its key is over its rate.
pub(crate) const OVER_RATE: &str = "its key is over its rate";

/// What a bucket gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) tokens: usize,
    /// When it has the next one.
    pub(crate) wait: Duration,
}

/// Takes up to `wanted` tokens of a topic.
pub(crate) fn take(run: &mut dyn Run, topic: &str, rate: Rate, wanted: usize) -> Result<Grant> {
    let mut grants = take_of_keys(run, topic, rate, &[("", wanted)])?;
    Ok(grants.remove("").unwrap_or(Grant {
        tokens: 0,
        wait: Duration::ZERO,
    }))
}

/// Takes tokens of keys of a topic: of each key, each named once, up to so many.
pub(crate) fn take_of_keys(
    run: &mut dyn Run,
    topic: &str,
    rate: Rate,
    wanted: &[(&str, usize)],
) -> Result<HashMap<String, Grant>> {
    let keys: Vec<&str> = wanted.iter().map(|(key, _)| *key).collect();
    let tokens: Vec<i64> = wanted.iter().map(|(_, tokens)| signed(*tokens)).collect();
    let (messages, per_us, burst) = rate_values(rate);
    let params: Params<'_> = &[&topic, &keys, &tokens, &messages, &per_us, &burst];
    let doing = "taking tokens of a topic with a rate";
    let granted = |row: &Row| {
        let tokens: i64 = column(row, "granted")?;
        let wait_us: i64 = column(row, "wait_us")?;
        let grant = Grant {
            tokens: usize::try_from(tokens).unwrap_or_default(),
            wait: Duration::from_micros(wait_us.unsigned_abs()),
        };
        Ok((column(row, "key")?, grant))
    };
    let rows = query(run, &TAKE_TOKENS, params, doing)?;
    rows.iter().map(granted).collect()
}

/// Puts back tokens of keys of a topic that were not spent; of the topic itself under the empty
/// key.
pub(crate) fn give_back(
    run: &mut dyn Run,
    topic: &str,
    rate: Rate,
    unspent: &[(&str, usize)],
) -> Result<()> {
    let keys: Vec<&str> = unspent.iter().map(|(key, _)| *key).collect();
    let tokens: Vec<i64> = unspent.iter().map(|(_, tokens)| signed(*tokens)).collect();
    let (messages, per_us, _) = rate_values(rate);
    let params: Params<'_> = &[&topic, &keys, &tokens, &messages, &per_us];
    execute(run, &RETURN_TOKENS, params, "giving tokens back").map(drop)
}

/// Has what was put off of these keys of a topic be due when they have tokens at this rate; at once
/// without one. Returns whether something is due earlier now.
///
/// A token may come back in the moment in which a message is put off for want of it, and a rate may
/// change. So both look: who gives a token back or learns of another rate, after that, and who puts
/// a message off, after the commit. The later of the two sees what the other did.
pub(crate) fn hasten(
    run: &mut dyn Run,
    topic: &str,
    rate: Option<Rate>,
    keys: &[&str],
) -> Result<bool> {
    let doing = "looking for messages whose keys have tokens";
    let values = rate.map(rate_values);
    let messages = values.map(|(messages, ..)| messages);
    let (per_us, burst) = values.map(|(_, per_us, burst)| (per_us, burst)).unzip();
    let params: Params<'_> = &[&topic, &keys, &OVER_RATE, &messages, &per_us, &burst];
    Ok(execute(run, &DUE_BY_TOKEN, params, doing)? > 0)
}

/// What [`hasten_some`] found.
#[derive(Debug)]
pub(crate) struct Hastened {
    /// Whether something is due earlier now.
    pub(crate) is_any: bool,
    /// The key to go on after, if there may be more.
    pub(crate) next: Option<String>,
}

/// Does the same for the keys of a thousand messages of a topic that were put off, from the first
/// key after this one on.
pub(crate) fn hasten_some(
    connection: &mut Connection,
    topic: &str,
    rate: Option<Rate>,
    after: &str,
) -> Result<Hastened> {
    let doing = "looking for messages that were put off";
    let params: Params<'_> = &[&topic, &after, &OVER_RATE, &BATCH];
    let rows = apart(connection, doing, |open| {
        open.run(READ_IN_ORDER).doing(doing)?;
        query(open, &PUT_OFF, params, doing)
    })?;
    let keys = rows.iter().map(|row| column(row, "key"));
    let mut keys: Vec<String> = keys.collect::<Result<_>>()?;
    keys.dedup();
    let named: Vec<&str> = keys.iter().map(String::as_str).collect();
    let is_any = !named.is_empty() && hasten(connection, topic, rate, &named)?;
    let is_full = signed(rows.len()) >= BATCH;
    let next = keys.pop().filter(|_| is_full);
    Ok(Hastened { is_any, next })
}

/// Fills the bucket of a key of a topic, or of the topic itself under the empty key, and notes it
/// as a change of the topic. What was put off for the key is due.
pub(crate) fn reset(run: &mut dyn Run, topic: &str, key: &str) -> Result<()> {
    let doing = "filling the bucket of a rate";
    execute(run, &RESET_BUCKET, &[&topic, &key], doing)?;
    hasten(run, topic, None, &[key]).map(drop)
}

/// Removes the buckets of a topic that has no rate any more, or whose keys have none.
pub(crate) fn forget(run: &mut dyn Run, topic: &str, config: &TopicConfig) -> Result<()> {
    for (is_topics, rate) in [(true, config.rate), (false, config.rate_per_key)] {
        if rate.is_none() {
            let params: Params<'_> = &[&topic, &is_topics];
            let doing = "removing the buckets of a topic";
            execute(run, &FORGET_BUCKETS, params, doing)?;
        }
    }
    Ok(())
}

fn signed(tokens: usize) -> i64 {
    i64::try_from(tokens).unwrap_or(i64::MAX)
}

/// Returns how many messages in how many microseconds, and how many at once.
fn rate_values(rate: Rate) -> (i64, i64, i64) {
    (rate.messages.into(), micros(rate.per), rate.burst.into())
}

/// The same for buckets that are full.
pub(crate) fn prune(run: &mut dyn Run) -> Result<bool> {
    Ok(execute(run, &PRUNE_BUCKETS, &[&BATCH], PRUNING)? >= BATCH.unsigned_abs())
}
