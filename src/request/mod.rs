//! Request and reply: a message that asks, and the one that answers it.
//!
//! Both are ordinary messages. A request says in its header `reply-to` to which topic the reply
//! goes, and in `correlation-id` which request it is; a reply has the same `correlation-id`. So a
//! handler in any language can answer, and the answer commits with what the handler did.
//!
//! ```text
//!   request() ── registers the question ──► Questions ◄── passes replies on ── InboxReader
//!       └─ sends it, commits, waits                          one thread, one connection
//! ```
//!
//! A process has one topic for replies at a time, its [*inbox*](inbox), whatever the number of
//! threads that wait. One thread reads it ([`reader`]) and passes each reply on to who asked
//! ([`questions`]). The inbox is there from the first question on, and ends some seconds after the
//! last: then nothing is left of it, no row and no thread. That of a process that died ends as an
//! ephemeral subscription does (see [`publish::ephemeral`](crate::publish::ephemeral)).
//!
//! # Who gets a reply
//!
//! A question is registered before it is sent, under its id, which is new. So a reply cannot come
//! too early, nor to another question. A reply is passed on first and removed afterwards, by the
//! flight that looks for the next ones: one that is lost on its way, with its connection, is read
//! once more. One that nobody waits for (any more, or since it is the second) is dropped.
//!
//! # Time
//!
//! A question has a deadline from the beginning. Its message expires with it, and is dropped then:
//! nobody works for an asker who has gone. At the deadline the inbox is looked at once more, for a
//! reply that no hint told of, for [`LAST_LOOK`] at most.

pub(crate) mod inbox;
pub(crate) mod questions;
pub(crate) mod reader;
pub(crate) mod reply;
pub(crate) mod requests;

use std::time::{Duration, Instant};

/// How much longer than its deadline a question waits for a last look: some round trips, also on a
/// busy machine. More only where the database does not answer.
pub(crate) const LAST_LOOK: Duration = Duration::from_millis(250);

/// The header that tells an error from an answer: `error`, or `ok` like none.
pub(crate) const REPLY_STATUS: &str = "reply-status";
/// What it says of an error.
pub(crate) const IS_ERROR: &str = "error";

/// Returns how long it is to a deadline.
pub(crate) fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}
