//! Finding messages: one by its id, wherever it is, and those of a topic that a search is for.
//!
//! A message is in one of five places, each a table with a key of its own. Ids are in few indexes,
//! since each would cost every send; so a look-up by id asks those first. An id of version 7 tells
//! when it was made, and the numbers of messages are in the order of sending, too: so it looks next
//! where a message of that time should be. Only what was retried, or has an id of another kind, is
//! found by reading. A search reads rows in the order of a key, as many as it is told, and says
//! where it stopped.

pub(crate) mod cursor;
pub(crate) mod error_groups;
pub(crate) mod found;
pub(crate) mod locate;
pub(crate) mod pages;
pub(crate) mod place;
pub(crate) mod search;
