//! Messages that are taken by hand are those that a filter wants; the others are left to others.

use crate::support::{NO_POLLING, PATIENCE, Place, process};
use outtray::{Delivery, ErrorKind, Filter, NewMessage, TopicConfig};
use std::thread;
use std::time::{Duration, Instant};

const LEASE: Duration = Duration::from_secs(60);

fn order(region: &str, number: i32) -> NewMessage {
    let message = NewMessage::json("orders", &number).unwrap();
    message.header("region", region)
}

fn eu() -> Filter {
    Filter::new().equals("region", "eu")
}

fn numbers(batch: &[Delivery<i32>]) -> Vec<i32> {
    batch.iter().map(|delivery| delivery.payload).collect()
}

#[test]
fn only_what_matches_is_taken_and_the_rest_stays_in_its_order() {
    let place = Place::new();
    let topic = place.messaging.topic("orders");
    for number in 0..6 {
        place.send_new(order(["us", "eu"][number as usize % 2], number));
    }
    place.send("orders", &6);

    let first = topic.matching(eu()).receive::<i32>(LEASE).unwrap().unwrap();
    assert_eq!(first.payload, 1);
    let rest = topic.matching(eu()).receive_batch::<i32>(9, LEASE).unwrap();
    assert_eq!(numbers(&rest), [3, 5]);
    assert!(
        topic
            .matching(eu())
            .receive::<i32>(LEASE)
            .unwrap()
            .is_none()
    );
    let others = topic.receive_batch::<i32>(9, LEASE).unwrap();
    assert_eq!(numbers(&others), [0, 2, 4, 6]);
}

#[test]
fn what_a_filter_passed_over_is_found_afterwards_by_all() {
    let place = Place::new();
    let topic = place.messaging.topic("orders");
    // With floors that were learned before, and after.
    for round in 0..3 {
        place.send_new(order("us", round));
        place.send_new(order("eu", 10 + round));
        let taken = topic.matching(eu()).receive::<i32>(LEASE).unwrap().unwrap();
        assert_eq!(taken.payload, 10 + round);
        taken.nack().unwrap();
        let both = topic.receive_batch::<i32>(9, LEASE).unwrap();
        assert_eq!(numbers(&both), [round, 10 + round]);
        assert!(place.messaging.ack_all(&both).unwrap().is_empty());
    }
}

#[test]
fn several_topics_are_taken_from_by_one_filter() {
    let place = Place::new();
    for topic in ["a", "b"] {
        for region in ["eu", "us"] {
            place.send_new(
                NewMessage::json(topic, &1)
                    .unwrap()
                    .header("region", region),
            );
        }
    }
    let wanted = place.messaging.matching(&["a", "b"], eu());

    let batch = wanted.receive_batch::<i32>(9, LEASE).unwrap();

    let mut topics: Vec<&str> = batch
        .iter()
        .map(|delivery| delivery.topic.as_str())
        .collect();
    topics.sort_unstable();
    assert_eq!(topics, ["a", "b"]);
    assert!(
        batch
            .iter()
            .all(|delivery| delivery.headers["region"] == "eu")
    );
}

#[test]
fn a_wait_ends_with_a_message_that_matches_and_with_no_other() {
    let place = Place::polling(NO_POLLING);
    let other = process(&place.url, NO_POLLING);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let topic = place.messaging.topic("orders");
            let wanted = topic.matching(eu());
            let delivery = wanted.receive_timeout::<i32>(PATIENCE, LEASE);
            let delivery = delivery.unwrap().unwrap();
            delivery.ack().unwrap();
            delivery.payload
        });
        for number in 0..20 {
            other.send(order("us", number)).unwrap();
        }
        other.send(order("eu", 42)).unwrap();

        assert_eq!(waiting.join().unwrap(), 42);
    });
    let topic = place.messaging.topic("orders");
    let started = Instant::now();
    let wait = Duration::from_millis(300);
    let none = topic
        .matching(eu())
        .receive_batch_timeout::<i32>(5, wait, LEASE);
    assert!(none.unwrap().is_empty());
    assert!(started.elapsed() >= wait);
    assert_eq!(topic.stats().unwrap().ready, 20);
}

#[test]
fn a_limit_and_a_pause_hold_for_what_a_filter_wants_too() {
    let place = Place::new();
    let topic = place.messaging.topic("orders");
    for number in 0..4 {
        place.send_new(order("eu", number));
    }
    topic
        .configure(TopicConfig {
            max_in_work: Some(2),
            ..TopicConfig::default()
        })
        .unwrap();

    let batch = topic.matching(eu()).receive_batch::<i32>(9, LEASE).unwrap();
    assert_eq!(numbers(&batch), [0, 1]);
    drop(batch);
    topic.pause().unwrap();
    assert!(
        topic
            .matching(eu())
            .receive::<i32>(LEASE)
            .unwrap()
            .is_none()
    );
}

#[test]
fn a_filter_that_cannot_be_meant_is_refused() {
    let place = Place::new();
    let topic = place.messaging.topic("orders");
    for filter in [
        Filter::new(),
        Filter::any([]),
        Filter::new().above("size", "many"),
        Filter::new().equals("a", "\0"),
    ] {
        let error = topic.matching(filter).receive::<i32>(LEASE).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains("orders"), "{error}");
    }
    let nowhere = place.messaging.matching(&[], eu()).receive::<i32>(LEASE);
    assert_eq!(nowhere.unwrap_err().kind(), ErrorKind::Invalid);
}
