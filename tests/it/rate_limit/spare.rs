//! Tokens that a worker took and did not spend: they are kept over no pause and no change.

use super::{place, rate};
use crate::support::{A_WHILE, Gate, HOUR, PATIENCE, Place, eventually, pass_time};
use outtray::Receiver;
use std::time::Duration;

/// Starts one worker, which takes five tokens at a time.
fn start(place: &Place, gate: &Gate, lease: Option<Duration>) -> Receiver {
    let receiver = place.messaging.receiver("jobs").workers(1);
    let receiver = receiver.messages_per_transaction(5);
    gate.holding(match lease {
        Some(lease) => receiver.lease(lease),
        None => receiver,
    })
}

/// Waits until the bucket of the topic lacks as many tokens as were begun. It gains one in an hour.
fn await_missing(place: &mut Place, begun: f64) {
    let missing = "SELECT round(extract(epoch FROM full_at - now()) / 3600) FROM outtray.bucket";
    eventually("what was not begun is back", || {
        place.number(missing) == begun
    });
}

#[test]
fn a_pause_gives_back_what_was_not_begun() {
    for lease in [None, Some(HOUR)] {
        let mut place = place(rate(1, HOUR, 10), None);
        place.send_all("jobs", 0..30);
        let gate = Gate::new();
        let receiver = start(&place, &gate, lease);
        gate.await_arrivals(1);

        place.messaging.topic("jobs").pause().unwrap();
        gate.open_for(30);

        await_missing(&mut place, 1.0);
        assert!(gate.is_lonely_for(A_WHILE));
        place.messaging.topic("jobs").resume().unwrap();
        gate.await_arrivals(9);
        assert!(gate.is_lonely_for(A_WHILE));
        receiver.stop(PATIENCE);
    }
}

#[test]
fn a_slower_rate_holds_at_once_whatever_was_taken_at_a_faster_one() {
    let mut place = place(rate(1, HOUR, 10), None);
    place.send("jobs", &0);
    let gate = Gate::new();
    let receiver = start(&place, &gate, None);
    gate.await_arrivals(1);

    super::configure(&place.messaging, rate(1, HOUR, 1), None);
    place.send_all("jobs", 1..9);
    gate.open_for(9);

    await_missing(&mut place, 1.0);
    pass_time(A_WHILE);
    assert_eq!(place.messaging.topic("jobs").stats().unwrap().ready, 8);
    receiver.stop(PATIENCE);
}
