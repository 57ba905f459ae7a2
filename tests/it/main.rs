//! The specification: one module for each promise, one test for each sentence about it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod command_line;
mod first_steps;
mod support;
mod throwaway_server;
mod tidy;
