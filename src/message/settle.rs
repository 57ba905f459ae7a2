//! Settles messages that are held: acknowledges, retries, or keeps them as dead letters.

use crate::db::flight::Flight;
use crate::db::run::{Params, Run, column, execute, query};
use crate::db::statement::{Statement, sql};
use crate::db::value::Value;
use crate::message::claimed::Held;
use crate::message::columns::first_attempts;
use crate::words::Result;
use crate::words::limits::MAX_DELAY;
use crate::words::message::MessageId;
use crate::words::outcome::DeadReason;
use crate::words::position::Position;
use crate::words::sqlstate::check_count;
use std::time::Duration;

static ACKNOWLEDGE: Statement = sql!("acknowledge", Keys);
static ACKNOWLEDGE_ONE: Statement = sql!("acknowledge_one", Key);
static BURY: Statement = sql!("bury", Anew);
pub(crate) static BURY_LEASE: Statement = sql!("bury_lease", Anew);
static FIND_AGAIN: Statement = sql!("find_again", Anew);
static HOLD: Statement = sql!("hold", Anew);
static HOLD_IN_TURN: Statement = sql!("hold_in_turn", Anew);
static HOLD_WAITING: Statement = sql!("hold_waiting", Anew);
static POSTPONE_HEAD: Statement = sql!("postpone_head", Anew);
pub(crate) static POSTPONE_LEASE: Statement = sql!("postpone_lease", Anew);
static RETRY: Statement = sql!("retry", Anew);

/// Longest error text that is kept with a message: enough for any chain of causes, and no flood.
const MAX_ERROR_BYTES: usize = 8 * 1024;

/// A message that is to wait for another attempt.
#[derive(Debug)]
pub(crate) struct Retry {
    pub(crate) held: Held,
    /// Failed deliveries, this one included if it counts.
    pub(crate) attempts: u32,
    pub(crate) delay: Duration,
    pub(crate) error: String,
    /// Whether an attempt failed that counts.
    pub(crate) is_failed: bool,
}

/// A message that is to become a dead letter.
#[derive(Debug)]
pub(crate) struct Burial {
    pub(crate) held: Held,
    pub(crate) attempts: u32,
    pub(crate) reason: DeadReason,
    pub(crate) error: String,
}

/// Appends the removal of handled messages to a flight that goes on with COMMIT.
pub(crate) fn push_acknowledge(flight: &mut Flight, topic: &str, positions: &[Position]) {
    if let [only] = positions {
        let values = [
            Value::Text(topic),
            Value::Number(only.rank.into()),
            Value::Number(only.seq),
        ];
        return flight.call(&ACKNOWLEDGE_ONE, &values);
    }
    let column = |read: fn(&Position) -> i64| Value::Numbers(positions.iter().map(read).collect());
    let values = [
        Value::Text(topic),
        column(|position| position.rank.into()),
        column(|position| position.seq),
    ];
    flight.call(&ACKNOWLEDGE, &values);
}

/// Moves held messages to where they wait. All of one topic; at the top level of a transaction.
pub(crate) fn retry(run: &mut dyn Run, topic: &str, retries: &[Retry]) -> Result<()> {
    let ranks: Vec<i16> = retries
        .iter()
        .map(|retry| retry.held.position.rank)
        .collect();
    let seqs: Vec<i64> = retries
        .iter()
        .map(|retry| retry.held.position.seq)
        .collect();
    let attempts: Vec<i16> = retries.iter().map(|retry| small(retry.attempts)).collect();
    let delays: Vec<i64> = retries.iter().map(|retry| micros(retry.delay)).collect();
    let errors: Vec<String> = retries.iter().map(|retry| storable(&retry.error)).collect();
    let doing = "scheduling a retry";
    let params: Params<'_> = &[&topic, &ranks, &seqs, &attempts, &delays, &errors];
    let moved = execute(run, &RETRY, params, doing)?;
    check_count(moved, retries.len(), doing)
}

/// Moves held messages to the dead letters. All of one topic; at the top level of a transaction.
pub(crate) fn bury(run: &mut dyn Run, topic: &str, burials: &[Burial]) -> Result<()> {
    let ranks: Vec<i16> = burials
        .iter()
        .map(|burial| burial.held.position.rank)
        .collect();
    let seqs: Vec<i64> = burials
        .iter()
        .map(|burial| burial.held.position.seq)
        .collect();
    let attempts: Vec<i16> = burials
        .iter()
        .map(|burial| small(burial.attempts))
        .collect();
    let reasons: Vec<&str> = burials
        .iter()
        .map(|burial| burial.reason.as_str())
        .collect();
    let errors: Vec<String> = burials
        .iter()
        .map(|burial| storable(&burial.error))
        .collect();
    let doing = "keeping a dead letter";
    let params: Params<'_> = &[&topic, &ranks, &seqs, &attempts, &reasons, &errors];
    let moved = execute(run, &BURY, params, doing)?;
    check_count(moved, burials.len(), doing)
}

/// Keeps a message in its place, and away from claims for a while: the failed head of a strict
/// topic, or one that cannot be moved. `delay` counts from the transaction's start.
pub(crate) fn postpone_head(
    run: &mut dyn Run,
    topic: &str,
    retry: &Retry,
    since_begin: Duration,
) -> Result<()> {
    let doing = "postponing a message";
    let Position { rank, seq } = retry.held.position;
    let delay = micros(retry.delay.saturating_add(since_begin));
    let params: Params<'_> = &[&topic, &rank, &seq, &small(retry.attempts), &delay];
    let postponed = execute(run, &POSTPONE_HEAD, params, doing)?;
    check_count(postponed, 1, doing)
}

/// Locks one message; returns its failed attempts, or `None` if it is gone or in other hands.
pub(crate) fn hold(
    run: &mut dyn Run,
    topic: &str,
    position: Position,
    id: MessageId,
) -> Result<Option<u32>> {
    let rows = query(
        run,
        &HOLD,
        &[&topic, &position.rank, &position.seq, &id.0],
        "holding a message",
    )?;
    first_attempts(&rows)
}

/// The same after whoever holds it; a lock timeout bounds the wait.
pub(crate) fn hold_in_turn(run: &mut dyn Run, topic: &str, held: &Held) -> Result<Option<u32>> {
    let Position { rank, seq } = held.position;
    let params: Params<'_> = &[&topic, &rank, &seq, &held.id.0];
    let doing = "holding a message";
    first_attempts(&query(run, &HOLD_IN_TURN, params, doing)?)
}

/// Returns where a message is that came back to the end of its topic, as far as it is not far from
/// there.
pub(crate) fn find_again(run: &mut dyn Run, topic: &str, held: &Held) -> Result<Option<Position>> {
    let rank = held.position.rank;
    let params: Params<'_> = &[&topic, &rank, &held.id.0];
    let rows = query(run, &FIND_AGAIN, params, "looking for a message")?;
    let seq = rows.first().map(|row| column(row, "seq")).transpose()?;
    Ok(seq.map(|seq| Position { rank, seq }))
}

/// Locks a message that waits for its next attempt; returns its failed attempts, or `None` if it
/// does not.
pub(crate) fn hold_waiting(run: &mut dyn Run, topic: &str, id: MessageId) -> Result<Option<u32>> {
    let doing = "holding a retry";
    first_attempts(&query(run, &HOLD_WAITING, &[&topic, &id.0], doing)?)
}

/// Lets a held message that waits for its next attempt wait for the one after that.
pub(crate) fn retry_waiting(run: &mut dyn Run, topic: &str, retry: &Retry) -> Result<()> {
    let (attempts, delay) = (small(retry.attempts), micros(retry.delay));
    let error = storable(&retry.error);
    let params: Params<'_> = &[&topic, &retry.held.id.0, &attempts, &delay, &error];
    query(run, &POSTPONE_LEASE, params, "scheduling a retry").map(drop)
}

/// Moves a held message that waits for its next attempt to the dead letters.
pub(crate) fn bury_waiting(run: &mut dyn Run, topic: &str, burial: &Burial) -> Result<()> {
    let (attempts, reason) = (small(burial.attempts), burial.reason.as_str());
    let error = storable(&burial.error);
    let params: Params<'_> = &[&topic, &burial.held.id.0, &attempts, &reason, &error];
    query(run, &BURY_LEASE, params, "keeping a dead letter").map(drop)
}

pub(crate) fn small(attempts: u32) -> i16 {
    i16::try_from(attempts).unwrap_or(i16::MAX)
}

/// Returns the delay in microseconds; one that no timestamp could hold becomes ten years.
pub(crate) fn micros(delay: Duration) -> i64 {
    i64::try_from(delay.min(MAX_DELAY).as_micros()).unwrap_or(i64::MAX)
}

/// Returns the text without what PostgreSQL cannot store, and not too much of it.
pub(crate) fn storable(error: &str) -> String {
    let mut text = error.replace('\0', "\u{FFFD}");
    if text.len() > MAX_ERROR_BYTES {
        let is_end = |at: &usize| text.is_char_boundary(*at);
        let end = (0..=MAX_ERROR_BYTES).rev().find(is_end).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_texts_are_made_storable() {
        assert_eq!(storable("a\0b"), "a\u{FFFD}b");
        let long = storable(&"é".repeat(10_000));
        assert!(long.len() <= MAX_ERROR_BYTES + 3);
        assert!(long.ends_with('…'));
    }
}
