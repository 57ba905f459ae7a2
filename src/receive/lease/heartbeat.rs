//! The heartbeat of a receiver: one thread prolongs all leases that its workers have in hand.
//!
//! It goes on until the last worker has ended, so that also a handler that a stop abandoned keeps its message.

use crate::receive::lease::settle::extend;
use crate::receive::line::Line;
use crate::store::lease::{Leased, Proof};
use crate::wake::asked::{Asked, Slot};
use crate::words::Result;
use crate::words::message::CancelToken;
use crossbeam_channel::{Receiver, select};
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use uuid::Uuid;

/// Shortest lease with a heartbeat: a shorter one would end between two beats that a busy machine makes late.
pub(crate) const LEAST_BEATEN_LEASE: Duration = Duration::from_millis(100);
/// Beats in the time of a lease: two may fail before it ends.
const BEATS: u32 = 3;
/// How soon a beat that failed is made up for, at most; sooner for short leases.
const AGAIN: Duration = Duration::from_secs(1);

/// The leases that workers have in hand, by receipt.
#[derive(Debug, Default)]
pub(crate) struct Heartbeat(Mutex<HashMap<Uuid, Kept>>);

#[derive(Debug, Clone)]
struct Kept {
    proof: Proof,
    cancel: CancelToken,
}

/// A lease in hand, prolonged until this is dropped.
pub(crate) struct InHand<'a> {
    heartbeat: &'a Heartbeat,
    slot: &'a Slot,
    pub(crate) leased: Leased,
    pub(crate) cancel: CancelToken,
}

impl InHand<'_> {
    pub(crate) fn proof(&self) -> Proof {
        proof(&self.leased)
    }
}

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        self.heartbeat.lock().remove(&self.leased.receipt);
        self.slot.leave(self.leased.claimed.held.id);
    }
}

impl Heartbeat {
    /// Takes a lease in hand, and has its message told in the worker's slot, too: a cancel of this process, or one that
    /// it hears of, does not wait for the next beat.
    pub(crate) fn take<'a>(&'a self, leased: Leased, slot: &'a Slot, asked: &Asked) -> InHand<'a> {
        let cancel = slot.enter(leased.claimed.held.id, asked);
        let kept = Kept {
            proof: proof(&leased),
            cancel: cancel.clone(),
        };
        self.lock().insert(leased.receipt, kept);
        InHand {
            heartbeat: self,
            slot,
            leased,
            cancel,
        }
    }

    fn kept(&self) -> Vec<Kept> {
        self.lock().values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn proof(leased: &Leased) -> Proof {
    Proof {
        held: leased.claimed.held.clone(),
        receipt: leased.receipt,
    }
}

/// Beats until the channel of the workers is closed.
pub(crate) fn run(line: &Line, lease: Duration, workers: &Receiver<Infallible>) {
    let every = lease / BEATS;
    let mut wait = every;
    loop {
        select! {
            recv(workers) -> _ => return,
            default(wait) => {}
        }
        wait = every;
        if let Err(error) = beat(line, lease) {
            log::warn!("topic {}: leases were not prolonged: {error}", line.topic);
            wait = AGAIN.min(lease / 10);
        }
    }
}

fn beat(line: &Line, lease: Duration) -> Result<()> {
    let kept = line.heartbeat.kept();
    if kept.is_empty() {
        return Ok(());
    }
    let proofs: Vec<&Proof> = kept.iter().map(|kept| &kept.proof).collect();
    let mut connection = line.base.dedicated.take()?;
    let statements = &line.base.kit.statements;
    let extended = extend(&mut connection, statements, &line.topic, &proofs, lease);
    line.base.dedicated.give_back(connection);
    let extended = extended?;
    for Kept { proof, cancel } in &kept {
        // One that is gone is in other hands, or was settled just now, when nobody looks any more.
        if extended
            .get(&proof.receipt)
            .is_none_or(|is_cancelled| *is_cancelled)
        {
            cancel.set();
        }
    }
    Ok(())
}
