//! Servers, networks, poolers, clocks and machines that misbehave: everything goes on as soon as it
//! can.

mod any_setting;
mod changed_tables;
mod clocks;
mod failover;
mod lost_database;
mod numbers;
pub(crate) mod poolers;
pub(crate) mod replication;
mod silence;
mod tight_spots;

use std::time::Duration;

/// What a call that is to be noticed may take on a busy machine: without a bound it would be
/// minutes, and hours behind a pooler.
const NOTICED: Duration = Duration::from_secs(12);
/// What it may take until work goes on after the network is back; two seconds on a quiet machine.
const BACK: Duration = Duration::from_secs(6);
