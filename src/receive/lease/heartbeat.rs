//! The heartbeat of a receiver: one thread prolongs all leases that its workers have in hand.
//!
//! It goes on until the last worker has ended, so that also a handler that a stop abandoned keeps
//! its message. What a worker leased and did not begin is another matter: behind a handler that
//! takes long, a stop or a pause it goes back, since others may be idle. Worker and heartbeat
//! decide under one lock which of them has such a lease.

use crate::leases::Proof;
use crate::message::claimed::Claimed;
use crate::receive::lease::settle::{prolong, release};
use crate::receive::line::Line;
use crate::receive::pace::BUDGET;
use crate::threads::{Service, Stop};
use crate::wake::asked::{Asked, Slot};
use crate::words::Result;
use crate::words::message::CancelToken;
use crossbeam_channel::{Receiver, Sender, bounded, select};
use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Shortest lease with a heartbeat: a shorter one would end between two beats that a busy machine
/// makes late.
pub(crate) const LEAST_BEATEN_LEASE: Duration = Duration::from_millis(100);
/// Beats in the time of a lease: two may fail before it ends.
pub(crate) const BEATS: u32 = 3;
/// How soon a beat that failed is made up for, at most; sooner for short leases.
pub(crate) const AGAIN: Duration = Duration::from_secs(1);

/// How often a stop and a pause are looked for where a handler may take long although leases behind
/// it are not begun, since their number was asked for.
const LOOK: Duration = Duration::from_millis(100);

/// The leases that workers have in hand.
#[derive(Debug)]
pub(crate) struct Heartbeat {
    /// By receipt.
    kept: Mutex<HashMap<Uuid, Kept>>,
    /// Tells the thread that there are leases which are not begun, or shorter ones. One word says
    /// it all.
    tell: Sender<()>,
    told: Receiver<()>,
    /// How far apart beats are, in milliseconds. Leases that are shorter than those before cannot
    /// wait for the next.
    planned_ms: AtomicU64,
}

#[derive(Debug, Clone)]
struct Kept {
    proof: Proof,
    cancel: CancelToken,
    worker: usize,
    begun_at: Option<Instant>,
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
        match self.heartbeat.lock().get_mut(&self.proof.receipt) {
            Some(kept) => kept.begun_at = Some(Instant::now()),
            None => return false,
        }
        true
    }
}

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        self.heartbeat.lock().remove(&self.proof.receipt);
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
        let mut kept = self.lock();
        let in_hand: Vec<_> = messages
            .into_iter()
            .map(|message| {
                let cancel = slot.enter(message.held.id, asked);
                let proof = Proof::of(&message);
                let one = Kept {
                    proof: proof.clone(),
                    cancel: cancel.clone(),
                    worker,
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
    fn plan(&self, every: Duration) {
        self.planned_ms.store(millis(every), Ordering::Relaxed);
    }

    fn kept(&self) -> Vec<Kept> {
        self.lock().values().cloned().collect()
    }

    fn has_unbegun(&self) -> bool {
        self.lock().values().any(|kept| kept.begun_at.is_none())
    }

    /// Takes the leases that were not begun away from workers whose handlers take long, or from
    /// all.
    fn take_unbegun(&self, from_all: bool) -> Vec<Proof> {
        let mut kept = self.lock();
        let takes_long = |kept: &&Kept| kept.begun_at.is_some_and(|at| at.elapsed() > BUDGET);
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
        taken
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn millis(duration: Duration) -> u64 {
    duration.as_millis() as u64
}

/// Starts the thread, which beats until the channel of the workers is closed.
pub(crate) fn start(
    line: &Arc<Line>,
    workers: Receiver<Infallible>,
    stop: Stop,
) -> Result<Service> {
    let (line, name) = (
        Arc::clone(line),
        format!("outtray-{}-heartbeat", line.topic),
    );
    Service::start(&name, move |_| run(&line, &workers, &stop))
}

fn run(line: &Line, workers: &Receiver<Infallible>, stop: &Stop) {
    let look = match line.options.per_transaction {
        None => BUDGET,
        Some(_) => LOOK,
    };
    let mut next = Instant::now() + line.lease() / BEATS;
    loop {
        // An operator may have changed it.
        let lease = line.lease();
        let every = lease / BEATS;
        next = next.min(Instant::now() + every);
        line.heartbeat.plan(every);
        let mut wait = next.saturating_duration_since(Instant::now());
        if line.heartbeat.has_unbegun() {
            wait = wait.min(look);
        }
        select! {
            recv(workers) -> _ => return,
            recv(line.heartbeat.told) -> _ => {}
            default(wait) => {}
        }
        if let Err(error) = give_back_unbegun(line, stop) {
            let topic = &line.topic;
            log::warn!("topic {topic}: leases that were not begun are left to their end: {error}");
        }
        if Instant::now() < next {
            continue;
        }
        next = Instant::now() + every;
        if let Err(error) = beat(line, lease) {
            log::warn!("topic {}: leases were not prolonged: {error}", line.topic);
            next = Instant::now() + AGAIN.min(lease / 10);
        }
    }
}

/// Gives back what waits behind handlers that take long, unless it was asked for in such numbers;
/// and all that is not begun after a stop and during a pause.
fn give_back_unbegun(line: &Line, stop: &Stop) -> Result<()> {
    let is_over = stop.is_set() || line.is_paused();
    if !is_over && line.options.per_transaction.is_some() {
        return Ok(());
    }
    let unbegun = line.heartbeat.take_unbegun(is_over);
    if unbegun.is_empty() {
        return Ok(());
    }
    let mut connection = line.base.dedicated.take()?;
    let released = release(line, &mut connection, &unbegun);
    line.base.dedicated.give_back(connection);
    released
}

fn beat(line: &Line, lease: Duration) -> Result<()> {
    let kept = line.heartbeat.kept();
    if kept.is_empty() {
        return Ok(());
    }
    let proofs: Vec<&Proof> = kept.iter().map(|kept| &kept.proof).collect();
    let mut connection = line.base.dedicated.take()?;
    let prolonged = prolong(&mut connection, &line.topic, &proofs, lease);
    line.base.dedicated.give_back(connection);
    let prolonged = prolonged?;
    for Kept { proof, cancel, .. } in &kept {
        // One that is gone is in other hands, or was settled just now, when nobody looks any more.
        if prolonged
            .get(&proof.receipt)
            .is_none_or(|is_cancelled| *is_cancelled)
        {
            cancel.set();
        }
    }
    Ok(())
}
