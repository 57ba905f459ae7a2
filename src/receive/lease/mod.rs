//! Work under a lease: no transaction is open while a message is worked on.
//!
//! ```text
//!   claim ── ready messages become leased ones, in a short transaction
//!     │
//!     ├─► manual: a `Delivery` in the caller's hands        (`by_hand` remembers, `keeper` renews)
//!     └─► receiver: `run` has `deliver` run the handler, `heartbeat` renews the lease meanwhile
//!     │             `settle_ended` settles several messages together
//!     │
//!   `leases/settle` ── acked, given back, postponed or buried, if the receipt is still good
//! ```
//!
//! The attempt counts from the claim on, so a process that dies needs no careful mode: its lease
//! ends, and the next claim knows how often that happened.

pub(crate) mod acknowledge;
pub(crate) mod by_hand;
pub(crate) mod claim;
pub(crate) mod deliver;
pub(crate) mod heartbeat;
pub(crate) mod keeper;
pub(crate) mod run;
pub(crate) mod settle_ended;
