//! Messages of one topic with one key are handled one at a time, in the order of sending, whatever
//! happens; and no more messages are in work than a topic may have.

mod busy_senders;
mod cancelling;
mod crashes;
mod order;
mod parking;
mod poisoned;
mod senders;
mod stress;
mod stuck;

use outtray::NewMessage;

const TOPIC: &str = "keyed";

fn keyed(key: &str, payload: i32) -> NewMessage {
    NewMessage::json(TOPIC, &payload).unwrap().key(key)
}
