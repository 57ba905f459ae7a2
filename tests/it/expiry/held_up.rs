//! What cannot expire holds up nothing else.

use super::{expired, perishable};
use crate::support::{HOUR, PATIENCE, Place, client, eventually, next, process};
use crossbeam_channel::unbounded;
use outtray::{Message, NewMessage};
use std::collections::BTreeSet;

/// Writes a dead letter by hand for each message with the payload 0, as one who restores it twice.
fn write_twins(place: &mut Place) {
    for table in ["message", "scheduled", "follower"] {
        place.sql(&format!(
            "INSERT INTO outtray.dead_letter (topic, id, rank, attempts, reason, error, sent_at, payload)
                SELECT topic, id, rank, 1, 'expired', 'by hand', sent_at, payload
                FROM outtray.{table} WHERE payload::text = '0'"
        ));
    }
}

#[test]
fn a_message_that_is_a_dead_letter_already_stops_no_other() {
    let mut place = Place::watchful();
    place.messaging.topic("jobs").pause().unwrap();
    place.send_new(NewMessage::json("jobs", &9).unwrap().key("k"));
    for payload in [0, 1] {
        place.send_new(perishable(payload));
        place.send_new(perishable(payload).delay(HOUR * 2));
        place.send_new(perishable(payload).key("k"));
    }
    write_twins(&mut place);
    place.make_expired();

    let receiver = place.idle_receiver();
    eventually("the others expire", || {
        expired(&place) == ["0", "0", "0", "1", "1", "1"]
    });

    let topic = place.messaging.topic("jobs");
    let stats = topic.stats().unwrap();
    assert_eq!((stats.ready, stats.scheduled, stats.behind), (2, 1, 1));
    place.sql("DELETE FROM outtray.dead_letter WHERE error = 'by hand'");
    eventually("they expire, too", || expired(&place).len() == 6);
    receiver.stop(PATIENCE);
}

/// Sends a message with the payload 0 that is over and, if `is_dropped`, is to be dropped; then the
/// numbers 1 to 3.
fn over_before_three(is_dropped: bool) -> Place {
    let mut place = Place::watchful();
    if is_dropped {
        super::drop_expired(&place);
    }
    place.send_new(perishable(0));
    place.send_all("jobs", 1..=3);
    place.make_expired();
    place
}

/// Has the database run this statement before it writes, or removes, the row of the payload 0.
fn trip(place: &mut Place, row: &str, at: &str, statement: &str) {
    place.sql(&format!(
        "CREATE FUNCTION trip() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
             IF {row}.payload::text = '0' THEN {statement}; END IF;
             RETURN {row};
         END $$;
         CREATE TRIGGER tripped BEFORE {at} FOR EACH ROW EXECUTE FUNCTION trip()"
    ));
}

/// What a trigger of the dead letters may meet: a table that is not there, or a refusal.
const TRIPS: [&str; 3] = [
    "PERFORM FROM missing",
    "RAISE insufficient_privilege",
    "RAISE EXCEPTION 'not this one'",
];

/// Checks that a worker handles the other three, and charges none, with so many in a transaction.
#[track_caller]
fn check_left_alone(place: &Place, together: usize) {
    let (tell, told) = unbounded();
    let receiver = place.messaging.receiver("jobs").workers(1);
    let receiver = receiver.messages_per_transaction(together);
    let receiver = receiver
        .start(move |_, message: Message<i32>| Ok(tell.send((message.payload, message.attempt))?));
    // What was in one transaction with it ran in vain.
    let mut seen = BTreeSet::new();
    while seen.len() < 3 {
        seen.extend(next(&told, 1));
    }
    receiver.unwrap().stop(PATIENCE);
    assert!(seen.into_iter().eq([(1, 1), (2, 1), (3, 1)]));
}

#[test]
fn workers_leave_a_message_alone_that_is_a_dead_letter_already_and_charge_no_other() {
    for together in [1, 2] {
        let mut place = over_before_three(false);
        write_twins(&mut place);

        check_left_alone(&place, together);
    }
}

#[test]
fn workers_leave_a_message_alone_whatever_its_burial_meets_and_charge_no_other() {
    for (statement, together) in TRIPS.into_iter().flat_map(|trip| [(trip, 1), (trip, 2)]) {
        let mut place = over_before_three(false);
        trip(
            &mut place,
            "NEW",
            "INSERT ON outtray.dead_letter",
            statement,
        );

        check_left_alone(&place, together);
    }
}

#[test]
fn workers_leave_a_message_alone_that_cannot_be_dropped_and_charge_no_other() {
    for (statement, together) in TRIPS.into_iter().flat_map(|trip| [(trip, 1), (trip, 2)]) {
        let mut place = over_before_three(true);
        trip(&mut place, "OLD", "DELETE ON outtray.message", statement);

        check_left_alone(&place, together);
    }
}

/// Checks that the first two of the others are taken by hand.
#[track_caller]
fn check_next_by_hand(place: &Place) {
    let first = place.jobs().receive::<i32>(HOUR).unwrap().unwrap();
    let second = place.jobs().receive::<i32>(HOUR).unwrap().unwrap();

    assert_eq!((first.payload, first.attempt), (1, 1));
    assert_eq!((second.payload, second.attempt), (2, 1));
}

#[test]
fn whoever_takes_by_hand_gets_the_next_after_one_that_is_a_dead_letter_already() {
    let mut place = over_before_three(false);
    write_twins(&mut place);

    check_next_by_hand(&place);
}

#[test]
fn whoever_takes_by_hand_gets_the_next_whatever_a_burial_meets() {
    for statement in TRIPS {
        let mut place = over_before_three(false);
        trip(
            &mut place,
            "NEW",
            "INSERT ON outtray.dead_letter",
            statement,
        );

        check_next_by_hand(&place);
    }
}

#[test]
fn a_message_that_is_a_dead_letter_already_is_dropped_where_its_topic_says_so() {
    let mut place = Place::watchful();
    super::drop_expired(&place);
    place.messaging.topic("jobs").pause().unwrap();
    place.send_new(perishable(0));
    place.send_new(perishable(0).delay(HOUR * 2));
    write_twins(&mut place);
    place.make_expired();

    let receiver = place.idle_receiver();
    eventually("they are gone", || {
        place.count("outtray.message") + place.count("outtray.scheduled") == 0
    });
    receiver.stop(PATIENCE);
}

#[test]
fn a_crowd_behind_a_key_that_somebody_holds_stops_no_other() {
    let mut place = Place::watchful();
    place.sql(
        "INSERT INTO outtray.lane (topic, key) VALUES ('jobs', 'k'), ('jobs', 'held');
         INSERT INTO outtray.follower (topic, key, rank, id, expires_at, payload)
             SELECT 'jobs', 'held', 0, gen_random_uuid(), now() - interval '1 hour', '0'
             FROM generate_series(1, 1200);
         INSERT INTO outtray.follower (topic, key, rank, id, expires_at, payload)
             VALUES ('jobs', 'k', 0, gen_random_uuid(), now() - interval '1 minute', '1')",
    );
    let mut holder = client(&place.url);
    let mut held = holder.transaction().unwrap();
    held.batch_execute("SELECT FROM outtray.lane WHERE key = 'held' FOR UPDATE")
        .unwrap();
    let elsewhere = process(&place.url, PATIENCE);
    elsewhere.topic("jobs").pause().unwrap();

    let receiver = place.idle_receiver();
    eventually("the other expires", || expired(&place) == ["1"]);

    held.rollback().unwrap();
    eventually("the crowd expires", || place.count("outtray.follower") == 0);
    receiver.stop(PATIENCE);
}

#[test]
fn a_long_line_expires_some_at_a_time() {
    let mut place = Place::watchful();
    place.sql(
        "INSERT INTO outtray.lane (topic, key) VALUES ('jobs', 'k');
         INSERT INTO outtray.follower (topic, key, rank, id, expires_at, payload)
             SELECT 'jobs', 'k', 0, gen_random_uuid(), now() - interval '1 hour', '0'
             FROM generate_series(1, 2500);
         CREATE TABLE removed (messages bigint NOT NULL);
         CREATE FUNCTION count_removed() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN INSERT INTO removed SELECT count(*) FROM gone; RETURN NULL; END $$;
         CREATE TRIGGER counted AFTER DELETE ON outtray.follower REFERENCING OLD TABLE AS gone
             FOR EACH STATEMENT EXECUTE FUNCTION count_removed()",
    );
    let elsewhere = process(&place.url, PATIENCE);
    elsewhere.topic("jobs").pause().unwrap();

    let receiver = place.idle_receiver();
    eventually("all expire", || place.count("outtray.dead_letter") == 2500);
    receiver.stop(PATIENCE);

    assert_eq!(place.count("removed WHERE messages > 1000"), 0);
}

#[test]
fn two_living_messages_of_one_id_expire_as_one() {
    let mut place = Place::watchful();
    place.messaging.topic("jobs").pause().unwrap();
    place.send_new(perishable(1));
    place.send_new(perishable(2));
    place.sql(
        "INSERT INTO outtray.message (topic, rank, id, payload, expires_at)
        SELECT topic, rank, id, payload, expires_at FROM outtray.message WHERE payload::text = '1'",
    );
    place.make_expired();

    let receiver = place.idle_receiver();

    eventually("they expire", || expired(&place) == ["1", "2"]);
    receiver.stop(PATIENCE);
    assert_eq!(place.count("outtray.message"), 0);
}
