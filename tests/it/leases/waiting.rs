//! Waiting for a message to take.

use super::MINUTE;
use crate::support::{NO_POLLING, PATIENCE, Place, eventually, process};
use crossbeam_channel::bounded;
use outtray::{Messaging, NewMessage};
use std::thread;
use std::time::{Duration, Instant};

/// Returns what a waiting thread gets after `then`, which happens while it waits; fails if that takes too long.
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
