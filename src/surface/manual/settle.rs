//! Settles messages taken by hand, many at a time.

use crate::history;
use crate::leases::settle;
use crate::leases::{BEGIN, Proof};
use crate::message::outcome::Outcome;
use crate::observe::spans;
use crate::receive::lease::claim::check_lease;
use crate::receive::telling::tell_unsettled;
use crate::surface::manual::receipt::Receipt;
use crate::surface::messaging::Messaging;
use crate::words::{MessageId, Result};
use std::time::Duration;

/// Shortest lease that is taken by hand: what a round trip takes.
pub(crate) const LEAST_LEASE: Duration = Duration::from_millis(1);

impl Messaging {
    /// Acknowledges many deliveries, or [receipts](Receipt), with one transaction in one round trip
    /// for each topic. Returns the ids of those whose leases were lost, for which nothing was
    /// changed.
    ///
    /// They may be in a slice, or in any other collection: `messaging.ack_all(in_work.values())`.
    ///
    /// # Errors
    /// Those of [`Delivery`](crate::Delivery) except `LeaseLost`. With several topics, some may
    /// already be settled when an error occurs.
    #[must_use = "the ids of messages whose leases were lost are returned"]
    pub fn ack_all<'d, D: AsRef<Receipt> + 'd>(
        &self,
        deliveries: impl IntoIterator<Item = &'d D>,
    ) -> Result<Vec<MessageId>> {
        self.settle_each(deliveries, |_| Outcome::Done(None))
    }

    /// Gives many deliveries back, like [`Delivery::nack`](crate::Delivery::nack). Takes and
    /// returns the same as [`ack_all`](Self::ack_all).
    ///
    /// # Errors
    /// The same as [`ack_all`](Self::ack_all).
    #[must_use = "the ids of messages whose leases were lost are returned"]
    pub fn nack_all<'d, D: AsRef<Receipt> + 'd>(
        &self,
        deliveries: impl IntoIterator<Item = &'d D>,
    ) -> Result<Vec<MessageId>> {
        self.settle_each(deliveries, |receipt| receipt.nacked("nacked"))
    }

    /// Gives many deliveries back without spending an attempt, like
    /// [`Delivery::release`](crate::Delivery::release). Takes and returns the same as
    /// [`ack_all`](Self::ack_all). Dropping the deliveries instead costs a round trip for each
    /// (3,000 in 3 s), and an attempt.
    ///
    /// # Errors
    /// The same as [`ack_all`](Self::ack_all).
    #[must_use = "the ids of messages whose leases were lost are returned"]
    pub fn release_all<'d, D: AsRef<Receipt> + 'd>(
        &self,
        deliveries: impl IntoIterator<Item = &'d D>,
    ) -> Result<Vec<MessageId>> {
        self.settle_each(deliveries, |_| Outcome::GiveBack)
    }

    /// Sets the leases of many deliveries to end this long from now, like
    /// [`Delivery::extend`](crate::Delivery::extend). Takes and returns the same as
    /// [`ack_all`](Self::ack_all).
    ///
    /// # Errors
    /// The same as [`ack_all`](Self::ack_all), and `Invalid` for a time out of range.
    #[must_use = "the ids of messages whose leases were lost are returned"]
    pub fn extend_all<'d, D: AsRef<Receipt> + 'd>(
        &self,
        deliveries: impl IntoIterator<Item = &'d D>,
        lease: Duration,
    ) -> Result<Vec<MessageId>> {
        let receipts: Vec<&Receipt> = deliveries.into_iter().map(AsRef::as_ref).collect();
        Ok(ids(&extend_all(self, &receipts, lease)?))
    }

    fn settle_each<'d, D: AsRef<Receipt> + 'd>(
        &self,
        deliveries: impl IntoIterator<Item = &'d D>,
        outcome: impl Fn(&Receipt) -> Outcome,
    ) -> Result<Vec<MessageId>> {
        let outcomes: Vec<_> = deliveries
            .into_iter()
            .map(AsRef::as_ref)
            .map(|receipt| (receipt, outcome(receipt)))
            .collect();
        Ok(ids(&settle_all(self, &outcomes)?))
    }
}

impl Receipt {
    /// Does the same as [`Delivery::extend`](crate::Delivery::extend).
    ///
    /// # Errors
    /// `Invalid` for a time out of range; `LeaseLost`.
    pub fn extend(&self, lease: Duration) -> Result<()> {
        match extend_all(&self.messaging, &[self], lease)?.is_empty() {
            true => Ok(()),
            false => Err(self.lost()),
        }
    }

    pub(crate) fn settle(&self, outcome: Outcome) -> Result<()> {
        self.check()?;
        match settle_all(&self.messaging, &[(self, outcome)])?.is_empty() {
            true => Ok(()),
            false => Err(self.lost()),
        }
    }
}

/// Settles leases, those of each topic together. Returns those that were lost.
pub(crate) fn settle_all<'l>(
    messaging: &Messaging,
    outcomes: &'l [(&'l Receipt, Outcome)],
) -> Result<Vec<&'l Receipt>> {
    let mut lost = Vec::new();
    if outcomes.is_empty() {
        return Ok(lost);
    }
    let mut connection = messaging.pooled()?;
    let base = messaging.base();
    let mut told = Vec::new();
    let written: Vec<(&Receipt, (&Outcome, Outcome))> = outcomes
        .iter()
        .map(|(receipt, outcome)| (*receipt, (outcome, at_once(receipt, outcome))))
        .collect();
    for (topic, mine) in by_topic(written.iter().map(|(receipt, both)| (*receipt, both))) {
        let proofs: Vec<(&Proof, &Outcome)> = mine
            .iter()
            .filter(|(receipt, _)| !receipt.is_settled())
            .map(|(receipt, (_, outcome))| (&receipt.proof, outcome))
            .collect();
        let mut settled = Default::default();
        if !proofs.is_empty() {
            let span = spans::settle(topic, proofs.len(), [].into_iter());
            match spans::within(span, |_| {
                let is_recorded = history::is_kept(&base.process.configs, topic);
                settle::settle(&mut connection, &BEGIN, topic, &proofs, is_recorded)
            }) {
                Ok(good) => settled = good,
                Err(error) => {
                    drop(connection);
                    tell(messaging, &told);
                    tell_unsettled(&base.process.observers, topic, &error);
                    return Err(error);
                }
            }
        }
        for (receipt, (said, outcome)) in &mine {
            receipt.close();
            if !settled.contains_key(&receipt.proof.receipt) {
                lost.push(*receipt);
                continue;
            }
            receipt.report(said);
            told.push((*receipt, said, settled[&receipt.proof.receipt]));
            if outcome.given_back().is_some() {
                messaging
                    .by_hand()
                    .lower(topic, receipt.proof.held.position);
            }
        }
        let is_settled = |receipt: &Receipt| settled.contains_key(&receipt.proof.receipt);
        let settled = mine.iter().filter(|(receipt, _)| is_settled(receipt));
        let settled = settled.map(|(receipt, (_, outcome))| (&receipt.proof, outcome));
        messaging.announce_settled(&mut connection, topic, settled);
    }
    drop(connection);
    tell(messaging, &told);
    Ok(lost)
}

/// Tells observers what became of messages, and whether somebody cancelled them.
fn tell(messaging: &Messaging, told: &[(&Receipt, &Outcome, bool)]) {
    let observers = &messaging.base().process.observers;
    for (receipt, outcome, is_cancelled) in told {
        receipt.tell(observers, outcome, *is_cancelled);
    }
}

/// Returns how an outcome is written. What comes back without a delay goes to its place, for it
/// would wait for somebody who moves it.
fn at_once(receipt: &Receipt, outcome: &Outcome) -> Outcome {
    match outcome {
        Outcome::Retry(retry) if retry.delay.is_zero() => match retry.attempts >= receipt.attempt {
            true => Outcome::Nacked(retry.clone()),
            false => Outcome::GiveBack,
        },
        outcome => outcome.clone(),
    }
}

/// Prolongs leases, those of each topic together. Returns those that were lost.
pub(crate) fn extend_all<'l>(
    messaging: &Messaging,
    receipts: &[&'l Receipt],
    lease: Duration,
) -> Result<Vec<&'l Receipt>> {
    let mut lost = Vec::new();
    let Some(first) = receipts.first() else {
        return Ok(lost);
    };
    check_lease(&first.topic, lease, LEAST_LEASE)?;
    let mut connection = messaging.pooled()?;
    for (topic, mine) in by_topic(receipts.iter().map(|receipt| (*receipt, &()))) {
        let proofs: Vec<&Proof> = mine
            .iter()
            .filter(|(receipt, ())| !receipt.is_settled())
            .map(|(receipt, ())| &receipt.proof)
            .collect();
        let mut extended = Default::default();
        if !proofs.is_empty() {
            extended = settle::extend(&mut connection, topic, &proofs, lease)?;
        }
        for (receipt, ()) in mine {
            let Some(is_cancelled) = extended.get(&receipt.proof.receipt) else {
                receipt.close();
                lost.push(receipt);
                continue;
            };
            if *is_cancelled {
                receipt.cancel.set();
            }
            messaging
                .by_hand()
                .keeper
                .change(receipt.proof.receipt, lease);
        }
    }
    messaging.base().waker.due_in(lease);
    Ok(lost)
}

/// Sorts leases by topic; most batches have one.
fn by_topic<'l, 'v, V>(
    leases: impl Iterator<Item = (&'l Receipt, &'v V)>,
) -> Vec<(&'l str, Vec<(&'l Receipt, &'v V)>)> {
    let mut topics: Vec<(&str, Vec<_>)> = Vec::new();
    for (receipt, outcome) in leases {
        match topics
            .iter_mut()
            .find(|(topic, _)| *topic == &*receipt.topic)
        {
            Some((_, mine)) => mine.push((receipt, outcome)),
            None => topics.push((&receipt.topic, vec![(receipt, outcome)])),
        }
    }
    topics
}

fn ids(receipts: &[&Receipt]) -> Vec<MessageId> {
    receipts.iter().map(|receipt| receipt.id()).collect()
}
