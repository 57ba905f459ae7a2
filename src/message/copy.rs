//! Stores many plain messages by COPY.
//!
//! The rows are written here, in the binary format (PostgreSQL's manual, "COPY", "Binary Format"),
//! into one buffer: the driver's own writer runs its event loop once for each row.

use crate::message::written::{content, headers, rank};
use crate::words::Outgoing;

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
/// Topic, rank, id, headers, payload, body.
const FIELDS: i16 = 6;
/// What a row takes beside its payload and topic: lengths, rank, id.
const ROW_BYTES: usize = 44;
/// Topic, segment, id, key, headers, payload, body of an entry of a log.
const ENTRY_FIELDS: i16 = 7;
/// What an entry takes beside its payload, topic and key.
const ENTRY_BYTES: usize = 54;

/// Returns messages as the rows of `send_copy`, in the order given.
pub(crate) fn rows(messages: &[Outgoing]) -> Vec<u8> {
    let size = |outgoing: &Outgoing| {
        ROW_BYTES + outgoing.message.topic.len() + outgoing.message.content.len()
    };
    let mut rows = begun(messages.iter().map(size).sum());
    for outgoing in messages {
        let message = &outgoing.message;
        let (payload, body) = content(message);
        rows.extend_from_slice(&FIELDS.to_be_bytes());
        push(&mut rows, Some(message.topic.as_bytes()));
        push(&mut rows, Some(&rank(message.priority).to_be_bytes()));
        push(&mut rows, Some(outgoing.id.0.as_bytes()));
        push(&mut rows, headers(outgoing).as_deref().map(str::as_bytes));
        push(&mut rows, payload.map(str::as_bytes));
        push(&mut rows, body);
    }
    rows.extend_from_slice(&(-1_i16).to_be_bytes());
    rows
}

/// Returns messages as the rows of `append_copy`, for a segment of a log, in the order given.
pub(crate) fn entries(messages: &[&Outgoing], segment: i64) -> Vec<u8> {
    let size = |outgoing: &&Outgoing| {
        ENTRY_BYTES + outgoing.message.topic.len() + outgoing.message.content.len()
    };
    let mut rows = begun(messages.iter().map(size).sum());
    for outgoing in messages {
        let message = &outgoing.message;
        let (payload, body) = content(message);
        rows.extend_from_slice(&ENTRY_FIELDS.to_be_bytes());
        push(&mut rows, Some(message.topic.as_bytes()));
        push(&mut rows, Some(&segment.to_be_bytes()));
        push(&mut rows, Some(outgoing.id.0.as_bytes()));
        push(&mut rows, message.rare.key.as_deref().map(str::as_bytes));
        push(&mut rows, headers(outgoing).as_deref().map(str::as_bytes));
        push(&mut rows, payload.map(str::as_bytes));
        push(&mut rows, body);
    }
    rows.extend_from_slice(&(-1_i16).to_be_bytes());
    rows
}

/// Begins rows of so many bytes.
fn begun(bytes: usize) -> Vec<u8> {
    let mut rows = Vec::with_capacity(64 + bytes);
    rows.extend_from_slice(SIGNATURE);
    // Flags, and the length of an extension of the header: none.
    rows.extend_from_slice(&[0; 8]);
    rows
}

/// Appends a field: its length and its bytes; nothing is the length -1.
fn push(rows: &mut Vec<u8>, field: Option<&[u8]>) {
    // Far below 2 GiB: payloads and headers were checked.
    let length = field.map_or(-1, |bytes| bytes.len() as i32);
    rows.extend_from_slice(&length.to_be_bytes());
    rows.extend_from_slice(field.unwrap_or_default());
}
