//! The numbers of all topics at once, for those who look again and again: dashboards and metrics.
//!
//! Two statements however many topics there are: one lists them, one counts the messages of each
//! kind, as far as a [`Depth`] says. If any topic has more, a third one estimates those, from one
//! sample of each table for all topics (`stats` says how good such an estimate is). So a look costs
//! by the number of topics, not by that of messages.

use crate::db::{Params, Run, Statement, column, query, sql};
use crate::topics::stats::PAGES;
use crate::words::Result;
use postgres::Row;
use serde::Serialize;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

static BACKLOGS: Statement = sql!("backlogs", Kept);
static ESTIMATE_BACKLOGS: Statement = sql!("estimate_backlogs", Kept);

/// How far topics are looked into.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Depth {
    /// How far each kind is counted.
    pub(crate) counted: i64,
    /// How many of a topic's first messages are looked at for those in work, and the oldest.
    pub(crate) looked_at: i64,
}

/// Some milliseconds for a topic that has as many; more in work than most processes together have
/// in hand.
pub(crate) const DEEP: Depth = Depth {
    counted: 10_000,
    looked_at: 1_000,
};

/// How many messages of each kind topics have about, by their names.
pub(crate) type Estimates = HashMap<String, [i64; 5]>;

/// The kinds that are counted, in the order of the fields.
const KINDS: [&str; 5] = ["ready", "scheduled", "leased", "behind", "dead"];
const COUNTING: &str = "counting messages";

/// The numbers of one topic, as [`Messaging::backlogs`](crate::Messaging::backlogs) returns them.
///
/// Its JSON has the same names, and the age in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct TopicBacklog {
    /// The topic's name.
    pub topic: String,
    /// Messages that can be claimed now or are in work in a transaction, and the failed head of a
    /// topic in strict order.
    pub ready: u64,
    /// Messages in work: under a lease, and in a transaction, of which the first 1,000 messages in
    /// claim order are looked at. Those in a transaction are among the ready ones, too.
    pub in_work: u64,
    /// Messages that wait for a delay, a retry, or the end of others.
    pub scheduled: u64,
    /// Messages that wait behind another message of their key.
    pub behind: u64,
    /// Dead letters.
    pub dead: u64,
    /// Whether any of these numbers is an estimate, as it is over 10,000.
    #[serde(rename = "estimated")]
    pub is_estimated: bool,
    /// How long ago the oldest ready message was sent, or `None` if none is ready. Checks the first
    /// 1,000 messages in claim order.
    #[serde(rename = "oldest_ready_ms", with = "crate::words::millis::optional")]
    pub oldest_ready_age: Option<Duration>,
    /// Running receivers, over all processes.
    pub receivers: u64,
    /// Whether the topic is paused.
    #[serde(rename = "paused")]
    pub is_paused: bool,
    /// Whether a process died that may have had messages of the topic in hand.
    #[serde(rename = "suspect")]
    pub is_suspect: bool,
}

/// Returns the numbers of some topics, sorted as these are.
pub(crate) fn backlogs(run: &mut dyn Run, topics: &[String]) -> Result<Vec<TopicBacklog>> {
    looked_into(run, topics, DEEP, |run| estimates(run).map(Arc::new))
}

/// Returns the numbers of some topics, counted so far, and beyond that as estimated: what has no
/// estimate is shown as more than was counted.
pub(crate) fn looked_into(
    run: &mut dyn Run,
    topics: &[String],
    depth: Depth,
    estimate: impl FnOnce(&mut dyn Run) -> Result<Arc<Estimates>>,
) -> Result<Vec<TopicBacklog>> {
    let most = depth.counted;
    // One more says that there are more.
    let params: Params<'_> = &[&topics, &(most + 1), &depth.looked_at];
    let rows = query(run, &BACKLOGS, params, COUNTING)?;
    let mut counted = Vec::with_capacity(rows.len());
    for row in &rows {
        counted.push((column::<String>(row, "topic")?, kinds(row)?, row));
    }
    let is_over = |kinds: &[i64; 5]| kinds.iter().any(|count| *count > most);
    let estimates = match counted.iter().any(|(_, kinds, _)| is_over(kinds)) {
        true => estimate(run)?,
        false => Arc::default(),
    };
    let mut found = HashMap::with_capacity(counted.len());
    for (topic, mut kinds, row) in counted {
        let is_estimated = is_over(&kinds);
        let estimate = estimates.get(&topic).copied().unwrap_or_default();
        for (count, estimate) in kinds.iter_mut().zip(estimate) {
            if *count > most {
                *count = estimate.max(*count);
            }
        }
        found.insert(topic.clone(), backlog(topic, kinds, is_estimated, row)?);
    }
    Ok(topics
        .iter()
        .filter_map(|topic| found.remove(topic))
        .collect())
}

fn backlog(topic: String, kinds: [i64; 5], is_estimated: bool, row: &Row) -> Result<TopicBacklog> {
    let [ready, scheduled, leased, behind, dead] = kinds.map(i64::unsigned_abs);
    let held: i64 = column(row, "held")?;
    let oldest_us: Option<i64> = column(row, "oldest_us")?;
    Ok(TopicBacklog {
        topic,
        ready,
        in_work: leased + held.unsigned_abs(),
        scheduled,
        behind,
        dead,
        is_estimated,
        oldest_ready_age: oldest_us.map(|us| Duration::from_micros(us.unsigned_abs())),
        receivers: column::<i64>(row, "receivers")?.unsigned_abs(),
        is_paused: column(row, "is_paused")?,
        is_suspect: column(row, "is_suspect")?,
    })
}

/// Returns how many messages each topic of a sample has about: ready, scheduled, leased, behind
/// others, dead. A topic of few messages may be missing where there are many of others.
pub(crate) fn estimates(run: &mut dyn Run) -> Result<Estimates> {
    query(run, &ESTIMATE_BACKLOGS, &[&PAGES], COUNTING)?
        .iter()
        .map(|row| Ok((column(row, "topic")?, kinds(row)?)))
        .collect()
}

fn kinds(row: &Row) -> Result<[i64; 5]> {
    let mut kinds = [0; 5];
    for (count, name) in kinds.iter_mut().zip(KINDS) {
        *count = column(row, name)?;
    }
    Ok(kinds)
}
