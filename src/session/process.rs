//! What all sessions of a process share.

use crate::capacity::take::Counts;
use crate::schema::name::SchemaName;
use crate::settings::cache::Configs;
use std::sync::atomic::AtomicBool;

/// What all sessions of a process share.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) schema: SchemaName,
    pub(crate) max_payload_bytes: usize,
    pub(crate) configs: Configs,
    pub(crate) counts: Counts,
    /// Whether sessions here use the driver's own object in a transaction that was begun without.
    pub(crate) needs_objects: AtomicBool,
}
