//! Failures stay with their message wherever it goes.

use super::{check_dead, check_scheduled, fail_once, lines};
use crate::support::{HOUR, Place, client, eventually, reject};
use outtray::{Message, MessagingSession, NewMessage};

#[test]
fn they_come_along_when_a_retry_is_due_and_fails_again() {
    let mut place = Place::new();
    place.send("jobs", &1);

    fail_once(&place, "a");
    place.make_due();
    fail_once(&place, "b");
    place.make_due();
    let delivery = place.take();
    let leased = lines(&place.jobs().peek(1).unwrap()[0].failures);
    delivery.release().unwrap();
    let ready = lines(&place.jobs().peek(1).unwrap()[0].failures);
    place.messaging.drain("jobs", reject).unwrap();

    assert_eq!(leased, ["1: a", "2: b"]);
    assert_eq!(ready, ["1: a", "2: b"]);
    check_dead(&place, &["1: a", "2: b", "3: no"]);
}

#[test]
fn they_come_along_with_a_key() {
    let mut place = Place::new();
    for payload in 1..=2 {
        place.send_new(NewMessage::json("jobs", &payload).unwrap().key("k"));
    }

    fail_once(&place, "a");
    check_scheduled(&place, &["1: a"]);
    place.make_due();
    place.messaging.drain("jobs", reject).unwrap();

    check_dead(&place, &["1: a", "2: no"]);
}

#[test]
fn they_are_kept_when_a_dead_letter_is_redriven() {
    let mut place = Place::new();
    place.send("jobs", &1);
    place.send_new(NewMessage::json("jobs", &2).unwrap().key("k"));
    place.messaging.drain("jobs", reject).unwrap();

    assert_eq!(place.jobs().redrive(..).unwrap(), 2);
    fail_once(&place, "again");

    let scheduled = place.jobs().scheduled(2).unwrap();
    for message in scheduled {
        assert_eq!(lines(&message.failures), ["1: no", "1: again"]);
    }
    place.make_due();
    let mut attempts = Vec::new();
    let handler = |_: &mut MessagingSession<'_>, message: Message<i32>| {
        attempts.push(message.attempt);
        Ok(())
    };
    place.messaging.drain("jobs", handler).unwrap();
    assert_eq!(attempts, [2, 2]);
}

#[test]
fn they_come_along_when_a_sender_makes_the_next_of_its_key_ready() {
    let mut place = Place::new();
    let keyed = |payload| NewMessage::json("jobs", &payload).unwrap().key("k");
    for payload in 1..=2 {
        place.send_new(keyed(payload));
    }
    place.messaging.drain("jobs", reject).unwrap();
    assert_eq!(place.jobs().redrive(..).unwrap(), 2);

    let mut sender = client(&place.url);
    let mut open = sender.transaction().unwrap();
    open.batch_execute("SELECT FROM outtray.lane FOR UPDATE")
        .unwrap();
    let done = |_: &mut MessagingSession<'_>, _: Message<i32>| Ok(());
    assert_eq!(place.messaging.drain("jobs", done).unwrap().handled, 1);
    open.rollback().unwrap();
    place.send_new(keyed(3));

    let next = place.jobs().peek(1).unwrap();
    assert_eq!(place.count("outtray.message WHERE key IS NOT NULL"), 1);
    assert_eq!(lines(&next[0].failures), ["1: no"]);
}

#[test]
fn they_are_kept_when_a_message_expires_while_it_waits() {
    let mut place = Place::new();
    let message = NewMessage::json("jobs", &1).unwrap().expires_in(24 * HOUR);
    place.send_new(message);
    fail_once(&place, "a");

    place.make_expired();
    let _receiver = place.idle_receiver();
    eventually("it is dead", || place.dead_letters("jobs").len() == 1);

    check_dead(&place, &["1: a"]);
}

#[test]
fn what_a_hand_wrote_in_their_place_counts_as_none_and_harms_nothing() {
    let mut place = Place::new();
    place.send("jobs", &1);
    place.sql("UPDATE outtray.message SET failures = '{\"a\": 1}'");

    assert!(place.jobs().peek(1).unwrap()[0].failures.is_empty());
    fail_once(&place, "a");
    check_scheduled(&place, &["1: a"]);
}

#[test]
fn sql_functions_keep_them_too() {
    let mut place = Place::new();
    place.send("jobs", &1);

    let receive = "SELECT id, receipt FROM outtray.receive('jobs', '1 minute', 1)";
    let row = place.client.query_one(receive, &[]).unwrap();
    let (id, receipt): (uuid::Uuid, uuid::Uuid) = (row.get(0), row.get(1));
    let nack = "SELECT outtray.nack($1, $2, '1 hour', 'no paper')";
    place.client.execute(nack, &[&id, &receipt]).unwrap();

    check_scheduled(&place, &["1: no paper"]);
    place.make_due();
    let row = place.client.query_one(receive, &[]).unwrap();
    let receipt: uuid::Uuid = row.get(1);
    let reject = "SELECT outtray.reject($1, $2, 'no ink')";
    place.client.execute(reject, &[&id, &receipt]).unwrap();
    check_dead(&place, &["1: no paper", "2: no ink"]);
}
