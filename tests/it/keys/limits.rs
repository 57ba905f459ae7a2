//! No more messages are in work than a key, or a topic, may have.

use super::{A_WHILE, TOPIC};
use crate::support::{Gate, PATIENCE, Place, eventually, next, process};
use crossbeam_channel::unbounded;
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

fn per_key(most: u32) -> TopicConfig {
    TopicConfig {
        max_in_work_per_key: Some(most),
        ..TopicConfig::default()
    }
}

#[test]
fn a_key_may_have_two_in_work() {
    let mut place = Place::watchful();
    let elsewhere = process(&place.url, Duration::from_millis(50));
    configure(&place, per_key(2));
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
fn a_limit_of_a_key_that_is_lowered_holds_for_what_was_ready_before() {
    let mut place = Place::watchful();
    configure(&place, per_key(4));
    for n in 0..6 {
        place.send_keyed("a", n);
    }
    let gate = Gate::new();
    let (tell, told) = unbounded();
    let handler_gate = gate.clone();
    let receiver = place
        .messaging
        .receiver(TOPIC)
        .workers(2)
        .messages_per_transaction(1)
        .start(move |_, message: Message<i32>| {
            handler_gate.pass();
            Ok(tell.send(message.payload)?)
        })
        .unwrap();
    gate.await_arrivals(2);

    configure(&place, per_key(1));

    // Those in work go on, and the next one waits for both.
    eventually("the others are back in line", || {
        place.count("outtray.message") == 2
    });
    gate.open_for(1);
    eventually("one ended", || place.count("outtray.message") == 1);
    assert!(gate.is_lonely_for(A_WHILE));
    gate.open_for(5);

    let mut handled = next(&told, 6);
    handled[..2].sort_unstable();
    assert_eq!(handled, [0, 1, 2, 3, 4, 5]);
    place.await_no_trace();
    receiver.stop(PATIENCE);
}

#[test]
fn a_limit_of_a_key_that_is_lowered_puts_back_the_latest() {
    let mut place = Place::new();
    configure(&place, per_key(3));
    for n in 0..5 {
        place.send_new(
            super::keyed("a", n)
                .tracked()
                .header("number", n.to_string()),
        );
    }
    let before = place.rows_of_keys();

    configure(&place, TopicConfig::default());

    assert_eq!(place.count("outtray.message"), 1);
    assert_eq!(place.count("outtray.follower"), 4);
    assert_eq!(place.rows_of_keys(), before);
    let (tell, told) = unbounded();
    place
        .messaging
        .drain(TOPIC, move |_, message: Message<i32>| {
            Ok(tell.send(message.payload)?)
        })
        .unwrap();
    assert_eq!(next(&told, 5), [0, 1, 2, 3, 4]);
    place.await_no_trace();
}

impl Place {
    /// Returns all that is known of the messages with keys, wherever they wait.
    fn rows_of_keys(&mut self) -> Vec<String> {
        let columns = "seq, rank, topic, key, id, attempts, sent_at, expires_at, on_end, headers::text, payload::text, body";
        let query = format!(
            "SELECT row(known.*)::text FROM (
                SELECT {columns} FROM outtray.message UNION ALL SELECT {columns} FROM outtray.follower
            ) AS known ORDER BY seq"
        );
        let rows = self.client.query(&query, &[]).unwrap();
        rows.iter().map(|row| row.get(0)).collect()
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
