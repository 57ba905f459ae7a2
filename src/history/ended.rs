//! A message that ended, as the history has it.

use crate::db::column;
use crate::message::claimed::{headers, time};
use crate::message::columns::{attempts, failures};
use crate::words::completion::How;
use crate::words::failed_attempt::FailedAttempt;
use crate::words::headers::shown;
use crate::words::payload::serialize_flat;
use crate::words::{DeadReason, Headers, MessageId, Payload, Result};
use postgres::Row;
use serde::{Serialize, Serializer};
use std::time::SystemTime;

/// How a message ended, as [`Messaging::history`](crate::Messaging::history) shows it.
///
/// Its JSON is that of `outtray history --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct EndedMessage {
    /// The topic it was sent to.
    pub topic: String,
    /// Its id.
    pub id: MessageId,
    /// How it ended. A dead letter that was redriven may end again, and has a row for each end.
    pub how: How,
    /// When it ended, by the database's clock.
    #[serde(with = "crate::words::moment")]
    pub ended_at: SystemTime,
    /// The key that it was sent with.
    pub key: Option<String>,
    /// Its header `message-type`.
    pub message_type: Option<String>,
    /// When it was sent, by the database's clock.
    #[serde(with = "crate::words::moment")]
    pub sent_at: SystemTime,
    /// Since when it could be handled, if that is not when it was sent: after a delay, a retry or a
    /// redrive. Known of messages that were handled in a transaction.
    #[serde(with = "crate::words::moment::optional")]
    pub due_at: Option<SystemTime>,
    /// When its last delivery began: its transaction, or its lease. `None` where there was none, or
    /// nobody knows.
    #[serde(with = "crate::words::moment::optional")]
    pub started_at: Option<SystemTime>,
    /// Its deliveries that counted, the last one included.
    pub attempts: u32,
    /// The process that handled it: its host and its process id. `None` where nobody did.
    pub process: Option<String>,
    /// Why it became a dead letter.
    pub reason: Option<DeadReason>,
    /// The error that the dead letter was kept with.
    pub error: Option<String>,
    /// The attempts that failed, the oldest first: the last ten.
    pub failures: Vec<FailedAttempt>,
    /// What its handler [recorded](crate::MessagingSession::record_result), if it was tracked.
    pub result: Option<serde_json::Value>,
    /// Its headers, where the topic [keeps](crate::TopicConfig::keep_done_payload) them.
    pub headers: Option<Headers>,
    /// Its payload, where the topic keeps it.
    #[serde(flatten, serialize_with = "flat_if_kept")]
    pub payload: Option<Payload>,
}

fn flat_if_kept<S: Serializer>(payload: &Option<Payload>, to: S) -> Result<S::Ok, S::Error> {
    match payload {
        Some(payload) => serialize_flat(payload, to),
        None => serde::ser::SerializeMap::end(to.serialize_map(Some(0))?),
    }
}

/// Reads a row of the history. What cannot be read in it is left out.
pub(crate) fn read(row: &Row) -> Result<EndedMessage> {
    let moment = |name| Ok(column::<Option<i64>>(row, name)?.map(time));
    let reason: Option<&str> = column(row, "reason")?;
    let result: Option<&str> = column(row, "result")?;
    let stored: Option<&str> = column(row, "headers")?;
    let json: Option<String> = column(row, "payload")?;
    let body: Option<Vec<u8>> = column(row, "body")?;
    let has_content = json.is_some() || body.is_some();
    let failures = failures(row)?;
    let process: Option<String> = column(row, "process")?;
    Ok(EndedMessage {
        topic: column(row, "topic")?,
        id: MessageId(column(row, "id")?),
        // One of a newer release reads as this.
        how: How::parse(column(row, "how")?).unwrap_or(How::Purged),
        ended_at: time(column(row, "ended_at_us")?),
        key: column(row, "key")?,
        message_type: column(row, "kind")?,
        sent_at: time(column(row, "sent_at_us")?),
        due_at: moment("due_at_us")?,
        started_at: moment("started_at_us")?,
        attempts: attempts(row)?,
        process: process.or_else(|| failures.last().map(|last| last.process.clone())),
        reason: reason.and_then(DeadReason::parse),
        error: column(row, "error")?,
        failures,
        result: result.and_then(|text| serde_json::from_str(text).ok()),
        headers: has_content
            .then(|| headers(stored).unwrap_or_else(|_| stored.map(shown).unwrap_or_default())),
        payload: json.map(Payload::json).or(body.map(Payload::Bytes)),
    })
}
