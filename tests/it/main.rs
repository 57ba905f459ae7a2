//! The specification: one module for each promise, one test for each sentence about it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod any_setting;
mod bad_input;
mod canaries;
mod cancel;
mod capacity;
mod carried;
mod changed_tables;
mod clocks;
mod command_line;
mod completion;
mod connection_strings;
mod crashes;
mod dead_letters;
mod dedupe;
mod detours;
mod dropping;
#[cfg(any(feature = "rustls", feature = "native-tls"))]
mod encrypted;
mod examples;
mod expiry;
mod failover;
mod first_steps;
mod keys;
mod leases;
mod logged;
mod lost_database;
mod max_in_work;
mod migrations;
mod model;
mod numbers;
mod plans;
mod poolers;
mod rate_limit;
mod receive;
mod recurring;
mod replication;
mod schedule;
mod scripts;
mod search_path;
mod session;
mod settings;
mod silence;
mod strict_order;
mod support;
mod throwaway_server;
mod tidy;
mod tight_spots;
mod topics;
mod turmoil;
mod unreadable;
mod upkeep;
mod wake;
