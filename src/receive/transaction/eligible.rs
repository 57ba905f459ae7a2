//! Which of the messages that were taken are to be handled.

use crate::message::claimed::Claimed;
use crate::message::outcome::{Decision, Outcome};
use crate::receive::claim::Taken;
use crate::receive::decide::refuse;
use crate::receive::shared_state::SharedState;
use std::time::Duration;

/// How long a message is left alone that another worker of this process has in a handler still.
const HELD_ELSEWHERE: Duration = Duration::from_secs(1);

/// How long one is left alone whose last attempt another worker of this process is about to count.
const COUNTED_SOON: Duration = Duration::from_millis(100);

/// Returns the messages that are to be handled; the others are decided.
pub(crate) fn eligible<'a>(
    shared: &SharedState,
    worker: usize,
    taken: &'a Taken,
    decided: &mut Vec<Decision<'a>>,
) -> Vec<&'a Claimed> {
    let terms = shared.terms();
    let slow = shared.concurrency.slow(worker);
    let mut fit = Vec::with_capacity(taken.messages.len());
    for message in &taken.messages {
        let crashes = taken.crashes(message);
        // Its transaction was ended by the server, and its handler does not know. It says so when
        // it ends.
        let is_elsewhere = slow
            .iter()
            .any(|worker| shared.in_hand[*worker].has(message.held.id));
        if is_elsewhere {
            let why = "a handler has it still, whose transaction the server ended";
            let put_off = Outcome::put_off(message.attempts, HELD_ELSEWHERE, why);
            decided.push((&message.held, put_off));
            continue;
        }
        if shared.pending_charges.has(message.held.id) {
            let why = "its last attempt is being counted";
            let put_off = Outcome::put_off(message.attempts, COUNTED_SOON, why);
            decided.push((&message.held, put_off));
            continue;
        }
        match refuse(message, message.attempts + crashes, crashes, &terms) {
            Some(outcome) => decided.push((&message.held, outcome)),
            None => fit.push(message),
        }
    }
    fit
}
