//! The slots of a worker, where a topic is limited to so many messages in work (see
//! `max_in_work`). One that handles messages one after the other has one; the messages of a batch
//! are in work together, and have one each.

use crate::connect::transaction::OpenTransaction;
use crate::db::Run;
use crate::max_in_work::{self, DOING};
use crate::threads::mutex::Mutex;
use crate::words::{Doing, Result};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{self, ThreadId};

/// Ends a look at the free slots.
const LOOKED: &str = "ROLLBACK TO outtray_slots; RELEASE outtray_slots";
/// The same, before a claim that may have to be given back.
const CLAIMING: &str = "ROLLBACK TO outtray_slots; RELEASE outtray_slots; SAVEPOINT outtray_share";
/// Gives back what was claimed, and the slots that were taken for it.
const GIVEN_BACK: &str = "ROLLBACK TO outtray_share; RELEASE outtray_share";

/// What the workers of a receiver know of their topic's slots.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    /// The limit for which there are slots.
    ensured: AtomicU32,
    /// The worker that is going to ask again, if one is.
    watcher: Mutex<Option<ThreadId>>,
}

impl Slots {
    /// Makes the slots of the topic if they may not be there. Outside transactions: others would
    /// wait for what it made, for as long as the transaction lasts.
    pub(crate) fn ensure(&self, run: &mut dyn Run, topic: &str, limit: u32) -> Result<()> {
        if self.ensured.load(Ordering::Relaxed) < limit {
            max_in_work::ensure(run, topic, limit)?;
            self.ensured.store(limit, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Returns whether it is up to the calling worker to ask again: one of each receiver does, the
    /// others would come in vain.
    pub(crate) fn watch(&self) -> bool {
        let mut watcher = self.watcher.lock();
        let me = thread::current().id();
        *watcher.get_or_insert(me) == me
    }

    /// Notes that the calling worker is at work; returns whether nobody watches then.
    pub(crate) fn is_unwatched(&self) -> bool {
        self.leave_watch();
        self.watcher.lock().is_none()
    }

    /// Notes that the calling worker is not going to ask again; returns whether it was.
    pub(crate) fn leave_watch(&self) -> bool {
        let me = thread::current().id();
        self.watcher
            .lock()
            .take_if(|watcher| *watcher == me)
            .is_some()
    }
}

/// The slot in hand of an open transaction.
pub(crate) struct OwnSlot<'t> {
    topic: &'t str,
    limit: u32,
    number: i32,
    /// Whether what is claimed can be given back without it.
    is_open: bool,
}

impl<'t> OwnSlot<'t> {
    /// Takes a slot of a topic with so many for the open transaction, if one is free.
    pub(crate) fn take(
        open: &mut OpenTransaction<'_>,
        topic: &'t str,
        limit: u32,
    ) -> Result<Option<Self>> {
        let Some(number) = max_in_work::take(open, topic, limit)? else {
            return Ok(None);
        };
        let own = OwnSlot {
            topic,
            limit,
            number,
            is_open: false,
        };
        // In a statement of its own, after the lock.
        let is_free = max_in_work::leased(open, topic)? == 0 || own.may_have(open, LOOKED)? > 0;
        Ok(is_free.then_some(own))
    }

    /// Returns how many of `size` messages of a batch to claim: each needs its own slot, so no more
    /// are claimed than there are slots. The claim has to be followed by [`fit`](Self::fit).
    pub(crate) fn share(&mut self, open: &mut OpenTransaction<'_>, size: usize) -> Result<usize> {
        if size <= 1 {
            return Ok(size);
        }
        let may_have = self.may_have(open, CLAIMING)?;
        self.is_open = true;
        Ok(size.min(may_have.max(1)))
    }

    /// Takes a slot for each of the `claimed` messages of a batch. If there are no longer so many,
    /// it gives all messages back, and returns how many to claim instead: those left over would be
    /// kept from others for as long as the batch takes, and so would a slot without a message.
    pub(crate) fn fit(
        &mut self,
        open: &mut OpenTransaction<'_>,
        claimed: usize,
    ) -> Result<Option<usize>> {
        if !std::mem::take(&mut self.is_open) {
            return Ok(None);
        }
        let most = match claimed {
            0 | 1 => claimed,
            _ => self.take_up_to(open, claimed)?,
        };
        let is_fit = most == claimed;
        let end = if is_fit {
            "RELEASE outtray_share"
        } else {
            GIVEN_BACK
        };
        open.run(end).doing(DOING)?;
        Ok((!is_fit).then_some(most))
    }

    /// Takes `wanted` slots, the one in hand among them; returns how many of them the transaction
    /// may have.
    fn take_up_to(&self, open: &mut OpenTransaction<'_>, wanted: usize) -> Result<usize> {
        let more = max_in_work::take_more(open, self.topic, self.limit, wanted - 1, self.number)?;
        let taken = 1 + more;
        let allowed = match max_in_work::leased(open, self.topic)? {
            0 => taken,
            _ => self.may_have(open, LOOKED)?,
        };
        // The slot in hand stays good: nobody leases on it.
        Ok(taken.min(allowed).max(1))
    }

    /// Returns how many messages the open transaction may have in work: all slots that are free or
    /// its own at this moment, less the leases. `end` gives those slots back.
    fn may_have(&self, open: &mut OpenTransaction<'_>, end: &str) -> Result<usize> {
        open.run("SAVEPOINT outtray_slots").doing(DOING)?;
        let may_have = max_in_work::leasable(open, self.topic, self.limit)?;
        open.run(end).doing(DOING)?;
        Ok(may_have)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs `ask` as another worker.
    fn as_another<T: Send>(ask: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| scope.spawn(ask).join().unwrap())
    }

    #[test]
    fn one_worker_watches_until_it_leaves() {
        let slots = Slots::default();
        assert!(slots.watch() && slots.watch());
        as_another(|| assert!(!slots.watch() && !slots.leave_watch() && !slots.is_unwatched()));

        assert!(slots.leave_watch());
        assert!(!slots.leave_watch(), "it was no longer there");
        as_another(|| assert!(slots.is_unwatched() && slots.watch()));
        assert!(!slots.watch());
    }
}
