//! Every SQL statement of the system, and the functions that run them. Nothing here begins or
//! commits a transaction: who calls decides what belongs together.

pub(crate) mod admin;
pub(crate) mod aftermath;
pub(crate) mod attempt;
pub(crate) mod call;
pub(crate) mod claim;
pub(crate) mod config;
pub(crate) mod lanes;
pub(crate) mod presence;
pub(crate) mod run;
pub(crate) mod schedule;
pub(crate) mod send;
pub(crate) mod settle;
pub(crate) mod slots;
pub(crate) mod statement;
pub(crate) mod statements;
