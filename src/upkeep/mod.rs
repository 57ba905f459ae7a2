//! What has to be done for a process's receivers as a whole, by one thread on one connection: the
//! rounds of all subjects (`rounds`), each of which stands in its subject's folder.
//!
//! ```text
//!   Messaging ── errands (bounded) ──►┐
//!   workers, sessions ── due times ──►├─ upkeep thread: poll, and the rounds of the subjects
//!   workers, sessions ── ends ───────►│
//!   listener ── hints ───────────────►┘
//! ```
//!
//! The thread has one place where it waits, for errands, due times, hints and the next round. When
//! the database is away it says so once and tries again with growing pauses; errands get the error
//! as their answer. A round that fails while the database is there pauses by itself, so that the
//! others have their turns. It ends when `Messaging` is dropped, after signing its receivers off.
//!
//! Nothing here waits for others for long, since all of a process waits for this thread. Its
//! connection waits 200 ms for a lock at most; what somebody else has in hand is passed over where
//! that can be; a round does one piece of its work at a time, errands come in between, and due
//! messages are moved between any two others. A process that is frozen in the middle of a round
//! gives what it locked back after 5 s.

pub(crate) mod catch_up;
pub(crate) mod duties;
pub(crate) mod poll;
pub(crate) mod prune;
pub(crate) mod rounds;
pub(crate) mod thread;
pub(crate) mod turns;
