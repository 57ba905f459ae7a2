//! Messages are handled: once, by as many workers as there are, and failures as they should be.

mod all_or_nothing;
mod backoff;
mod batches;
mod commits_that_fail;
mod draining;
mod drains_in_trouble;
mod failed_messages;
mod filters;
mod handled_once;
mod limits_hold;
mod neighbours;
mod panics;
mod settled_exactly;
mod starting;
mod stopping;
mod swallowed;
