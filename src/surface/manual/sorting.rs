//! Sorts messages that were taken by hand: what is delivered, and what ends instead.

use crate::leases::Proof;
use crate::message::claimed::Claimed;
use crate::message::outcome::Outcome;
use crate::observe::fields::told;
use crate::receive::decide::refuse;
use crate::receive::handler::Attempt;
use crate::receive::options::Terms;
use crate::surface::manual::delivery::Delivery;
use crate::surface::manual::receipt::Receipt;
use crate::surface::manual::settle::settle_all;
use crate::surface::messaging::Messaging;
use crate::words::sqlstate::is_refusal;
use crate::words::{DeadReason, Lineage, Message, Result, chain};
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// How long a message is left alone that could not be ended.
const LEFT_ALONE: Duration = Duration::from_secs(5);

/// A message that was taken, and what becomes of it if it is not to be delivered.
type Guarded = (Receipt, Claimed, Option<Outcome>);

impl Messaging {
    /// Guards what was leased. All of it is guarded before any is decoded: what panics gives back
    /// the others.
    pub(super) fn guard_all(
        &self,
        messages: Vec<Claimed>,
        topic: &Arc<str>,
        terms: &Terms,
        lease: Duration,
    ) -> Vec<Guarded> {
        if !messages.is_empty() {
            self.base().waker.due_in(lease);
        }
        let guard = |message: Claimed| {
            let refused = refuse(&message, message.attempts, 0, terms);
            let receipt = self.guard(topic, &message, terms, lease);
            (receipt, message, refused)
        };
        messages.into_iter().map(guard).collect()
    }

    fn guard(
        &self,
        topic: &Arc<str>,
        message: &Claimed,
        terms: &Terms,
        lease: Duration,
    ) -> Receipt {
        let asked = &self.base().waker.asked;
        let slot = self.by_hand().slot(asked);
        Receipt {
            messaging: self.clone(),
            topic: Arc::clone(topic),
            proof: Proof::of(message),
            lineage: Lineage::of(&message.headers),
            attempt: message.attempts + 1,
            max_attempts: terms.max_attempts,
            lease,
            delivered: None,
            cancel: slot.enter(message.held.id, message.attempts + 1, asked),
            is_settled: Arc::new(AtomicBool::new(false)),
            slot,
        }
    }

    /// Adds to a batch what can be delivered, and ends the rest.
    pub(super) fn sort<T: DeserializeOwned>(
        &self,
        guarded: Vec<Guarded>,
        terms: &Terms,
        batch: &mut Vec<Delivery<T>>,
    ) -> Result<()> {
        let mut refused = Vec::new();
        for (mut receipt, claimed, refusal) in guarded {
            if let Some(outcome) = refusal {
                refused.push((receipt, outcome));
                continue;
            }
            match decode(&receipt, &claimed, terms) {
                Ok(message) => {
                    receipt.start(&claimed);
                    batch.push(Delivery::new(message, receipt));
                }
                Err(error) => {
                    let reason = DeadReason::Undecodable;
                    let outcome = Outcome::dead(receipt.attempt, reason, chain(&error));
                    refused.push((receipt, outcome));
                }
            }
        }
        self.end_refused(&refused)
    }

    /// Ends what is not to be delivered. What the database does not let end waits: nothing else is
    /// held up by it.
    fn end_refused(&self, refused: &[(Receipt, Outcome)]) -> Result<()> {
        let outcomes: Vec<_> = refused
            .iter()
            .map(|(receipt, outcome)| (receipt, outcome.clone()))
            .collect();
        match settle_all(self, &outcomes) {
            Err(error) if is_refusal(&error) => {}
            settled => return settled.map(drop),
        }
        for (receipt, outcome) in refused {
            let Err(error) = settle_all(self, &[(receipt, outcome.clone())]) else {
                continue;
            };
            let (topic, why) = (&receipt.topic, chain(&error));
            tracing::warn!(
                topic = told(topic),
                error = told(&why),
                "topic {topic}: message {} is left alone for {LEFT_ALONE:?}: {why}",
                receipt.id()
            );
            let attempts = receipt.attempt.saturating_sub(1);
            let later = Outcome::put_off(attempts, LEFT_ALONE, why);
            settle_all(self, &[(receipt, later)])?;
        }
        Ok(())
    }
}

fn decode<T: DeserializeOwned>(
    receipt: &Receipt,
    claimed: &Claimed,
    terms: &Terms,
) -> Result<Message<T>> {
    let cancel = receipt.cancel.clone();
    Attempt::of(&receipt.topic, claimed, 0, terms, cancel)
        .incoming()
        .decode()
}
