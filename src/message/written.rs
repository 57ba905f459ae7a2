//! What the columns of messages are written as, by whichever statement.

use crate::words::headers::written;
use crate::words::new_message::{Content, NewMessage};
use crate::words::outgoing::Outgoing;
use std::time::Duration;
use uuid::Uuid;

/// Messages as the arrays that the bulk statements take.
pub(crate) struct Columns<'a> {
    pub(crate) topics: Vec<&'a str>,
    pub(crate) ranks: Vec<i16>,
    pub(crate) ids: Vec<Uuid>,
    pub(crate) headers: Vec<Option<String>>,
    pub(crate) payloads: Vec<Option<&'a str>>,
    pub(crate) bodies: Vec<Option<&'a [u8]>>,
}

impl<'a> Columns<'a> {
    pub(crate) fn of(messages: &'a [Outgoing]) -> Self {
        let mut columns = Columns {
            topics: Vec::with_capacity(messages.len()),
            ranks: Vec::with_capacity(messages.len()),
            ids: Vec::with_capacity(messages.len()),
            headers: Vec::with_capacity(messages.len()),
            payloads: Vec::with_capacity(messages.len()),
            bodies: Vec::with_capacity(messages.len()),
        };
        for Outgoing { id, message, .. } in messages {
            let (payload, body) = content(message);
            columns.topics.push(&message.topic);
            columns.ranks.push(rank(message.priority));
            columns.ids.push(id.0);
            columns.headers.push(headers(message));
            columns.payloads.push(payload);
            columns.bodies.push(body);
        }
        columns
    }
}

/// The options that most messages do not have, as arrays.
pub(crate) struct RareColumns<'a> {
    pub(crate) keys: Vec<Option<&'a str>>,
    pub(crate) expiries: Vec<Option<i64>>,
    pub(crate) on_ends: Vec<Option<i16>>,
}

impl<'a> RareColumns<'a> {
    pub(crate) fn of(messages: &'a [Outgoing]) -> Self {
        let each = || messages.iter();
        RareColumns {
            keys: each()
                .map(|outgoing| outgoing.message.rare.key.as_deref())
                .collect(),
            expiries: each()
                .map(|outgoing| outgoing.message.rare.expires_in.map(micros))
                .collect(),
            on_ends: each().map(|outgoing| outgoing.on_end.stored()).collect(),
        }
    }
}

/// Returns the payload as the columns for JSON and for bytes take it; one of them is `None`.
pub(crate) fn content(message: &NewMessage) -> (Option<&str>, Option<&[u8]>) {
    match &message.content {
        Content::Json(text) => (Some(text), None),
        Content::Bytes(bytes) => (None, Some(bytes)),
    }
}

/// Returns a time span as the statements take it.
pub(crate) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// Returns the place in claim order of a priority, which was checked not to be the minimum.
pub(crate) fn rank(priority: i16) -> i16 {
    priority.saturating_neg()
}

/// Returns the headers as they are stored; `None` for a message without any.
pub(crate) fn headers(message: &NewMessage) -> Option<String> {
    written(&message.headers, &message.rare.null_headers)
}
