//! Every SQL statement of the system, and the functions that run them. Nothing here begins or
//! commits a transaction: who calls decides what belongs together.

pub(crate) mod admin;
pub(crate) mod aftermath;
pub(crate) mod attempt;
pub(crate) mod call;
pub(crate) mod cancel;
pub(crate) mod claim;
pub(crate) mod config;
pub(crate) mod copy;
pub(crate) mod dead;
pub(crate) mod dedupe;
pub(crate) mod dependents;
pub(crate) mod expiry;
pub(crate) mod identity;
pub(crate) mod lanes;
pub(crate) mod lease;
pub(crate) mod outcome;
pub(crate) mod peek;
pub(crate) mod presence;
pub(crate) mod prune;
#[cfg(feature = "cron")]
pub(crate) mod recurring;
pub(crate) mod room;
pub(crate) mod run;
pub(crate) mod schedule;
pub(crate) mod scheduled;
pub(crate) mod send;
pub(crate) mod settle;
pub(crate) mod silence;
pub(crate) mod slots;
pub(crate) mod standing;
pub(crate) mod statement;
pub(crate) mod statements;
pub(crate) mod stats;
pub(crate) mod tokens;
