//! Senders whose transactions are open while messages of their keys end.

use super::{TOPIC, keyed};
use crate::support::{A_WHILE, Gate, PATIENCE, Place, client, eventually, next, telling};
use crossbeam_channel::{bounded, unbounded};
use outtray::{ErrorKind, Message, MessagingSession};
use postgres::{IsolationLevel, Transaction};
use std::thread;

/// Sends one message of key "a" in a transaction of the test's own.
fn send_in(place: &Place, open: &mut Transaction<'_>, payload: i32) -> outtray::Result<()> {
    let mut session = MessagingSession::join(&place.messaging, open)?;
    session.send(keyed("a", payload)).map(drop)
}

#[test]
fn a_handler_does_not_wait_for_a_sender_of_its_key_and_nothing_is_stuck_after() {
    let mut place = Place::watchful();
    let gate = Gate::new();
    place.send_new(keyed("a", 1));
    place.send_new(keyed("a", 2));
    let (_receiver, told) = gate.telling::<i32>(place.messaging.receiver(TOPIC));
    gate.await_arrivals(1);
    let mut sender = client(&place.url);
    let mut open = sender.transaction().unwrap();
    send_in(&place, &mut open, 3).unwrap();

    gate.open_for(1);
    assert_eq!(next(&told, 1), [1]);
    eventually("it committed", || place.count("outtray.message") == 0);
    assert!(place.count("outtray.stalled") > 0);
    assert!(gate.is_lonely_for(A_WHILE));
    open.commit().unwrap();

    gate.open_for(2);
    assert_eq!(next(&told, 2), [2, 3]);
    place.await_no_trace();
}

#[test]
fn the_end_of_a_sender_that_rolls_back_lets_the_key_go_on() {
    let mut place = Place::watchful();
    let gate = Gate::new();
    place.send_new(keyed("a", 1));
    place.send_new(keyed("a", 2));
    let (_receiver, told) = gate.telling::<i32>(place.messaging.receiver(TOPIC));
    gate.await_arrivals(1);
    let mut sender = client(&place.url);
    let mut open = sender.transaction().unwrap();
    send_in(&place, &mut open, 3).unwrap();
    gate.open_for(2);
    assert_eq!(next(&told, 1), [1]);

    open.rollback().unwrap();

    assert_eq!(next(&told, 1), [2]);
    place.await_no_trace();
}

#[test]
fn a_second_sender_of_a_key_waits_for_the_first_and_comes_after_it() {
    let mut place = Place::new();
    let mut sender = client(&place.url);
    let mut open = sender.transaction().unwrap();
    send_in(&place, &mut open, 1).unwrap();
    let (tell, told) = bounded(1);
    let messaging = place.messaging.clone();
    thread::scope(|scope| {
        scope.spawn(move || {
            messaging
                .session(|session| Ok(session.send(keyed("a", 2))?.id()))
                .unwrap();
            tell.send(()).unwrap();
        });
        place.await_lock_waits(1);
        // Another key does not.
        place.send_new(keyed("b", 3));
        assert!(told.try_recv().is_err());

        open.commit().unwrap();
        told.recv_timeout(PATIENCE).unwrap();
    });

    let query =
        "SELECT payload::text FROM (SELECT seq, payload FROM outtray.message WHERE key = 'a'
        UNION ALL SELECT seq, payload FROM outtray.follower) AS all_of_key ORDER BY seq";
    let rows = place.client.query(query, &[]).unwrap();
    let order: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(order, ["1", "2"]);
    assert_eq!(place.count("outtray.follower"), 1);
}

#[test]
fn a_sender_with_an_old_snapshot_is_refused_after_another_sender() {
    let mut place = Place::new();
    let mut sender = client(&place.url);
    for is_first_there in [false, true] {
        let mut open = sender
            .build_transaction()
            .isolation_level(IsolationLevel::RepeatableRead)
            .start()
            .unwrap();
        open.execute("SELECT 1", &[]).unwrap();
        place.send_new(keyed("a", 1));

        let error = send_in(&place, &mut open, 2).unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Conflict, "{is_first_there}");
        open.rollback().unwrap();
    }
    assert_eq!(place.count("outtray.message"), 1);
    assert_eq!(place.count("outtray.follower"), 1);
}

#[test]
fn a_sender_with_an_old_snapshot_does_not_get_behind_a_message_that_is_gone() {
    let mut place = Place::watchful();
    place.send_new(keyed("a", 1));
    let mut sender = client(&place.url);
    let mut open = sender
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .start()
        .unwrap();
    open.execute("SELECT 1", &[]).unwrap();
    let (_receiver, told) = telling::<i32>(place.messaging.receiver(TOPIC));
    assert_eq!(next(&told, 1), [1]);
    place.await_no_trace();

    send_in(&place, &mut open, 2).unwrap();
    open.commit().unwrap();

    assert_eq!(next(&told, 1), [2]);
    place.await_no_trace();
}

#[test]
fn a_handler_that_sends_with_its_own_key_comes_after_those_that_wait() {
    let mut place = Place::new();
    for n in 0..3 {
        place.send_new(keyed("a", n));
    }
    let (tell, told) = unbounded();
    let _receiver = place
        .messaging
        .start_receiving_messages(TOPIC, move |session, message: Message<i32>| {
            if message.payload < 5 {
                session.send(keyed("a", message.payload + 10))?;
            }
            Ok(tell.send(message.payload)?)
        })
        .unwrap();

    assert_eq!(next(&told, 6), [0, 1, 2, 10, 11, 12]);
    place.await_no_trace();
}
