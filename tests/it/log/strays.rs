//! What gets among the messages of queues all the same is in the log, too.

use super::{follow, log, place, rest};
use crate::support::{HOUR, NO_POLLING, Place, eventually, process};
use outtray::{MessagingSession, NewMessage, Position};
use std::time::Duration;

#[test]
fn a_sender_that_does_not_know_yet_that_a_topic_is_a_log_loses_nothing() {
    let mut place = place();
    let mut tail = place.messaging.tail("ledger", Position::Start).unwrap();
    place.send("ledger", &1);
    place.sql(
        "INSERT INTO outtray.message (topic, rank, id, payload)
        VALUES ('ledger', 0, gen_random_uuid(), '2')",
    );

    assert_eq!(follow(&mut tail, 2), [1, 2]);
    assert_eq!(place.count("outtray.message"), 0);
    let mut other = place.messaging.tail("ledger", Position::Start).unwrap();
    assert_eq!(rest(&mut other), [1, 2]);
}

#[test]
fn a_delayed_message_is_in_the_log_when_it_is_due() {
    let place = Place::watchful();
    place.messaging.topic("ledger").configure(log()).unwrap();
    let mut tail = place.messaging.tail("ledger", Position::Now).unwrap();
    let delayed = NewMessage::json("ledger", &1)
        .unwrap()
        .delay(Duration::from_millis(50));
    place.send_new(delayed);
    place.send_new(NewMessage::json("ledger", &3).unwrap().delay(HOUR));
    place.send("ledger", &0);

    assert_eq!(follow(&mut tail, 2), [0, 1]);
    assert!(rest(&mut tail).is_empty());
}

#[test]
fn a_joined_session_writes_into_the_log_with_its_callers_transaction() {
    let mut place = place();
    let mut tail = place.messaging.tail("ledger", Position::Start).unwrap();
    let mut transaction = place.client.transaction().unwrap();
    MessagingSession::join(&place.messaging, &mut transaction)
        .unwrap()
        .send_messages("ledger", [1, 2])
        .unwrap();
    assert!(rest(&mut tail).is_empty());
    transaction.commit().unwrap();
    place.messaging.wake("ledger");

    assert_eq!(follow(&mut tail, 2), [1, 2]);
}

#[test]
fn many_messages_of_a_session_are_in_the_order_of_sending() {
    let place = place();
    let mut tail = place.messaging.tail("ledger", Position::Now).unwrap();
    place.send_all("ledger", 0..12_000);

    assert!(follow(&mut tail, 12_000).into_iter().eq(0..12_000));
}

#[test]
fn a_tail_is_woken_by_other_processes_with_and_without_notifications() {
    let place = Place::polling(NO_POLLING);
    place.messaging.topic("ledger").configure(log()).unwrap();
    let deaf = crate::support::deaf_process(&place.url, Duration::from_millis(50));
    let mut told = place.messaging.tail("ledger", Position::Start).unwrap();
    let mut polling = deaf.tail("ledger", Position::Start).unwrap();
    let other = process(&place.url, NO_POLLING);
    let mut seen = Vec::new();

    for number in 0..5 {
        other
            .session(|session| Ok(session.send_message("ledger", &number)?))
            .unwrap();
        assert_eq!(follow(&mut told, 1), [number]);
        seen.extend(follow(&mut polling, 1));
    }

    assert_eq!(seen, [0, 1, 2, 3, 4]);
    eventually("nobody waits with a connection", || {
        rest(&mut told).is_empty()
    });
}
