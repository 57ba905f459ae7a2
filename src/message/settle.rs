//! Settles messages that are held: acknowledges, retries, or keeps them as dead letters.

use crate::db::{Flight, Params, Run, Statement, Value, execute, first, query, sql};
use crate::message::claimed::Held;
use crate::message::columns::first_attempts;
use crate::message::outcome::{Decision, Outcome};
use crate::words::limits::{self, MAX_DELAY};
use crate::words::sqlstate::check_count;
use crate::words::storable::storable_text;
use crate::words::{ClaimPlace, MessageId, Result};
use std::time::Duration;

static ACKNOWLEDGE: Statement = sql!("acknowledge", Fenced);
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

/// Appends the removal of handled messages to a flight that goes on with COMMIT.
pub(crate) fn push_acknowledge(flight: &mut Flight, topic: &str, positions: &[ClaimPlace]) {
    if let [only] = positions {
        let values = [
            Value::Text(topic),
            Value::Number(only.rank.into()),
            Value::Number(only.seq),
        ];
        return flight.call(&ACKNOWLEDGE_ONE, &values);
    }
    let column =
        |read: fn(&ClaimPlace) -> i64| Value::Numbers(positions.iter().map(read).collect());
    let values = [
        Value::Text(topic),
        column(|position| position.rank.into()),
        column(|position| position.seq),
    ];
    flight.call(&ACKNOWLEDGE, &values);
}

/// Moves those of the held messages that are to be tried again to where they wait. All of one
/// topic; at the top level of a transaction.
pub(crate) fn retry(run: &mut dyn Run, topic: &str, decided: &[Decision<'_>]) -> Result<()> {
    let (mut ranks, mut seqs) = (Vec::new(), Vec::new());
    let (mut tried, mut delays) = (Vec::new(), Vec::new());
    let (mut errors, mut failures) = (Vec::new(), Vec::new());
    for (held, outcome) in decided {
        if let Outcome::Retry(retry) = outcome {
            ranks.push(held.position.rank);
            seqs.push(held.position.seq);
            tried.push(small(retry.attempts));
            delays.push(micros(retry.delay));
            errors.push(storable(&retry.error));
            failures.push(retry.failure());
        }
    }
    if ranks.is_empty() {
        return Ok(());
    }
    let doing = "scheduling a retry";
    let params: Params<'_> = &[&topic, &ranks, &seqs, &tried, &delays, &errors, &failures];
    let moved = execute(run, &RETRY, params, doing)?;
    check_count(moved, ranks.len(), doing)
}

/// Moves those of the held messages that are given up to the dead letters. All of one topic; at the
/// top level of a transaction.
pub(crate) fn bury(run: &mut dyn Run, topic: &str, decided: &[Decision<'_>]) -> Result<()> {
    let (mut ranks, mut seqs) = (Vec::new(), Vec::new());
    let (mut tried, mut reasons) = (Vec::new(), Vec::new());
    let (mut errors, mut failures) = (Vec::new(), Vec::new());
    for (held, outcome) in decided {
        if let Outcome::Dead(burial) = outcome {
            ranks.push(held.position.rank);
            seqs.push(held.position.seq);
            tried.push(small(burial.attempts));
            reasons.push(burial.reason.as_str());
            errors.push(storable(&burial.error));
            failures.push(burial.failure());
        }
    }
    if ranks.is_empty() {
        return Ok(());
    }
    let doing = "keeping a dead letter";
    let params: Params<'_> = &[&topic, &ranks, &seqs, &tried, &reasons, &errors, &failures];
    let moved = execute(run, &BURY, params, doing)?;
    check_count(moved, ranks.len(), doing)
}

/// Keeps a message in its place, and away from claims for a while: the failed head of a strict
/// topic, or one that cannot be moved. `delay` counts from the transaction's start, and `failure`
/// is what is kept of its attempt, if that failed.
pub(crate) fn postpone_head(
    run: &mut dyn Run,
    topic: &str,
    held: &Held,
    attempts: u32,
    delay: Duration,
    failure: Option<String>,
) -> Result<()> {
    let doing = "postponing a message";
    let ClaimPlace { rank, seq } = held.position;
    let (attempts, delay) = (small(attempts), micros(delay));
    let params: Params<'_> = &[&topic, &rank, &seq, &attempts, &delay, &failure];
    let postponed = execute(run, &POSTPONE_HEAD, params, doing)?;
    check_count(postponed, 1, doing)
}

/// Locks one message; returns its failed attempts, or `None` if it is gone or in other hands.
pub(crate) fn hold(
    run: &mut dyn Run,
    topic: &str,
    position: ClaimPlace,
    id: MessageId,
) -> Result<Option<u32>> {
    let params: Params<'_> = &[&topic, &position.rank, &position.seq, &id.0];
    first_attempts(&query(run, &HOLD, params, "holding a message")?)
}

/// The same after whoever holds it; a lock timeout bounds the wait.
pub(crate) fn hold_in_turn(run: &mut dyn Run, topic: &str, held: &Held) -> Result<Option<u32>> {
    let ClaimPlace { rank, seq } = held.position;
    let params: Params<'_> = &[&topic, &rank, &seq, &held.id.0];
    let doing = "holding a message";
    first_attempts(&query(run, &HOLD_IN_TURN, params, doing)?)
}

/// Where a message went that is no longer where it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MovedTo {
    /// Back at the end of its topic.
    Ready(ClaimPlace),
    /// Waiting for its next attempt.
    Waiting,
}

/// Returns where a message is, as far as it is not far from the end of its topic; `None` if it is
/// gone.
pub(crate) fn find_again(run: &mut dyn Run, topic: &str, held: &Held) -> Result<Option<MovedTo>> {
    let rank = held.position.rank;
    let params: Params<'_> = &[&topic, &rank, &held.id.0];
    let rows = query(run, &FIND_AGAIN, params, "looking for a message")?;
    let seq: Option<Option<i64>> = first(&rows, "seq")?;
    Ok(seq.map(|seq| match seq {
        Some(seq) => MovedTo::Ready(ClaimPlace { rank, seq }),
        None => MovedTo::Waiting,
    }))
}

/// Locks a message that waits for its next attempt; returns its failed attempts, or `None` if it
/// does not.
pub(crate) fn hold_waiting(run: &mut dyn Run, topic: &str, id: MessageId) -> Result<Option<u32>> {
    let doing = "holding a retry";
    first_attempts(&query(run, &HOLD_WAITING, &[&topic, &id.0], doing)?)
}

/// Moves a held message that waits for its next attempt to where it waits longer or stays.
pub(crate) fn settle_waiting(
    run: &mut dyn Run,
    topic: &str,
    (held, outcome): &Decision<'_>,
) -> Result<()> {
    match outcome {
        Outcome::Retry(retry) => {
            let (attempts, delay) = (small(retry.attempts), micros(retry.delay));
            let (error, failure) = (storable(&retry.error), retry.failure());
            let id = held.id.0;
            let params: Params<'_> = &[&topic, &id, &attempts, &delay, &error, &failure];
            query(run, &POSTPONE_LEASE, params, "scheduling a retry").map(drop)
        }
        Outcome::Dead(burial) => {
            let (attempts, reason) = (small(burial.attempts), burial.reason.as_str());
            let (error, failure) = (storable(&burial.error), burial.failure());
            let id = held.id.0;
            let params: Params<'_> = &[&topic, &id, &attempts, &reason, &error, &failure];
            query(run, &BURY_LEASE, params, "keeping a dead letter").map(drop)
        }
        _ => Ok(()),
    }
}

pub(crate) fn small(attempts: u32) -> i16 {
    i16::try_from(attempts).unwrap_or(i16::MAX)
}

/// Returns the delay in microseconds; one that no timestamp could hold becomes ten years.
pub(crate) fn micros(delay: Duration) -> i64 {
    limits::micros(delay.min(MAX_DELAY))
}

/// Returns the text without what PostgreSQL cannot store, and not too much of it.
pub(crate) fn storable(error: &str) -> String {
    storable_text(error, MAX_ERROR_BYTES)
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
