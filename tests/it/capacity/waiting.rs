//! Senders wait for room, and hold up nobody.

use super::{check_full, handle, limit, place, send};
use crate::support::{DAY, PATIENCE, Place, aside, client, eventually, pass_time, process};
use crossbeam_channel::bounded;
use outtray::{Error, ErrorKind, MessagingSession, NewMessage, TopicConfig};
use postgres::IsolationLevel;
use std::thread;
use std::time::Duration;

#[test]
fn a_sender_that_waits_goes_on_when_there_is_room() {
    let place = place(1);
    send(&place.messaging, 1).unwrap();
    let messaging = place.messaging.clone();
    let (done, is_done) = bounded(1);
    thread::scope(|scope| {
        scope.spawn(move || {
            let sent = messaging.session(|session| {
                let message = NewMessage::json("jobs", &2)?.wait_for_room(PATIENCE);
                Ok(session.send(message)?)
            });
            done.send(sent.is_ok()).unwrap();
        });
        assert!(
            is_done.recv_timeout(Duration::from_millis(300)).is_err(),
            "it waits"
        );
        handle(&place, 1);
        assert_eq!(is_done.recv_timeout(PATIENCE), Ok(true));
    });
}

#[test]
fn a_sender_that_waited_long_enough_hears_that_it_is_full() {
    let place = place(1);
    send(&place.messaging, 1).unwrap();
    check_full(place.messaging.session(|session| {
        session.wait_for_room(Duration::from_millis(50));
        Ok(session.send_message("jobs", &2).map(drop)?)
    }));
}

/// Sends `count` messages from a thread of its own that waits for room, lets `happen` what is to
/// happen meanwhile, and makes room.
fn while_one_waits(place: &mut Place, count: i32, happen: impl FnOnce(&mut Place)) {
    let messaging = place.messaging.clone();
    thread::scope(|scope| {
        let waits = scope.spawn(move || {
            messaging.session(|session| {
                session.wait_for_room(PATIENCE);
                Ok(session.send_messages("jobs", 0..count).map(drop)?)
            })
        });
        happen(place);
        place.messaging.topic("jobs").purge().unwrap();
        waits.join().unwrap().unwrap();
    });
}

/// Sends without waiting for room; fails if that is not answered soon.
#[track_caller]
fn send_at_once(place: &Place) -> Result<(), Error> {
    let messaging = place.messaging.clone();
    let told = aside(move || send(&messaging, 9));
    let soon = Duration::from_secs(5);
    told.recv_timeout(soon).expect("nobody waits with a waiter")
}

const IN_A_TRANSACTION: &str = "pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND state LIKE '%in transaction'";

#[test]
fn a_sender_that_does_not_wait_hears_at_once_that_it_is_full_while_another_waits() {
    let mut place = Place::watchful();
    place.send_all("jobs", 0..3);
    // What is there was never counted, so that who comes first counts it.
    limit(&place.messaging, Some(3));
    while_one_waits(&mut place, 1, |place| {
        eventually("one waits", || place.count(IN_A_TRANSACTION) > 0);
        for _ in 0..5 {
            check_full(send_at_once(place));
        }
    });
}

#[test]
fn a_message_that_fits_is_sent_while_another_sender_waits_for_more_room() {
    let mut place = place(5);
    place.send_all("jobs", 0..3);
    let mut own = client(&place.url);
    let mut transaction = own.transaction().unwrap();
    MessagingSession::join(&place.messaging, &mut transaction)
        .unwrap()
        .send_message("jobs", &3)
        .unwrap();
    // Two more would fit, as far as one sees that waits for the open transaction.
    while_one_waits(&mut place, 2, |place| {
        place.await_lock_waits(1);
        transaction.commit().unwrap();
        send_at_once(place).unwrap();
        check_full(send_at_once(place));
    });
}

#[test]
fn a_sender_that_waits_for_room_in_one_topic_takes_none_of_another() {
    let mut place = place(1);
    let bounded = TopicConfig {
        max_length: Some(2),
        ..TopicConfig::default()
    };
    place.messaging.topic("before").configure(bounded).unwrap();
    send(&place.messaging, 1).unwrap();
    let messaging = place.messaging.clone();
    thread::scope(|scope| {
        let waits = scope.spawn(move || {
            let wanted = ["before", "jobs"].map(|topic| NewMessage::bytes(topic, [1]));
            messaging.session(|session| {
                session.wait_for_room(PATIENCE);
                Ok(session.send_all(wanted).map(drop)?)
            })
        });
        eventually("it waits", || place.count(IN_A_TRANSACTION) > 0);
        let other = process(&place.url, PATIENCE);
        let told = aside(move || {
            other.session(|session| Ok(session.send_message("before", &2).map(drop)?))
        });
        let sent = told.recv_timeout(Duration::from_secs(5));
        sent.expect("nobody waits with a waiter").unwrap();
        place.messaging.topic("jobs").purge().unwrap();
        waits.join().unwrap().unwrap();
    });
    assert_eq!(place.count("outtray.message WHERE topic = 'before'"), 2);
}

#[test]
fn a_sender_with_a_fixed_snapshot_does_not_wait_in_vain() {
    let place = place(1);
    send(&place.messaging, 1).unwrap();
    let mut own = client(&place.url);
    let mut transaction = own
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .start()
        .unwrap();
    let mut session = MessagingSession::join(&place.messaging, &mut transaction).unwrap();
    session.wait_for_room(DAY);
    let error = session.send_message("jobs", &2).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Full);
    assert!(error.to_string().contains("snapshot"), "{error}");
}

#[test]
fn a_sender_that_waits_goes_on_when_the_topic_may_hold_more() {
    for more in [Some(2), None] {
        let place = place(1);
        send(&place.messaging, 1).unwrap();
        let messaging = place.messaging.clone();
        let config = TopicConfig {
            max_length: more,
            ..TopicConfig::default()
        };
        let message = NewMessage::json("jobs", &2).unwrap();
        thread::scope(|scope| {
            let waits = scope.spawn(move || messaging.send(message.wait_for_room(PATIENCE)));
            pass_time(Duration::from_millis(300));
            place.messaging.topic("jobs").configure(config).unwrap();
            waits.join().unwrap().unwrap();
        });
    }
}

#[test]
fn a_session_does_not_wait_for_room_that_it_holds_itself() {
    let place = place(2);
    let sent = place.messaging.session(|session| {
        session.wait_for_room(PATIENCE);
        for number in 0..3 {
            session.send_message("jobs", &number)?;
        }
        Ok(())
    });
    let error = sent.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Full);
    assert!(
        error.to_string().contains("3 messages do not fit"),
        "{error}"
    );
}
