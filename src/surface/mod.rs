//! What users hold: the front door, topics, and the outbox inside a foreign transaction.

pub(crate) mod builder;
pub(crate) mod cancel;
pub(crate) mod completion;
pub(crate) mod join;
pub(crate) mod messaging;
pub(crate) mod selection;
pub(crate) mod topic;
