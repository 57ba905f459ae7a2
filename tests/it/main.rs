//! The specification: one module for each promise, one test for each sentence about it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod all_or_nothing;
mod commits_that_fail;
mod crash_loops;
mod failed_messages;
mod first_steps;
mod handled_once;
mod killed_workers;
mod lost_database;
mod quiet;
mod strict_order;
mod support;
mod throwaway_server;
mod tidy;
