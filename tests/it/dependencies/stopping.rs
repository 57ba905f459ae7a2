//! What comes after the last message of a process that stops.

use crate::support::{
    A_WHILE, Gate, NO_POLLING, PATIENCE, Place, client, pass_time, process, tracked,
};
use outtray::{Messaging, NewMessage, Receiver};

/// How often it is tried: the thread that releases messages may be quicker than the stop.
const TRIES: i32 = 10;

/// Returns a process at the gate with a message, after which another one comes.
fn at_its_last_message(place: &Place, gate: &Gate) -> (Messaging, Receiver) {
    let first = place.send_new(tracked("a", 1));
    place.send_new(NewMessage::json("b", &2).unwrap().after(&[first]));
    let stopping = process(&place.url, NO_POLLING);
    let receiver = gate.holding(stopping.receiver("a").workers(1));
    gate.await_arrivals(1);
    (stopping, receiver)
}

#[test]
fn a_process_that_stops_leaves_nothing_unreleased_that_came_after_its_last_message() {
    let mut place = Place::polling(NO_POLLING);
    for _ in 0..TRIES {
        let gate = Gate::new();
        let (stopping, receiver) = at_its_last_message(&place, &gate);

        gate.open_for(1);
        receiver.stop(PATIENCE);
        drop((receiver, stopping));

        assert_eq!(place.count("outtray.scheduled"), 0);
        assert_eq!(place.count("outtray.message"), 1);
        place.sql("DELETE FROM outtray.message");
    }
}

#[test]
fn a_process_that_stops_looks_once_more_at_what_somebody_else_had_in_hand() {
    let mut place = Place::polling(NO_POLLING);
    let gate = Gate::new();
    let (stopping, receiver) = at_its_last_message(&place, &gate);
    let mut holder = client(&place.url);
    let mut held = holder.transaction().unwrap();
    held.batch_execute("SELECT FROM outtray.scheduled FOR UPDATE")
        .unwrap();

    gate.open_for(1);
    // Meanwhile it looks again and again, more seldom each time.
    pass_time(A_WHILE);
    receiver.stop(PATIENCE);
    held.rollback().unwrap();
    drop((receiver, stopping));

    assert_eq!(place.count("outtray.scheduled"), 0);
    assert_eq!(place.count("outtray.message"), 1);
}
