//! Reads the columns of messages by name.

use crate::db::column;
use crate::message::claimed::headers;
use crate::words::failed_attempt::FailedAttempt;
use crate::words::headers;
use crate::words::{Headers, MessageId, Payload, Result, chain};
use postgres::Row;

/// Up to here messages are counted one by one; beyond, the numbers are estimates.
pub(crate) const COUNT_LIMIT: i64 = 100_000;

pub(crate) fn id(row: &Row) -> Result<MessageId> {
    column(row, "id").map(MessageId)
}

pub(crate) fn priority(row: &Row) -> Result<i16> {
    column::<i16>(row, "rank").map(i16::saturating_neg)
}

pub(crate) fn attempts(row: &Row) -> Result<u32> {
    column::<i16>(row, "attempts").map(|attempts| u32::try_from(attempts).unwrap_or_default())
}

/// Reads the attempts that failed, as text in the column `failures`.
pub(crate) fn failures(row: &Row) -> Result<Vec<FailedAttempt>> {
    let stored: Option<&str> = column(row, "failures")?;
    Ok(FailedAttempt::read_all(stored))
}

/// Reads the payload as it is stored.
pub(crate) fn content(row: &Row) -> Result<Payload> {
    Ok(match column::<Option<String>>(row, "payload")? {
        Some(json) => Payload::json(json),
        None => Payload::Bytes(column::<Option<Vec<u8>>>(row, "body")?.unwrap_or_default()),
    })
}

/// What can be shown of a message, and why that is not all.
pub(crate) struct Shown {
    pub(crate) headers: Headers,
    pub(crate) payload: Payload,
    pub(crate) unreadable: Option<String>,
}

/// Reads what a message carries as far as it can be read.
pub(crate) fn shown(row: &Row, topic: &str) -> Result<Shown> {
    let mut unreadable = None;
    let mut note = |error| {
        unreadable.get_or_insert_with(|| chain(&error));
    };
    let stored: Option<&str> = column(row, "headers")?;
    let headers = headers(stored).unwrap_or_else(|error| {
        note(error);
        stored.map(headers::shown).unwrap_or_default()
    });
    let mut payload = content(row)?;
    if let Err(error) = payload.check(topic) {
        note(error);
        payload = Payload::Bytes(payload.as_bytes().to_vec());
    }
    Ok(Shown {
        headers,
        payload,
        unreadable,
    })
}

/// Reads the column `attempts` of the one row there is, if there is one.
pub(crate) fn first_attempts(rows: &[Row]) -> Result<Option<u32>> {
    rows.first().map(attempts).transpose()
}
