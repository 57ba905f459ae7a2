//! What users hold: the front door, topics, and the outbox inside a foreign transaction.

pub(crate) mod builder;
pub(crate) mod cancel;
pub(crate) mod completion;
pub(crate) mod core;
pub(crate) mod dead_letters;
pub(crate) mod dedupe;
pub(crate) mod doctor;
pub(crate) mod draining;
pub(crate) mod dropping;
pub(crate) mod ephemeral;
pub(crate) mod join;
pub(crate) mod log;
pub(crate) mod log_reader;
pub(crate) mod manual;
pub(crate) mod messaging;
pub(crate) mod pending_reply;
pub(crate) mod publish;
#[cfg(feature = "cron")]
pub(crate) mod recurring;
pub(crate) mod request;
pub(crate) mod retrying;
pub(crate) mod sending;
pub(crate) mod settings;
pub(crate) mod slices;
pub(crate) mod tail;
pub(crate) mod topics;
