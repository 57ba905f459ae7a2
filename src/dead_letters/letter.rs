//! Shows dead letters.

use crate::db::{Run, Statement, column, query, sql};
use crate::dead_letters::selection::Selection;
use crate::message::claimed::time;
use crate::message::columns::{attempts, failures, id, priority, shown};
use crate::words::failed_attempt::FailedAttempt;
use crate::words::payload::serialize_flat;
use crate::words::{DeadReason, Headers, MessageId, Payload, Result};
use postgres::Row;
use serde::Serialize;
use std::time::SystemTime;

static DEAD_LETTERS: Statement = sql!("dead_letters", Anew);
static DEAD_TOPICS: Statement = sql!("dead_topics", Anew);

const DOING: &str = "listing dead letters";

/// A message that was given up, with everything that is known about why.
///
/// Its JSON is that of `outtray dead list --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct DeadLetter {
    /// The topic it was sent to.
    pub topic: String,
    /// Its id, the same as when it was sent.
    pub id: MessageId,
    /// The key that it was sent with; messages behind it may be held or parked.
    pub key: Option<String>,
    /// The dedupe key that it had until it ended, and takes again when it is redriven.
    pub dedupe_key: Option<String>,
    /// Why it was given up.
    pub reason: DeadReason,
    /// The last error with its whole chain of causes, in one line.
    pub error: String,
    /// How many of its deliveries counted. For a [`Crashed`](DeadReason::Crashed) message: at least
    /// this many failed, or ended with the death of their process.
    pub attempts: u32,
    /// The attempts that failed, the oldest first: the last ten.
    pub failures: Vec<FailedAttempt>,
    /// Its priority.
    pub priority: i16,
    /// When it was sent, by the database's clock.
    #[serde(with = "crate::words::moment")]
    pub sent_at: SystemTime,
    /// When it was given up, by the database's clock.
    #[serde(with = "crate::words::moment")]
    pub died_at: SystemTime,
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

/// Returns the dead letters of a topic that died first.
pub(crate) fn dead_letters(
    run: &mut dyn Run,
    topic: &str,
    limit: i64,
    which: &Selection,
) -> Result<Vec<DeadLetter>> {
    let (ids, key) = (which.ids(), which.key_chosen());
    let rows = query(run, &DEAD_LETTERS, &[&topic, &limit, &ids, &key], DOING)?;
    rows.iter().map(|row| dead_letter(row, topic)).collect()
}

/// Returns those of all topics that died first. A query for each topic that has any: asked for in
/// one, they may be found by reading the whole table once for each of them.
pub(crate) fn dead_letters_everywhere(
    run: &mut dyn Run,
    limit: i64,
    which: &Selection,
) -> Result<Vec<DeadLetter>> {
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut first = Vec::new();
    for row in query(run, &DEAD_TOPICS, &[], DOING)? {
        let topic: &str = column(&row, "topic")?;
        first.extend(dead_letters(run, topic, limit, which)?);
        first.sort_by_key(|letter| (letter.died_at, letter.id));
        first.truncate(most);
    }
    Ok(first)
}

fn dead_letter(row: &Row, topic: &str) -> Result<DeadLetter> {
    let shown = shown(row, topic)?;
    Ok(DeadLetter {
        topic: topic.to_owned(),
        id: id(row)?,
        key: column(row, "key")?,
        dedupe_key: column(row, "dedupe_key")?,
        priority: priority(row)?,
        attempts: attempts(row)?,
        failures: failures(row)?,
        // One of a newer release reads as this.
        reason: DeadReason::parse(column(row, "reason")?).unwrap_or(DeadReason::Exhausted),
        error: column(row, "error")?,
        sent_at: time(column(row, "sent_at_us")?),
        died_at: time(column(row, "died_at_us")?),
        headers: shown.headers,
        payload: shown.payload,
        unreadable: shown.unreadable,
    })
}
