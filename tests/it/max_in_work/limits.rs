//! No more messages are in work than a key, or a topic, may have.

use super::TOPIC;
use crate::support::{A_WHILE, Gate, MINUTE, PATIENCE, Place, aside, eventually, next, process};
use crossbeam_channel::unbounded;
use outtray::{BatchMessage, Message, Messaging, NewMessage, Receiver, TopicConfig};
use std::time::Duration;

fn keyed(key: &str, payload: i32) -> NewMessage {
    NewMessage::json(TOPIC, &payload).unwrap().key(key)
}

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

/// Starts a receiver of batches of up to 20 that tells how many messages are in each, and waits at
/// the gate.
fn start_batches(
    messaging: &Messaging,
    gate: &Gate,
) -> (Receiver, crossbeam_channel::Receiver<usize>) {
    let gate = gate.clone();
    let (tell, told) = unbounded();
    let receiver = messaging.receiver(TOPIC).workers(4);
    let receiver = receiver.start_batches(20, move |_, batch: &[BatchMessage<i32>]| {
        tell.send(batch.len())?;
        gate.pass();
        Ok(())
    });
    (receiver.unwrap(), told)
}

/// Waits until so many messages are in work in batches of any size, and no more.
#[track_caller]
fn await_begun(sizes: &crossbeam_channel::Receiver<usize>, expected: usize) {
    let mut begun = 0;
    while begun < expected {
        begun += next(sizes, 1)[0];
    }
    assert_eq!(begun, expected);
    let more = sizes.recv_timeout(A_WHILE);
    assert!(more.is_err(), "more than {expected}: {more:?}");
}

fn limited(place: &Place, max_in_work: u32) {
    let config = TopicConfig {
        max_in_work: Some(max_in_work),
        ..TopicConfig::default()
    };
    configure(place, config);
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
        place.send_new(keyed("a", n));
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
        place.send_new(keyed("a", n));
    }
    let gate = Gate::new();
    let (receiver, told) = gate.telling::<i32>(
        place
            .messaging
            .receiver(TOPIC)
            .workers(2)
            .messages_per_transaction(1),
    );
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
        place.send_new(keyed("a", n).tracked().header("number", n.to_string()));
    }
    let before = place.rows_of_keys();

    configure(&place, TopicConfig::default());

    assert_eq!(place.count("outtray.message"), 1);
    assert_eq!(place.count("outtray.follower"), 4);
    assert_eq!(place.rows_of_keys(), before);
    assert_eq!(place.handled::<i32>(TOPIC), [0, 1, 2, 3, 4]);
    place.await_no_trace();
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
    // Who had just taken a place to look for messages has given it back.
    place.sql("BEGIN; SELECT FROM outtray.slot FOR UPDATE; COMMIT");
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

#[test]
fn the_messages_of_batches_count_against_the_limit_of_a_topic() {
    let place = Place::watchful();
    limited(&place, 3);
    place.send_all(TOPIC, 0..9);
    let gate = Gate::new();
    let (receiver, sizes) = start_batches(&place.messaging, &gate);

    await_begun(&sizes, 3);

    gate.open_for(9);
    eventually("all handled", || place.is_empty(TOPIC));
    receiver.stop(PATIENCE);
}

#[test]
fn a_batch_leaves_the_places_that_it_does_not_need_to_others() {
    let place = Place::watchful();
    limited(&place, 3);
    let gate = Gate::new();
    let (receiver, sizes) = start_batches(&place.messaging, &gate);
    place.send_all(TOPIC, 0..1);
    await_begun(&sizes, 1);

    place.send_all(TOPIC, 1..9);

    await_begun(&sizes, 2);
    gate.open_for(9);
    eventually("all handled", || place.is_empty(TOPIC));
    receiver.stop(PATIENCE);
}

#[test]
fn leases_and_batches_share_the_limit_of_a_topic() {
    let place = Place::watchful();
    limited(&place, 3);
    place.send_all(TOPIC, 0..6);
    let topic = place.messaging.topic(TOPIC);
    let held = topic.receive::<i32>(MINUTE).unwrap().unwrap();
    let gate = Gate::new();
    let (receiver, sizes) = start_batches(&place.messaging, &gate);

    await_begun(&sizes, 2);
    held.ack().unwrap();
    await_begun(&sizes, 1);
    assert!(topic.receive::<i32>(MINUTE).unwrap().is_none());

    gate.open_for(9);
    eventually("all handled", || place.is_empty(TOPIC));
    receiver.stop(PATIENCE);
}

#[test]
fn a_limit_that_was_set_without_its_places_keeps_nobody_from_leasing() {
    let mut place = Place::watchful();
    limited(&place, 2);
    // As a backup of some tables brings it back.
    place.sql("DELETE FROM outtray.slot");
    place.send_all(TOPIC, 0..3);

    let messaging = place.messaging.clone();
    let topic = messaging.topic(TOPIC);
    let held = topic.receive_batch::<i32>(10, MINUTE).unwrap();

    assert_eq!(held.len(), 2);
    assert_eq!(place.count("outtray.slot"), 2);
    assert!(topic.receive::<i32>(MINUTE).unwrap().is_none());
}

#[test]
fn a_limit_is_set_with_its_places_or_not_at_all() {
    let mut place = Place::watchful();
    place.sql("ALTER TABLE outtray.slot ADD CHECK (number < 3)");
    let messaging = place.messaging.clone();
    let topic = messaging.topic(TOPIC);

    let refused = topic.configure(TopicConfig {
        max_in_work: Some(5),
        ..TopicConfig::default()
    });

    assert!(refused.is_err());
    assert_eq!(topic.config().unwrap(), TopicConfig::default());
    assert_eq!(place.count("outtray.slot"), 0);
}

#[test]
fn a_drain_does_not_wait_for_others_who_use_up_the_limit_of_a_topic() {
    let place = Place::watchful();
    limited(&place, 1);
    place.send_all(TOPIC, 0..2);
    let topic = place.messaging.topic(TOPIC);
    let held = topic.receive::<i32>(MINUTE).unwrap().unwrap();
    let drain = || {
        let messaging = place.messaging.clone();
        let told = aside(move || messaging.drain(TOPIC, |_, _: Message<i32>| Ok(())));
        told.recv_timeout(PATIENCE / 2).expect("it ends").unwrap()
    };

    assert_eq!(drain().handled, 0);
    held.ack().unwrap();
    assert_eq!(drain().handled, 1);
    assert!(place.is_empty(TOPIC));
}
