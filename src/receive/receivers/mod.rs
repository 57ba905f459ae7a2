//! Receivers and drains: what a user sets up, starts and stops.
//!
//! ```text
//!   Receiver ── Stopper dropped ──► worker 1 … n          (threads "outtray-TOPIC-1" …)
//!                                   │ parked: waits for a permit of its station, or the stop
//!                                   │ busy:   holds one connection, transaction after transaction
//! ```
//!
//! Stopping: the signal is set, parked workers end, busy ones finish the handler they are in,
//! commit, and give the rest of their claim back. A drain is a worker on the caller's thread.

pub(crate) mod builder;
pub(crate) mod drain;
pub(crate) mod draining;
pub(crate) mod make_due;
pub(crate) mod receiver;
pub(crate) mod routing;
pub(crate) mod running;
pub(crate) mod worker;
pub(crate) mod wrapping;
