//! The heartbeat of a receiver: one thread prolongs all leases that its workers have in hand.
//!
//! It goes on until the last worker has ended, so that also a handler that a stop abandoned keeps
//! its message. What a worker leased and did not begin is another matter: behind a handler that
//! takes long, a stop or a pause it goes back, since others may be idle. Worker and heartbeat
//! decide under one lock which of them has such a lease.

use crate::leases::Proof;
use crate::message::claimed::Claimed;
use crate::receive::pace::BUDGET;
use crate::threads::mutex::Mutex;
use crate::wake::asked::{Asked, Slot};
use crate::words::CancelToken;
use crossbeam_channel::{Receiver, Sender, bounded};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Shortest lease with a heartbeat: a shorter one would end between two beats that a busy machine
/// makes late.
pub(crate) const LEAST_BEATEN_LEASE: Duration = Duration::from_millis(100);
/// Beats in the time of a lease: two may fail before it ends.
pub(crate) const BEATS: u32 = 3;
/// How soon a beat that failed is made up for, at most; sooner for short leases.
pub(crate) const AGAIN: Duration = Duration::from_secs(1);

/// The leases that workers have in hand.
#[derive(Debug)]
pub(crate) struct Heartbeat {
    /// By receipt.
    kept: Mutex<HashMap<Uuid, KeptLease>>,
    /// Tells the thread that there are leases which are not begun, or shorter ones. One word says
    /// it all.
    tell: Sender<()>,
    pub(crate) told: Receiver<()>,
    /// How far apart beats are, in milliseconds. Leases that are shorter than those before cannot
    /// wait for the next.
    planned_ms: AtomicU64,
    /// How often leases were taken from workers to go back, and how often they went.
    returning: AtomicU64,
    returned: AtomicU64,
}

#[derive(Debug, Clone)]
pub(crate) struct KeptLease {
    pub(crate) proof: Proof,
    pub(crate) cancel: CancelToken,
    pub(crate) worker: usize,
    /// Which attempt its delivery is, from 1.
    pub(crate) attempt: u32,
    pub(crate) begun_at: Option<Instant>,
}

/// A lease in hand, prolonged until this is dropped or the heartbeat gives it back.
pub(crate) struct InHand<'a> {
    heartbeat: &'a Heartbeat,
    slot: &'a Slot,
    pub(crate) message: Claimed,
    pub(crate) proof: Proof,
    pub(crate) cancel: CancelToken,
}

impl InHand<'_> {
    /// Notes that work on it begins. Returns false if the heartbeat gave it back before.
    pub(crate) fn begin(&self) -> bool {
        match self.heartbeat.kept.lock().get_mut(&self.proof.receipt) {
            Some(kept) => kept.begun_at = Some(Instant::now()),
            None => return false,
        }
        true
    }
}

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        self.heartbeat.kept.lock().remove(&self.proof.receipt);
        self.slot.leave(self.proof.held.id);
    }
}

impl Default for Heartbeat {
    fn default() -> Self {
        let (tell, told) = bounded(1);
        Heartbeat {
            kept: Mutex::default(),
            tell,
            told,
            planned_ms: AtomicU64::new(0),
            returning: AtomicU64::new(0),
            returned: AtomicU64::new(0),
        }
    }
}

impl Heartbeat {
    /// Takes what a worker leased in hand, and enters it in the worker's slot, too: a cancel of
    /// this process, or one that it hears of, does not wait for the next beat.
    pub(crate) fn take<'a>(
        &'a self,
        worker: usize,
        slot: &'a Slot,
        asked: &Asked,
        messages: Vec<Claimed>,
        lease: Duration,
    ) -> Vec<InHand<'a>> {
        let mut kept = self.kept.lock();
        let in_hand: Vec<_> = messages
            .into_iter()
            .map(|message| {
                let cancel = slot.enter(message.held.id, message.attempts + 1, asked);
                let proof = Proof::of(&message);
                let one = KeptLease {
                    proof: proof.clone(),
                    cancel: cancel.clone(),
                    worker,
                    attempt: message.attempts + 1,
                    begun_at: None,
                };
                kept.insert(proof.receipt, one);
                InHand {
                    heartbeat: self,
                    slot,
                    message,
                    proof,
                    cancel,
                }
            })
            .collect();
        drop(kept);
        let is_shorter = millis(lease / BEATS) < self.planned_ms.load(Ordering::Relaxed);
        if in_hand.len() > 1 || is_shorter {
            let _ = self.tell.try_send(());
        }
        in_hand
    }

    /// Notes how far apart beats are.
    pub(crate) fn plan(&self, every: Duration) {
        self.planned_ms.store(millis(every), Ordering::Relaxed);
    }

    pub(crate) fn kept(&self) -> Vec<KeptLease> {
        self.kept.lock().values().cloned().collect()
    }

    pub(crate) fn has_unbegun(&self) -> bool {
        self.kept
            .lock()
            .values()
            .any(|kept| kept.begun_at.is_none())
    }

    /// Takes the leases that were not begun away from workers whose handlers take long, or from
    /// all. Once they went back or could not, the caller calls [`returned`](Self::returned).
    pub(crate) fn take_unbegun(&self, from_all: bool) -> Vec<Proof> {
        let mut kept = self.kept.lock();
        let takes_long = |kept: &&KeptLease| kept.begun_at.is_some_and(|at| at.elapsed() > BUDGET);
        let slow: HashSet<usize> = kept
            .values()
            .filter(takes_long)
            .map(|kept| kept.worker)
            .collect();
        let mut taken = Vec::new();
        kept.retain(|_, kept| {
            let stays = kept.begun_at.is_some() || !(from_all || slow.contains(&kept.worker));
            if !stays {
                taken.push(kept.proof.clone());
            }
            stays
        });
        if !taken.is_empty() {
            self.returning.fetch_add(1, Ordering::Relaxed);
        }
        taken
    }

    /// Notes that leases which were taken went back, or are left to their end.
    pub(crate) fn returned(&self) {
        self.returned.fetch_add(1, Ordering::Release);
    }

    /// Returns how often leases went back.
    pub(crate) fn returns(&self) -> u64 {
        self.returned.load(Ordering::Acquire)
    }

    /// Returns whether leases went back since there were so many returns, or are about to: who
    /// found nothing ready meanwhile has to look again.
    pub(crate) fn has_returned_since(&self, returns: u64) -> bool {
        self.returning.load(Ordering::Relaxed) > returns
    }
}

fn millis(duration: Duration) -> u64 {
    duration.as_millis() as u64
}
