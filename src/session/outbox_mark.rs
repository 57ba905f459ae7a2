//! A state of the outbox.

use crate::capacity::ahead::RoomAhead;

/// A state of the outbox to return to.
#[derive(Debug, Clone, Default)]
pub(super) struct OutboxMark {
    pub(super) ready: usize,
    pub(super) waiting: usize,
    pub(super) entries: usize,
    pub(super) bytes: usize,
    pub(super) log: usize,
    pub(super) settled: usize,
    pub(super) room: RoomAhead,
}
