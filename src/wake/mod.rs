//! How a receiver learns that there is something to do.
//!
//! ```text
//!   commit of a session ──► board ──► stations ──► parked workers          same process, at once
//!                     └───► notifier ── pg_notify ──► listener ──► board   other processes
//!   upkeep's poll ──────────────────────────────────────────► board        the guarantee
//! ```
//!
//! Every arrow but the last is a hint that may be lost.

pub(crate) mod asked;
pub(crate) mod board;
pub(crate) mod hands;
pub(crate) mod hint;
pub(crate) mod interrupt;
pub(crate) mod listener;
pub(crate) mod names;
pub(crate) mod news;
pub(crate) mod notifier;
pub(crate) mod round;
pub(crate) mod waiters;
pub(crate) mod waker;
pub(crate) mod watch;
