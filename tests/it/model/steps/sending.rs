//! The messages that are really sent, and how they are told from each other: by labels.

use super::op::{Kind, TOPICS};
use super::real::LATER;
use outtray::{MessageId, MessagingSession, NewMessage, Sent};
use serde_json::json;
use std::sync::Mutex;
use uuid::Uuid;

/// Sends the message with the next label.
pub(super) fn send_next(
    session: &mut MessagingSession<'_>,
    ids: &Mutex<Vec<MessageId>>,
    topic: usize,
    kind: Kind,
) -> Sent {
    let sent = session.send(new(ids, topic, kind)).unwrap();
    let id = match sent {
        Sent::New(id) => id,
        Sent::Duplicate(_) => nobody(),
    };
    ids.lock().unwrap().push(id);
    sent
}

/// Does the same with the functions for SQL.
pub(super) fn send_next_by_sql(
    session: &mut MessagingSession<'_>,
    ids: &Mutex<Vec<MessageId>>,
    topic: usize,
    kind: Kind,
) -> Sent {
    let written = Written::next(ids, kind);
    let dedupe = kind.dedupe.map(|key| key.to_string());
    let priority = i32::from(kind.priority);
    let function = match dedupe {
        Some(_) => "send_once($1, $2::text::json, $3, '1 hour'",
        // The same, but for what it returns.
        None => "send_many($1, ARRAY[$2::text::json], dedupe_keys => ARRAY[$3::text]",
    };
    let sql = format!(
        "SELECT id, is_duplicate FROM outtray.{function}, headers => $4::text::jsonb, {} => {},
            priority => $5, delay => $6::text::interval, tracked_for => $7::text::interval)",
        if dedupe.is_some() { "key" } else { "keys" },
        if dedupe.is_some() {
            "$8"
        } else {
            "ARRAY[$8::text]"
        },
    );
    let row = session.query_one(
        &sql,
        &[
            &TOPICS[topic],
            &written.payload,
            &dedupe,
            &written.headers,
            &priority,
            &kind.is_delayed.then_some("1 hour"),
            &kind.is_tracked.then_some("1 hour"),
            &kind.key.map(String::from),
        ],
    );
    let row = row.unwrap();
    let id = MessageId::from(row.get::<_, Uuid>(0));
    let (sent, own) = match row.get(1) {
        true => (Sent::Duplicate(id), nobody()),
        false => (Sent::New(id), id),
    };
    ids.lock().unwrap().push(own);
    sent
}

/// The message with the next label, as SQL takes it.
pub(super) struct Written {
    pub(super) payload: String,
    pub(super) headers: Option<String>,
}

impl Written {
    pub(super) fn next(ids: &Mutex<Vec<MessageId>>, kind: Kind) -> Written {
        let label = label_of_next(ids);
        let payload = match kind.fits {
            true => json!(label),
            false => json!(label.to_string()),
        };
        let headers = (label % 2 == 1).then(|| json!({ "label": header(label) }).to_string());
        Written {
            payload: payload.to_string(),
            headers,
        }
    }
}

/// Makes the message with the next label.
pub(super) fn new(ids: &Mutex<Vec<MessageId>>, topic: usize, kind: Kind) -> NewMessage {
    let label = label_of_next(ids);
    let message = match kind.fits {
        true => NewMessage::json(TOPICS[topic], &label),
        false => NewMessage::json(TOPICS[topic], &label.to_string()),
    };
    let mut message = message.unwrap().priority(kind.priority);
    if label % 2 == 1 {
        message = message.header("label", header(label));
    }
    if kind.is_delayed {
        message = message.delay(LATER);
    }
    if kind.is_tracked {
        message = message.tracked();
    }
    if let Some(key) = kind.key {
        message = message.key(key);
    }
    if let Some(key) = kind.dedupe {
        message = message.dedupe(key.to_string(), LATER);
    }
    message
}

/// Returns the header of the message with a label: every other one has one.
pub(super) fn header(label: usize) -> String {
    match label % 2 {
        1 => label.to_string(),
        _ => "none".to_owned(),
    }
}

/// Returns an id that no message has.
pub(super) fn nobody() -> MessageId {
    MessageId::from(Uuid::now_v7())
}

pub(super) fn label_of_next(ids: &Mutex<Vec<MessageId>>) -> usize {
    ids.lock().unwrap().len()
}

pub(super) fn label(ids: &Mutex<Vec<MessageId>>, id: MessageId) -> usize {
    let ids = ids.lock().unwrap();
    let found = ids.iter().position(|sent| *sent == id);
    found.expect("a message that was sent")
}
