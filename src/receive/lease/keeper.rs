//! The heartbeat of messages that were taken by hand: one thread of the process prolongs the leases
//! of those that ask for it.
//!
//! Each lease lasts as long as its holder said last, and is prolonged at a third of that. It leaves
//! when it is settled by itself or given back; one that is settled in a session is there until a
//! beat finds it gone, since the session may be rolled back. Who asks starts the thread, which ends
//! with the process's last handle.

use crate::connect::dedicated::Dedicated;
use crate::leases::Proof;
use crate::leases::settle::prolong;
use crate::observe::fields::told;
use crate::receive::leases_in_hand::{AGAIN, BEATS, LEAST_BEATEN_LEASE};
use crate::threads::mutex::Mutex;
use crate::threads::{Service, Stop};
use crate::words::{CancelToken, Result};
use crossbeam_channel::{Receiver, Sender, bounded, select};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// How long the thread waits when it keeps nothing. It is told when that changes.
const IDLE: Duration = Duration::from_secs(3600);

/// The leases that are kept alive, and the thread that does it.
#[derive(Default)]
pub(crate) struct Keeper {
    kept: Arc<KeptLeases>,
    service: Mutex<Option<Service>>,
}

/// A lease that is kept alive.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub(crate) topic: Arc<str>,
    pub(crate) proof: Proof,
    /// Set when somebody asks for the message to be given up, and when the lease is found to be
    /// lost.
    pub(crate) cancel: CancelToken,
    pub(crate) is_settled: Arc<AtomicBool>,
    /// For how long it is prolonged each time.
    pub(crate) lease: Duration,
}

/// The leases that are kept alive, each with when to prolong it, by receipt.
struct KeptLeases {
    leases: Mutex<HashMap<Uuid, (Instant, Kept)>>,
    /// Tells the thread that there are others. One word says it all.
    tell: Sender<()>,
    told: Receiver<()>,
}

impl Default for KeptLeases {
    fn default() -> Self {
        let (tell, told) = bounded(1);
        KeptLeases {
            leases: Mutex::default(),
            tell,
            told,
        }
    }
}

impl Keeper {
    /// Keeps a lease alive from now on: it is prolonged at once. In place of what was said of it
    /// before.
    ///
    /// # Errors
    /// `Unavailable` when the thread cannot start.
    pub(crate) fn keep(&self, kept: Kept, dedicated: &Arc<Dedicated>) -> Result<()> {
        let mut service = self.service.lock();
        if service.is_none() {
            let (leases, dedicated) = (Arc::clone(&self.kept), Arc::clone(dedicated));
            let beat = move |stop| run(&leases, &dedicated, &stop);
            *service = Some(Service::start("outtray-heartbeat", beat)?);
        }
        drop(service);
        let receipt = kept.proof.receipt;
        self.kept
            .leases
            .lock()
            .insert(receipt, (Instant::now(), kept));
        let _ = self.kept.tell.try_send(());
        Ok(())
    }

    /// Lets a lease that is kept alive last so long from now on.
    pub(crate) fn change(&self, receipt: Uuid, lease: Duration) {
        if let Some((next, kept)) = self.kept.leases.lock().get_mut(&receipt) {
            // A shorter one could not be kept alive.
            kept.lease = lease.max(LEAST_BEATEN_LEASE);
            *next = Instant::now() + kept.lease / BEATS;
        } else {
            return;
        }
        let _ = self.kept.tell.try_send(());
    }

    /// Keeps a lease alive no longer.
    pub(crate) fn leave(&self, receipt: Uuid) {
        self.kept.leases.lock().remove(&receipt);
    }
}

impl KeptLeases {
    /// Returns when the next lease is to be prolonged.
    fn next_at(&self) -> Instant {
        let leases = self.leases.lock();
        let next = leases.values().map(|(next, _)| *next).min();
        next.unwrap_or_else(|| Instant::now() + IDLE)
    }

    /// Returns the leases that are to be prolonged, those of a topic and a length together. They
    /// are left alone until this try is over.
    fn take_due(&self) -> HashMap<(Arc<str>, Duration), Vec<Kept>> {
        let now = Instant::now();
        let mut due: HashMap<_, Vec<Kept>> = HashMap::new();
        for (next, kept) in self
            .leases
            .lock()
            .values_mut()
            .filter(|(next, _)| *next <= now)
        {
            *next = now + kept.lease / BEATS;
            let group = (Arc::clone(&kept.topic), kept.lease);
            due.entry(group).or_default().push(kept.clone());
        }
        due
    }

    /// Has leases that could not be prolonged tried again soon.
    fn try_again(&self, failed: &[Kept]) {
        let mut leases = self.leases.lock();
        for kept in failed {
            if let Some((next, _)) = leases.get_mut(&kept.proof.receipt) {
                *next = Instant::now() + AGAIN.min(kept.lease / 10);
            }
        }
    }

    /// Learns which of the leases were still good, each with whether its message is to be given up.
    /// One that was to last longer or shorter meanwhile is prolonged once more at once.
    fn learn(&self, beaten: &[Kept], good: &HashMap<Uuid, bool>) {
        for kept in beaten {
            let receipt = kept.proof.receipt;
            if let Some((next, now_kept)) = self.leases.lock().get_mut(&receipt)
                && now_kept.lease != kept.lease
            {
                *next = Instant::now();
            }
            let is_told = match good.get(&receipt) {
                Some(is_cancelled) => *is_cancelled,
                None => {
                    self.leases.lock().remove(&receipt);
                    !kept.is_settled.load(Ordering::Relaxed)
                }
            };
            if is_told {
                kept.cancel.set();
            }
        }
    }
}

/// Beats until it is stopped.
fn run(leases: &KeptLeases, dedicated: &Dedicated, stop: &Stop) {
    loop {
        let wait = leases.next_at().saturating_duration_since(Instant::now());
        select! {
            recv(stop.signal()) -> _ => return,
            recv(leases.told) -> _ => {}
            default(wait) => {}
        }
        for ((topic, lease), due) in leases.take_due() {
            match beat(dedicated, &topic, &due, lease) {
                Ok(good) => leases.learn(&due, &good),
                Err(error) => {
                    tracing::warn!(
                        topic = told(&topic),
                        error = told(&error),
                        "topic {topic}: leases were not prolonged: {error}"
                    );
                    leases.try_again(&due);
                }
            }
        }
    }
}

fn beat(
    dedicated: &Dedicated,
    topic: &str,
    due: &[Kept],
    lease: Duration,
) -> Result<HashMap<Uuid, bool>> {
    let proofs: Vec<&Proof> = due.iter().map(|kept| &kept.proof).collect();
    let mut connection = dedicated.take()?;
    let good = prolong(&mut connection, topic, &proofs, lease);
    dedicated.give_back(connection);
    good
}
