//! Reading a log by name: the third way to hold what is worked on.
//!
//! Nothing of a log is locked or removed. What a reader has is a *place* in each of its lanes, and
//! the row lock of the lane is the hold: whoever has it works on the entries after the place, in
//! order, and moves the place in the transaction in which its handler works. So the effects of an
//! entry and "it has been read" commit together, and a reader that dies leaves the lane at once.
//! One flight ends a transaction and begins the next, as for messages:
//! `RELEASE …; send…; move; COMMIT; BEGIN; lock; read`.
//!
//! Readers of one log in one process read it once for all of them (`log::slices`).
//!
//! `reader` is the life of the thread of a lane, `run` its transactions, `transact` one of them.
//! `pieces` runs the handler over a batch and narrows a failure down to the entry at fault; `aside`
//! puts that one aside, into the reader's own topic, where everything that serves messages serves
//! it: attempts, backoff, the order of its key, dead letters. `hand` is about processes that die
//! with entries in hand, and `blame` about transactions that fail as a whole.

pub(crate) mod ahead;
pub(crate) mod aside;
pub(crate) mod blame;
pub(crate) mod builder;
pub(crate) mod entries;
pub(crate) mod hand;
pub(crate) mod lane;
pub(crate) mod lane_state;
pub(crate) mod pieces;
pub(crate) mod reader;
pub(crate) mod reading;
pub(crate) mod run;
pub(crate) mod transact;
pub(crate) mod wrapping;
