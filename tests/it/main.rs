//! The specification: one module for each promise, one test for each sentence about it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod all_or_nothing;
mod bad_input;
mod batches;
mod bounded;
mod cancelled_lives;
mod cancelling;
mod carried;
mod changed_tables;
mod command_line;
mod commits_that_fail;
mod completion;
mod crash_loops;
mod dedupe;
mod detours;
#[cfg(any(feature = "rustls", feature = "native-tls"))]
mod encrypted;
mod examples;
mod expiry;
mod failed_messages;
mod filters;
mod first_steps;
mod flights;
mod groups;
mod handled_once;
mod keys;
mod killed_workers;
mod leases;
mod lost_database;
mod migrations;
mod model;
mod neighbours;
mod plans;
mod poolers;
mod quiet;
mod rates;
mod recurring;
mod retrying;
mod schedules;
mod scripts;
mod sessions;
mod settings;
mod settings_by_hand;
mod settled_exactly;
mod starting;
mod stopping;
mod strict_order;
mod support;
mod throwaway_server;
mod tidy;
mod tight_spots;
mod topics;
mod unreadable;
mod wake_ups;
