//! What holds a taker back is what holds a receiver of the library back.

use super::{ack, payloads, take, take_one};
use crate::support::{Gate, HOUR, Place, client, make_suspect};
use outtray::{NewMessage, Rate, TopicConfig};
use std::time::Duration;

#[test]
fn messages_of_a_key_are_taken_one_at_a_time_in_the_order_of_sending() {
    let mut place = Place::new();
    for number in 0..3 {
        place.send_new(NewMessage::json("jobs", &number).unwrap().key("a"));
    }
    place.send_new(NewMessage::json("jobs", &9).unwrap().key("b"));

    let first = take(&mut place.client, "jobs", 9);

    assert_eq!(payloads(&first), ["0", "9"]);
    assert!(take(&mut place.client, "jobs", 9).is_empty());
    ack(&mut place.client, &first[0]);
    assert_eq!(payloads(&take(&mut place.client, "jobs", 9)), ["1"]);
}

#[test]
fn no_more_are_taken_than_may_be_in_work_beside_those_of_the_library() {
    let mut place = Place::new();
    let limited = TopicConfig {
        max_in_work: Some(3),
        ..TopicConfig::default()
    };
    place.messaging.topic("jobs").configure(limited).unwrap();
    place.send_all("jobs", 0..9);
    let gate = Gate::new();
    let receiver = place.messaging.receiver("jobs").workers(1);
    let receiver = gate.holding(receiver.messages_per_transaction(1));
    gate.await_arrivals(1);
    let by_library = place.messaging.topic("jobs").receive::<i32>(HOUR).unwrap();

    let taken = take(&mut place.client, "jobs", 9);

    assert!(by_library.is_some());
    assert_eq!(taken.len(), 1);
    assert!(take(&mut client(&place.url), "jobs", 9).is_empty());
    ack(&mut place.client, &taken[0]);
    take_one(&mut place.client, "jobs");
    gate.open_for(9);
    drop(receiver);
}

#[test]
fn a_limit_that_came_without_its_slots_gets_them() {
    let mut place = Place::new();
    place.send_all("jobs", 0..3);
    place.write_config("jobs", r#"{"max_in_work": 2}"#);
    place.sql("DELETE FROM outtray.slot");

    assert_eq!(take(&mut place.client, "jobs", 9).len(), 2);
}

#[test]
fn no_more_are_taken_than_the_rate_allows_and_spare_tokens_go_back() {
    let mut place = Place::new();
    let rated = TopicConfig {
        rate: Some(Rate {
            messages: 1,
            per: Duration::from_secs(3600),
            burst: 3,
        }),
        ..TopicConfig::default()
    };
    place.messaging.topic("jobs").configure(rated).unwrap();

    place.send("jobs", &0);
    assert_eq!(take(&mut place.client, "jobs", 9).len(), 1);
    place.send_all("jobs", 1..9);
    assert_eq!(take(&mut place.client, "jobs", 9).len(), 2);
    assert!(take(&mut place.client, "jobs", 9).is_empty());

    assert!(
        place
            .messaging
            .topic("jobs")
            .receive::<i32>(HOUR)
            .unwrap()
            .is_none()
    );
    place.messaging.topic("jobs").reset_rate().unwrap();
    assert_eq!(take(&mut place.client, "jobs", 2).len(), 2);
}

#[test]
fn a_paused_topic_gives_nothing_until_it_is_resumed() {
    let mut place = Place::new();
    place.send("jobs", &1);
    place.messaging.topic("jobs").pause().unwrap();

    assert!(take(&mut place.client, "jobs", 1).is_empty());
    place.messaging.topic("jobs").resume().unwrap();

    assert_eq!(take(&mut place.client, "jobs", 1).len(), 1);
}

#[test]
fn the_lease_is_what_the_topic_says_where_nobody_says_it() {
    let mut place = Place::new();
    place.send_all("jobs", [1, 2]);
    let left = "SELECT extract(epoch FROM max(due_at) - clock_timestamp()) FROM outtray.scheduled";

    place.sql("SELECT outtray.receive('jobs')");
    let by_default = place.number(left);
    let config = TopicConfig {
        lease: Some(Duration::from_secs(600)),
        ..TopicConfig::default()
    };
    place.messaging.topic("jobs").configure(config).unwrap();
    place.sql("SELECT outtray.receive('jobs')");

    assert!((1.0..=30.0).contains(&by_default), "{by_default}");
    let configured = place.number(left);
    assert!((500.0..=600.0).contains(&configured), "{configured}");
}

#[test]
fn a_topic_in_which_a_process_died_gives_as_any_other() {
    let mut place = Place::new();
    place.send_all("jobs", [1, 2]);
    make_suspect(&mut place.client, "jobs");

    let taken = take(&mut place.client, "jobs", 9);

    assert_eq!(payloads(&taken), ["1", "2"]);
    let suspect = "SELECT is_suspect FROM outtray.stats('jobs')";
    assert!(
        place
            .client
            .query_one(suspect, &[])
            .unwrap()
            .get::<_, bool>(0)
    );
}
