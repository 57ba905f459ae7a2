//! Topics know what they hold, and looking takes nothing.

mod estimates;
mod peeking;

use crate::support::{Gate, PATIENCE, Place, eventually, reject};
use outtray::{HandlerError, Message, NewMessage, WaitReason};
use serde_json::json;
use std::time::Duration;

#[test]
fn topics_are_listed_with_their_numbers_and_an_unknown_one_has_none() {
    let place = Place::new();
    for (topic, count) in [("b.one", 1), ("a.five", 5), ("c.four", 4)] {
        place.send_all(topic, 0..count);
    }

    let topics = place.messaging.topics().unwrap();

    let listed: Vec<(&str, u64)> = topics
        .iter()
        .map(|stats| (stats.topic.as_str(), stats.ready))
        .collect();
    assert_eq!(listed, [("a.five", 5), ("b.one", 1), ("c.four", 4)]);
    let unknown = place.messaging.topic("unknown");
    let stats = unknown.stats().unwrap();
    assert_eq!(
        (stats.ready, stats.scheduled, stats.dead, stats.receivers),
        (0, 0, 0, 0)
    );
    assert_eq!(stats.oldest_ready_age, None);
    assert!(unknown.is_empty().unwrap());
}

#[test]
fn a_topic_without_messages_is_listed_while_it_has_a_receiver_or_dead_or_scheduled_messages() {
    let place = Place::new();
    place.send("dead", &1);
    place.messaging.drain("dead", reject).unwrap();
    place.send_new(
        NewMessage::json("later", &1)
            .unwrap()
            .delay(Duration::from_secs(3600)),
    );
    let receiver = place
        .messaging
        .start_receiving_messages("received", |_, _: Message| Ok(()))
        .unwrap();

    let names = || -> Vec<String> {
        let topics = place.messaging.topics().unwrap();
        topics.into_iter().map(|stats| stats.topic).collect()
    };
    assert_eq!(names(), ["dead", "later", "received"]);
    assert_eq!(
        place.messaging.topic("received").stats().unwrap().receivers,
        1
    );

    receiver.stop(PATIENCE);
    eventually("it signs off", || names() == ["dead", "later"]);
}

#[test]
fn handling_one_topic_leaves_the_others_alone() {
    let place = Place::new();
    place.send_all("left", 0..3);
    place.send_all("right", 0..3);

    let report = place
        .messaging
        .drain("left", |_, _: Message| Ok(()))
        .unwrap();

    assert_eq!(report.handled, 3);
    assert!(place.is_empty("left"));
    assert_eq!(place.messaging.topic("right").stats().unwrap().ready, 3);
}

#[test]
fn the_numbers_of_a_topic_follow_what_is_sent_and_handled() {
    let place = Place::new();
    let gate = Gate::new();
    let ready = || place.messaging.topic("jobs").stats().unwrap().ready;
    assert_eq!(ready(), 0);
    place.send_all("jobs", 0..2);
    assert_eq!(ready(), 2);
    let receiver = gate.holding(
        place
            .messaging
            .receiver("jobs")
            .workers(1)
            .messages_per_transaction(1),
    );
    gate.await_arrivals(1);
    assert_eq!(ready(), 2, "what is in work is there until it is acked");
    gate.open_for(1);
    gate.await_arrivals(1);
    assert_eq!(ready(), 1);
    gate.open_for(1);
    eventually("all handled", || ready() == 0);
    receiver.stop(PATIENCE);
}

#[test]
fn the_age_of_the_oldest_ready_message_is_known() {
    let mut place = Place::new();
    place.send_all("jobs", 0..2);
    place.sql(
        "UPDATE outtray.message SET sent_at = now() - interval '1 hour' WHERE payload::text = '1'",
    );

    let age = place
        .messaging
        .topic("jobs")
        .stats()
        .unwrap()
        .oldest_ready_age
        .unwrap();

    assert!((3600..3700).contains(&age.as_secs()), "{age:?}");
}

#[test]
fn peeking_shows_messages_in_claim_order_and_takes_nothing() {
    let place = Place::new();
    let first = place.send("jobs", &json!({"n": 1}));
    let urgent = NewMessage::json("jobs", &2)
        .unwrap()
        .priority(9)
        .header("source", "web");
    let urgent = place.send_new(urgent);
    let topic = place.messaging.topic("jobs");

    for _ in 0..3 {
        let seen = topic.peek(10).unwrap();
        let ids: Vec<_> = seen.iter().map(|message| message.id).collect();
        assert_eq!(ids, [urgent, first]);
        assert_eq!((seen[0].priority, seen[0].attempts), (9, 0));
        assert_eq!(seen[0].headers["source"], "web");
        assert_eq!(seen[1].payload.to_string(), r#"{"n":1}"#);
    }
    assert_eq!(topic.peek(1).unwrap().len(), 1);
    assert_eq!(
        place
            .messaging
            .drain("jobs", |_, _: Message| Ok(()))
            .unwrap()
            .handled,
        2
    );
}

#[test]
fn what_is_scheduled_says_why_and_for_how_long() {
    let place = Place::new();
    let hour = Duration::from_secs(3600);
    let retried = NewMessage::json("jobs", &json!({"n": 1})).unwrap();
    let retried = place.send_new(retried.key("a").priority(3).header("source", "web"));
    let fail = move |_: &mut outtray::MessagingSession<'_>, _: Message| {
        Err(HandlerError::retry_after(2 * hour).because("the lake is frozen"))
    };
    place.messaging.drain("jobs", fail).unwrap();
    let leased = place.send("jobs", &2);
    let topic = place.messaging.topic("jobs");
    let delivery = topic.receive::<i32>(Duration::from_secs(60)).unwrap();
    let delayed = NewMessage::json("jobs", &3).unwrap().delay(hour).tracked();
    let delayed = place.send_new(delayed);
    let after = place.send_new(NewMessage::json("jobs", &4).unwrap().after(&[delayed]));
    place.send_new(NewMessage::json("others", &5).unwrap().delay(hour / 2));

    let seen = topic.scheduled(10).unwrap();

    let why: Vec<_> = seen.iter().map(|one| (one.id, one.reason)).collect();
    let expected = [
        (leased, WaitReason::Leased),
        (delayed, WaitReason::Delayed),
        (retried, WaitReason::Retrying),
        (after, WaitReason::AfterOthers),
    ];
    assert_eq!(why, expected);
    let first: Vec<_> = topic
        .scheduled(2)
        .unwrap()
        .iter()
        .map(|one| one.id)
        .collect();
    assert_eq!(first, [leased, delayed]);
    let left = |index: usize| seen[index].due_in.map(|left| left.as_secs() / 60);
    assert_eq!(
        [left(0), left(1), left(2), left(3)],
        [Some(0), Some(59), Some(119), None]
    );
    let times: Vec<_> = seen.iter().map(|one| one.due_at).collect();
    assert!(times[0] < times[1] && times[1] < times[2] && times[3].is_none());
    let retry = &seen[2];
    assert_eq!(
        (retry.key.as_deref(), retry.priority, retry.attempts),
        (Some("a"), 3, 1)
    );
    assert_eq!(retry.error.as_deref(), Some("the lake is frozen"));
    assert_eq!(retry.headers["source"], "web");
    assert_eq!(retry.payload.to_string(), r#"{"n":1}"#);
    assert_eq!((seen[0].attempts, &seen[0].error), (1, &None));
    assert_eq!(
        (&seen[1].after[..], &seen[3].after[..]),
        (&[][..], &[delayed][..])
    );
    delivery.unwrap().ack().unwrap();
}

#[test]
fn looking_at_what_is_scheduled_takes_nothing_and_what_is_due_has_no_time_left() {
    let mut place = Place::new();
    let hour = Duration::from_secs(3600);
    let delayed = NewMessage::json("jobs", &1).unwrap().delay(hour).tracked();
    let delayed = place.send_new(delayed);
    place.send_new(NewMessage::json("jobs", &2).unwrap().after(&[delayed]));
    place.sql(
        "UPDATE outtray.scheduled SET due_at = now() - interval '1 day' WHERE due_at < 'infinity'",
    );

    for _ in 0..2 {
        let late = place.messaging.topic("jobs").scheduled(10).unwrap();
        let left: Vec<_> = late.iter().map(|one| one.due_in).collect();
        assert_eq!(left, [Some(Duration::ZERO), None]);
    }
    let report = place.messaging.drain("jobs", |_, _: Message| Ok(()));
    assert_eq!(report.unwrap().handled, 2);
}

#[test]
fn messages_are_shown_with_their_keys() {
    let place = Place::new();
    for (payload, key) in [(1, "a"), (2, "a")] {
        place.send_new(NewMessage::json("jobs", &payload).unwrap().key(key));
    }
    place.send("jobs", &3);
    let topic = place.messaging.topic("jobs");

    let seen = topic.peek(10).unwrap();
    place.messaging.drain("jobs", reject).unwrap();
    let dead = place.dead_letters("jobs");

    let keys: Vec<_> = seen.iter().map(|one| one.key.as_deref()).collect();
    assert_eq!(keys, [Some("a"), None, Some("a")]);
    let keyed = dead.iter().filter(|one| one.key.as_deref() == Some("a"));
    assert_eq!((keyed.count(), dead.len()), (2, 3));
}

#[test]
fn purging_removes_all_but_what_is_in_work_and_dead_letters() {
    let place = Place::new();
    place.send("jobs", &0);
    place.messaging.drain("jobs", reject).unwrap();
    place.send_all("jobs", 1..4);
    place.send_new(
        NewMessage::json("jobs", &4)
            .unwrap()
            .delay(Duration::from_secs(3600)),
    );
    let gate = Gate::new();
    let receiver = gate.holding(place.messaging.receiver("jobs").workers(1));
    gate.await_arrivals(1);

    let purged = place.messaging.topic("jobs").purge().unwrap();
    gate.open_for(1);
    eventually("the last one handled", || place.is_empty("jobs"));
    receiver.stop(PATIENCE);

    assert_eq!(purged, 3);
    assert_eq!(place.dead_letters("jobs").len(), 1);
}

#[test]
fn fifteen_handlers_at_once_open_sessions_of_their_own_with_a_pool_of_ten() {
    let url = crate::support::database();
    let messaging = outtray::Messaging::builder()
        .url(&url)
        .pool_size(10)
        .connect()
        .unwrap();
    let mut place = Place::over(&url, messaging);
    place.sql("CREATE TABLE effect (n integer)");
    place.send_all("jobs", 0..15);
    let gate = Gate::new();

    let (handler_gate, messaging) = (gate.clone(), place.messaging.clone());
    let receiver = place
        .messaging
        .receiver("jobs")
        .workers(15)
        .max_attempts(1)
        .start(move |session, message: Message<i32>| {
            session.execute("INSERT INTO effect VALUES ($1)", &[&message.payload])?;
            handler_gate.pass();
            messaging.session(|own| {
                own.execute("INSERT INTO effect VALUES ($1)", &[&message.payload])?;
                Ok(own.send_message("others", &message.payload)?)
            })?;
            Ok(())
        })
        .unwrap();
    gate.await_arrivals(15);
    gate.open_for(15);
    eventually("all handled", || place.is_empty("jobs"));
    receiver.stop(PATIENCE);

    assert_eq!(place.count("effect"), 30);
    assert_eq!(place.count("outtray.dead_letter"), 0);
}
