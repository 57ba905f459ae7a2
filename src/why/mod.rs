//! Why a message is not handled now, or what became of it: one answer from all subjects.
//!
//! An answer is of one moment: all statements of one look ([`look`]) share a snapshot, in a
//! transaction that only reads. Locks are of no snapshot, though. Who has a row in hand is seen
//! ([`holder`]) after the row itself was read, and the holder may have let go of it in between, or
//! somebody may have taken it. Where that matters, the row is read once more by a statement of its
//! own, and the whole look begins anew if it is not what it was. So "ready" means that the row was
//! free when its holders were looked for, and "in work" that it was held.
//!
//! A look costs some round trips. Each statement reads by an index, and what it counts it counts up
//! to a bound. The one exception is the search for a message by an id that no index has: it reads
//! all messages that are ready or behind others, and is given up after 3 s.

pub(crate) mod answer;
pub(crate) mod ended;
pub(crate) mod holder;
pub(crate) mod in_words;
pub(crate) mod look;
pub(crate) mod obstacle_sentence;
pub(crate) mod question;
pub(crate) mod receivers;
pub(crate) mod sentence;
pub(crate) mod topic_facts;
pub(crate) mod waiting;
