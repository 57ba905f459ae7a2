//! Many deliveries at a time, and several topics.

use super::check_lost;
use crate::support::{Gate, MINUTE, NO_POLLING, PATIENCE, Place, process};
use outtray::{ErrorKind, Messaging, TopicConfig};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

#[test]
fn a_batch_has_the_most_urgent_and_oldest_messages_in_order() {
    let place = Place::new();
    place.send_all("jobs", 0..5);
    place.send_new(outtray::NewMessage::json("jobs", &9).unwrap().priority(1));

    let batch = place.jobs().receive_batch::<i32>(4, MINUTE).unwrap();

    let payloads: Vec<i32> = batch.iter().map(|delivery| delivery.payload).collect();
    assert_eq!(payloads, [9, 0, 1, 2]);
    assert_eq!(place.numbers(), [2, 0, 4, 0]);
    drop(batch);
    assert_eq!(place.numbers(), [6, 0, 0, 0]);
}

#[test]
fn of_a_batch_of_two_with_one_settled_the_other_comes_back_at_once() {
    let place = Place::new();
    place.send_all("jobs", [1, 2]);
    let batch = place.jobs().receive_batch::<i32>(2, MINUTE).unwrap();

    batch[0].ack().unwrap();
    drop(batch);

    let again = place.take();
    assert_eq!((again.payload, again.attempt), (2, 2));
    again.ack().unwrap();
    assert!(place.try_take().is_none());
}

#[test]
fn a_whole_batch_is_acked_or_given_back_or_prolonged_and_says_what_was_lost() {
    let mut place = Place::new();
    let messaging = place.messaging.clone();
    place.send_all("jobs", 0..4);
    let batch = place.jobs().receive_batch::<i32>(4, MINUTE).unwrap();
    place.sql("UPDATE outtray.scheduled SET due_at = now() WHERE payload::text = '2'");
    let stolen = place.take();
    assert_eq!(stolen.payload, 2);

    let lost = messaging
        .extend_all(&batch, Duration::from_secs(3600))
        .unwrap();
    assert_eq!(lost, [stolen.id]);
    assert_eq!(
        place.count("outtray.scheduled WHERE due_at > now() + interval '59 min'"),
        3
    );

    let lost = messaging.release_all(&batch).unwrap();
    assert_eq!(lost, [stolen.id]);
    assert_eq!(place.numbers(), [3, 0, 1, 0]);

    let batch = place.jobs().receive_batch::<i32>(9, MINUTE).unwrap();
    assert!(batch.iter().all(|delivery| delivery.attempt == 1));
    assert!(messaging.nack_all(&batch).unwrap().is_empty());
    let batch = place.jobs().receive_batch::<i32>(9, MINUTE).unwrap();
    assert!(batch.iter().all(|delivery| delivery.attempt == 2));
    assert!(messaging.ack_all(&batch).unwrap().is_empty());
    assert_eq!(messaging.ack_all(&batch).unwrap().len(), 3);
    check_lost(batch[0].ack());
    stolen.ack().unwrap();
    assert!(place.is_empty("jobs"));
}

#[test]
fn a_batch_of_fifteen_is_handled_at_the_same_time_with_a_pool_of_ten() {
    let url = crate::support::database();
    let place = Place::over(
        &url,
        Messaging::builder()
            .url(&url)
            .pool_size(10)
            .connect()
            .unwrap(),
    );
    place.send_all("jobs", 0..15);
    let batch = place.jobs().receive_batch::<i32>(15, MINUTE).unwrap();
    let gate = Gate::new();

    thread::scope(|scope| {
        for delivery in &batch {
            let gate = gate.clone();
            scope.spawn(move || {
                gate.pass();
                delivery
                    .settle_in(|session| Ok(session.send_message("next", &delivery.payload)?))
                    .unwrap();
            });
        }
        gate.await_arrivals(15);
        gate.open_for(15);
    });

    assert!(place.is_empty("jobs"));
    assert_eq!(place.messaging.topic("next").stats().unwrap().ready, 15);
}

#[test]
fn several_threads_get_each_message_once() {
    let place = Place::new();
    place.send_all("jobs", 0..300);
    let messaging = &place.messaging;
    let got = Mutex::new(Vec::new());

    thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                loop {
                    let jobs = messaging.topic("jobs");
                    let batch = jobs.receive_batch::<i32>(7, MINUTE).unwrap();
                    if batch.is_empty() {
                        break;
                    }
                    got.lock()
                        .unwrap()
                        .extend(batch.iter().map(|delivery| delivery.payload));
                    assert!(messaging.ack_all(&batch).unwrap().is_empty());
                }
            });
        }
    });

    let mut got = got.into_inner().unwrap();
    got.sort_unstable();
    assert_eq!(got, (0..300).collect::<Vec<_>>());
}

#[test]
fn of_several_topics_none_starves_behind_a_busy_one() {
    let place = Place::new();
    place.send_all("busy", 0..100);
    place.send_all("quiet", [1]);
    let topics = ["busy", "quiet", "unused"];
    let mut seen = Vec::new();

    for _ in 0..3 {
        let batch = place
            .messaging
            .receive_from::<i32>(&topics, 2, MINUTE)
            .unwrap();
        seen.extend(batch.iter().map(|delivery| delivery.topic.clone()));
        assert!(place.messaging.ack_all(&batch).unwrap().is_empty());
    }

    assert_eq!(seen.len(), 6);
    assert!(seen.contains(&"quiet".to_owned()), "{seen:?}");
}

#[test]
fn a_batch_of_several_topics_fills_up_from_all_and_is_settled_together() {
    let place = Place::new();
    place.send_all("a", [1]);
    place.send_all("b", [2, 3]);
    place.send("c", &"not a number");

    let batch = place
        .messaging
        .receive_from::<i32>(&["a", "c", "b"], 10, MINUTE)
        .unwrap();

    assert_eq!(batch.len(), 3);
    assert!(place.messaging.ack_all(&batch).unwrap().is_empty());
    assert!(place.is_empty("a") && place.is_empty("b") && place.is_empty("c"));
    assert_eq!(place.dead_letters("c").len(), 1);
}

#[test]
fn a_batch_is_filled_past_messages_that_are_refused() {
    let mut place = Place::new();
    place.send_all("jobs", ["x"; 30]);
    place.send_all("jobs", 0..5);
    place.sql("UPDATE outtray.message SET attempts = 10 WHERE payload::text = '1'");

    let batch = place.jobs().receive_batch::<i32>(10, MINUTE).unwrap();

    assert_eq!(batch.len(), 4);
    assert_eq!(place.dead_letters("jobs").len(), 31);
    assert!(place.messaging.ack_all(&batch).unwrap().is_empty());
}

#[test]
fn a_batch_has_what_other_processes_gave_back_and_what_is_new() {
    let place = Place::polling(NO_POLLING);
    let jobs = place.jobs();
    place.send_all("jobs", 0..100);
    let _first = jobs.receive_batch::<i32>(50, MINUTE).unwrap();
    let other = process(&place.url, NO_POLLING);
    let theirs = other
        .topic("jobs")
        .receive_batch::<i32>(40, MINUTE)
        .unwrap();
    let _rest = jobs.receive_batch::<i32>(50, MINUTE).unwrap();
    place.send("jobs", &100);
    assert!(other.release_all(&theirs).unwrap().is_empty());

    let batch = jobs.receive_batch::<i32>(100, MINUTE).unwrap();

    let payloads: Vec<i32> = batch.iter().map(|delivery| delivery.payload).collect();
    assert_eq!(payloads, (50..90).chain([100]).collect::<Vec<_>>());
}

#[test]
fn a_paused_topic_delivers_nothing_until_it_is_resumed() {
    let place = Place::new();
    place.send("jobs", &1);
    place.jobs().pause().unwrap();

    assert!(place.try_take().is_none());
    assert_eq!(place.numbers(), [1, 0, 0, 0]);

    place.jobs().resume().unwrap();
    place.take().ack().unwrap();
}

#[track_caller]
fn check<T>(result: outtray::Result<T>, text: &str) {
    let error = result.err().expect("an error");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains(text), "{error}");
}

const OVER_A_DAY: Duration = Duration::from_secs(86_401);

#[test]
fn values_out_of_range_are_refused_before_any_sql() {
    let place = Place::new();
    let jobs = place.jobs();

    check(
        jobs.receive::<i32>(Duration::ZERO),
        "lease of topic jobs is 0ns, it must be 1ms to a day",
    );
    check(
        jobs.receive::<i32>(OVER_A_DAY),
        "lease of topic jobs is 86401s",
    );
    check(
        jobs.receive_timeout::<i32>(PATIENCE, Duration::ZERO),
        "lease",
    );
    check(
        jobs.receive_batch::<i32>(0, MINUTE),
        "batch of topic jobs is of 0 messages, it must be 1 to 10000",
    );
    check(
        jobs.receive_batch::<i32>(10_001, MINUTE),
        "batch of topic jobs is of 10001",
    );
    check(
        place.messaging.receive_from::<i32>(&[], 1, MINUTE),
        "no topic",
    );
    check(
        place.messaging.topic("no topic").receive::<i32>(MINUTE),
        "topic",
    );
}

#[test]
fn a_receiver_is_not_started_with_a_lease_out_of_range_or_in_strict_order() {
    let place = Place::new();
    for lease in [Duration::from_millis(99), OVER_A_DAY] {
        let receiver = place.messaging.receiver("jobs").lease(lease);
        check(
            receiver.start(|_, _: outtray::Message<i32>| Ok(())),
            "lease of topic jobs is",
        );
    }
    let strict = place
        .messaging
        .receiver("jobs")
        .lease(MINUTE)
        .strict_order();
    check(
        strict.start(|_, _: outtray::Message<i32>| Ok(())),
        "strict order",
    );
    let drained = place.messaging.receiver("jobs").lease(OVER_A_DAY);
    check(
        drained.drain(|_, _: outtray::Message<i32>| Ok(())),
        "lease of topic jobs is",
    );
}

#[test]
fn values_of_a_delivery_that_are_out_of_range_settle_nothing() {
    let place = Place::new();
    place.send("jobs", &1);
    let delivery = place.take();
    check(
        delivery.extend(Duration::ZERO),
        "lease of topic jobs is 0ns",
    );
    check(delivery.extend(OVER_A_DAY), "lease of topic jobs is 86401s");
    check(delivery.retry_after(Duration::MAX), "longer than ten years");
    assert_eq!(delivery.attempt, 1);
    delivery.ack().unwrap();
}

#[test]
fn an_unreadable_result_settles_nothing() {
    let place = Place::new();
    place.send("jobs", &1);
    let delivery = place.take();
    let unfit = std::collections::HashMap::from([((1, 2), 3)]);

    let error = delivery.ack_with(&unfit).unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Payload);
    delivery.ack_with(&"fine").unwrap();
}

#[test]
fn the_limit_of_a_topic_holds_for_leases() {
    let mut place = Place::new();
    place
        .jobs()
        .configure(TopicConfig {
            max_attempts: Some(1),
            ..TopicConfig::default()
        })
        .unwrap();
    place.send("jobs", &1);
    let _late = place.take();

    place.make_due();

    assert!(place.try_take().is_none());
    assert_eq!(place.numbers(), [0, 0, 0, 1]);
}
