//! The specification: one module for each promise, one test for each sentence about it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod all_or_nothing;
mod bad_input;
mod carried;
mod command_line;
mod commits_that_fail;
mod crash_loops;
#[cfg(any(feature = "rustls", feature = "native-tls"))]
mod encrypted;
mod examples;
mod failed_messages;
mod first_steps;
mod flights;
mod handled_once;
mod keys;
mod killed_workers;
mod lost_database;
mod migrations;
mod poolers;
mod quiet;
mod schedules;
mod sessions;
mod starting;
mod stopping;
mod strict_order;
mod support;
mod throwaway_server;
mod tidy;
mod tight_spots;
mod topics;
mod wake_ups;
