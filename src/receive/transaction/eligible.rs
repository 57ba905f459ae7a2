//! Which of the messages that were taken are to be handled.

use crate::message::claimed::Claimed;
use crate::message::outcome::{Decision, Outcome};
use crate::receive::claim::Taken;
use crate::receive::decide::refuse;
use crate::receive::transaction::worker_transaction::WorkerTransaction;
use std::time::Duration;

/// How long a message is left alone while another worker of this process still runs its handler.
const HELD_ELSEWHERE: Duration = Duration::from_secs(1);

/// How long a message is left alone while another worker of this process counts its last attempt.
const COUNTED_SOON: Duration = Duration::from_millis(100);

impl WorkerTransaction<'_, '_, '_> {
    /// Returns the messages that are to be handled; the others are decided.
    pub(crate) fn eligible<'m>(
        &self,
        taken: &'m Taken,
        decided: &mut Vec<Decision<'m>>,
    ) -> Vec<&'m Claimed> {
        let shared = self.shared;
        let terms = shared.terms();
        let slow = shared.concurrency.slow(self.state.worker);
        let mut fit = Vec::with_capacity(taken.messages.len());
        for message in &taken.messages {
            let (id, crashes) = (message.held.id, taken.crashes(message));
            let put_off = |wait, why| Some(Outcome::put_off(message.attempts, wait, why));
            let outcome = if slow.iter().any(|worker| shared.in_hand[*worker].has(id)) {
                // Its transaction was ended by the server, and its handler does not know. It says
                // so when it ends.
                let why = "a handler has it still, whose transaction the server ended";
                put_off(HELD_ELSEWHERE, why)
            } else if shared.pending_charges.has(id) {
                put_off(COUNTED_SOON, "its last attempt is being counted")
            } else {
                refuse(message, message.attempts + crashes, crashes, &terms)
            };
            match outcome {
                Some(outcome) => decided.push((&message.held, outcome)),
                None => fit.push(message),
            }
        }
        fit
    }
}
