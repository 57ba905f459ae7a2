//! Code of a user's own around every send and every handler of a process.

mod around_handlers;
mod before_sends;
