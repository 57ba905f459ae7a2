//! What the end of a message calls for beyond its own row: the next of its key, its dedupe key,
//! room in its topic, those who wait for it, or for a reply to it.
//!
//! In the flight that ends the messages, after the statements that remove them: the statements here
//! see what those left behind. Most messages have neither a key nor anybody who waits, and cost
//! nothing here.

use crate::completion;
use crate::connect::transaction::OpenTransaction;
use crate::db::{Flight, Statement, Value, sql};
use crate::dedupe;
use crate::keys;
use crate::message::end::{End, How};
use crate::words::{Doing, OnEnd, Result};
use std::collections::BTreeMap;
use uuid::Uuid;

static REFUSE_DEAD: Statement = sql!("refuse_dead", Fenced);
static VACATE: Statement = sql!("vacate", Kept);

/// Appends what the ends of messages of one topic call for. Only [`keys::take_promoted`] knows
/// what to do with its rows.
pub(crate) fn push_ended(flight: &mut Flight, topic: &str, ends: &[End]) {
    // The lines of their keys, dedupe keys, room, and those who wait: each in a file of its own.
    push_vacated(flight, topic, ends);
    push_refused(flight, topic, ends);
    dedupe::push_ended(flight, topic, ends);
    if ends.iter().any(End::is_tracked) {
        completion::push_ended(flight, topic, ends);
    }
    let keys = ends.iter().filter_map(|end| end.key.as_deref());
    keys::push_ended(flight, topic, keys);
}

/// Notes the room that the ends leave in a bounded topic.
fn push_vacated(flight: &mut Flight, topic: &str, ends: &[End]) {
    let is_bounded = |end: &&End| end.on_end.has(OnEnd::BOUNDED);
    let messages = ends.iter().filter(is_bounded).count();
    if messages > 0 {
        let messages = i64::try_from(messages).unwrap_or(i64::MAX);
        let values = [Value::Text(topic), Value::Number(messages)];
        flight.call(&VACATE, &values);
    }
}

/// Tells those who wait for replies that their requests are dead letters.
fn push_refused(flight: &mut Flight, topic: &str, ends: &[End]) {
    let is_dead = |end: &&End| end.on_end.has(OnEnd::FLEETING) && end.how == How::Dead;
    let dead: Vec<Uuid> = ends.iter().filter(is_dead).map(|end| end.id.0).collect();
    if !dead.is_empty() {
        let values = [Value::Text(topic), Value::Uuids(dead)];
        flight.call(&REFUSE_DEAD, &values);
    }
}

/// Appends the same for messages of several topics.
pub(crate) fn push_ends(flight: &mut Flight, ends: &[(String, End)]) {
    let mut topics: BTreeMap<&str, Vec<End>> = BTreeMap::new();
    for (topic, end) in ends {
        topics.entry(topic).or_default().push(end.clone());
    }
    for (topic, ends) in &topics {
        push_ended(flight, topic, ends);
    }
}

/// Writes what the ends of messages call for.
pub(crate) fn write_ends(open: &mut OpenTransaction<'_>, ends: &[(String, End)]) -> Result<()> {
    let mut flight = open.flight().seldom();
    push_ends(&mut flight, ends);
    if flight.is_empty() {
        return Ok(());
    }
    open.fly(flight).doing("writing how messages ended")?;
    Ok(())
}
