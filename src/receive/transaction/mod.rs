//! Work in transactions: the row lock of the claim is the hold on a message.
//!
//! `worker_transaction` is what the steps share. `run` does one transaction after the other:
//! `claim` gets messages, `notes` writes what must outlive a rollback, `eligible` and `split` say
//! which messages are handled and how they share the transaction, `following` what a strict topic
//! lets share one, `handle` runs the handler of one
//! in its savepoint and `batch` that of several, and `last_flight` settles, commits and may claim
//! again. `blame` decides whose fault the failure of a whole transaction was, and `write_charges`
//! writes it. `careful` is about topics where processes died, `committed_by_handler` about handlers
//! whose own SQL committed.

pub(crate) mod batch;
pub(crate) mod begin;
pub(crate) mod blame;
pub(crate) mod careful;
pub(crate) mod claim;
pub(crate) mod committed_by_handler;
pub(crate) mod eligible;
pub(crate) mod following;
pub(crate) mod handle;
pub(crate) mod last_flight;
pub(crate) mod notes;
pub(crate) mod run;
pub(crate) mod split;
pub(crate) mod worker_transaction;
pub(crate) mod write_charges;
