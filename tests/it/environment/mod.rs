//! Servers, networks, poolers, clocks and machines that misbehave: everything goes on as soon as it
//! can.

mod any_setting;
mod changed_tables;
mod clocks;
mod failover;
mod lost_database;
mod numbers;
mod poolers;
mod replication;
mod silence;
mod tight_spots;
