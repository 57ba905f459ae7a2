//! Counts what handlers handled. One count for the process, as a runner does one thing and some
//! systems take plain functions for handlers, which carry no state.

use crossbeam_channel::{Receiver, Sender, after, unbounded};
use postgres::{Client, NoTls};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

static LEFT: AtomicU64 = AtomicU64::new(0);
/// When the last expected message was handled.
static LAST: LazyLock<(Sender<Instant>, Receiver<Instant>)> = LazyLock::new(unbounded);

/// Sets how many messages [`wait`] waits for.
pub fn expect(messages: u64) {
    LEFT.store(messages, Ordering::SeqCst);
}

/// Counts a message; handlers call this when they are done, or begin in the latency case.
pub fn handled() {
    if LEFT.fetch_sub(1, Ordering::SeqCst) == 1 {
        // Both ends live as long as the process.
        let _ = LAST.0.send(Instant::now());
    }
}

/// Blocks until all expected messages were handled; returns when that was.
///
/// # Panics
/// Never: the channel has no end.
pub fn wait() -> Instant {
    LAST.1.recv().expect("the sender is static")
}

/// Blocks until all expected messages were handled, and then until `is_acked`, a query for one
/// boolean, says that they are acked as well: a handler that was called is only half of the work
/// where acks lag behind. Returns the time since `started`.
///
/// # Panics
/// When the database fails.
pub fn wait_for_acks(url: &str, is_acked: &str, started: Instant) -> Duration {
    let mut client = Client::connect(url, NoTls).expect("a connection to look at acks");
    let is_acked = client.prepare(is_acked).expect("a query about acks");
    wait();
    while !client
        .query_one(&is_acked, &[])
        .expect("acks")
        .get::<_, bool>(0)
    {
        let _ = after(Duration::from_millis(2)).recv();
    }
    started.elapsed()
}
