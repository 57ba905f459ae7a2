//! Waiting for a message to take.

use crate::support::{HOUR, MINUTE, NO_POLLING, PATIENCE, Place, eventually, process};
use crossbeam_channel::bounded;
use outtray::{Messaging, NewMessage, Rate, TopicConfig};
use std::thread;
use std::time::{Duration, Instant};

/// Returns what a waiting thread gets after `then`, which happens while it waits; fails if that
/// takes too long.
fn waits(messaging: &Messaging, is_waiting: impl FnOnce(), then: impl FnOnce()) -> i32 {
    let (tell, told) = bounded(1);
    thread::scope(|scope| {
        scope.spawn(move || {
            let jobs = messaging.topic("jobs");
            let delivery = jobs.receive_timeout::<i32>(PATIENCE, MINUTE).unwrap();
            let delivery = delivery.expect("a message in time");
            delivery.ack().unwrap();
            tell.send(delivery.payload).unwrap();
        });
        is_waiting();
        assert!(told.is_empty());
        then();
        let started = Instant::now();
        let payload = told.recv_timeout(PATIENCE).unwrap();
        assert!(started.elapsed() < PATIENCE / 2, "{:?}", started.elapsed());
        payload
    })
}

#[test]
fn a_message_that_is_there_is_not_waited_for_and_none_comes_after_the_wait() {
    let place = Place::new();
    place.send("jobs", &1);
    let jobs = place.jobs();

    let delivery = jobs
        .receive_timeout::<i32>(PATIENCE, MINUTE)
        .unwrap()
        .unwrap();
    delivery.ack().unwrap();

    let started = Instant::now();
    let wait = Duration::from_millis(300);
    assert!(jobs.receive_timeout::<i32>(wait, MINUTE).unwrap().is_none());
    assert!(started.elapsed() >= wait);
}

#[test]
fn a_send_of_this_process_wakes_who_waits() {
    let mut place = Place::polling(NO_POLLING);
    let messaging = place.messaging.clone();
    let payload = waits(
        &messaging,
        || _ = place.await_listener(),
        || _ = crate::support::send(&messaging, "jobs", &5),
    );
    assert_eq!(payload, 5);
}

#[test]
fn a_send_of_another_process_wakes_who_waits() {
    let mut place = Place::polling(NO_POLLING);
    let elsewhere = process(&place.url, NO_POLLING);
    let messaging = place.messaging.clone();
    let payload = waits(
        &messaging,
        || _ = place.await_listener(),
        || _ = crate::support::send(&elsewhere, "jobs", &6),
    );
    assert_eq!(payload, 6);
}

#[test]
fn without_notifications_a_message_is_found_within_the_poll_interval() {
    let mut place = Place::polling(Duration::from_millis(100));
    let silent = Messaging::builder()
        .url(&place.url)
        .notify(false)
        .connect()
        .unwrap();
    let messaging = place.messaging.clone();
    let payload = waits(
        &messaging,
        || _ = place.await_listener(),
        || _ = crate::support::send(&silent, "jobs", &7),
    );
    assert_eq!(payload, 7);
}

#[test]
fn a_delayed_message_a_lapsed_lease_and_a_nack_wake_who_waits() {
    let mut place = Place::polling(NO_POLLING);
    let messaging = place.messaging.clone();
    let delayed = |ms| {
        NewMessage::json("jobs", &1)
            .unwrap()
            .delay(Duration::from_millis(ms))
    };
    place.send_new(delayed(300));
    let jobs = messaging.topic("jobs");
    let first = jobs
        .receive_timeout::<i32>(PATIENCE, Duration::from_millis(300))
        .unwrap()
        .unwrap();

    let second = jobs
        .receive_timeout::<i32>(PATIENCE, MINUTE)
        .unwrap()
        .unwrap();

    assert_eq!((first.attempt, second.attempt), (1, 2));
    let payload = waits(
        &messaging,
        || _ = place.await_listener(),
        || second.nack().unwrap(),
    );
    assert_eq!(payload, 1);
    eventually("nothing is left", || place.is_empty("jobs"));
}

#[test]
fn who_waits_for_several_topics_gets_all_that_come_together_and_none_after_the_wait() {
    let mut place = Place::polling(NO_POLLING);
    let messaging = place.messaging.clone();
    let topics = ["a", "b", "c"];
    let (tell, told) = bounded(1);

    thread::scope(|scope| {
        scope.spawn(|| {
            let batch = messaging.receive_from_timeout::<i32>(&topics, 10, PATIENCE, MINUTE);
            tell.send(batch.unwrap()).unwrap();
        });
        place.await_listener();
        assert!(told.is_empty());
        place.send_all("b", [1, 2, 3]);
    });

    let batch = told.recv_timeout(PATIENCE).unwrap();
    let payloads: Vec<i32> = batch.iter().map(|delivery| delivery.payload).collect();
    assert_eq!(payloads, [1, 2, 3]);
    assert!(messaging.ack_all(&batch).unwrap().is_empty());
    let wait = Duration::from_millis(100);
    let b = messaging.topic("b");
    assert!(
        b.receive_batch_timeout::<i32>(5, wait, MINUTE)
            .unwrap()
            .is_empty()
    );
}

#[test]
fn who_waits_at_a_rate_gets_as_much_as_the_rate_allows() {
    let place = Place::polling(NO_POLLING);
    let jobs = place.jobs();
    let rate = Rate {
        messages: 20,
        per: Duration::from_secs(1),
        burst: 1,
    };
    let config = TopicConfig {
        rate: Some(rate),
        ..TopicConfig::default()
    };
    jobs.configure(config).unwrap();
    place.send_all("jobs", 0..20);

    let started = Instant::now();
    for _ in 0..20 {
        let delivery = jobs.receive_timeout::<i32>(PATIENCE, MINUTE).unwrap();
        delivery.expect("a message in time").ack().unwrap();
    }

    // A second, by the rate; ten, if only those who look after a while found out.
    assert!(
        started.elapsed() < Duration::from_secs(7),
        "{:?}",
        started.elapsed()
    );
}

#[test]
fn a_wait_is_over_in_time_where_a_crowd_comes_first_that_cannot_be_read() {
    let mut place = Place::watchful();
    place.sql(
        "INSERT INTO outtray.message (topic, rank, id, payload)
             SELECT 'jobs', 0, gen_random_uuid(), '\"none\"' FROM generate_series(1, 20000)",
    );
    place.send_all("jobs", 1..=3);

    let wait = Duration::from_millis(100);
    let started = Instant::now();
    let taken = place.jobs().receive_timeout::<i32>(wait, HOUR);

    assert!(taken.unwrap().is_none());
    // All of them take more than a minute.
    assert!(started.elapsed() < MINUTE / 4, "{:?}", started.elapsed());
    place.sql("DELETE FROM outtray.message WHERE payload::text = '\"none\"'");
    let first = place.jobs().receive::<i32>(HOUR).unwrap();
    assert_eq!(first.map(|first| first.payload), Some(1));
    assert_eq!(place.count("outtray.message WHERE attempts = 0"), 2);
}
