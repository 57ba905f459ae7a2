//! What is taken, and when it comes again.

use super::{INVALID, LOST, ack, check_refused, lapse, payloads, settle, take, take_one};
use crate::support::{HOUR, Place};
use outtray::{Expired, NewMessage, TopicConfig, TopicKind};

#[test]
fn messages_are_taken_in_order_with_all_that_they_carry() {
    let mut place = Place::new();
    place.send_all("jobs", [1, 2]);
    let urgent = NewMessage::json("jobs", &3).unwrap().priority(7).key("k");
    let urgent = place.send_new(urgent.header("source", "web"));
    let bytes = place.send_new(NewMessage::bytes("jobs", vec![0, 255]));

    let taken = take(&mut place.client, "jobs", 3);

    assert_eq!(payloads(&taken), ["3", "1", "2"]);
    let first = &taken[0];
    assert_eq!((first.id, first.priority), (urgent.as_uuid(), 7));
    assert_eq!((first.key.as_deref(), first.attempt), (Some("k"), 1));
    assert_eq!(first.max_attempts, 10);
    assert!(
        taken
            .iter()
            .all(|one| one.receipt != first.receipt || one == first)
    );
    let query = "SELECT id, body, payload IS NULL, headers IS NULL, now() - sent_at < '1 hour'
        FROM outtray.receive('jobs')";
    let row = place.client.query_one(query, &[]).unwrap();
    assert_eq!(row.get::<_, uuid::Uuid>(0), bytes.as_uuid());
    assert_eq!(row.get::<_, Vec<u8>>(1), [0, 255]);
    assert!(row.get::<_, bool>(2) && row.get::<_, bool>(3) && row.get::<_, bool>(4));
    assert!(take(&mut place.client, "jobs", 9).is_empty());
    assert!(take(&mut place.client, "other", 9).is_empty());
}

#[test]
fn a_message_whose_lease_ended_is_delivered_again_and_its_old_receipt_is_refused() {
    let mut place = Place::new();
    place.send_all("jobs", [1, 2]);
    let first = take_one(&mut place.client, "jobs");

    lapse(&mut place.client);
    let again = take_one(&mut place.client, "jobs");

    assert_eq!((again.id, again.attempt), (first.id, 2));
    for call in [
        "ack($1, $2)",
        "nack($1, $2)",
        "reject($1, $2)",
        "release($1, $2)",
        "extend($1, $2)",
        "ack($1, $2, 'jobs')",
        "ack($1, $2, 'other')",
    ] {
        check_refused(settle(&mut place.client, call, &first), LOST);
    }
    ack(&mut place.client, &again);
    check_refused(settle(&mut place.client, "ack($1, $2)", &again), LOST);
    assert_eq!(payloads(&take(&mut place.client, "jobs", 9)), ["2"]);
}

#[test]
fn a_lease_that_is_over_counts_as_long_as_nobody_else_has_the_message() {
    let mut place = Place::new();
    place.send("jobs", &1);
    let taken = take_one(&mut place.client, "jobs");

    lapse(&mut place.client);
    ack(&mut place.client, &taken);

    assert!(place.is_empty("jobs"));
}

#[test]
fn a_message_that_kills_its_consumers_is_a_dead_letter_after_the_limit() {
    let mut place = Place::new();
    let limit = TopicConfig {
        max_attempts: Some(3),
        ..TopicConfig::default()
    };
    place.messaging.topic("jobs").configure(limit).unwrap();
    place.send_all("jobs", [1, 2]);

    for attempt in 1..=3 {
        let taken = take_one(&mut place.client, "jobs");
        assert_eq!(
            (taken.payload.as_deref(), taken.attempt),
            (Some("1"), attempt)
        );
        lapse(&mut place.client);
    }
    let next = take_one(&mut place.client, "jobs");

    assert_eq!(next.payload.as_deref(), Some("2"));
    let dead = place.dead_letters("jobs");
    assert_eq!(dead.len(), 1);
    assert_eq!(
        (dead[0].attempts, dead[0].reason.to_string().as_str()),
        (3, "crashed")
    );
}

#[test]
fn what_expired_is_not_delivered_but_a_dead_letter_or_gone() {
    let mut place = Place::new();
    let drops = TopicConfig {
        expired: Some(Expired::Drop),
        ..TopicConfig::default()
    };
    place.messaging.topic("drops").configure(drops).unwrap();
    for topic in ["keeps", "drops"] {
        place.send_new(
            NewMessage::json(topic, &1)
                .unwrap()
                .expires_in(HOUR)
                .key("k"),
        );
        place.send_new(NewMessage::json(topic, &2).unwrap().key("k"));
    }
    place.sql("UPDATE outtray.message SET expires_at = now() - interval '1 second' WHERE expires_at IS NOT NULL");

    for topic in ["keeps", "drops"] {
        assert_eq!(
            payloads(&take(&mut place.client, topic, 9)),
            ["2"],
            "{topic}"
        );
    }

    assert_eq!(place.dead_letters("keeps")[0].reason.to_string(), "expired");
    assert!(place.dead_letters("drops").is_empty());
}

#[test]
fn what_was_cancelled_in_work_does_not_come_back() {
    let mut place = Place::new();
    place.send_all("jobs", [1, 2]);
    let taken = take_one(&mut place.client, "jobs");
    let cancel = "SELECT outtray.cancel($1)";
    let answer = |place: &mut Place, id: uuid::Uuid| -> String {
        place.client.query_one(cancel, &[&id]).unwrap().get(0)
    };

    assert_eq!(answer(&mut place, taken.id), "asked");
    let told = settle(&mut place.client, "extend($1, $2)", &taken).unwrap();
    assert_eq!(told.as_deref(), Some("true"));
    lapse(&mut place.client);

    let next = take_one(&mut place.client, "jobs");
    assert_eq!(next.payload.as_deref(), Some("2"));
    assert_eq!(answer(&mut place, taken.id), "not_there");
    let became = settle(&mut place.client, "nack($1, $2)", &next).unwrap();
    assert_eq!(became.as_deref(), Some("scheduled"));
    assert_eq!(answer(&mut place, next.id), "removed");
    assert!(place.is_empty("jobs"));
}

#[test]
fn a_row_that_no_receiver_could_read_is_set_aside_alone() {
    let mut place = Place::new();
    place.sql(
        r#"INSERT INTO outtray.message (topic, rank, id, headers, payload, sent_at, attempts) VALUES
            ('jobs', 0, gen_random_uuid(), '[1]', '1', now(), 0),
            ('jobs', 0, gen_random_uuid(), '{"a": 1}', '2', now(), 0),
            ('jobs', 0, gen_random_uuid(), '{"a": "\ud800"}', '3', now(), 0),
            ('jobs', 0, gen_random_uuid(), '{"a": null, "b": "x"}', '4', 'infinity', -5),
            ('jobs', 0, gen_random_uuid(), NULL, '"\ud800"', '-infinity', 0)"#,
    );

    let taken = take(&mut place.client, "jobs", 9);

    assert_eq!(payloads(&taken), ["4", r#""\ud800""#]);
    assert_eq!(taken[0].attempt, 1);
    let dead = place.dead_letters("jobs");
    let reasons: Vec<_> = dead.iter().map(|one| one.reason.to_string()).collect();
    assert_eq!(reasons, ["undecodable"; 3]);
}

#[test]
fn a_message_that_cannot_become_a_dead_letter_stops_no_other() {
    let mut place = Place::new();
    place.send_all("jobs", [1, 2]);
    place.sql(
        "INSERT INTO outtray.dead_letter (topic, id, rank, attempts, reason, error, sent_at, payload)
            SELECT topic, id, rank, 1, 'rejected', 'by hand', sent_at, payload
            FROM outtray.message WHERE payload::text = '1';
        UPDATE outtray.message SET expires_at = now() - interval '1 second' WHERE payload::text = '1'",
    );

    let taken = take(&mut place.client, "jobs", 9);

    assert_eq!(payloads(&taken), ["2"]);
    assert_eq!(place.dead_letters("jobs").len(), 1);
}

#[test]
fn what_makes_no_sense_is_refused_and_takes_nothing() {
    let mut place = Place::new();
    place.send("jobs", &1);
    let log = TopicConfig {
        kind: TopicKind::Log,
        ..TopicConfig::default()
    };
    place.messaging.topic("story").configure(log).unwrap();
    for call in [
        "'jobs', '0 s'",
        "'jobs', '-1 s'",
        "'jobs', '2 days'",
        "'jobs', NULL, 0",
        "'jobs', NULL, 10001",
        "'jobs', NULL, NULL",
        "NULL",
        "''",
        "'two words'",
        "'story'",
    ] {
        let called = place
            .client
            .query(&format!("SELECT outtray.receive({call})"), &[]);
        check_refused(called, INVALID);
    }
    let mut old = place.client.build_transaction();
    old = old.isolation_level(postgres::IsolationLevel::RepeatableRead);
    let mut transaction = old.start().unwrap();
    check_refused(
        transaction.query("SELECT outtray.receive('jobs')", &[]),
        INVALID,
    );
    transaction.rollback().unwrap();
    for call in ["ack(NULL, NULL)", "ack(gen_random_uuid(), NULL)"] {
        check_refused(
            place.client.query(&format!("SELECT outtray.{call}"), &[]),
            INVALID,
        );
    }
    let unknown = "SELECT outtray.ack(gen_random_uuid(), gen_random_uuid())";
    check_refused(place.client.query(unknown, &[]), LOST);

    assert_eq!(payloads(&take(&mut place.client, "jobs", 9)), ["1"]);
}
