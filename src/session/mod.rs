//! One transaction with the queue's verbs in it.

pub(crate) mod admission;
pub(crate) mod caller_sql;
pub(crate) mod commit;
pub(crate) mod dedupe_keys;
pub(crate) mod group;
pub(crate) mod kit;
pub(crate) mod lent;
pub(crate) mod messaging_session;
pub(crate) mod outbox;
pub(crate) mod rooms;
pub(crate) mod savepoint;
