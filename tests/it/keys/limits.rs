//! No more messages are in work than a key, or a topic, may have.

use super::{A_WHILE, TOPIC};
use crate::support::{Gate, PATIENCE, Place, eventually, process};
use outtray::{Message, Messaging, Receiver, TopicConfig};
use std::time::Duration;

fn start(messaging: &Messaging, gate: &Gate) -> Receiver {
    let gate = gate.clone();
    messaging
        .receiver(TOPIC)
        .workers(4)
        .start(move |_, _: Message<i32>| {
            gate.pass();
            Ok(())
        })
        .unwrap()
}

fn configure(place: &Place, config: TopicConfig) {
    place.messaging.topic(TOPIC).configure(config).unwrap();
}

#[test]
fn a_key_may_have_two_in_work() {
    let mut place = Place::watchful();
    let elsewhere = process(&place.url, Duration::from_millis(50));
    configure(
        &place,
        TopicConfig {
            max_in_work_per_key: Some(2),
            ..TopicConfig::default()
        },
    );
    for n in 0..6 {
        place.send_keyed("a", n);
    }
    let gate = Gate::new();
    let receivers = [start(&place.messaging, &gate), start(&elsewhere, &gate)];

    gate.await_arrivals(2);
    assert!(gate.is_lonely_for(A_WHILE));
    gate.open_for(1);
    gate.await_arrivals(1);
    assert!(gate.is_lonely_for(A_WHILE));
    gate.open_for(5);
    gate.await_arrivals(3);

    place.await_no_trace();
    for receiver in receivers {
        receiver.stop(PATIENCE);
    }
}

#[test]
fn a_topic_may_have_two_in_work_over_two_processes() {
    let mut place = Place::watchful();
    let elsewhere = process(&place.url, Duration::from_millis(50));
    let limited = |most| TopicConfig {
        max_in_work: Some(most),
        ..TopicConfig::default()
    };
    configure(&place, limited(2));
    place.send_all(TOPIC, 0..9);
    let gate = Gate::new();
    let receivers = [start(&place.messaging, &gate), start(&elsewhere, &gate)];

    gate.await_arrivals(2);
    assert!(gate.is_lonely_for(A_WHILE));
    gate.open_for(1);
    gate.await_arrivals(1);
    assert!(gate.is_lonely_for(A_WHILE));

    // Higher takes effect at once, lower when those in work are done.
    configure(&place, limited(4));
    gate.await_arrivals(2);
    assert!(gate.is_lonely_for(A_WHILE));
    gate.open_for(8);
    eventually("all handled", || place.is_empty(TOPIC));
    gate.await_arrivals(4);
    configure(&place, limited(1));
    place.send_all(TOPIC, 0..3);
    gate.await_arrivals(1);
    assert!(gate.is_lonely_for(A_WHILE));
    gate.open_for(3);

    eventually("all handled", || place.is_empty(TOPIC));
    for receiver in receivers {
        receiver.stop(PATIENCE);
    }
    assert_eq!(place.count("outtray.slot"), 4);
}

#[test]
fn leases_count_against_the_limit_of_a_topic() {
    let mut place = Place::watchful();
    configure(
        &place,
        TopicConfig {
            max_in_work: Some(2),
            ..TopicConfig::default()
        },
    );
    place.send_all(TOPIC, 0..4);
    let lease = "WITH taken AS (DELETE FROM outtray.message WHERE seq IN (SELECT seq FROM outtray.message LIMIT 1)
            RETURNING topic, rank, id, payload)
        INSERT INTO outtray.scheduled (topic, rank, id, payload, due_at, receipt)
        SELECT topic, rank, id, payload, now() + interval '1 hour', gen_random_uuid() FROM taken";
    place.sql(lease);
    let gate = Gate::new();
    let receiver = start(&place.messaging, &gate);

    gate.await_arrivals(1);
    assert!(gate.is_lonely_for(A_WHILE));
    place.sql("DELETE FROM outtray.scheduled");
    gate.await_arrivals(1);
    assert!(gate.is_lonely_for(A_WHILE));
    gate.open_for(3);

    eventually("all handled", || place.is_empty(TOPIC));
    receiver.stop(PATIENCE);
}
