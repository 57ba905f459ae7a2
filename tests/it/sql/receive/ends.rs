//! What the end of a message calls for happens in the transaction that ends it, whoever that is.

use super::{ack, check_refused, payloads, settle, take, take_one};
use crate::support::Place;
use outtray::{ErrorKind, How, NewMessage, PoisonedKey, Sent, TopicConfig};

fn unique(topic: &str) -> NewMessage {
    NewMessage::json(topic, &1)
        .unwrap()
        .dedupe_until_end("feed")
}

#[test]
fn a_dedupe_key_until_the_end_is_free_after_it() {
    let mut place = Place::new();
    place.send_new(unique("jobs"));
    let taken = take_one(&mut place.client, "jobs");
    let send = |place: &Place| place.messaging.send(unique("jobs")).unwrap();
    assert!(send(&place).is_duplicate());

    ack(&mut place.client, &taken);
    assert!(matches!(send(&place), Sent::New(_)));

    let taken = take_one(&mut place.client, "jobs");
    settle(&mut place.client, "reject($1, $2)", &taken).unwrap();
    assert!(matches!(send(&place), Sent::New(_)));
    // The dead letter remembers it.
    let key = "SELECT dedupe_key FROM outtray.dead_letter";
    let key: String = place.client.query_one(key, &[]).unwrap().get(0);
    assert_eq!(key, "feed");
}

#[test]
fn a_bounded_topic_has_room_again() {
    let mut place = Place::new();
    let bounded = TopicConfig {
        max_length: Some(2),
        ..TopicConfig::default()
    };
    place.messaging.topic("jobs").configure(bounded).unwrap();
    place.send_all("jobs", [1, 2]);
    let full = place.messaging.send(NewMessage::json("jobs", &3).unwrap());
    assert_eq!(full.unwrap_err().kind(), ErrorKind::Full);

    let taken = take(&mut place.client, "jobs", 2);
    ack(&mut place.client, &taken[0]);
    settle(&mut place.client, "reject($1, $2)", &taken[1]).unwrap();

    place.send_all("jobs", [3, 4]);
    let full = place.messaging.send(NewMessage::json("jobs", &5).unwrap());
    assert_eq!(full.unwrap_err().kind(), ErrorKind::Full);
}

#[test]
fn those_who_wait_for_a_message_learn_its_end_and_its_result() {
    let mut place = Place::new();
    let tracked = || NewMessage::json("jobs", &1).unwrap().tracked();
    let ids = [(); 3].map(|()| place.send_new(tracked()));
    let taken = take(&mut place.client, "jobs", 2);

    settle(
        &mut place.client,
        r#"ack($1, $2, result => '{"a": 7}')"#,
        &taken[0],
    )
    .unwrap();
    settle(&mut place.client, "reject($1, $2)", &taken[1]).unwrap();
    let cancelled = place
        .client
        .query_one("SELECT outtray.cancel($1)", &[&ids[2].as_uuid()]);
    assert_eq!(cancelled.unwrap().get::<_, &str>(0), "removed");

    let ends = ids.map(|id| place.messaging.completion(id).unwrap().expect("it ended"));
    assert_eq!(
        ends.each_ref().map(|end| end.how),
        [How::Done, How::Dead, How::Cancelled]
    );
    assert_eq!(ends[0].result, Some(serde_json::json!({"a": 7})));
}

#[test]
fn a_result_that_nobody_could_read_is_refused_and_settles_nothing() {
    let mut place = Place::new();
    place.send("jobs", &1);
    let taken = take_one(&mut place.client, "jobs");
    for (result, code) in [
        (r#"'"\ud800"'"#, "OT102"),
        ("to_json(repeat('x', 2000000))", "OT103"),
    ] {
        let call = format!("ack($1, $2, result => {result})");
        check_refused(settle(&mut place.client, &call, &taken), code);
    }

    ack(&mut place.client, &taken);
}

#[test]
fn after_a_dead_letter_its_key_goes_on_waits_or_is_parked_as_its_topic_says() {
    for (policy, ready, dead) in [
        (PoisonedKey::Skip, 1, 1),
        (PoisonedKey::Block, 0, 1),
        (PoisonedKey::Park, 0, 2),
    ] {
        let mut place = Place::new();
        let config = TopicConfig {
            poisoned_key: Some(policy),
            ..TopicConfig::default()
        };
        place.messaging.topic("jobs").configure(config).unwrap();
        for number in 0..2 {
            place.send_new(NewMessage::json("jobs", &number).unwrap().key("k"));
        }
        let first = take_one(&mut place.client, "jobs");

        settle(&mut place.client, "reject($1, $2)", &first).unwrap();

        assert_eq!(
            take(&mut place.client, "jobs", 9).len(),
            ready,
            "{policy:?}"
        );
        assert_eq!(place.dead_letters("jobs").len(), dead, "{policy:?}");
    }
}

#[test]
fn a_cancelled_message_makes_way_for_the_next_of_its_key() {
    let mut place = Place::new();
    let keyed = |n: i32| NewMessage::json("jobs", &n).unwrap().key("k");
    let ids = [0, 1, 2].map(|n| place.send_new(keyed(n)));

    for id in &ids[..2] {
        let query = "SELECT outtray.cancel($1)";
        let row = place.client.query_one(query, &[&id.as_uuid()]).unwrap();
        assert_eq!(row.get::<_, &str>(0), "removed");
    }

    assert_eq!(payloads(&take(&mut place.client, "jobs", 9)), ["2"]);
}

#[test]
fn the_numbers_of_a_topic_are_those_of_the_library() {
    let mut place = Place::new();
    place.send_all("jobs", 0..5);
    for number in 0..3 {
        place.send_new(NewMessage::json("jobs", &number).unwrap().key("k"));
    }
    let taken = take(&mut place.client, "jobs", 3);
    settle(&mut place.client, "reject($1, $2)", &taken[0]).unwrap();
    settle(&mut place.client, "nack($1, $2, '1 hour')", &taken[1]).unwrap();
    place.messaging.topic("jobs").pause().unwrap();

    let row = place
        .client
        .query_one("SELECT * FROM outtray.stats('jobs')", &[])
        .unwrap();
    let counts = [
        "ready",
        "scheduled",
        "leased",
        "behind",
        "dead",
        "receivers",
    ];
    let counts = counts.map(|name| row.get::<_, i64>(name).unsigned_abs());

    let stats = place.messaging.topic("jobs").stats().unwrap();
    assert_eq!(
        counts,
        [
            stats.ready,
            stats.scheduled,
            stats.leased,
            stats.behind,
            stats.dead,
            stats.receivers
        ]
    );
    assert_eq!(counts, [3, 1, 1, 2, 1, 0]);
    assert!(row.get::<_, bool>("is_paused") && !row.get::<_, bool>("is_suspect"));
    assert!(row.get::<_, Vec<String>>("estimated").is_empty());
    let age = "SELECT oldest_ready_age BETWEEN '0' AND '1 hour' FROM outtray.stats('jobs')";
    assert!(place.client.query_one(age, &[]).unwrap().get::<_, bool>(0));
    let none = "SELECT oldest_ready_age IS NULL AND ready = 0 FROM outtray.stats('none')";
    assert!(place.client.query_one(none, &[]).unwrap().get::<_, bool>(0));
}
