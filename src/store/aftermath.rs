//! What the end of a message calls for beyond its own row: the next of its key, its dedupe key,
//! room in its topic, those who wait for it.
//!
//! In the flight that ends the messages, after the statements that remove them: the statements here
//! see what those left behind. Most messages have neither a key nor anybody who waits, and cost
//! nothing here.

use crate::store::claim::Held;
use crate::store::dedupe;
use crate::store::flight::Flight;
use crate::store::lanes;
use crate::store::outcome;
use crate::store::statements;
use crate::store::value::Value;
use crate::words::outcome::OnEnd;

pub(crate) use crate::words::completion::How;

/// A message that ended.
#[derive(Debug, Clone)]
pub(crate) struct End {
    pub(crate) held: Held,
    pub(crate) how: How,
    /// What its handler recorded, as JSON.
    pub(crate) result: Option<String>,
}

impl End {
    /// Returns whether anything is to be done about the end of this message.
    pub(crate) fn matters(held: &Held) -> bool {
        held.key.is_some() || held.on_end.stored().is_some()
    }

    /// Returns whether somebody may wait for it.
    pub(crate) fn is_tracked(&self) -> bool {
        self.held.on_end.has(OnEnd::TRACKED)
    }
}

/// Appends what the ends of messages of one topic call for. Only [`lanes::take_promoted`] knows
/// what to do with its rows.
pub(crate) fn push_ended(flight: &mut Flight, topic: &str, ends: &[End]) {
    // The lines of their keys, dedupe keys, room, and those who wait: each in a file of its own.
    push_vacated(flight, topic, ends);
    dedupe::push_ended(flight, topic, ends);
    if ends.iter().any(End::is_tracked) {
        outcome::push_ended(flight, topic, ends);
    }
    let keys = ends.iter().filter_map(|end| end.held.key.as_deref());
    lanes::push_ended(flight, topic, keys);
}

/// Notes the room that the ends leave in a bounded topic.
fn push_vacated(flight: &mut Flight, topic: &str, ends: &[End]) {
    let is_bounded = |end: &&End| end.held.on_end.has(OnEnd::BOUNDED);
    let messages = ends.iter().filter(is_bounded).count();
    if messages > 0 {
        let messages = i64::try_from(messages).unwrap_or(i64::MAX);
        let values = [Value::Text(topic), Value::Number(messages)];
        flight.call(&statements::VACATE, &values);
    }
}
