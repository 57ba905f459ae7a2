//! The messages that are really sent, and how they are told from each other: by labels.

use super::op::{Kind, TOPICS};
use super::real::LATER;
use outtray::{MessageId, MessagingSession, NewMessage, Sent};
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
