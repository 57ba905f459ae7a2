//! What a process tells of itself while it works: events, for observers of the user's own, spans,
//! and fields, for those who read what it logs.
//!
//! An [`Event`](event::Event) says what is true by now: what was committed is told after its
//! COMMIT, by the process that made it true, once. Whoever settles something knows what became of
//! it, and tells it there, when nothing is locked. Where no observer looks, no clock is read: an
//! event is put together for nobody but the [`tallies`], or not at all.

pub(crate) mod clock;
pub(crate) mod connection_of;
pub(crate) mod delivered;
pub(crate) mod event;
pub(crate) mod fields;
pub(crate) mod handling;
pub(crate) mod link;
pub(crate) mod observers;
pub(crate) mod process_name;
pub(crate) mod spans;
pub(crate) mod tallies;
pub(crate) mod trace;
