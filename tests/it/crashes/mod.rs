//! Processes die, and their messages are neither lost nor done twice.

mod crash_loops;
mod killed_workers;
mod suspects;
