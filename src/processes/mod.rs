//! Which processes receive, on which hosts, and what their workers handle.
//!
//! Whoever works knows in memory what it has in hand, and pays for that anyway: a slot for each
//! worker, by which a cancel finds its handler. A process shows life every 10 s, with one statement
//! that writes the rows of its receivers (`crashes/presence`). What its workers do goes along in
//! the same rows: no further statement, no further row version, and nothing where messages are
//! handled. So what others see is up to 10 s old, and handlers that are over within a second are
//! not listed, only counted.

pub(crate) mod crew_state;
pub(crate) mod crews;
pub(crate) mod identity;
pub(crate) mod running;
