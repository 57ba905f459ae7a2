//! Where messages are, and the key by which one is found there.

use crate::db::column;
use crate::words::named::named;
use crate::words::{Error, ErrorKind, Result};
use postgres::Row;
use serde::Serialize;
use std::str::FromStr;
use uuid::Uuid;

/// Where a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MessagePlace {
    /// Among those that are ready, or in work in a transaction.
    Ready,
    /// Behind others of its key.
    Behind,
    /// Among those that wait for a delay, a retry or the end of others, or are in work under a
    /// lease.
    Scheduled,
    /// Among the dead letters.
    Dead,
    /// In a log.
    Kept,
    /// Nowhere any more: it has ended, and is known from the history. No search looks there.
    Ended,
}

named!(
    MessagePlace: Ready = "ready",
    Behind = "behind",
    Scheduled = "scheduled",
    Dead = "dead",
    Kept = "kept",
    Ended = "ended"
);

impl MessagePlace {
    /// All places that a search looks at, in this order.
    pub const ALL: [MessagePlace; 5] = [
        MessagePlace::Ready,
        MessagePlace::Behind,
        MessagePlace::Scheduled,
        MessagePlace::Dead,
        MessagePlace::Kept,
    ];
}

impl FromStr for MessagePlace {
    type Err = Error;

    /// Reads the word of a place.
    ///
    /// # Errors
    /// `Invalid` for any other text.
    fn from_str(word: &str) -> Result<Self> {
        let place = MessagePlace::parse(word);
        let searched = place.filter(|place| MessagePlace::ALL.contains(place));
        searched.ok_or_else(|| {
            let words = MessagePlace::ALL.map(MessagePlace::as_str).join(", ");
            Error::invalid(format!("no such place of messages, use one of {words}"))
        })
    }
}

/// Where one message was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Located {
    pub(crate) place: MessagePlace,
    pub(crate) topic: String,
    pub(crate) id: Uuid,
    /// Its rank; 0 in a log.
    pub(crate) rank: i16,
    /// Its number among the ready messages, those behind others, or the entries of a log; 0
    /// elsewhere.
    pub(crate) seq: i64,
    /// The key of a message behind others.
    pub(crate) key: Option<String>,
    /// The segment of an entry of a log; 0 elsewhere.
    pub(crate) segment: i64,
}

impl Located {
    pub(crate) fn read(row: &Row, id: Uuid) -> Result<Self> {
        let place: &str = column(row, "place")?;
        let odd = || Error::new(ErrorKind::Database, "a message is in an unknown place");
        Ok(Located {
            place: MessagePlace::parse(place).ok_or_else(odd)?,
            topic: column(row, "topic")?,
            id,
            rank: column(row, "rank")?,
            seq: column(row, "seq")?,
            key: column(row, "key")?,
            segment: column(row, "segment")?,
        })
    }
}
