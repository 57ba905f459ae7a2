//! Settling leases whose messages are done, several at a time.
//!
//! A commit costs the same for one lease or sixty, so what a worker is done with is settled
//! together once all that it has in hand is done. Behind a handler that takes longer than 10 ms,
//! before a beat, and when the worker ends, the heartbeat settles it. Until then its process may
//! die, and the message is delivered again when its lease ends, as one whose handler had not ended.
//!
//! Each lease is settled for itself, by its receipt: one that was lost is told, and keeps none of
//! the others from being settled. What goes simply goes apart from what is decided under locks.
//! Where the database refuses all, each is tried alone.

use crate::connect::connection::Connection;
use crate::leases::settle::{announce, settle, settle_free};
use crate::leases::{BEGIN, Proof};
use crate::message::outcome::Outcome;
use crate::message::report;
use crate::observe::fields::told;
use crate::observe::spans;
use crate::receive::claim;
use crate::receive::leases_in_hand::EndedLease;
use crate::receive::shared_state::SharedState;
use crate::receive::telling::{self, Settled};
use crate::words::{Error, ErrorKind, Result};
use std::collections::{HashMap, HashSet};
use std::slice::from_ref;
use uuid::Uuid;

/// Who settles leases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settler {
    /// The worker that had them. What the database refuses again is left to the end of its lease.
    Worker,
    /// The heartbeat, which waits for nobody. What somebody else has locked, what is lost and what
    /// the database refuses is left to the worker.
    Heartbeat,
}

/// Settles leases of a receiver. What cannot be settled is left for the next time.
///
/// # Errors
/// Why the first of those was not settled that are left for the next time.
pub(crate) fn settle_ended(
    shared: &SharedState,
    connection: &mut Connection,
    settler: Settler,
    ended: Vec<EndedLease>,
) -> Result<()> {
    let is_simple = |ended: &&EndedLease| {
        matches!(ended.outcome, Outcome::Done(_)) && !ended.proof.held.matters()
    };
    let (simple, others): (Vec<_>, Vec<_>) = ended.iter().partition(is_simple);
    let mut settling = Settling {
        shared,
        connection,
        settler,
        settled: HashMap::new(),
        refused: HashMap::new(),
        unsure: HashSet::new(),
    };
    let written = settling.together(&simple);
    let written = written.and(settling.together(&others));
    let Settling {
        settled,
        mut refused,
        unsure,
        ..
    } = settling;
    let (done, mut left): (Vec<_>, Vec<_>) = ended
        .into_iter()
        .partition(|ended| settled.contains_key(&ended.proof.receipt));
    for ended in &mut left {
        ended.is_unsure |= unsure.contains(&ended.proof.receipt);
    }
    shared.heartbeat.settled(&done);
    tell(shared, &done, &settled);
    let left = match settler {
        Settler::Worker => leave(shared, left, &mut refused),
        Settler::Heartbeat => {
            leave_to_workers(shared, left, written.is_ok());
            Ok(())
        }
    };
    written.and(left)
}

/// Leaves what could not be settled for the next time, and what the database refused again to the
/// end of its lease.
fn leave(
    shared: &SharedState,
    left: Vec<EndedLease>,
    refused: &mut HashMap<Uuid, Error>,
) -> Result<()> {
    let topic = &shared.topic;
    let mut first = Ok(());
    for mut ended in left {
        match refused.remove(&ended.proof.receipt) {
            Some(error) if ended.is_refused => {
                shared.heartbeat.settled(from_ref(&ended));
                tracing::warn!(
                    topic = told(topic),
                    error = told(&error),
                    "topic {topic}: a lease is left to its end: {error}"
                );
                continue;
            }
            Some(error) => {
                ended.is_refused = true;
                first = first.and(Err(error));
            }
            None => {}
        }
        shared.heartbeat.put_back(ended);
    }
    first
}

/// Leaves what could not be settled to the workers, or for soon, since the connection broke.
fn leave_to_workers(shared: &SharedState, left: Vec<EndedLease>, is_connected: bool) {
    for mut ended in left {
        ended.is_left = is_connected;
        shared.heartbeat.put_back(ended);
    }
}

/// Leases that are being settled.
struct Settling<'s> {
    shared: &'s SharedState,
    connection: &'s mut Connection,
    settler: Settler,
    /// What became of them, by receipt: whether somebody cancelled the message; `None` for a lease
    /// that was lost.
    settled: HashMap<Uuid, Option<bool>>,
    /// Those that the database refused to settle, each by itself, and why.
    refused: HashMap<Uuid, Error>,
    /// Those of which nobody knows whether they were settled: the connection broke during COMMIT.
    unsure: HashSet<Uuid>,
}

impl Settling<'_> {
    /// Settles leases in one transaction, or each in its own if that is refused.
    ///
    /// # Errors
    /// The connection broke.
    fn together(&mut self, ended: &[&EndedLease]) -> Result<()> {
        if ended.is_empty() {
            return Ok(());
        }
        let Err(error) = self.write(ended) else {
            return Ok(());
        };
        if self.is_lost(&error) {
            return Err(error);
        }
        if let [only] = ended {
            self.refused.insert(only.proof.receipt, error);
            return Ok(());
        }
        ended
            .iter()
            .try_for_each(|one| self.together(from_ref(one)))
    }

    /// Settles leases in one transaction.
    fn write(&mut self, ended: &[&EndedLease]) -> Result<()> {
        let (shared, topic) = (self.shared, &self.shared.topic);
        let outcomes: Vec<(&Proof, &Outcome)> = ended
            .iter()
            .map(|ended| (&ended.proof, &ended.outcome))
            .collect();
        let headers = ended.iter().map(|ended| &ended.headers);
        let is_recorded = shared.keeps_history();
        let settled = spans::within(spans::settle(topic, ended.len(), headers), |_| {
            match self.settler {
                Settler::Worker => settle(self.connection, &BEGIN, topic, &outcomes, is_recorded),
                Settler::Heartbeat => settle_free(self.connection, topic, &outcomes, is_recorded),
            }
        });
        let settled = settled.inspect_err(|error| {
            telling::tell_unsettled(shared.observers(), topic, error);
            if error.kind() == ErrorKind::OutcomeUnknown {
                let proofs = ended.iter().map(|ended| &ended.proof);
                self.unsure
                    .extend(proofs.clone().map(|proof| proof.receipt));
                // Who waits for these ends looks: a false hint costs that look.
                let held = proofs.map(|proof| &proof.held);
                shared.base.waker.announce_ends(held);
            }
        })?;
        for proof in ended.iter().map(|ended| &ended.proof) {
            let is_cancelled = settled.get(&proof.receipt).copied();
            // What the heartbeat did not get may be locked.
            if is_cancelled.is_some() || self.settler == Settler::Worker {
                self.settled.insert(proof.receipt, is_cancelled);
            }
        }
        Ok(())
    }

    /// Returns whether the connection is the reason, or nobody knows what became of the leases.
    fn is_lost(&self, error: &Error) -> bool {
        self.connection.is_closed() || error.kind() == ErrorKind::OutcomeUnknown
    }
}

/// Counts, logs and tells what became of messages, and wakes those who wait for that.
fn tell(shared: &SharedState, ended: &[EndedLease], settled: &HashMap<Uuid, Option<bool>>) {
    let SharedState { topic, base, .. } = shared;
    let mut kept = Vec::with_capacity(ended.len());
    for one in ended {
        match settled.get(&one.proof.receipt).copied().flatten() {
            Some(is_cancelled) => {
                tell_one(shared, one, is_cancelled);
                kept.push((&one.proof, &one.outcome));
            }
            None if one.is_unsure => note_settled(topic, &one.proof),
            None => warn_lost(topic, &one.proof),
        }
    }
    // Also where they did not end: what is looked at once more is little.
    claim::await_next(&shared.floors, kept.iter().map(|(proof, _)| &proof.held));
    announce(&base.waker, topic, kept.into_iter());
}

fn tell_one(shared: &SharedState, ended: &EndedLease, is_cancelled: bool) {
    let SharedState {
        topic, progress, ..
    } = shared;
    let EndedLease { proof, outcome, .. } = ended;
    let id = proof.held.id;
    match outcome {
        Outcome::Done(_) => progress.count(1, 0, 0),
        Outcome::Retry(_) => progress.count(0, 1, 0),
        Outcome::Dead(_) => progress.count(0, 0, 1),
        Outcome::GiveBack | Outcome::Nacked(_) | Outcome::Cancelled => {
            shared.floors().lower(proof.held.position);
        }
        Outcome::Dropped => progress.count_dropped(1),
    }
    report::outcome(topic, id, outcome, None, shared.terms().max_attempts);
    progress.note(topic, id, outcome);
    let settled = Settled {
        topic,
        id,
        delivered: ended.delivered,
        is_cancelled,
    };
    settled.tell(shared.observers(), outcome);
}

/// Says of a lease that is gone that it was most likely settled by the try before, whose connection
/// broke during COMMIT.
fn note_settled(topic: &str, proof: &Proof) {
    let id = proof.held.id;
    tracing::warn!(
        topic = told(&topic),
        message_id = told(&id),
        "topic {topic}: the lease of message {id} is gone: it was settled when the connection broke, or lost before"
    );
}

pub(crate) fn warn_lost(topic: &str, proof: &Proof) {
    let id = proof.held.id;
    tracing::warn!(
        topic = told(&topic),
        message_id = told(&id),
        "topic {topic}: the lease of message {id} was lost before it was settled; what its handler wrote was rolled back"
    );
}
