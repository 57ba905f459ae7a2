//! Topics that keep their messages for many readers.

mod following;
mod handled;
mod looking;
mod order;
mod readers;
mod refused;
mod restored;
mod retention;
mod set_back;
mod strays;

use crate::support::{PATIENCE, Place};
use outtray::{Message, Tail, TopicConfig, TopicKind};
use std::time::Duration;

pub(crate) fn log() -> TopicConfig {
    TopicConfig {
        kind: TopicKind::Log,
        ..TopicConfig::default()
    }
}

/// Returns a place with a log named `ledger`.
pub(crate) fn place() -> Place {
    let place = Place::new();
    place.messaging.topic("ledger").configure(log()).unwrap();
    place
}

/// Returns the payloads of the next `count` messages, which have to come.
#[track_caller]
pub(crate) fn follow(tail: &mut Tail, count: usize) -> Vec<i32> {
    let mut seen = Vec::new();
    while seen.len() < count {
        let batch: Vec<Message<i32>> = tail.next_batch(count - seen.len(), PATIENCE).unwrap();
        assert!(!batch.is_empty(), "only {seen:?} of {count}");
        seen.extend(batch.iter().map(|message| message.payload));
    }
    seen
}

/// Returns what is there now.
pub(crate) fn rest(tail: &mut Tail) -> Vec<i32> {
    let mut seen = Vec::new();
    loop {
        let batch: Vec<Message<i32>> = tail.next_batch(100, Duration::ZERO).unwrap();
        if batch.is_empty() {
            return seen;
        }
        seen.extend(batch.iter().map(|message| message.payload));
    }
}
