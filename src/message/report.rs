//! Logs messages that fail.
//!
//! Each failed attempt is one line (warn) and each dead letter is one line (error), both with the
//! message's id, once the database has them. An attempt that does not count, such as a snooze or a
//! conflict, and an expired message that is dropped are not failures (debug). Nothing is sampled:
//! retries have a backoff, so a message writes one line for each of its attempts. Only where upkeep
//! makes many dead letters at once (expired messages, and those parked behind a dead letter of
//! their key), it logs the first [`MOST_TOGETHER`] of them, and how many more there are.
//!
//! All lines have the target [`TARGET`], by which they can be turned down. Texts are cut and put on
//! one line; the full error is kept with its message.

use crate::message::outcome::{Cause, Outcome};
use crate::observe::fields::{number, told};
use crate::words::{DeadReason, MessageId};
use std::time::Duration;

/// What the lines are known by.
pub(crate) const TARGET: &str = "outtray::failed";

/// Dead letters with a line of their own, where many become one at once for the same reason.
const MOST_TOGETHER: usize = 20;

/// Characters of an error in a line.
const LONGEST: usize = 1_000;

/// Logs what became of a message, once it is written. `attempt` is the one that is over, where a
/// delivery can end without saying so; `most` are allowed.
pub(crate) fn outcome(
    topic: &str,
    id: MessageId,
    outcome: &Outcome,
    attempt: Option<u32>,
    most: u32,
) {
    match outcome {
        Outcome::Retry(retry) if retry.cause == Cause::Failed => {
            failed(topic, id, retry.attempts, most, retry.delay, &retry.error);
        }
        Outcome::Retry(retry) => put_off(topic, id, retry.delay, &retry.error),
        Outcome::Dead(burial) => dead(topic, id, burial.attempts, burial.reason, &burial.error),
        Outcome::Nacked(nacked) => {
            let attempt = attempt.unwrap_or_default();
            failed(topic, id, attempt, most, Duration::ZERO, &nacked.error);
        }
        Outcome::Dropped => dropped(topic, id),
        Outcome::Done(_) | Outcome::GiveBack | Outcome::Cancelled => {}
    }
}

/// Logs that an attempt failed that counts.
fn failed(topic: &str, id: MessageId, attempt: u32, most: u32, delay: Duration, error: &str) {
    let error = line(error);
    tracing::warn!(
        target: TARGET,
        topic = told(topic),
        message_id = told(&id),
        attempt = number(attempt),
        error = told(&error),
        "topic {topic}: attempt {attempt} of {most} of message {id} failed, next in {delay:.1?}: {error}"
    );
}

/// Logs that a message is tried again without an attempt spent.
fn put_off(topic: &str, id: MessageId, delay: Duration, why: &str) {
    let why = line(why);
    tracing::debug!(
        target: TARGET,
        topic = told(topic),
        message_id = told(&id),
        "topic {topic}: message {id} is put off for {delay:.1?}: {why}"
    );
}

/// Logs that processes died with a message in hand that is now handled again.
pub(crate) fn crashed(topic: &str, id: MessageId, deaths: u32, attempt: u32, most: u32) {
    tracing::warn!(
        target: TARGET,
        topic = told(topic),
        message_id = told(&id),
        attempt = number(attempt),
        "topic {topic}: message {id} was in hand when its process died, {deaths} times so far; attempt {attempt} of {most} begins"
    );
}

/// Logs that a message became a dead letter.
fn dead(topic: &str, id: MessageId, attempts: u32, reason: DeadReason, error: &str) {
    let error = line(error);
    tracing::error!(
        target: TARGET,
        topic = told(topic),
        message_id = told(&id),
        attempt = number(attempts),
        error = told(&error),
        "topic {topic}: message {id} is a dead letter after {attempts} attempts, {reason}: {error}"
    );
}

/// Logs that messages became dead letters together, whatever their attempts.
pub(crate) fn dead_together(topic: &str, ids: &[MessageId], reason: DeadReason, why: &str) {
    for id in ids.iter().take(MOST_TOGETHER) {
        tracing::error!(
            target: TARGET,
            topic = told(topic),
            message_id = told(id),
            error = told(why),
            "topic {topic}: message {id} is a dead letter, {reason}: {why}"
        );
    }
    if let Some(more) = ids
        .len()
        .checked_sub(MOST_TOGETHER)
        .filter(|more| *more > 0)
    {
        tracing::error!(
            target: TARGET,
            topic = told(topic),
            error = told(why),
            "topic {topic}: {more} more messages are dead letters, {reason}: {why}"
        );
    }
}

/// Logs that a message was dropped, since its time was over.
pub(crate) fn dropped(topic: &str, id: MessageId) {
    tracing::debug!(
        target: TARGET,
        topic = told(topic),
        message_id = told(&id),
        "topic {topic}: message {id} is dropped, its time was over"
    );
}

/// Returns the text on one line, without what a terminal would act on, and not too much of it.
pub(crate) fn line(text: &str) -> String {
    let mut line = String::with_capacity(text.len().min(LONGEST));
    for (count, c) in text.chars().enumerate() {
        match c {
            _ if count == LONGEST => {
                line.push('…');
                break;
            }
            '\n' | '\r' | '\t' => line.push(' '),
            c if c.is_control() => line.extend(c.escape_default()),
            c => line.push(c),
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_one_line_and_not_endless() {
        assert_eq!(line("a\nb\x1b[2Jc"), r"a b\u{1b}[2Jc");
        assert_eq!(line(&"é".repeat(2_000)).chars().count(), LONGEST + 1);
    }
}
