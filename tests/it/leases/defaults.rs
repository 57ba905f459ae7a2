//! How long a message is leased where nobody names a time.

use crate::support::{Gate, MINUTE, Place, eventually};
use outtray::TopicConfig;
use std::time::Duration;

fn lease(place: &Place, lease: Duration) {
    let set = |config: &mut TopicConfig| config.lease = Some(lease);
    place.jobs().reconfigure(set).unwrap();
}

#[track_caller]
fn check_leased_for(place: &mut Place, least_s: f64, most_s: f64) {
    let due_in = place.due_in();
    assert!(due_in > least_s && due_in <= most_s, "{due_in}");
}

#[test]
fn a_message_taken_by_hand_is_leased_as_its_topic_says_unless_a_time_is_named() {
    let mut place = Place::new();
    place.send("jobs", &1);

    let delivery = place.jobs().receive::<i32>(None).unwrap().unwrap();
    check_leased_for(&mut place, 20.0, 30.0);
    delivery.release().unwrap();

    lease(&place, MINUTE * 10);
    let delivery = place.jobs().receive::<i32>(None).unwrap().unwrap();
    check_leased_for(&mut place, 590.0, 600.0);
    delivery.release().unwrap();
    let batch = place
        .messaging
        .receive_from_timeout::<i32>(&["none", "jobs"], 9, MINUTE, None)
        .unwrap();
    check_leased_for(&mut place, 590.0, 600.0);
    assert!(place.messaging.release_all(&batch).unwrap().is_empty());

    let delivery = place.jobs().receive::<i32>(MINUTE * 20).unwrap().unwrap();
    check_leased_for(&mut place, 1190.0, 1200.0);
    delivery.keep_alive().unwrap();
    delivery.ack().unwrap();
}

#[test]
fn a_receiver_under_leases_takes_those_of_its_topic_also_when_they_change() {
    let mut place = Place::watchful();
    lease(&place, MINUTE * 10);
    let gate = Gate::new();
    let receiver = gate.holding(place.messaging.receiver("jobs").workers(1).lease(None));

    place.send("jobs", &1);
    gate.await_arrivals(1);
    check_leased_for(&mut place, 590.0, 600.0);
    gate.open_for(1);
    eventually("the first is handled", || place.is_empty("jobs"));

    lease(&place, Duration::from_secs(2));
    let mut tries = 0;
    loop {
        place.send("jobs", &2);
        gate.await_arrivals(1);
        if place.due_in() <= 2.0 {
            break;
        }
        // The worker was about to claim when it changed.
        tries += 1;
        assert!(tries < 5);
        gate.open_for(1);
        eventually("it is handled", || place.is_empty("jobs"));
    }
    // It is prolonged in time, or it would end.
    assert!(gate.is_lonely_for(Duration::from_secs(5)));
    assert_eq!(place.numbers()[2], 1);
    gate.open_for(1);
    eventually("the last is handled", || place.is_empty("jobs"));
    receiver.stop(MINUTE);
}
