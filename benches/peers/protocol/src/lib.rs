//! What the driver and its runners say to each other, and what all runners in Rust count and time
//! alike.
//!
//! A runner is called with a case and a number of messages, and finds the URL of a database in
//! `$PEER_URL`: everybody on the machine sees arguments, and the password in them. libpq's own
//! variables name the same database. A runner does that once and prints one line of JSON:
//! `{"seconds": 1.5}`, or `{"waits_us": [310.5, …]}` for
//! [`Case::Latency`], or `{}` for [`Case::Setup`]. Runners in other languages do the same.

mod handled;
mod order;

pub use handled::{expect, handled, wait, wait_for_acks};
pub use order::{Case, Order, print_nothing, print_time, print_waits};

use std::time::{Duration, Instant};

/// Messages in a call of a library's bulk API.
pub const BULK: u64 = 1000;
/// Workers, or connections, where a system has that notion.
pub const WORKERS: usize = 8;
/// Lets the workers fall asleep between two pings: latency is about waking up.
pub const REST: Duration = Duration::from_millis(20);
/// Pings whose times are not counted, while connections are opened.
pub const FIRST_PINGS: u64 = 3;

/// Waits until all expected messages are handled and `is_acked`, a query for one boolean, says so,
/// without blocking the runtime. Returns the time since `started`.
pub async fn time_to_acks(url: &str, is_acked: &str, started: Instant) -> Duration {
    let (url, is_acked) = (url.to_owned(), is_acked.to_owned());
    let waited = tokio::task::spawn_blocking(move || wait_for_acks(&url, &is_acked, started));
    waited.await.expect("waiting does not panic")
}

/// Sends one message after the other to idle workers; returns how long after each commit its
/// handler began.
pub async fn time_pings(messages: u64, mut send: impl AsyncFnMut(u64)) -> Vec<Duration> {
    let mut waits = Vec::new();
    for number in 0..messages + FIRST_PINGS {
        tokio::time::sleep(REST).await;
        expect(1);
        send(number).await;
        let committed = Instant::now();
        let begun = tokio::task::spawn_blocking(wait);
        let begun = begun.await.expect("waiting does not panic");
        if number >= FIRST_PINGS {
            waits.push(begun.saturating_duration_since(committed));
        }
    }
    waits
}
