//! Threads that wait for messages to end.

use crate::threads::mutex::Mutex;
use crossbeam_channel::{Receiver, Sender, bounded};
use std::collections::HashMap;
use uuid::Uuid;

/// Who waits for which message, in this process.
#[derive(Default)]
pub(crate) struct Waiters(Mutex<HashMap<Uuid, Vec<Sender<()>>>>);

/// One that waits; leaves by being dropped.
pub(crate) struct Waiter<'w> {
    waiters: &'w Waiters,
    id: Uuid,
    /// Room for one: rung twice is rung.
    bell: Receiver<()>,
    own: Sender<()>,
}

impl Waiters {
    /// Notes that somebody waits for a message from now on.
    pub(crate) fn wait_for(&self, id: Uuid) -> Waiter<'_> {
        let (own, bell) = bounded(1);
        self.0.lock().entry(id).or_default().push(own.clone());
        Waiter {
            waiters: self,
            id,
            bell,
            own,
        }
    }

    /// Wakes those who wait for these messages.
    pub(crate) fn ring(&self, ids: &[Uuid]) {
        let waiting = self.0.lock();
        if waiting.is_empty() {
            return;
        }
        for bell in ids.iter().filter_map(|id| waiting.get(id)).flatten() {
            let _ = bell.try_send(());
        }
    }

    /// Returns the messages that are waited for.
    pub(crate) fn ids(&self) -> Vec<Uuid> {
        self.0.lock().keys().copied().collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }
}

impl Waiter<'_> {
    /// The channel on which it is woken; it may be for nothing.
    pub(crate) fn bell(&self) -> &Receiver<()> {
        &self.bell
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let mut waiting = self.waiters.0.lock();
        if let Some(bells) = waiting.get_mut(&self.id) {
            bells.retain(|bell| !bell.same_channel(&self.own));
            if bells.is_empty() {
                waiting.remove(&self.id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_reaches_all_who_wait_for_the_message_and_nobody_else() {
        let waiters = Waiters::default();
        let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let first = waiters.wait_for(one);
        let second = waiters.wait_for(one);
        let other = waiters.wait_for(two);

        waiters.ring(&[one]);
        waiters.ring(&[one]);

        assert_eq!((first.bell().len(), second.bell().len()), (1, 1));
        assert!(other.bell().is_empty());
        drop(first);
        waiters.ring(&[one]);
        drop((second, other));
        assert!(waiters.is_empty());
    }
}
