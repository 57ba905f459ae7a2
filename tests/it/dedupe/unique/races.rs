//! Senders, those who end messages, and processes that die: none of them leaves a key behind, or
//! two messages with one.

use super::{check_free, feed, send};
use crate::support::{Child, DAY, Ledger, PATIENCE, Place, client, eventually, process, test_name};
use crossbeam_channel::bounded;
use outtray::{ErrorKind, HandlerError, Message, MessageId, MessagingSession, NewMessage, Sent};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

#[test]
fn a_rolled_back_session_and_one_that_joined_leave_no_key_behind() {
    let mut place = Place::new();
    let failed = place.messaging.session(|session| {
        session.send(feed(1))?;
        assert!(session.send(feed(2))?.is_duplicate());
        Err::<(), _>(HandlerError::failed("no"))
    });
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::RolledBack);
    check_free(&mut place);

    let mut own = client(&place.url);
    for commits in [false, true] {
        let mut transaction = own.transaction().unwrap();
        let mut session = MessagingSession::join(&place.messaging, &mut transaction).unwrap();
        assert!(!session.send(feed(3)).unwrap().is_duplicate());
        assert!(session.send(feed(4)).unwrap().is_duplicate());
        drop(session);
        match commits {
            true => transaction.commit().unwrap(),
            false => transaction.rollback().unwrap(),
        }
    }
    assert_eq!(place.count("outtray.message"), 1);
    assert_eq!(place.messaging.topic("feeds").purge().unwrap(), 1);
    check_free(&mut place);
}

#[test]
fn whoever_ends_a_message_does_not_wait_for_a_sender_that_found_its_key_taken() {
    let mut place = Place::new();
    let messaging = place.messaging.clone();
    let (mut first, mut second) = (client(&place.url), client(&place.url));
    let mut open = first.transaction().unwrap();
    let mut session = MessagingSession::join(&messaging, &mut open).unwrap();
    let id = session.send(feed(1)).unwrap().id();
    drop(session);
    thread::scope(|scope| {
        let (found, is_found) = bounded(1);
        let (end, ended) = bounded::<()>(1);
        let messaging = &messaging;
        let racer = scope.spawn(move || {
            let mut transaction = second.transaction().unwrap();
            let mut session = MessagingSession::join(messaging, &mut transaction).unwrap();
            // Waits for the first one, which commits.
            assert_eq!(session.send(feed(2)).unwrap(), Sent::Duplicate(id));
            found.send(()).unwrap();
            let _ = ended.recv_timeout(PATIENCE);
        });
        place.await_lock_waits(1);
        open.commit().unwrap();
        is_found.recv_timeout(PATIENCE).unwrap();

        // With the transaction of the second one still open.
        let handled = messaging.drain("feeds", |_, _: Message| Ok(())).unwrap();

        assert_eq!(handled.handled, 1);
        check_free(&mut place);
        end.send(()).unwrap();
        racer.join().unwrap();
    });
}

#[test]
fn many_senders_and_receivers_never_have_two_messages_of_a_key() {
    let mut place = Place::watchful();
    let (twice, new) = (Arc::new(AtomicU64::new(0)), AtomicU64::new(0));
    let receivers = [place.messaging.clone(), process(&place.url, PATIENCE)].map(|messaging| {
        let twice = Arc::clone(&twice);
        let receiver = messaging.receiver("feeds").workers(3);
        receiver
            .start(move |session, message: Message<String>| {
                // Another message with the key would be in the tables with this one.
                let rows = session.query(
                    "SELECT count(*) FROM (
                        SELECT payload FROM outtray.message UNION ALL SELECT payload FROM outtray.scheduled
                    ) AS live WHERE payload::text = to_json($1::text)::text",
                    &[&message.payload],
                )?;
                if rows[0].get::<_, i64>(0) > 1 {
                    twice.fetch_add(1, Ordering::Relaxed);
                }
                match message.attempt {
                    1 if message.payload == "b" => Err(HandlerError::retry_after(Duration::from_millis(1))),
                    _ => Ok(()),
                }
            })
            .unwrap()
    });
    thread::scope(|scope| {
        for number in 0..6 {
            let (url, new) = (&place.url, &new);
            scope.spawn(move || {
                let messaging = process(url, PATIENCE);
                for round in 0..60 {
                    let key = ["a", "b", "c"][(round + number) % 3];
                    let message = NewMessage::json("feeds", key)
                        .unwrap()
                        .dedupe_until_end(key);
                    let sent = match number % 2 {
                        0 => messaging.send(message),
                        _ => messaging.session(|session| Ok(session.send(message)?)),
                    };
                    if !sent.unwrap().is_duplicate() {
                        new.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    eventually("all are handled", || place.is_empty("feeds"));
    for receiver in receivers {
        receiver.stop(PATIENCE);
    }

    assert_eq!(twice.load(Ordering::Relaxed), 0);
    assert!(new.load(Ordering::Relaxed) >= 3);
    assert_eq!(place.count("outtray.dedupe"), 0);
}

#[test]
fn a_process_that_is_killed_leaves_the_key_to_its_message() {
    if Child::role().is_some() {
        let messaging = Ledger::messaging_of_parent();
        let _receiver = messaging
            .start_receiving_messages("feeds", |_, _: Message| {
                Child::tell("in work");
                Child::await_parent();
                Ok(())
            })
            .unwrap();
        thread::park();
        return;
    }
    let ledger = Ledger::open();
    let messaging = ledger.messaging();
    let id = messaging.send(feed(1)).unwrap().id();
    let test = test_name!(a_process_that_is_killed_leaves_the_key_to_its_message);
    let mut child = ledger.child(test, "receiver");
    assert_eq!(child.listen(), "in work");
    assert_eq!(messaging.send(feed(2)).unwrap(), Sent::Duplicate(id));

    child.kill();

    assert_eq!(messaging.send(feed(3)).unwrap(), Sent::Duplicate(id));
    let mut handled = 0;
    eventually("another one has it", || {
        handled += messaging
            .drain("feeds", |_, _: Message| Ok(()))
            .unwrap()
            .handled;
        handled == 1
    });
    assert!(!messaging.send(feed(4)).unwrap().is_duplicate());
}

#[test]
fn a_key_whose_message_was_removed_by_hand_is_free_after_a_while() {
    let mut place = Place::watchful();
    let gone = send(&place, feed(1)).id();
    let kept: Vec<MessageId> = [DAY, Duration::ZERO]
        .into_iter()
        .enumerate()
        .map(|(number, delay)| {
            let message = NewMessage::bytes("kept", [1]).delay(delay).key("k");
            send(&place, message.dedupe_until_end(format!("kept-{number}"))).id()
        })
        .collect();
    send(
        &place,
        NewMessage::bytes("kept", [2])
            .key("k")
            .dedupe_until_end("kept-3"),
    );
    place.sql(&format!("DELETE FROM outtray.message WHERE id = '{gone}'"));

    let receiver = place
        .messaging
        .receiver("any")
        .start(|_, _: Message| Ok(()))
        .unwrap();

    eventually("it is free", || place.count("outtray.dedupe") == 3);
    receiver.stop(PATIENCE);
    for (number, id) in kept.iter().enumerate() {
        let again = NewMessage::bytes("kept", [1]).dedupe_until_end(format!("kept-{number}"));
        assert_eq!(send(&place, again), Sent::Duplicate(*id));
    }
}
