//! What is logged about messages that fail: each attempt that counts, and each dead letter, with
//! its id.

use crate::support::{PATIENCE, Place, eventually, keep_log, logged};
use log::Level;
use outtray::{
    Backoff, BatchMessage, Expired, HandlerError, Message, MessageId, MessagingSession, NewMessage,
    PoisonedKey, TopicConfig,
};
use std::time::Duration;

/// Waits until so many lines of a level tell of a message; returns them.
#[track_caller]
fn lines(id: MessageId, level: Level, count: usize) -> Vec<String> {
    let found = || -> Vec<String> {
        let lines = logged(&id.to_string()).into_iter();
        lines
            .filter(|(of, _)| *of == level)
            .map(|(_, line)| line)
            .collect()
    };
    eventually(&format!("{count} lines about {id}"), || {
        found().len() >= count
    });
    assert_eq!(found().len(), count, "{:?}", found());
    found()
}

/// Checks what is logged about a message that fails in each of its two attempts.
#[track_caller]
fn check_twice(topic: &str, id: MessageId, why: &str) {
    for (level, parts) in [
        (Level::Warn, ["attempt 1 of 2", "next in"]),
        (
            Level::Error,
            ["is a dead letter", "after 2 attempts, exhausted"],
        ),
    ] {
        let line = lines(id, level, 1).remove(0);
        for part in [topic, why].iter().chain(&parts) {
            assert!(line.contains(part), "{part} is not in {line}");
        }
    }
}

fn not_today(_: &mut MessagingSession<'_>, _: Message<i32>) -> Result<(), HandlerError> {
    Err(HandlerError::failed("not\ntoday"))
}

const WHY: &str = ": not today";

#[test]
fn each_attempt_that_fails_and_each_dead_letter_is_logged_with_its_id() {
    keep_log();
    let place = Place::watchful();
    for topic in ["shared", "single", "strict", "leased", "together"] {
        let id = place.send(topic, &1);
        let receiver = place.messaging.receiver(topic).workers(2).max_attempts(2);
        let receiver = receiver.backoff(Backoff::fixed(Duration::ZERO));
        let receiver = match topic {
            "single" => receiver.messages_per_transaction(1),
            "strict" => receiver.strict_order(),
            "leased" => receiver.lease(Duration::from_secs(60)),
            _ => receiver,
        };
        let started = match topic {
            "together" => receiver.start_batches(10, |_, _: &[BatchMessage<i32>]| {
                Err(HandlerError::failed("not\ntoday"))
            }),
            _ => receiver.start(not_today),
        };
        let receiver = started.unwrap();

        check_twice(topic, id, WHY);
        receiver.stop(PATIENCE);
    }
}

#[test]
fn a_drain_logs_what_fails_too() {
    keep_log();
    let place = Place::new();
    let id = place.send("drained", &1);

    let receiver = place.messaging.receiver("drained").max_attempts(2);
    let receiver = receiver.backoff(Backoff::fixed(Duration::ZERO));
    receiver.drain(not_today).unwrap();

    check_twice("drained", id, WHY);
}

#[test]
fn a_panic_and_a_refused_commit_are_logged_like_any_failure() {
    keep_log();
    let mut place = Place::watchful();
    place.sql(
        "CREATE TABLE once (n integer CONSTRAINT one_only UNIQUE DEFERRABLE INITIALLY DEFERRED);
        INSERT INTO once VALUES (1)",
    );
    for (topic, why) in [
        ("panicked", "handler panicked: a bug"),
        ("refused", "\"one_only\""),
    ] {
        let id = place.send(topic, &1);

        let receiver = place.messaging.receiver(topic).max_attempts(2);
        let receiver = receiver.backoff(Backoff::fixed(Duration::ZERO));
        receiver
            .drain(move |session, message: Message<i32>| {
                assert!(message.topic == "refused", "a bug");
                session.execute("INSERT INTO once VALUES ($1)", &[&message.payload])?;
                Ok(())
            })
            .unwrap();

        check_twice(topic, id, why);
    }
}

#[test]
fn a_message_that_cannot_be_decoded_or_is_rejected_is_logged_at_once() {
    keep_log();
    let place = Place::new();
    let unfit = place.send("odd", "text");
    let rejected = place.send("odd", &1);

    let receiver = place.messaging.receiver("odd");
    receiver
        .drain(|_, _: Message<i32>| Err(HandlerError::reject("no")))
        .unwrap();

    for (id, why) in [(unfit, "undecodable: payload"), (rejected, "rejected: no")] {
        let line = lines(id, Level::Error, 1).remove(0);
        assert!(line.contains(why), "{line}");
    }
}

#[test]
fn a_snooze_is_no_failure() {
    keep_log();
    let place = Place::new();
    let id = place.send("snoozed", &1);

    let receiver = place.messaging.receiver("snoozed");
    receiver
        .drain(|_, message: Message<i32>| match message.attempt {
            1 => Err(HandlerError::snooze(Duration::from_secs(3600))),
            _ => Ok(()),
        })
        .unwrap();

    lines(id, Level::Debug, 1);
    lines(id, Level::Warn, 0);
}

#[test]
fn an_expired_message_is_logged_by_what_becomes_of_it() {
    keep_log();
    let place = Place::watchful();
    for (topic, expired, level) in [
        ("kept", Expired::DeadLetter, Level::Error),
        ("dropped", Expired::Drop, Level::Debug),
    ] {
        let config = TopicConfig {
            expired: Some(expired),
            ..TopicConfig::default()
        };
        place.messaging.topic(topic).configure(config).unwrap();
        let message = NewMessage::json(topic, &1).unwrap();
        let id = place.send_new(message.expires_in(Duration::from_millis(1)));
        eventually("its time is over", || {
            let ready = place.messaging.topic(topic);
            ready
                .stats()
                .unwrap()
                .oldest_ready_age
                .is_some_and(|age| age > Duration::from_millis(2))
        });

        place
            .messaging
            .receiver(topic)
            .drain(|_, _: Message<i32>| Ok(()))
            .unwrap();

        lines(id, level, 1);
    }
}

#[test]
fn what_is_behind_a_dead_letter_of_its_key_is_logged_where_it_is_parked() {
    keep_log();
    let place = Place::watchful();
    let config = TopicConfig {
        poisoned_key: Some(PoisonedKey::Park),
        ..TopicConfig::default()
    };
    place.messaging.topic("keyed").configure(config).unwrap();
    let message = |n: i32| NewMessage::json("keyed", &n).unwrap().key("k");
    let first = place.send_new(message(1));
    let second = place.send_new(message(2));

    let receiver = place.messaging.receiver("keyed").workers(1);
    let receiver = receiver
        .start(|_, _: Message<i32>| Err(HandlerError::reject("no")))
        .unwrap();

    lines(first, Level::Error, 1);
    let line = lines(second, Level::Error, 1).remove(0);
    assert!(line.contains("parked"), "{line}");
    receiver.stop(PATIENCE);
}

#[test]
fn deliveries_by_hand_are_logged_once_they_are_settled() {
    keep_log();
    let place = Place::new();
    let nacked = place.send("by-hand", &1);
    let rejected = place.send("by-hand", &2);
    let topic = place.messaging.topic("by-hand");

    for delivery in topic
        .receive_batch::<i32>(2, Duration::from_secs(60))
        .unwrap()
    {
        match delivery.payload {
            1 => delivery.nack().unwrap(),
            _ => delivery.reject("no").unwrap(),
        }
    }

    let line = lines(nacked, Level::Warn, 1).remove(0);
    assert!(line.contains("attempt 1 of 10"), "{line}");
    lines(rejected, Level::Error, 1);
}

#[test]
fn a_message_that_succeeds_is_not_logged() {
    keep_log();
    let place = Place::watchful();
    let id = place.send("good", &1);

    place
        .messaging
        .receiver("good")
        .drain(|_, _: Message<i32>| Ok(()))
        .unwrap();

    for level in [Level::Error, Level::Warn, Level::Info, Level::Debug] {
        lines(id, level, 0);
    }
}
