//! Messages of one topic with one key are handled one at a time, in the order of sending, whatever
//! happens; and no more messages are in work than a topic may have.

mod busy_senders;
mod cancelling;
mod crashes;
mod order;
mod poisoned;
mod senders;
mod stress;
mod stuck;

use crate::support::{Place, eventually};
use outtray::NewMessage;
use std::time::Duration;

const TOPIC: &str = "keyed";

/// How long a test watches for what must not happen.
const A_WHILE: Duration = Duration::from_millis(300);

fn keyed(key: &str, payload: i32) -> NewMessage {
    NewMessage::json(TOPIC, &payload).unwrap().key(key)
}

impl Place {
    /// Sends one message of a key in a session of its own.
    fn send_keyed(&self, key: &str, payload: i32) {
        self.send_new(keyed(key, payload));
    }

    /// Waits until nothing is left of any key: no message, no lane, nothing to look after.
    #[track_caller]
    fn await_no_trace(&mut self) {
        for table in ["message", "scheduled", "follower", "stalled", "lane"] {
            eventually(&format!("{table} is empty"), || {
                self.count(&format!("outtray.{table}")) == 0
            });
        }
    }
}
