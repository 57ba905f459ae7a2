//! What users hold: the front door, topics, and the outbox inside a foreign transaction.

pub(crate) mod builder;
pub(crate) mod cancel;
pub(crate) mod completion;
pub(crate) mod core;
pub(crate) mod dead_letters;
pub(crate) mod dedupe;
pub(crate) mod delivery;
pub(crate) mod draining;
pub(crate) mod dropping;
pub(crate) mod intake;
pub(crate) mod join;
pub(crate) mod matching;
pub(crate) mod messaging;
pub(crate) mod receipt;
pub(crate) mod receiving;
#[cfg(feature = "cron")]
pub(crate) mod recurring;
pub(crate) mod retrying;
pub(crate) mod sending;
pub(crate) mod settings;
pub(crate) mod settling;
pub(crate) mod slices;
pub(crate) mod topics;
pub(crate) mod waiting;
