//! What all sessions of a process share.

use crate::capacity::take::Counts;
use crate::connect::dedicated::Dedicated;
use crate::observe::observers::Observers;
use crate::publish::cache::Subscriptions;
use crate::publish::ephemeral::Holdings;
use crate::schema::name::SchemaName;
use crate::session::send_hooks::SendHooks;
use crate::settings::cache::Configs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

/// What all sessions of a process share.
pub(crate) struct Process {
    pub(crate) schema: SchemaName,
    pub(crate) max_payload_bytes: usize,
    /// Whether what a handler sends carries on from its message.
    pub(crate) is_correlating: bool,
    pub(crate) configs: Configs,
    pub(crate) counts: Counts,
    pub(crate) subscriptions: Subscriptions,
    pub(crate) holdings: Arc<Holdings>,
    pub(crate) observers: Arc<Observers>,
    pub(crate) send_hooks: SendHooks,
    /// Where a connection comes from for what a session's own cannot tell.
    pub(crate) dedicated: Arc<Dedicated>,
    /// Whether sessions here use the driver's own object in a transaction that was begun without.
    pub(crate) needs_objects: AtomicBool,
    /// Time that a test let pass without waiting, in microseconds.
    pub(crate) skipped_us: AtomicU64,
}

impl Process {
    /// Makes what all sessions share, with the most bytes of a payload, and whether what handlers
    /// send carries on from their messages.
    pub(crate) fn new(
        schema: SchemaName,
        (max_payload_bytes, is_correlating): (usize, bool),
        dedicated: &Arc<Dedicated>,
        observers: Arc<Observers>,
        send_hooks: SendHooks,
    ) -> Self {
        Process {
            schema,
            max_payload_bytes,
            is_correlating,
            configs: Configs::default(),
            counts: Counts::default(),
            subscriptions: Subscriptions::default(),
            holdings: Arc::default(),
            observers,
            send_hooks,
            dedicated: Arc::clone(dedicated),
            needs_objects: AtomicBool::default(),
            skipped_us: AtomicU64::default(),
        }
    }
}
