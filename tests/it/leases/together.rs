//! Leases together with what else a message or a topic can ask for.

use crate::support::{MINUTE, PATIENCE, Place, eventually, pass_time};
use outtray::{Cancelled, Filter, How, Message, NewMessage, Rate, TopicConfig};
use std::sync::mpsc;
use std::time::Duration;

fn keyed(key: &str, payload: i32) -> NewMessage {
    NewMessage::json("jobs", &payload).unwrap().key(key)
}

fn payloads(place: &Place) -> Vec<i32> {
    let batch = place.jobs().receive_batch::<i32>(10, MINUTE).unwrap();
    let payloads = batch.iter().map(|delivery| delivery.payload).collect();
    // Their leases go on.
    batch.into_iter().for_each(std::mem::forget);
    payloads
}

#[test]
fn no_more_are_leased_than_may_be_in_work() {
    let mut place = Place::new();
    place
        .jobs()
        .configure(TopicConfig {
            max_in_work: Some(2),
            ..TopicConfig::default()
        })
        .unwrap();
    place.send_all("jobs", 0..4);

    assert_eq!(payloads(&place), [0, 1]);
    assert!(payloads(&place).is_empty());
    place.sql("DELETE FROM outtray.scheduled WHERE payload::text = '0'");
    assert_eq!(payloads(&place), [2]);
    assert_eq!(place.numbers(), [1, 0, 2, 0]);
}

#[test]
fn leases_take_their_tokens() {
    let place = Place::new();
    place
        .jobs()
        .configure(TopicConfig {
            rate: Some(Rate {
                messages: 1,
                per: Duration::from_secs(3600),
                burst: 3,
            }),
            ..TopicConfig::default()
        })
        .unwrap();
    place.send_all("jobs", 0..5);

    assert_eq!(payloads(&place), [0, 1, 2]);
    assert!(payloads(&place).is_empty());
}

#[test]
fn of_a_key_one_message_is_leased_at_a_time_and_the_next_comes_when_it_ended() {
    let place = Place::new();
    for message in [keyed("k", 1), keyed("k", 2), keyed("l", 3)] {
        place.send_new(message);
    }

    let first = place.take();
    let other = place.take();
    assert_eq!((first.payload, other.payload), (1, 3));
    assert!(place.try_take().is_none());
    first.nack().unwrap();
    let first = place.take();
    assert_eq!((first.payload, first.attempt), (1, 2));
    first.reject("never").unwrap();
    assert_eq!(place.take().payload, 2);
}

#[test]
fn a_receiver_under_leases_takes_only_what_it_wants() {
    let place = Place::new();
    for (payload, region) in [(1, "us"), (2, "eu"), (3, "us")] {
        let message = NewMessage::json("jobs", &payload).unwrap();
        place.send_new(message.header("region", region));
    }
    let (seen, handled) = mpsc::channel();

    let receiver = place
        .messaging
        .receiver("jobs")
        .lease(MINUTE)
        .filter(Filter::new().equals("region", "eu"))
        .start(move |_, message: Message<i32>| Ok(seen.send(message.payload)?))
        .unwrap();

    assert_eq!(handled.recv_timeout(PATIENCE), Ok(2));
    eventually("it is acked", || place.numbers() == [2, 0, 0, 0]);
    receiver.stop(PATIENCE);
    assert_eq!(handled.try_iter().count(), 0);
}

#[test]
fn what_a_handler_or_an_ack_records_is_the_result() {
    let place = Place::new();
    let tracked = || NewMessage::json("jobs", &1).unwrap().tracked();
    let by_hand = place.send_new(tracked());
    place.take().ack_with(&"by hand").unwrap();

    let by_handler = place.send_new(tracked());
    let receiver = place
        .messaging
        .receiver("jobs")
        .lease(MINUTE)
        .start(|session, _: Message| Ok(session.record_result(&7)?))
        .unwrap();

    for (id, result) in [
        (by_hand, serde_json::json!("by hand")),
        (by_handler, serde_json::json!(7)),
    ] {
        let completion = place.messaging.wait_for_completion(id, PATIENCE);
        let completion = completion.unwrap().expect("it ended");
        assert_eq!(
            (completion.how, completion.result),
            (How::Done, Some(result))
        );
    }
    receiver.stop(PATIENCE);
}

#[test]
fn a_session_that_settles_may_begin_with_a_dedupe_key() {
    let place = Place::new();
    place.send_all("jobs", [1]);
    let delivery = place.take();

    let sent = delivery
        .settle_in(|session| {
            let message = NewMessage::json("mails", &1)?.dedupe("once", MINUTE);
            Ok(session.send(message)?)
        })
        .unwrap();

    assert!(!sent.is_duplicate());
    assert!(place.is_empty("jobs"));
    assert_eq!(place.messaging.topic("mails").stats().unwrap().ready, 1);
}

#[test]
fn a_leased_message_that_was_cancelled_does_not_come_back() {
    let place = Place::new();
    let id = place.send_new(NewMessage::json("jobs", &1).unwrap().tracked());
    let delivery = place.take();

    assert_eq!(place.messaging.cancel(id).unwrap(), Cancelled::Asked);
    delivery.nack().unwrap();

    let completion = place.messaging.completion(id).unwrap().expect("it ended");
    assert_eq!(completion.how, How::Cancelled);
    assert!(place.is_empty("jobs"));
}

#[test]
fn workers_seldom_ask_while_the_limit_of_their_topic_is_used_up() {
    let mut place = Place::new();
    let config = TopicConfig {
        max_in_work: Some(1),
        ..TopicConfig::default()
    };
    place.jobs().configure(config).unwrap();
    place.send_all("jobs", 0..100);
    let held = place.take();
    let receiver = place.messaging.receiver("jobs").workers(32).lease(MINUTE);
    let (tell, told) = mpsc::channel();
    let receiver = receiver
        .start(move |_, message: Message<i32>| Ok(tell.send(message.payload)?))
        .unwrap();
    let asked = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()";
    pass_time(Duration::from_secs(1));

    let before = place.number(asked);
    pass_time(Duration::from_secs(3));
    let during = place.number(asked) - before;

    // One of them asks ten times a second.
    assert!(during <= 3.0 * 40.0, "{during} transactions in 3 s");
    place.send("jobs", &100);
    held.ack().unwrap();
    for _ in 0..100 {
        told.recv_timeout(PATIENCE).unwrap();
    }
    receiver.stop(PATIENCE);
}
