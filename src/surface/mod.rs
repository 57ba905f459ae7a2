//! What users hold: the front door, topics, and the outbox inside a foreign transaction.

pub(crate) mod builder;
pub(crate) mod join;
pub(crate) mod messaging;
pub(crate) mod retrying;
pub(crate) mod selection;
pub(crate) mod topic;
