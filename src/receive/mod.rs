//! Receivers: a pool of threads that claim messages and run a handler for each.
//!
//! ```text
//!   Receiver ── Stopper dropped ──► worker 1 … n          (threads "outtray-TOPIC-1" …)
//!                                   │ parked: waits for a permit of its station, or the stop
//!                                   │ busy:   holds one connection, transaction after transaction
//! ```
//!
//! `worker` is a thread's life, `work` one transaction of it, `decide` what becomes of a message,
//! `charge` what becomes of one whose transaction failed (`charged` writes that, `charging` which
//! are about to be, `bundle` is about several whose COMMIT is refused), `careful` what is done
//! where processes died. `lease` is the other way to work, without a transaction around the
//! handler. `batch` is for handlers of several messages at once. `pace` and `floor` are the numbers
//! behind the claim: how many, and from where, and `sieve` which; `crew` is how many workers are at
//! work, and `trial` finds that number. Stopping: the signal is set, parked workers end, busy ones
//! finish the handler they are in, commit, and give the rest of their claim back.

pub(crate) mod batch_message;

pub(crate) mod batch;
pub(crate) mod builder;
pub(crate) mod bundle;
pub(crate) mod careful;
pub(crate) mod charge;
pub(crate) mod charged;
pub(crate) mod charging;
pub(crate) mod claim;
pub(crate) mod crew;
pub(crate) mod decide;
pub(crate) mod drain;
pub(crate) mod draining;
pub(crate) mod ended;
pub(crate) mod handler;
pub(crate) mod haste;
pub(crate) mod last_flight;
pub(crate) mod lease;
pub(crate) mod line;
pub(crate) mod options;
pub(crate) mod pace;
pub(crate) mod progress;
pub(crate) mod ration;
pub(crate) mod receiver;
pub(crate) mod settle;
pub(crate) mod sieve;
pub(crate) mod sift;
pub(crate) mod slots;
pub(crate) mod stage;
pub(crate) mod state;
pub(crate) mod take;
pub(crate) mod trial;
pub(crate) mod work;
pub(crate) mod worker;
