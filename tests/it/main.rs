//! The specification: a folder for each subject, a module for each promise, a test for each
//! sentence about it. CONTRIBUTING.md says what is where.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod attempts;
mod cancel;
mod capacity;
mod changes;
mod command_line;
mod completion;
mod connect;
mod crashes;
mod dashboard;
mod dead_letters;
mod dedupe;
mod dependencies;
mod doctor;
mod envelope;
mod environment;
mod errors;
mod expiry;
mod finding;
mod hooks;
mod http;
mod idle;
mod keys;
mod leases;
mod log;
mod many;
mod max_in_work;
mod message;
mod middleware;
mod migrations;
mod model;
mod observe;
mod processes;
mod publish;
mod rate_limit;
mod receive;
mod recurring;
mod request;
mod route;
mod schedule;
mod serve;
mod session;
mod settings;
mod spans;
mod sql;
mod statements;
mod strict_order;
mod support;
mod tallies;
mod testing;
mod tidy;
mod topics;
mod upkeep;
mod wake;
