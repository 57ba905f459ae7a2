//! An entry as the database returns it.

use crate::message::claimed::{headers, time};
use crate::words::decode::{decode_bytes, decode_json};
use crate::words::error::{Error, ErrorKind, Result};
use crate::words::headers::Headers;
use crate::words::limits::MAX_KEY_BYTES;
use crate::words::log_position::LogPosition;
use crate::words::message::{CancelToken, Message, MessageId};
use postgres::Row;
use postgres::types::{FromSql, Type};
use serde::de::DeserializeOwned;
use std::error::Error as StdError;
use std::time::SystemTime;
use uuid::Uuid;

/// What a statement that reads entries returns, in this order. They are read by their places, in
/// their binary form: nothing is looked up or copied for a column that nobody asks for.
const COLUMNS: [&str; 8] = [
    "tx", "seq", "id", "sent_at", "key", "headers", "payload", "body",
];

/// Where the server's times begin, in microseconds since 1970.
const US_FROM_1970_TO_2000: i64 = 946_684_800_000_000;
/// The beginning of the year 1, and of the last day of the year 9999.
const FIRST_US: i64 = -62_135_596_800_000_000;
const LAST_US: i64 = 253_402_214_400_000_000;

/// An entry of a log.
#[derive(Debug)]
pub(crate) struct EntryRow {
    pub(crate) position: LogPosition,
    row: Row,
}

/// The binary form of a value.
struct Raw<'a>(&'a [u8]);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn StdError + Sync + Send>> {
        Ok(Raw(raw))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// Reads the transaction and the number of a row; `None` for the row without any, which says that
/// entries are gone.
pub(super) fn origin(row: &Row) -> Result<Option<(u64, i64)>> {
    let (Some(tx), Some(seq)) = (number(row, 0)?, number(row, 1)?) else {
        return Ok(None);
    };
    Ok(Some((tx.cast_unsigned(), seq)))
}

impl EntryRow {
    pub(super) fn new(position: LogPosition, row: Row) -> Self {
        EntryRow { position, row }
    }

    pub(crate) fn id(&self) -> Result<MessageId> {
        let bytes = raw(&self.row, 2)?.and_then(|raw| Uuid::from_slice(raw).ok());
        bytes.map(MessageId).ok_or_else(|| odd(2))
    }

    /// Returns when it was sent. A time that is endless becomes the last that a calendar holds.
    pub(crate) fn sent_at(&self) -> Result<SystemTime> {
        let us = number(&self.row, 3)?.ok_or_else(|| odd(3))?;
        let us = us.saturating_add(US_FROM_1970_TO_2000);
        Ok(time(us.clamp(FIRST_US, LAST_US)))
    }

    pub(crate) fn key(&self) -> Result<Option<&str>> {
        text(&self.row, 4)
    }

    /// Returns its key; none of one that cannot be read, or that no index of messages can hold.
    pub(crate) fn key_text(&self) -> Option<&str> {
        let key = self.key().unwrap_or_default();
        key.filter(|key| key.len() <= MAX_KEY_BYTES)
    }

    /// Returns its headers as they are stored.
    pub(crate) fn headers_text(&self) -> Result<Option<&str>> {
        text(&self.row, 5)
    }

    /// Returns its payload, if that is JSON.
    pub(crate) fn json(&self) -> Result<Option<&str>> {
        text(&self.row, 6)
    }

    /// Returns its payload, if that is bytes.
    pub(crate) fn body(&self) -> Result<Option<&[u8]>> {
        raw(&self.row, 7)
    }

    /// Returns how many bytes its payload has.
    pub(crate) fn len(&self) -> usize {
        let bytes = |column| raw(&self.row, column).ok().flatten().map_or(0, <[u8]>::len);
        bytes(6) + bytes(7)
    }

    pub(crate) fn headers(&self) -> Result<Headers> {
        headers(text(&self.row, 5)?)
    }

    fn decode<T: DeserializeOwned>(&self, topic: &str) -> Result<T> {
        if let Some(json) = text(&self.row, 6)? {
            return decode_json(json, topic);
        }
        decode_bytes(raw(&self.row, 7)?.ok_or_else(|| odd(6))?, topic)
    }

    /// Returns it as the message that users get.
    ///
    /// # Errors
    /// `Payload` for a payload that is no `T`; `Database` for a row that was changed by hand.
    pub(crate) fn message<T: DeserializeOwned>(
        &self,
        topic: &str,
        attempt: u32,
        max_attempts: u32,
    ) -> Result<Message<T>> {
        Ok(Message {
            id: self.id()?,
            topic: topic.to_owned(),
            payload: self.decode(topic)?,
            attempt,
            max_attempts,
            priority: 0,
            key: self.key()?.map(str::to_owned),
            headers: self.headers()?,
            sent_at: self.sent_at()?,
            cancel: CancelToken::default(),
            log_position: Some(self.position),
        })
    }
}

fn raw(row: &Row, column: usize) -> Result<Option<&[u8]>> {
    row.try_get::<_, Option<Raw<'_>>>(column)
        .map(|raw| raw.map(|Raw(bytes)| bytes))
        .map_err(|error| odd(column).because(error))
}

fn number(row: &Row, column: usize) -> Result<Option<i64>> {
    let bytes = raw(row, column)?;
    bytes
        .map(|bytes| {
            let bytes = bytes.try_into().map_err(|_| odd(column))?;
            Ok(i64::from_be_bytes(bytes))
        })
        .transpose()
}

fn text(row: &Row, column: usize) -> Result<Option<&str>> {
    let bytes = raw(row, column)?;
    bytes
        .map(|bytes| std::str::from_utf8(bytes).map_err(|error| odd(column).because(error)))
        .transpose()
}

fn odd(column: usize) -> Error {
    let name = COLUMNS[column];
    Error::new(
        ErrorKind::Database,
        format!("the {name} of an entry of a log cannot be read: was the table changed by hand?"),
    )
}
