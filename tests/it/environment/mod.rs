//! Servers, networks, poolers, clocks and machines that misbehave: everything goes on as soon as it
//! can.

mod any_setting;
mod changed_tables;
mod clocks;
mod failover;
mod hosts;
mod isolation;
mod lost_database;
mod numbers;
pub(crate) mod poolers;
mod read_only;
pub(crate) mod replication;
mod silence;
mod tight_spots;

use crate::support::{PATIENCE, aside};
use crossbeam_channel::{Receiver as Told, Sender, bounded};
use outtray::Messaging;
use std::time::Duration;

/// What a call that is to be noticed may take on a busy machine: without a bound it would be
/// minutes, and hours behind a pooler.
const NOTICED: Duration = Duration::from_secs(12);
/// What it may take until work goes on after the network is back; two seconds on a quiet machine.
const BACK: Duration = Duration::from_secs(6);
/// What it may take until work goes on somewhere else, whatever befell the server before; five
/// seconds on a quiet machine.
const BACK_FROM_ANYTHING: Duration = Duration::from_secs(10);

/// Has a session use the one connection that there is, until the sender is dropped; what is
/// returned with it tells whether that session ended well.
fn hold_a_connection(messaging: &Messaging) -> (Sender<()>, Told<bool>) {
    let (release, released) = bounded::<()>(0);
    let (arrive, arrived) = bounded(1);
    let messaging = messaging.clone();
    let ended = aside(move || {
        let held = messaging.session(|session| {
            session.execute("SELECT 1", &[])?;
            arrive.send(())?;
            let _ = released.recv();
            Ok(())
        });
        held.is_ok()
    });
    arrived.recv_timeout(PATIENCE).expect("it has a connection");
    (release, ended)
}
