//! A message is delivered soon after its commit, whoever sent it, and late only by a poll when
//! notifications fail.

use crate::support::{
    NO_POLLING, PATIENCE, Place, deaf_process, eventually, next, process, send, telling,
};
use crossbeam_channel::Receiver;
use outtray::{Messaging, MessagingSession, NewMessage};
use std::time::{Duration, Instant};

fn tell_payloads(messaging: &Messaging) -> (outtray::Receiver, Receiver<i32>) {
    let (receiver, told) = telling::<i32>(messaging.receiver("news"));
    (receiver, told)
}

/// Checks that messages of `sender` arrive within a second: one of three at least, for the machine
/// may be busy.
#[track_caller]
fn check_quick(sender: &Messaging, told: &Receiver<i32>) {
    let mut times = Vec::new();
    for number in 0..3 {
        // The receiver comes to rest: it does not look for more of what it had just now.
        assert!(told.recv_timeout(Duration::from_millis(1100)).is_err());
        let started = Instant::now();
        send(sender, "news", &number);
        assert_eq!(next(told, 1), [number]);
        times.push(started.elapsed());
        if started.elapsed() < Duration::from_secs(1) {
            return;
        }
    }
    panic!("slow: {times:?}");
}

#[test]
fn a_message_of_another_process_arrives_at_once_with_a_poll_interval_of_a_minute() {
    let mut place = Place::polling(NO_POLLING);
    let elsewhere = process(&place.url, NO_POLLING);
    let (_receiver, told) = tell_payloads(&place.messaging);
    place.await_listener();

    check_quick(&elsewhere, &told);
}

#[test]
fn a_message_of_the_same_process_arrives_at_once_without_notifications() {
    let url = crate::support::database();
    let messaging = deaf_process(&url, NO_POLLING);
    let (_receiver, told) = tell_payloads(&messaging);

    check_quick(&messaging, &told);
}

#[test]
fn without_notifications_a_message_arrives_within_the_poll_interval() {
    let url = crate::support::database();
    let messaging = deaf_process(&url, Duration::from_millis(100));
    let elsewhere = process(&url, NO_POLLING);
    let (_receiver, told) = tell_payloads(&messaging);

    check_quick(&elsewhere, &told);
}

#[test]
fn behind_a_pooler_a_message_arrives_within_the_poll_interval() {
    let url = crate::support::database();
    let messaging = Messaging::builder()
        .url(&url)
        .poll_interval(Duration::from_millis(100))
        .pooler_safe(true)
        .connect()
        .unwrap();
    let elsewhere = process(&url, NO_POLLING);
    let (_receiver, told) = tell_payloads(&messaging);

    check_quick(&elsewhere, &told);
}

#[test]
fn when_the_listeners_connection_dies_delivery_goes_on_and_notifications_come_back() {
    let mut place = Place::polling(NO_POLLING);
    let elsewhere = process(&place.url, NO_POLLING);
    let (_receiver, told) = tell_payloads(&place.messaging);
    let listener = place.await_listener();

    place
        .client
        .execute("SELECT pg_terminate_backend($1)", &[&listener])
        .unwrap();
    // Whether its notification is lost or not, it is found when the new listener is there.
    send(&elsewhere, "news", &100);
    assert_eq!(next(&told, 1), [100]);
    eventually("another listens", || place.await_listener() != listener);

    check_quick(&elsewhere, &told);
}

#[test]
fn when_every_connection_of_a_receiver_dies_delivery_goes_on() {
    let mut place = Place::new();
    let (_receiver, told) = tell_payloads(&place.messaging);

    for number in 0..5 {
        eventually("a session works", || {
            // A connection that was killed shows when it is used: the caller is told, and tries
            // again.
            let sent = place
                .messaging
                .session(|session| Ok(session.send_message("news", &number)?));
            sent.is_ok()
        });
        while next(&told, 1) != [number] {}
        place.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
        );
    }
}

#[test]
fn an_immediate_message_is_not_hidden_by_a_delayed_one() {
    let place = Place::polling(NO_POLLING);
    let (_receiver, told) = tell_payloads(&place.messaging);
    let delayed = NewMessage::json("news", &1)
        .unwrap()
        .delay(Duration::from_secs(3600));
    place.send_new(delayed);

    check_quick(&place.messaging, &told);
    assert_eq!(place.messaging.topic("news").stats().unwrap().scheduled, 1);
}

#[test]
fn a_message_sent_in_the_callers_own_transaction_arrives_at_once_when_it_says_so() {
    let mut place = Place::polling(NO_POLLING);
    let (_receiver, told) = tell_payloads(&place.messaging);
    place.await_listener();

    let mut transaction = place.client.transaction().unwrap();
    MessagingSession::join(&place.messaging, &mut transaction)
        .unwrap()
        .send_message("news", &1)
        .unwrap();
    transaction.commit().unwrap();
    place.messaging.wake("news");

    assert_eq!(next(&told, 1), [1]);
}

#[test]
fn a_receiver_finds_what_was_sent_before_it_started() {
    let place = Place::polling(NO_POLLING);
    place.send_all("news", 0..3);

    let (receiver, told) = tell_payloads(&place.messaging);

    let mut found = next(&told, 3);
    found.sort_unstable();
    assert_eq!(found, [0, 1, 2]);
    receiver.stop(PATIENCE);
}

#[test]
fn a_duty_of_the_upkeep_that_fails_keeps_none_of_the_others_from_being_done() {
    let mut place = Place::watchful();
    let (_receiver, told) = tell_payloads(&place.messaging);
    place.sql(
        "INSERT INTO outtray.recurring (topic, name, cron, time_zone, missed, rank, payload, next_at)
             VALUES ('news', 'it', '@daily', 'UTC', 'once', 0, '0', now());
         ALTER TABLE outtray.recurring RENAME COLUMN missed TO omitted",
    );

    for payload in 1..=3 {
        // Nobody is told: only a poll finds it.
        place.sql(&format!(
            "INSERT INTO outtray.message (topic, rank, id, payload) VALUES ('news', 0, gen_random_uuid(), '{payload}')"
        ));
        assert_eq!(next(&told, 1), [payload]);
    }

    place.sql("ALTER TABLE outtray.recurring RENAME COLUMN omitted TO missed");
    assert_eq!(next(&told, 1), [0]);
}
