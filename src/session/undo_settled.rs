//! Deliveries that a transaction settles, and unsettles where it is rolled back.

use crate::message::claimed::Held;
use crate::wake::news::DoneByHand;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A delivery whose end is part of a transaction; unsettled again when that is rolled back.
pub(crate) struct UndoSettled {
    /// `None` once the transaction has committed.
    held: Option<Held>,
    /// What observers are told then.
    done: Option<DoneByHand>,
    is_settled: Arc<AtomicBool>,
}

impl UndoSettled {
    pub(crate) fn new(held: Held, done: DoneByHand, is_settled: Arc<AtomicBool>) -> Self {
        UndoSettled {
            held: Some(held),
            done: Some(done),
            is_settled,
        }
    }

    /// Leaves the delivery settled, and returns its message, and what observers are told.
    pub(super) fn committed(mut self) -> (Option<Held>, Option<DoneByHand>) {
        (self.held.take(), self.done.take())
    }
}

impl Drop for UndoSettled {
    fn drop(&mut self) {
        if self.held.is_some() {
            self.is_settled.store(false, Ordering::Relaxed);
        }
    }
}
