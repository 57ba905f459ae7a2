//! Shows what is scheduled: delays, retries, leases, and messages that come after others.

use crate::db::{Run, Statement, column, query, sql};
use crate::message::claimed::time;
use crate::message::columns::COUNT_LIMIT;
use crate::message::columns::{attempts, failures, id, priority, shown};
use crate::words::failed_attempt::FailedAttempt;
use crate::words::outcome::WaitReason;
use crate::words::payload::serialize_flat;
use crate::words::{Headers, MessageId, Payload, Result};
use postgres::Row;
use serde::Serialize;
use std::time::{Duration, SystemTime};
use uuid::Uuid;

static PEEK_SCHEDULED: Statement = sql!("peek_scheduled", Kept);

/// A message that is scheduled or leased, as [`scheduled`](crate::Topic::scheduled) shows it.
///
/// Its JSON is that of `outtray peek --scheduled --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ScheduledMessage {
    /// Its id.
    pub id: MessageId,
    /// What it waits for.
    pub reason: WaitReason,
    /// When it becomes ready, or its lease ends, by the database's clock; `None` for a message that
    /// waits for others.
    #[serde(with = "crate::words::moment::optional")]
    pub due_at: Option<SystemTime>,
    /// How long that is from now, by the same clock; zero once it is past. The message is ready
    /// when a process with a receiver has moved it.
    #[serde(rename = "due_in_ms", with = "crate::words::millis::optional")]
    pub due_in: Option<Duration>,
    /// Unfinished dependencies, at most 100. May lag behind by one upkeep round.
    pub after: Vec<MessageId>,
    /// The key that it was sent with.
    pub key: Option<String>,
    /// Its priority.
    pub priority: i16,
    /// Failed deliveries so far; for a leased message including the one in work.
    pub attempts: u32,
    /// The error of its last failure or snooze; `None` for a message that is in work again.
    pub error: Option<String>,
    /// The attempts that failed, the oldest first: the last ten.
    pub failures: Vec<FailedAttempt>,
    /// When it was sent, by the database's clock.
    #[serde(with = "crate::words::moment")]
    pub sent_at: SystemTime,
    /// Its headers: texts that the sender attached.
    pub headers: Headers,
    /// Its payload, undecoded.
    #[serde(flatten, serialize_with = "serialize_flat")]
    pub payload: Payload,
    /// Why part of it cannot be read, if so, since another program or a person wrote it. The rest
    /// is shown as far as possible.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<String>,
}

/// Returns the first messages of a topic by when they are due, among the [`COUNT_LIMIT`] that were
/// sent first.
pub(crate) fn peek(run: &mut dyn Run, topic: &str, limit: i64) -> Result<Vec<ScheduledMessage>> {
    let doing = "looking at what is scheduled";
    query(run, &PEEK_SCHEDULED, &[&topic, &limit, &COUNT_LIMIT], doing)?
        .iter()
        .map(|row| message(row, topic))
        .collect()
}

fn message(row: &Row, topic: &str) -> Result<ScheduledMessage> {
    let due_in_us: Option<i64> = column(row, "due_in_us")?;
    let error: Option<String> = column(row, "error")?;
    let after: Vec<Uuid> = column(row, "after")?;
    let shown = shown(row, topic)?;
    Ok(ScheduledMessage {
        id: id(row)?,
        reason: match (column(row, "is_leased")?, due_in_us, &error) {
            (true, ..) => WaitReason::Leased,
            (_, None, _) => WaitReason::AfterOthers,
            (_, _, Some(_)) => WaitReason::Retrying,
            (_, _, None) => WaitReason::Delayed,
        },
        due_at: column::<Option<i64>>(row, "due_at_us")?.map(time),
        due_in: due_in_us.map(|us| Duration::from_micros(us.unsigned_abs())),
        after: after.into_iter().map(MessageId).collect(),
        key: column(row, "key")?,
        priority: priority(row)?,
        attempts: attempts(row)?,
        failures: failures(row)?,
        error,
        sent_at: time(column(row, "sent_at_us")?),
        headers: shown.headers,
        payload: shown.payload,
        unreadable: shown.unreadable,
    })
}
