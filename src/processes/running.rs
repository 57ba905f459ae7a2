//! The processes that receive, as those see them who look from elsewhere.

use crate::db::{Run, Statement, column, query, sql};
use crate::message::claimed::time;
use crate::words::{MessageId, Result};
use postgres::Row;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

static RECEIVERS_SEEN: Statement = sql!("receivers_seen", Kept);

/// How long nobody has to have seen a process that shows life every 10 s: three signs missed.
pub(crate) const UNSEEN_S: i64 = 30;

/// A process that receives, as [`Messaging::processes`](crate::Messaging::processes) returns it.
///
/// Its JSON is that of `outtray processes --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RunningProcess {
    /// What tells it from all others: a text that is made when its `Messaging` connects.
    pub process: String,
    /// The name of its machine or container, if that is known.
    pub host: Option<String>,
    /// Its number on that machine.
    pub pid: Option<u32>,
    /// The name of its application, the `application_name` of its connections.
    pub program: Option<String>,
    /// The version of outtray that it was built with.
    pub version: Option<String>,
    /// When the first of its receivers started that still run, by the database's clock.
    #[serde(with = "crate::words::moment")]
    pub started_at: SystemTime,
    /// How long ago it showed life. It does so every 10 s.
    #[serde(rename = "seen_ago_ms", with = "crate::words::millis")]
    pub seen_ago: Duration,
    /// Whether it has shown no life for over 30 s: it died, hangs, or does not reach the database.
    /// Once another process has found it dead, it is not listed any more.
    #[serde(rename = "silent")]
    pub is_silent: bool,
    /// Its receivers, by topic.
    pub receivers: Vec<RunningReceiver>,
}

/// A receiver of a [`RunningProcess`]: what it is like, and what its workers did when it showed
/// life last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RunningReceiver {
    /// Its topic. A named reader of a log has the topic `LOG@READER`.
    pub topic: String,
    /// Its number, which no other receiver has.
    pub receiver: i64,
    /// How many workers it has; the lanes of a reader of a log.
    pub workers: u64,
    /// Workers that looked for messages, handled or settled them. The others were parked.
    pub busy: u64,
    /// Messages whose handlers had begun, and whose transactions had not ended.
    pub in_hand: u64,
    /// For how long it leases messages, or `None` if it holds them in transactions.
    #[serde(rename = "lease_ms", with = "crate::words::millis::optional")]
    pub lease: Option<Duration>,
    /// Which messages it wants, as the text of a [`Filter`](crate::Filter), or `None` for all.
    pub filter: Option<String>,
    /// Whether its topic is paused.
    #[serde(rename = "paused")]
    pub is_paused: bool,
    /// When it started, by the database's clock.
    #[serde(with = "crate::words::moment")]
    pub started_at: SystemTime,
    /// The handlers that had run for over a second, the longest-running first, at most 64. Those of
    /// readers of logs are not known.
    pub handlers: Vec<RunningHandler>,
}

/// A handler that runs, of a [`RunningReceiver`]. It was seen with the last sign of life, and may
/// have ended since.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct RunningHandler {
    /// The number of its worker, from 1, as in the name of the worker's thread.
    pub worker: u64,
    /// How long it has run by now, if it has not ended since.
    #[serde(rename = "running_ms", with = "crate::words::millis")]
    pub running_for: Duration,
    /// How many messages it has: more than one in a batch.
    pub messages: u64,
    /// Their ids, at most 16, and 256 of one receiver.
    pub ids: Vec<MessageId>,
    /// Which attempt it is, from 1; in a batch that of the first message.
    pub attempt: u32,
    /// The server process of its transaction, the `pid` of `pg_stat_activity`; `None` under a
    /// lease, and where it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_process: Option<i32>,
}

/// Returns the processes, by host and number.
pub(crate) fn processes(run: &mut dyn Run) -> Result<Vec<RunningProcess>> {
    let rows = query(run, &RECEIVERS_SEEN, &[], "looking at processes")?;
    let mut found = BTreeMap::<String, RunningProcess>::new();
    for row in &rows {
        let one = process(row)?;
        match found.get_mut(&one.process) {
            None => drop(found.insert(one.process.clone(), one)),
            Some(known) => {
                known.started_at = known.started_at.min(one.started_at);
                known.seen_ago = known.seen_ago.min(one.seen_ago);
                known.is_silent &= one.is_silent;
                known.receivers.extend(one.receivers);
            }
        }
    }
    let mut processes: Vec<RunningProcess> = found.into_values().collect();
    processes.sort_by(|one, other| (&one.host, one.pid).cmp(&(&other.host, other.pid)));
    Ok(processes)
}

/// Reads a receiver, as a process with this one.
fn process(row: &Row) -> Result<RunningProcess> {
    let receiver = receiver(row)?;
    let seen_ago = Duration::from_micros(column::<i64>(row, "seen_ago_us")?.unsigned_abs());
    let pid: Option<i64> = column(row, "pid")?;
    Ok(RunningProcess {
        process: column(row, "process")?,
        host: column(row, "host")?,
        pid: pid.and_then(|pid| u32::try_from(pid).ok()),
        program: column(row, "program")?,
        version: column(row, "version")?,
        started_at: receiver.started_at,
        seen_ago,
        is_silent: seen_ago > Duration::from_secs(UNSEEN_S.unsigned_abs()),
        receivers: vec![receiver],
    })
}

fn receiver(row: &Row) -> Result<RunningReceiver> {
    let number = |name| column::<Option<i64>>(row, name).map(|n| n.unwrap_or(0).max(0));
    let seen_ago = Duration::from_micros(column::<i64>(row, "seen_ago_us")?.unsigned_abs());
    let lease_ms: Option<i64> = column(row, "lease_ms")?;
    let handlers: Option<&str> = column(row, "handlers")?;
    // Other programs write rows, too.
    let handlers = handlers.and_then(|text| serde_json::from_str::<Vec<RunningHandler>>(text).ok());
    let mut handlers = handlers.unwrap_or_default();
    for handler in &mut handlers {
        handler.running_for = handler.running_for.saturating_add(seen_ago);
    }
    Ok(RunningReceiver {
        topic: column(row, "topic")?,
        receiver: column(row, "id")?,
        workers: number("workers")?.unsigned_abs(),
        busy: number("busy")?.unsigned_abs(),
        in_hand: number("in_hand")?.unsigned_abs(),
        lease: lease_ms.map(|ms| Duration::from_millis(ms.unsigned_abs())),
        filter: column(row, "filter")?,
        is_paused: column(row, "is_paused")?,
        started_at: time(column(row, "started_at_us")?),
        handlers,
    })
}
