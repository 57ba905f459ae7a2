//! No more messages are in work than a key, or a topic, may have.

mod limits;
mod places;

const TOPIC: &str = "limited";
