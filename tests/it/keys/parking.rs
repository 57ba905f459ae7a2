//! With the policy `Park`, what comes after a dead letter of its key is held at once, and a dead
//! letter a moment later, however the first one died, and whoever noticed.

use super::{TOPIC, keyed};
use crate::support::{HOUR, Place, done, eventually};
use outtray::{DeadReason, PoisonedKey, TopicConfig};

/// Sends messages 1 to 4 with one key, of which `over` has an end.
fn parked(over: i32) -> Place {
    let place = Place::watchful();
    let park = TopicConfig {
        poisoned_key: Some(PoisonedKey::Park),
        ..TopicConfig::default()
    };
    place.messaging.topic(TOPIC).configure(park).unwrap();
    for n in 1..=4 {
        let message = keyed("a", n);
        place.send_new(match n == over {
            true => message.expires_in(HOUR),
            false => message,
        });
    }
    place
}

/// Returns the dead letters and why they died, in order.
fn dead(place: &Place) -> Vec<(String, DeadReason)> {
    let letters = place.dead_letters(TOPIC).into_iter();
    let mut dead: Vec<_> = letters
        .map(|letter| (letter.payload.to_string(), letter.reason))
        .collect();
    dead.sort_by(|one, other| one.0.cmp(&other.0));
    dead
}

/// What is dead when message `over` has expired and the others that are sent after it are parked.
fn expected(over: i32) -> Vec<(String, DeadReason)> {
    let reason = |n| match n == over {
        true => DeadReason::Expired,
        false => DeadReason::Parked,
    };
    (over..=4).map(|n| (n.to_string(), reason(n))).collect()
}

#[test]
fn what_comes_after_one_that_expired_in_its_line_is_parked_while_the_first_is_in_work() {
    for over in [2, 3] {
        let mut place = parked(over);
        let first = place.messaging.topic(TOPIC).receive::<i32>(HOUR).unwrap();
        place.make_expired();

        let upkeep = place.messaging.start_receiving_messages("nobody", done);

        eventually("the others are parked", || dead(&place) == expected(over));
        assert_eq!(place.count("outtray.scheduled"), 1, "the first is in work");
        let left = place.count("outtray.follower");
        assert_eq!(left, i64::from(over) - 2, "what comes before waits");
        first.unwrap().ack().unwrap();
        drop(upkeep.unwrap());
    }
}

#[test]
fn what_comes_after_one_that_expired_at_the_head_is_parked_by_upkeep() {
    let mut place = parked(1);
    place.make_expired();

    let _upkeep = place
        .messaging
        .start_receiving_messages("nobody", done)
        .unwrap();

    eventually("the others are parked", || dead(&place) == expected(1));
    place.await_no_trace();
}

#[test]
fn what_comes_after_one_that_was_taken_out_by_hand_is_held_at_once_and_parked_at_the_next_look() {
    let mut place = parked(1);
    place.make_expired();
    let topic = place.messaging.topic(TOPIC);

    let taken = topic.receive::<i32>(HOUR).unwrap();
    let at_once = dead(&place);
    let again = topic.receive::<i32>(HOUR).unwrap();

    assert!(taken.is_none() && again.is_none());
    assert!(!at_once.is_empty() && at_once[0].1 == DeadReason::Expired);
    assert_eq!(dead(&place), expected(1));
    place.await_no_trace();
}

#[test]
fn what_comes_after_one_that_a_drain_took_out_is_parked_when_it_ends() {
    let mut place = parked(1);
    place.make_expired();

    let report = place.messaging.drain(TOPIC, done).unwrap();

    assert_eq!((report.handled, report.dead), (0, 1));
    assert_eq!(dead(&place), expected(1));
    place.await_no_trace();
}

#[test]
fn what_was_left_by_a_process_that_ended_is_parked_by_the_next_one() {
    let mut place = parked(1);
    place.make_expired();
    let messaging = outtray::Messaging::connect(&place.url).unwrap();
    let _ = messaging.topic(TOPIC).receive::<i32>(HOUR).unwrap();
    drop(messaging);

    let _upkeep = place
        .messaging
        .start_receiving_messages("nobody", done)
        .unwrap();

    eventually("the others are parked", || dead(&place) == expected(1));
    place.await_no_trace();
}

/// Has the database keep how many followers each statement removed.
const COUNTED: &str = "CREATE TABLE removed (messages bigint NOT NULL);
    CREATE FUNCTION count_removed() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO removed SELECT count(*) FROM gone;
        RETURN NULL;
    END $$;
    CREATE TRIGGER counted AFTER DELETE ON outtray.follower REFERENCING OLD TABLE AS gone
        FOR EACH STATEMENT EXECUTE FUNCTION count_removed()";

/// Writes a dead letter of key `a`, and so many messages behind it.
fn write_line(place: &mut Place, messages: u32) {
    let config = TopicConfig {
        poisoned_key: Some(PoisonedKey::Park),
        ..TopicConfig::default()
    };
    place.messaging.topic(TOPIC).configure(config).unwrap();
    place.sql(&format!(
        "INSERT INTO outtray.dead_letter (topic, id, rank, attempts, reason, error, sent_at, payload, key, seq)
             VALUES ('{TOPIC}', gen_random_uuid(), 0, 1, 'rejected', 'no', now(), '1', 'a', nextval('outtray.message_seq'));
         INSERT INTO outtray.lane (topic, key) VALUES ('{TOPIC}', 'a');
         INSERT INTO outtray.follower (topic, key, rank, id, payload)
             SELECT '{TOPIC}', 'a', 0, gen_random_uuid(), '2' FROM generate_series(1, {messages});
         INSERT INTO outtray.stalled (topic, key, said_by) VALUES ('{TOPIC}', 'a', gen_random_uuid())",
    ));
}

#[test]
fn a_long_line_is_parked_some_at_a_time() {
    for is_drained in [false, true] {
        let mut place = Place::watchful();
        write_line(&mut place, 2_500);
        place.sql(COUNTED);

        let upkeep = match is_drained {
            true => {
                place.messaging.drain(TOPIC, done).unwrap();
                None
            }
            false => Some(place.messaging.start_receiving_messages("nobody", done)),
        };
        eventually("all are parked", || {
            place.count("outtray.dead_letter") == 2_501
        });
        drop(upkeep);

        assert_eq!(place.count("removed WHERE messages > 1000"), 0);
        assert_eq!(place.count("outtray.follower"), 0);
    }
}

#[test]
fn a_key_that_cannot_be_parked_stops_no_other() {
    let mut place = Place::watchful();
    write_line(&mut place, 2);
    place.sql(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN RAISE EXCEPTION 'not a'; END $$;
         CREATE TRIGGER refused BEFORE INSERT ON outtray.dead_letter
             FOR EACH ROW WHEN (NEW.key = 'a') EXECUTE FUNCTION refuse()",
    );
    place.send_new(keyed("b", 1).delay(HOUR));
    place.make_due();

    let drained = place.messaging.drain(TOPIC, done).unwrap();
    place.send_new(keyed("c", 1).delay(HOUR));
    place.make_due();
    let _upkeep = place.messaging.start_receiving_messages(TOPIC, done);

    assert_eq!(drained.handled, 1);
    eventually("only those of the key are left", || {
        place.count("outtray.message") + place.count("outtray.scheduled") == 0
            && place.count("outtray.follower") == 2
    });
    place.sql("DROP TRIGGER refused ON outtray.dead_letter");
    eventually("they are parked", || {
        place.count("outtray.dead_letter") == 3
    });
}

#[test]
fn what_is_there_twice_is_parked_once() {
    let mut place = Place::watchful();
    write_line(&mut place, 1);
    place.sql(
        "INSERT INTO outtray.follower (topic, key, rank, id, payload)
             SELECT topic, key, 0, id, '3' FROM outtray.follower;
         INSERT INTO outtray.follower (topic, key, rank, id, payload)
             SELECT topic, key, 0, id, '4' FROM outtray.dead_letter",
    );

    place.messaging.drain(TOPIC, done).unwrap();

    assert_eq!(place.count("outtray.dead_letter"), 2);
    assert_eq!(place.count("outtray.follower"), 0);
}
