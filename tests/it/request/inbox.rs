//! One topic, one thread and one connection for all who wait, as long as somebody does.

use super::{QUOTES, doubling, left};
use crate::support::{
    Child, HOUR, Ledger, PATIENCE, Place, deaf_process, done, eventually, process, test_name,
};
use outtray::{ErrorKind, Message, Messaging, NewMessage};
use std::thread;
use std::time::Duration;

const ASKERS: usize = 1_000;
const CHILD: &str = test_name!(a_child_asks_until_it_is_killed);

/// The subscription that holds an inbox.
const HELD: &str = "outtray.subscription WHERE pattern = ''";

#[test]
fn a_thousand_threads_wait_on_one_connection() {
    let mut place = Place::new();
    let replier = process(&place.url, PATIENCE);
    let asking: Vec<_> = (0..ASKERS as i64)
        .map(|number| {
            let messaging = place.messaging.clone();
            let ask = move || messaging.request::<i64>(QUOTES, &number, HOUR);
            thread::Builder::new()
                .stack_size(128 << 10)
                .spawn(ask)
                .unwrap()
        })
        .collect();
    place.await_growth("outtray.message WHERE topic = 'quotes'", ASKERS as i64);
    // All have asked, and none is answered: the pool's connections are idle.
    assert_eq!(place.count(HELD), 1);
    let most =
        "pg_stat_activity WHERE datname = current_database() AND application_name = 'outtray'";
    assert!(place.count(most) < 30);

    let receiver = doubling(&replier);

    for (number, asked) in asking.into_iter().enumerate() {
        assert_eq!(asked.join().unwrap().unwrap(), 2 * number as i64);
    }
    receiver.stop(PATIENCE);
    assert!(place.is_empty(QUOTES));
}

#[test]
fn a_thousand_timeouts_at_once_are_told_in_time() {
    let mut place = Place::watchful();
    let asking: Vec<_> = (0..ASKERS)
        .map(|number| {
            let messaging = place.messaging.clone();
            let ask = move || messaging.request::<i64>(QUOTES, &number, Duration::from_secs(8));
            thread::Builder::new()
                .stack_size(128 << 10)
                .spawn(ask)
                .unwrap()
        })
        .collect();
    for asked in asking {
        let error = asked.join().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
    }
    eventually("no question is left", || place.is_empty(QUOTES));
    assert_eq!(place.count("outtray.dead_letter"), 0);
}

#[test]
fn nothing_is_left_when_the_process_is_done() {
    let mut place = Place::new();
    let asker = process(&place.url, PATIENCE);
    let receiver = doubling(&place.messaging);
    for number in 0..3 {
        asker.request::<i64>(QUOTES, &number, PATIENCE).unwrap();
    }
    assert_eq!(place.count(HELD), 1);

    drop(asker);

    eventually("the inbox is gone", || left(&mut place) == 0);
    receiver.stop(PATIENCE);
}

#[test]
fn an_inbox_that_nobody_waits_for_ends_by_itself() {
    let mut place = Place::new();
    let receiver = doubling(&place.messaging);
    place
        .messaging
        .request::<i64>(QUOTES, &1, PATIENCE)
        .unwrap();
    assert_eq!(place.count(HELD), 1);

    eventually("the inbox is gone", || left(&mut place) == 0);

    let again: i64 = place.messaging.request(QUOTES, &2, PATIENCE).unwrap();
    assert_eq!(again, 4);
    receiver.stop(PATIENCE);
}

#[test]
fn an_inbox_is_no_subscription() {
    let place = Place::new();
    let receiver = doubling(&place.messaging);
    place
        .messaging
        .request::<i64>(QUOTES, &1, PATIENCE)
        .unwrap();

    assert!(place.messaging.subscriptions().unwrap().is_empty());
    place.messaging.subscribe("#", "all").unwrap();
    let published = place.messaging.publish("a", &1).unwrap();
    assert_eq!(published.copies, 1);
    receiver.stop(PATIENCE);
}

#[test]
fn who_hears_no_notifications_is_answered_all_the_same() {
    let mut place = Place::new();
    let asker = deaf_process(&place.url, PATIENCE);
    let replier = deaf_process(&place.url, Duration::from_millis(50));
    let receiver = doubling(&replier);
    for number in 0..3 {
        let answer: i64 = asker.request(QUOTES, &number, PATIENCE).unwrap();
        assert_eq!(answer, 2 * number);
    }
    receiver.stop(PATIENCE);
    drop(asker);
    eventually("the inbox is gone", || place.count(HELD) == 0);
}

#[test]
fn who_keeps_nothing_on_its_connections_is_answered_too() {
    let place = Place::new();
    let asker = Messaging::builder().url(&place.url).pooler_safe(true);
    let asker = asker.connect().unwrap();
    let receiver = doubling(&place.messaging);
    for number in 0..3 {
        let answer: i64 = asker.request(QUOTES, &number, PATIENCE).unwrap();
        assert_eq!(answer, 2 * number);
    }
    receiver.stop(PATIENCE);
}

#[test]
fn the_inbox_of_a_process_that_was_killed_ends_with_the_replies_in_it() {
    let ledger = Ledger::open();
    let mut child = ledger.child(CHILD, "ask");
    child.listen();
    let mut place = Place::over(
        ledger.url(),
        process(ledger.url(), Duration::from_millis(50)),
    );
    eventually("it has asked", || !place.is_empty(QUOTES));
    child.kill();
    // A reply to somebody who is gone.
    let receiver = doubling(&place.messaging);
    eventually("it is answered", || place.is_empty(QUOTES));
    assert_eq!(place.count(HELD), 1);

    // The grace time is over, also after a start of the server.
    place.sql("UPDATE outtray.subscription SET grace_us = 1000000, expires_at = now()");

    eventually("all of it is gone", || left(&mut place) == 0);
    receiver.stop(PATIENCE);
}

#[test]
fn a_child_asks_until_it_is_killed() {
    if Child::role().is_none() {
        return;
    }
    let messaging: Messaging = Ledger::messaging_of_parent();
    let question = NewMessage::json(QUOTES, &1).unwrap();
    let _pending = messaging.begin_request(question, HOUR).unwrap();
    Child::tell("asked");
    Child::await_parent();
}

#[test]
fn who_waits_for_an_inbox_that_others_removed_is_told_and_the_next_has_another() {
    let mut place = Place::new();
    let question = NewMessage::json("nobody", &1).unwrap();
    let mut pending = place.messaging.begin_request(question, HOUR).unwrap();
    place.sql("DELETE FROM outtray.subscription");

    let error = pending.wait::<i64>(HOUR).unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let receiver = doubling(&place.messaging);
    let answer: i64 = place.messaging.request(QUOTES, &2, PATIENCE).unwrap();
    assert_eq!(answer, 4);
    assert_eq!(place.count(HELD), 1);
    receiver.stop(PATIENCE);
}

#[test]
fn replies_that_come_after_the_end_of_their_inbox_are_removed() {
    let mut place = Place::new();
    let asker = process(&place.url, PATIENCE);
    let question = NewMessage::json(QUOTES, &1).unwrap().expires_in(HOUR);
    drop(asker.begin_request(question, HOUR).unwrap());
    drop(asker);
    eventually("the inbox is gone", || place.count(HELD) == 0);
    place
        .messaging
        .drain(QUOTES, |session, ask: Message<i64>| {
            session.reply(&ask, &1)?;
            Ok(())
        })
        .unwrap();
    place.send("outtray.reply.mine", &1);
    assert_eq!(place.count("outtray.message"), 2);

    let upkeep = process(&place.url, PATIENCE);
    let running = upkeep.start_receiving_messages("others", done).unwrap();

    eventually("it is gone", || place.count("outtray.message") == 1);
    running.stop(PATIENCE);
}

#[test]
fn a_reply_at_the_place_of_one_that_the_server_forgot_is_not_removed_unread() {
    let mut place = Place::new();
    place.sql(
        "CREATE TABLE not_now (why text); INSERT INTO not_now VALUES ('a crash is on its way');
        CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN IF EXISTS (SELECT FROM not_now) THEN RAISE 'not now'; END IF; RETURN OLD; END $$;
        CREATE TRIGGER keep BEFORE DELETE ON outtray.message FOR EACH ROW
        WHEN (OLD.topic LIKE 'outtray.reply.%') EXECUTE FUNCTION keep()",
    );
    let receiver = doubling(&place.messaging);
    let answer: i64 = place.messaging.request(QUOTES, &1, PATIENCE).unwrap();
    assert_eq!(answer, 2);
    receiver.stop(PATIENCE);
    let question = NewMessage::json(QUOTES, &21).unwrap();
    let mut pending = place.messaging.begin_request(question, PATIENCE).unwrap();

    // The server comes back without the first reply, and gives its number to the next one.
    place.sql(
        "WITH question AS (DELETE FROM outtray.message WHERE topic = 'quotes' RETURNING headers)
        UPDATE outtray.message SET id = gen_random_uuid(), payload = '42',
            headers = json_build_object('correlation-id', question.headers ->> 'correlation-id')
        FROM question WHERE message.topic = question.headers ->> 'reply-to';
        DELETE FROM not_now",
    );

    assert_eq!(pending.wait::<i64>(PATIENCE).unwrap().payload, 42);
}
