//! Messages of a receiver that are about to be charged.
//!
//! A failure that ended the whole transaction freed its message before it could be counted, and
//! another worker of the process may claim it meanwhile. That worker puts it off, so that no
//! attempt goes uncounted. Other processes do not know of it; theirs is one more attempt, which the
//! charge waits for.

use crate::threads::mutex::Mutex;
use crate::words::MessageId;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The messages of one receiver that are about to be charged.
#[derive(Debug, Default)]
pub(crate) struct PendingCharges {
    ids: Mutex<Vec<MessageId>>,
    /// How many: next to always none, and then nobody takes the lock.
    count: AtomicUsize,
}

/// One of them, until it is dropped.
#[derive(Debug)]
pub(crate) struct Mark {
    of: Arc<PendingCharges>,
    id: MessageId,
}

impl PendingCharges {
    /// Notes that a message is about to be charged.
    pub(crate) fn mark(self: &Arc<Self>, id: MessageId) -> Mark {
        self.with(|ids| ids.push(id));
        Mark {
            of: Arc::clone(self),
            id,
        }
    }

    /// Returns whether a message is about to be charged.
    pub(crate) fn has(&self, id: MessageId) -> bool {
        self.count.load(Ordering::Acquire) > 0 && self.with(|ids| ids.contains(&id))
    }

    fn with<R>(&self, act: impl FnOnce(&mut Vec<MessageId>) -> R) -> R {
        let mut ids = self.ids.lock();
        let acted = act(&mut ids);
        self.count.store(ids.len(), Ordering::Release);
        acted
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        self.of.with(|ids| {
            if let Some(place) = ids.iter().position(|id| *id == self.id) {
                ids.swap_remove(place);
            }
        });
    }
}
