//! One transaction with the queue's verbs in it.

mod admit;
#[cfg(feature = "cron")]
mod asking;
pub(crate) mod caller_sql;
pub(crate) mod commit;
mod dedupe_keys;
mod groups;
pub(crate) mod handler_session;
mod lease_commit;
mod matched;
pub(crate) mod messaging_session;
pub(crate) mod outbox;
mod outbox_mark;
mod outbox_news;
pub(crate) mod parts;
pub(crate) mod process;
pub(crate) mod publish;
mod recorded;
mod rematch;
mod room;
pub(crate) mod savepoint;
pub(crate) mod send_hooks;
mod transaction;
pub(crate) mod transaction_state;
pub(crate) mod undo_settled;
