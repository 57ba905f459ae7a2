//! Deliveries that a transaction settles, and unsettles where it is rolled back.

use crate::message::claimed::Held;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A delivery whose end is part of a transaction; unsettled again when that is rolled back.
pub(crate) struct UndoSettled {
    /// `None` once the transaction has committed.
    held: Option<Held>,
    is_settled: Arc<AtomicBool>,
}

impl UndoSettled {
    pub(crate) fn new(held: Held, is_settled: Arc<AtomicBool>) -> Self {
        let held = Some(held);
        UndoSettled { held, is_settled }
    }

    /// Leaves the delivery settled, and returns its message.
    pub(super) fn committed(mut self) -> Option<Held> {
        self.held.take()
    }
}

impl Drop for UndoSettled {
    fn drop(&mut self) {
        if self.held.is_some() {
            self.is_settled.store(false, Ordering::Relaxed);
        }
    }
}
