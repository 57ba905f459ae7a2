//! The heartbeat of a receiver: one thread prolongs all leases that its workers have in hand.
//!
//! It goes on until the last worker has ended, so that also a handler that a stop abandoned keeps
//! its message. What a worker leased and did not begin is another matter: behind a handler that
//! takes long, a stop or a pause it goes back, since others may be idle. Likewise what a worker is
//! done with and has not settled: it settles several messages together, and behind a handler that
//! takes long the heartbeat does. Worker and heartbeat decide under one lock which of them has such
//! a lease; one that is not settled is prolonged like all others.

use crate::leases::Proof;
use crate::message::claimed::Claimed;
use crate::message::outcome::Outcome;
use crate::observe::delivered::Delivered;
use crate::receive::pace::BUDGET;
use crate::threads::mutex::Mutex;
use crate::wake::asked::{Asked, Slot};
use crate::words::{CancelToken, Headers};
use crossbeam_channel::{Receiver, Sender, bounded};
use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Shortest lease with a heartbeat: a shorter one would end between two beats that a busy machine
/// makes late.
pub(crate) const LEAST_BEATEN_LEASE: Duration = Duration::from_millis(100);
/// Beats in the time of a lease: two may fail before it ends.
pub(crate) const BEATS: u32 = 3;
/// How soon a beat that failed is made up for, at most; sooner for short leases.
pub(crate) const AGAIN: Duration = Duration::from_secs(1);

/// How long a message that is done waits to be settled together with others.
pub(crate) const PUT_OFF: Duration = BUDGET;
/// It waits for at most one part in this many of what is left of its lease.
const PUT_OFF_SHARE: u32 = 3;

/// The leases that workers have in hand.
#[derive(Debug)]
pub(crate) struct Heartbeat {
    /// By receipt.
    kept: Mutex<HashMap<Uuid, KeptLease>>,
    /// Tells the thread that there are leases which are not begun, or shorter ones. One word says
    /// it all.
    tell: Sender<()>,
    pub(crate) told: Receiver<()>,
    /// Whether the thread is about to look only after longer than what is done may wait.
    looks_seldom: AtomicBool,
    /// How far apart beats are, in milliseconds. Leases that are shorter than those before cannot
    /// wait for the next.
    planned_ms: AtomicU64,
    /// How often leases were taken from workers to go back or to be settled, and how often that was
    /// done.
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
    /// When the lease ends at the earliest, as far as this process knows.
    lasts_until: Instant,
    /// What becomes of the message, once that is decided and as long as nobody settles it.
    ended: Option<EndedLease>,
}

/// A lease whose message is done with, one way or the other, and that is to be settled.
#[derive(Debug, Clone)]
pub(crate) struct EndedLease {
    pub(crate) proof: Proof,
    pub(crate) outcome: Outcome,
    pub(crate) ended_at: Instant,
    /// What observers were told of the delivery, if its handler ran and there are any.
    pub(crate) delivered: Option<Delivered>,
    pub(crate) headers: Headers,
    /// Whether the database refused to settle it, by itself.
    pub(crate) is_refused: bool,
    /// Whether it may be settled: the connection broke during COMMIT.
    pub(crate) is_unsure: bool,
    /// Whether it could not be settled without waiting. Its worker does, or a beat tries again.
    pub(crate) is_left: bool,
}

impl EndedLease {
    fn new(proof: Proof, outcome: Outcome, ended_at: Instant) -> Self {
        EndedLease {
            proof,
            outcome,
            ended_at,
            delivered: None,
            headers: Headers::default(),
            is_refused: false,
            is_unsure: false,
            is_left: false,
        }
    }
}

/// Which leases are to be settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WhichEnded {
    /// Those of a worker.
    By(usize),
    /// Those that are put off for long enough.
    Overdue,
    All,
}

/// A lease in hand, prolonged until this is dropped or the heartbeat gives it back.
pub(crate) struct InHand<'a> {
    heartbeat: &'a Heartbeat,
    slot: &'a Slot,
    pub(crate) message: Claimed,
    pub(crate) proof: Proof,
    pub(crate) cancel: CancelToken,
    has_begun: Cell<bool>,
    /// Whether it is left to be settled, and so stays with the heartbeat.
    is_ended: bool,
}

impl InHand<'_> {
    /// Notes that work on it begins. Returns false if the heartbeat gave it back before, or is
    /// about to.
    pub(crate) fn begin(&self) -> bool {
        let mut leases = self.heartbeat.kept.lock();
        let kept = leases.get_mut(&self.proof.receipt);
        let Some(kept) = kept.filter(|kept| kept.begun_at.is_none()) else {
            return false;
        };
        kept.begun_at = Some(Instant::now());
        self.has_begun.set(true);
        true
    }

    /// Leaves it to be settled together with others, by its worker or by the heartbeat. Returns
    /// whether there is time for that: otherwise the worker has to settle it now.
    pub(crate) fn end(mut self, outcome: Outcome, delivered: Option<Delivered>) -> bool {
        let now = Instant::now();
        let mut leases = self.heartbeat.kept.lock();
        let Some(kept) = leases.get_mut(&self.proof.receipt) else {
            return true;
        };
        kept.ended = Some(EndedLease {
            delivered,
            headers: std::mem::take(&mut self.message.headers),
            ..EndedLease::new(self.proof.clone(), outcome, now)
        });
        self.is_ended = true;
        let left = kept.lasts_until.saturating_duration_since(now);
        left / PUT_OFF_SHARE > PUT_OFF
    }
}

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        if !self.is_ended {
            let mut leases = self.heartbeat.kept.lock();
            let kept = leases.get(&self.proof.receipt);
            if kept.is_some_and(|kept| self.has_begun.get() || kept.begun_at.is_none()) {
                leases.remove(&self.proof.receipt);
            }
        }
        self.slot.leave(self.proof.held.id);
    }
}

impl KeptLease {
    /// Returns whether its handler runs, or somebody settles it.
    pub(crate) fn is_in_work(&self) -> bool {
        self.begun_at.is_some() && self.ended.is_none()
    }
}

impl Default for Heartbeat {
    fn default() -> Self {
        let (tell, told) = bounded(1);
        Heartbeat {
            kept: Mutex::default(),
            tell,
            told,
            looks_seldom: AtomicBool::new(false),
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
        (claimed_at, lease): (Instant, Duration),
    ) -> Vec<InHand<'a>> {
        let lasts_until = claimed_at + lease;
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
                    lasts_until,
                    ended: None,
                };
                kept.insert(proof.receipt, one);
                InHand {
                    heartbeat: self,
                    slot,
                    message,
                    proof,
                    cancel,
                    has_begun: Cell::new(false),
                    is_ended: false,
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

    /// Returns what the thread has to look at soon: whether a lease is not begun, and since when
    /// the first of those that ended waits to be settled.
    pub(crate) fn waiting(&self) -> (bool, Option<Instant>) {
        let kept = self.kept.lock();
        let is_unbegun = kept.values().any(|kept| kept.begun_at.is_none());
        let ended = kept.values().filter_map(|kept| kept.ended.as_ref());
        let ended = ended.filter(|ended| !ended.is_left);
        (is_unbegun, ended.map(|ended| ended.ended_at).min())
    }

    /// Has the thread look at what is to be settled, if it was to look later than it now has to.
    pub(crate) fn hurry(&self) {
        if self.looks_seldom.swap(false, Ordering::Relaxed) {
            let _ = self.tell.try_send(());
        }
    }

    /// Notes that the thread is about to look only after longer than what is done may wait.
    pub(crate) fn note_seldom(&self) {
        self.looks_seldom.store(true, Ordering::SeqCst);
    }

    /// Takes what is to be settled, in the order in which it ended. Whoever takes it settles it and
    /// says so by [`settled`](Self::settled), or puts it [back](Self::put_back).
    pub(crate) fn take_ended(&self, which: WhichEnded) -> Vec<EndedLease> {
        let now = Instant::now();
        let mut kept = self.kept.lock();
        let ended = kept.values_mut().filter_map(|kept| {
            let ended = kept.ended.take_if(|ended| match which {
                WhichEnded::By(worker) => kept.worker == worker,
                WhichEnded::Overdue => !ended.is_left && ended.ended_at + PUT_OFF <= now,
                WhichEnded::All => true,
            })?;
            // Whoever settles is at work on it from now on.
            kept.begun_at = Some(now);
            Some(ended)
        });
        let mut ended: Vec<EndedLease> = ended.collect();
        ended.sort_unstable_by_key(|ended| ended.ended_at);
        ended
    }

    /// The same for another thread than the workers. Once it settled that or could not, it calls
    /// [`returned`](Self::returned).
    pub(crate) fn take_from_workers(&self, which: WhichEnded) -> Vec<EndedLease> {
        let ended = self.take_ended(which);
        if !ended.is_empty() {
            self.returning.fetch_add(1, Ordering::Relaxed);
        }
        ended
    }

    /// Returns whether a worker ended leases that nobody settles at present.
    pub(crate) fn has_ended(&self, worker: usize) -> bool {
        let is_its = |kept: &KeptLease| kept.worker == worker && kept.ended.is_some();
        self.kept.lock().values().any(is_its)
    }

    /// Forgets leases that were settled, or lost.
    pub(crate) fn settled(&self, settled: &[EndedLease]) {
        let mut kept = self.kept.lock();
        for ended in settled {
            kept.remove(&ended.proof.receipt);
        }
    }

    /// Notes that a lease which was taken is still to be settled.
    pub(crate) fn put_back(&self, ended: EndedLease) {
        if let Some(kept) = self.kept.lock().get_mut(&ended.proof.receipt) {
            kept.ended = Some(ended);
        }
    }

    /// Notes that leases last until then at the earliest.
    pub(crate) fn prolonged<'p>(&self, proofs: impl Iterator<Item = &'p Proof>, until: Instant) {
        let mut kept = self.kept.lock();
        for proof in proofs {
            if let Some(kept) = kept.get_mut(&proof.receipt) {
                kept.lasts_until = until;
            }
        }
    }

    /// Takes the leases that were not begun away from workers whose handlers take long, or from
    /// all. Once they went back or could not, the caller calls [`returned`](Self::returned).
    pub(crate) fn take_unbegun(&self, from_all: bool) -> Vec<KeptLease> {
        let mut kept = self.kept.lock();
        let takes_long = |kept: &&KeptLease| {
            kept.ended.is_none() && kept.begun_at.is_some_and(|at| at.elapsed() > BUDGET)
        };
        let slow: HashSet<usize> = kept
            .values()
            .filter(takes_long)
            .map(|kept| kept.worker)
            .collect();
        let mut taken = Vec::new();
        kept.retain(|_, kept| {
            let stays = kept.begun_at.is_some() || !(from_all || slow.contains(&kept.worker));
            if !stays {
                taken.push(kept.clone());
            }
            stays
        });
        if !taken.is_empty() {
            self.returning.fetch_add(1, Ordering::Relaxed);
        }
        taken
    }

    /// Keeps leases that were taken and could not be given back, until they are settled.
    pub(crate) fn keep_to_return(&self, unbegun: Vec<KeptLease>) {
        let now = Instant::now();
        let mut leases = self.kept.lock();
        for mut kept in unbegun {
            kept.begun_at = Some(now);
            let ended = EndedLease::new(kept.proof.clone(), Outcome::GiveBack, now);
            kept.ended = Some(ended);
            leases.insert(kept.proof.receipt, kept);
        }
    }

    /// Notes that leases which were taken went back or were settled, or are left to their end.
    pub(crate) fn returned(&self) {
        self.returned.fetch_add(1, Ordering::Release);
    }

    /// Returns how often leases that were taken from workers were done with.
    pub(crate) fn returns(&self) -> u64 {
        self.returned.load(Ordering::Acquire)
    }

    /// Returns whether leases went back or were settled since there were so many returns, or are
    /// about to be: who found nothing ready meanwhile has to look again.
    pub(crate) fn has_returned_since(&self, returns: u64) -> bool {
        self.returning.load(Ordering::Relaxed) > returns
    }
}

fn millis(duration: Duration) -> u64 {
    duration.as_millis() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::claimed::Held;
    use crate::words::{ClaimPlace, MessageId, OnEnd, Payload};
    use std::time::SystemTime;

    const MINUTE: Duration = Duration::from_secs(60);

    fn claimed(seq: i64) -> Claimed {
        Claimed {
            held: Held {
                position: ClaimPlace { rank: 0, seq },
                id: MessageId(Uuid::now_v7()),
                key: None,
                on_end: OnEnd::default(),
            },
            attempts: 0,
            sent_at: SystemTime::UNIX_EPOCH,
            headers: Headers::default(),
            content: Payload::Bytes(Vec::new()),
            due_at: None,
            is_expired: false,
            receipt: Some(Uuid::now_v7()),
            is_cancelled: false,
            wait: None,
            unreadable: None,
        }
    }

    /// Has a worker take so many, with this much left of their leases.
    fn take<'a>(
        heartbeat: &'a Heartbeat,
        (worker, slot): (usize, &'a Slot),
        count: i64,
        left: Duration,
    ) -> Vec<InHand<'a>> {
        let messages = (0..count).map(claimed).collect();
        let lease = (Instant::now(), left);
        heartbeat.take(worker, slot, &Asked::default(), messages, lease)
    }

    fn end(in_hand: InHand<'_>) -> bool {
        assert!(in_hand.begin());
        in_hand.end(Outcome::Done(None), None)
    }

    #[test]
    fn nothing_is_put_off_for_more_than_a_third_of_what_is_left_of_its_lease() {
        let (heartbeat, slot) = (Heartbeat::default(), Slot::default());
        for (left_ms, may_wait) in [(1, false), (29, false), (100, true), (60_000, true)] {
            let left = Duration::from_millis(left_ms);
            let mut taken = take(&heartbeat, (0, &slot), 1, left);

            assert_eq!(end(taken.remove(0)), may_wait, "{left:?}");
        }
    }

    #[test]
    fn what_ended_is_settled_by_one_of_worker_and_heartbeat() {
        let (heartbeat, slot, other) = (Heartbeat::default(), Slot::default(), Slot::default());
        let mine = take(&heartbeat, (0, &slot), 2, MINUTE);
        let others = take(&heartbeat, (1, &other), 1, MINUTE);
        assert!(mine.into_iter().chain(others).all(end));
        assert!(heartbeat.has_ended(0));

        let taken = heartbeat.take_ended(WhichEnded::By(0));
        assert_eq!(taken.len(), 2);
        assert!(taken[0].ended_at <= taken[1].ended_at);
        assert_eq!(heartbeat.take_from_workers(WhichEnded::All).len(), 1);
        assert!(heartbeat.take_ended(WhichEnded::All).is_empty());
        assert!(!heartbeat.has_ended(0));

        // They are prolonged until they are settled.
        assert_eq!(heartbeat.kept().len(), 3);
        heartbeat.settled(&taken[..1]);
        assert_eq!(heartbeat.kept().len(), 2);
        heartbeat.put_back(taken[0].clone());
        heartbeat.put_back(taken[1].clone());
        assert_eq!(heartbeat.take_ended(WhichEnded::By(0)).len(), 1);
    }

    #[test]
    fn the_heartbeat_settles_what_waits_too_long_and_is_not_left_to_its_worker() {
        let (heartbeat, slot) = (Heartbeat::default(), Slot::default());
        assert!(take(&heartbeat, (0, &slot), 2, MINUTE).into_iter().all(end));
        assert!(heartbeat.waiting().1.is_some());
        let mut ended = heartbeat.take_ended(WhichEnded::All);
        for one in &mut ended {
            one.ended_at -= PUT_OFF;
        }
        ended[1].is_left = true;
        ended.into_iter().for_each(|one| heartbeat.put_back(one));

        assert_eq!(heartbeat.take_ended(WhichEnded::Overdue).len(), 1);
        assert_eq!(heartbeat.waiting(), (false, None));
        assert_eq!(heartbeat.take_ended(WhichEnded::All).len(), 1);
    }

    #[test]
    fn what_is_done_does_not_make_its_worker_slow() {
        let (heartbeat, slot) = (Heartbeat::default(), Slot::default());
        let mut taken = take(&heartbeat, (0, &slot), 2, MINUTE);
        assert!(end(taken.remove(0)));
        for kept in heartbeat.kept.lock().values_mut() {
            kept.begun_at = kept.begun_at.map(|at| at - 2 * BUDGET);
        }

        assert!(heartbeat.take_unbegun(false).is_empty());
        assert_eq!(heartbeat.take_unbegun(true).len(), 1);
        assert!(!taken.remove(0).begin());
    }
}
