//! The specification: one module for each promise, one test for each sentence about it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bad_input;
#[cfg(any(feature = "rustls", feature = "native-tls"))]
mod encrypted;
mod first_steps;
mod migrations;
mod poolers;
mod sessions;
mod support;
mod throwaway_server;
mod tidy;
mod tight_spots;
