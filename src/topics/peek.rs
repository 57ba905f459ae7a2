//! Shows the messages of a topic: which are ready, which are in work, and in whose hands.
//!
//! Nothing is locked to find out. A transaction that claims a message writes its number into the
//! row, where it stays; an open transaction holds a lock on its own number, which everybody can
//! see. So a look costs claims nothing.

use crate::db::{Run, Statement, column, query, sql};
use crate::message::claimed::time;
use crate::message::columns::{attempts, failures, id, priority, shown};
use crate::words::failed_attempt::FailedAttempt;
use crate::words::outcome::MessageState;
use crate::words::payload::serialize_flat;
use crate::words::{Headers, MessageId, Payload, Result};
use postgres::Row;
use serde::Serialize;
use std::collections::HashMap;
use std::time::{Duration, SystemTime};

static HOLDERS: Statement = sql!("holders", Kept);
static PEEK: Statement = sql!("peek", Anew);

/// A message that waits or is in work, as [`peek`](crate::Topic::peek) shows it.
///
/// Its JSON is that of `outtray peek --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct WaitingMessage {
    /// Its id.
    pub id: MessageId,
    /// Whether it is ready, in work, behind others of its key, or kept in a log.
    #[serde(flatten)]
    pub state: MessageState,
    /// The key that it was sent with.
    pub key: Option<String>,
    /// Its priority.
    pub priority: i16,
    /// Failed deliveries so far, without the one in work.
    pub attempts: u32,
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

/// Open transactions, each with what is known of who has it.
pub(crate) type Holders = HashMap<String, (Option<i32>, Option<String>)>;

pub(crate) fn peek(run: &mut dyn Run, topic: &str, limit: i64) -> Result<Vec<WaitingMessage>> {
    let rows = query(run, &PEEK, &[&topic, &limit], "peeking")?;
    let holders = holders(run, &rows)?;
    rows.iter()
        .map(|row| message(row, topic, state(row, &holders)?))
        .collect()
}

/// Returns which of the transactions are open that have the rows in hand, or had.
pub(crate) fn holders(run: &mut dyn Run, rows: &[Row]) -> Result<Holders> {
    let mut named: Vec<String> = Vec::new();
    for row in rows {
        named.extend(column::<Option<String>>(row, "holder")?);
    }
    named.sort_unstable();
    named.dedup();
    if named.is_empty() {
        return Ok(Holders::new());
    }
    let doing = "looking who has messages in work";
    query(run, &HOLDERS, &[&named], doing)?
        .iter()
        .map(|row| {
            let holder = (column(row, "server_process")?, column(row, "program")?);
            Ok((column(row, "holder")?, holder))
        })
        .collect()
}

/// Reads a message, whose state is known.
pub(crate) fn message(row: &Row, topic: &str, state: MessageState) -> Result<WaitingMessage> {
    let shown = shown(row, topic)?;
    Ok(WaitingMessage {
        id: id(row)?,
        state,
        key: column(row, "key")?,
        priority: priority(row)?,
        attempts: attempts(row)?,
        failures: failures(row)?,
        sent_at: time(column(row, "sent_at_us")?),
        headers: shown.headers,
        payload: shown.payload,
        unreadable: shown.unreadable,
    })
}

fn state(row: &Row, holders: &Holders) -> Result<MessageState> {
    let left = column::<Option<i64>>(row, "left_us")?;
    let left = left.map(|us| Duration::from_micros(us.unsigned_abs()));
    let holder: Option<&str> = column(row, "holder")?;
    let is_behind = column::<i32>(row, "part")? > 0;
    Ok(
        match (holder.and_then(|holder| holders.get(holder)), left) {
            (Some((server_process, program)), _) => MessageState::InWork {
                server_process: *server_process,
                program: program.clone(),
            },
            (None, Some(left)) if column(row, "is_leased")? => MessageState::Leased { left },
            (None, Some(left)) => MessageState::Retrying { left },
            (None, None) if is_behind => MessageState::Behind,
            (None, None) => MessageState::Ready,
        },
    )
}
