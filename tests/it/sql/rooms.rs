//! A bounded topic holds no more than it may, whoever sends.

use super::{check_refused, refusal, taken};
use crate::support::{MINUTE, Place, aside, await_lock_waits, client, next};
use outtray::{ErrorKind, NewMessage, TopicConfig};

fn bounded(limit: u64) -> Place {
    let place = Place::new();
    let config = TopicConfig {
        max_length: Some(limit),
        ..TopicConfig::default()
    };
    place.messaging.topic("t").configure(config).unwrap();
    place
}

const SEND: &str = "outtray.send('t', '1')";

#[test]
fn a_full_topic_refuses_what_either_way_sends() {
    let mut place = bounded(2);
    place.sql(&format!("SELECT {SEND}"));
    place.send("t", &2);

    check_refused(
        &mut place.client,
        SEND,
        "OT104",
        "topic t is full (2 messages): try again later",
    );
    let refused = place.messaging.send(NewMessage::bytes("t", [1]));
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Full);
    let many = "FROM outtray.send_many('t', ARRAY['1', '2', '3'])";
    check_refused(
        &mut place.client,
        many,
        "OT104",
        "3 messages do not fit into topic t, which holds 2",
    );

    assert_eq!(taken(&place, "t"), ["1", "2"]);
    place.sql(&format!("SELECT {SEND}; SELECT {SEND}"));
    check_refused(&mut place.client, SEND, "OT104", "is full");
}

#[test]
fn messages_from_before_the_limit_count_until_they_are_gone() {
    let mut place = Place::new();
    place.send_all("t", 0..3);
    let config = TopicConfig {
        max_length: Some(3),
        ..TopicConfig::default()
    };
    place.messaging.topic("t").configure(config).unwrap();

    check_refused(&mut place.client, SEND, "OT104", "is full");
    assert_eq!(taken(&place, "t").len(), 3);
    place.sql(&format!("SELECT {SEND}; SELECT {SEND}; SELECT {SEND}"));
    check_refused(&mut place.client, SEND, "OT104", "is full");
}

#[test]
fn a_sender_waits_for_room_and_holds_up_nobody_meanwhile() {
    let mut place = bounded(1);
    place.sql(&format!("SELECT {SEND}"));
    let mut waiting = client(&place.url);

    let sender = aside(move || {
        waiting.batch_execute("SELECT outtray.send('t', '2', wait_for_room => '60 s')")
    });
    crate::support::eventually("somebody waits for room", || {
        place
            .count("pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'")
            == 1
    });
    check_refused(&mut place.client, SEND, "OT104", "is full");
    let first = place.messaging.topic("t").receive::<i32>(MINUTE).unwrap();
    first.unwrap().ack().unwrap();
    next(&sender, 1).remove(0).unwrap();

    assert_eq!(taken(&place, "t"), ["2"]);
}

#[test]
fn who_waits_in_vain_is_refused_when_the_time_is_over() {
    let mut place = bounded(1);
    place.sql(&format!("SELECT {SEND}"));
    let wait = "outtray.send('t', '2', wait_for_room => '50 ms')";

    check_refused(&mut place.client, wait, "OT104", "try again later");
    place.sql("BEGIN ISOLATION LEVEL REPEATABLE READ");
    let hour = "SELECT outtray.send('t', '2', wait_for_room => '1 hour')";
    let (code, text) = refusal(&mut place.client, hour);
    place.sql("ROLLBACK");
    assert_eq!(code, "OT104");
    assert!(text.contains("its snapshot shows no change"), "{text}");
}

#[test]
fn senders_take_room_one_after_the_other() {
    let mut place = bounded(1);
    let mut other = client(&place.url);
    let mut open = place.client.transaction().unwrap();
    open.batch_execute(&format!("SELECT {SEND}")).unwrap();

    let second = aside(move || other.batch_execute(&format!("SELECT {SEND}")));
    let mut watch = client(&place.url);
    await_lock_waits(&mut watch, 1);
    open.commit().unwrap();

    let error = next(&second, 1).remove(0).unwrap_err();
    assert_eq!(error.code().unwrap().code(), "OT104");
}
