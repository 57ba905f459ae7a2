//! Receivers: a pool of threads that claim messages and run a handler for each.
//!
//! A message goes one way, each step of which is written once: `claim` finds it, `decide` may
//! refuse it, `limits` may hold it back, `handler` runs the closure, `decide` says what becomes of
//! it, and `settle` writes that. There are two ways to hold it meanwhile, each in a folder of its
//! own: `transaction` by a row lock inside the transaction in which the handler works, `lease` for
//! a time and without one. `log` is the third way: the entries of a log, which nobody holds, by the
//! lock of a reader's place. `receivers` has the threads that work so, and drains, which have none.
//!
//! `shared_state` is what the workers of one receiver share, `worker_state` what one of them
//! remembers. `pace` is how many messages a transaction takes, `filter` which, `concurrency` how
//! many workers are at work at the same time, and `hill_climb` finds that number. `batch` runs
//! handlers of several messages at once. `middleware` is what users put around handlers.
//! `ran` is what a drain did with each message, for tests, and `telling` what observers are told.

pub(crate) mod batch;
pub(crate) mod batch_message;
pub(crate) mod charge;
pub(crate) mod claim;
pub(crate) mod concurrency;
pub(crate) mod crew;
pub(crate) mod decide;
pub(crate) mod filter;
pub(crate) mod handler;
pub(crate) mod hill_climb;
pub(crate) mod lease;
pub(crate) mod leases_in_hand;
pub(crate) mod limits;
pub(crate) mod log;
pub(crate) mod middleware;
pub(crate) mod options;
pub(crate) mod pace;
pub(crate) mod pending_charges;
pub(crate) mod progress;
pub(crate) mod ran;
pub(crate) mod receivers;
pub(crate) mod settle;
pub(crate) mod shared_state;
pub(crate) mod telling;
pub(crate) mod transaction;
pub(crate) mod vitals;
pub(crate) mod worker_state;
