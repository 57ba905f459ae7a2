//! Logs: topics that keep their messages for many readers.
//!
//! A message of a queue is claimed, handled and deleted. An entry of a log stays, and each reader
//! has a place of its own, so that a thousand readers cost the writers nothing.
//!
//! **Order.** Transactions commit in another order than they take numbers in, so a reader that goes
//! by a sequence misses what commits late, and one that waits for the oldest open transaction
//! stands still while somebody holds one open. So the order is made by *ticks*, as PgQ's: a tick is
//! a recorded snapshot, and an entry is of the first tick that sees its transaction. Within a tick
//! entries are in the order of their numbers. All readers see this one order; a transaction's
//! entries are in one tick; and what was sent after another commit was seen comes after it: it is
//! of a later tick, or has a larger number. A tick is made by whoever reads at the end and finds
//! something new ([`ticks`]).
//!
//! **Reading** finds the entries of some ticks by two indexes: those of transactions that were at
//! work at the tick before and have ended since, by their transactions; and those of transactions
//! that began later, by the numbers that were given out meanwhile ([`cursor`]). What a transaction
//! that is held open for hours wrote is looked at when it ends, and not before.
//!
//! **Segments.** A log is kept in segments, each a partition of one table. Old ones are emptied as
//! a whole, and used again ([`round`]).

pub(crate) mod append;
pub(crate) mod configure;
pub(crate) mod cursor;
pub(crate) mod entry;
pub(crate) mod history;
pub(crate) mod log_reader;
pub(crate) mod log_stats;
pub(crate) mod places;
pub(crate) mod readers;
pub(crate) mod round;
mod segments;
pub(crate) mod slices;
pub(crate) mod ticks;
