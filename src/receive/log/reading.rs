//! A reader of a log, as the threads of its lanes see it.

use crate::log::slices::SharedSlices;
use crate::receive::log::entries::EntryHandler;
use crate::receive::shared_state::SharedState;
use crate::wake::board::Station;
use crate::words::panics::CallersValue;
use std::sync::Arc;
use std::time::Duration;

/// A reader of a log, as the threads of its lanes see it.
pub(crate) struct LogReading {
    /// The topic of the log.
    pub(crate) log: String,
    /// The name of the reader.
    pub(crate) name: String,
    pub(crate) lanes: usize,
    /// The most entries of a batch.
    pub(crate) batch: usize,
    /// What it shares with other readers of the log; `None` with several lanes, each of which reads
    /// other entries.
    pub(crate) slices: Option<Arc<SharedSlices>>,
    pub(crate) handler: CallersValue<Box<EntryHandler>>,
    /// The receiver of what is aside, which also is what others know the reader by.
    pub(crate) side: Arc<SharedState>,
    /// Where the thread of each lane parks.
    pub(crate) stations: Vec<Arc<Station>>,
}

impl LogReading {
    /// Returns the number by which others know who has entries in hand.
    pub(crate) fn me(&self) -> Option<i64> {
        self.side.receiver
    }

    /// Returns what it shares, if another reader does.
    pub(crate) fn shared(&self) -> Option<&SharedSlices> {
        let slices = self.slices.as_ref();
        slices
            .filter(|slices| slices.are_wanted())
            .map(|slices| &**slices)
    }

    /// Has all readers forget what was read.
    pub(crate) fn forget_shared(&self) {
        if let Some(slices) = &self.slices {
            slices.forget();
        }
    }

    /// Returns when something was changed last, of its settings or its readers.
    pub(crate) fn changed_at(&self) -> Option<i64> {
        let setting = self.side.base.process.configs.get(&self.log);
        setting.map(|setting| setting.changed_at_us)
    }

    /// Returns whether an operator paused the log, or this reader of it.
    pub(crate) fn is_paused(&self) -> bool {
        let configs = &self.side.base.process.configs;
        self.side.is_paused() || configs.is_paused(&self.log)
    }
}

/// Why the thread of a lane looks around.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LaneWorked {
    /// There may be more: come back.
    Again,
    /// All is read: wait until woken, or for this long.
    AtEnd(Option<Duration>),
    /// Somebody else has the lane.
    Elsewhere,
}
