//! A key goes on while its senders are busy, however seldom its lane is free.

use super::{TOPIC, keyed};
use crate::support::{Gate, PATIENCE, Place, client, eventually, process, telling};
use outtray::{Message, Messaging, MessagingSession, NewMessage, Receiver};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// What a receiver handled, in its order.
type Handled = Arc<Mutex<Vec<i32>>>;

/// Receives one message after the other, and does nothing with them.
fn receive(messaging: &Messaging) -> (Receiver, Handled) {
    let handled = Handled::default();
    let noted = Arc::clone(&handled);
    let receiver = messaging
        .receiver(TOPIC)
        .start(move |_, message: Message<i32>| {
            noted.lock().unwrap().push(message.payload);
            Ok(())
        })
        .unwrap();
    (receiver, handled)
}

fn count(handled: &Handled) -> usize {
    handled.lock().unwrap().len()
}

/// Lets so many threads work at the same time, each with its number; returns how many were handled
/// when all had ended.
fn handled_beside(senders: i32, handled: &Handled, send: impl Fn(i32) + Sync) -> usize {
    thread::scope(|scope| {
        for sender in 0..senders {
            let send = &send;
            scope.spawn(move || send(sender));
        }
    });
    count(handled)
}

/// What each sender sent came in its order, and nothing twice.
#[track_caller]
fn assert_in_order(senders: Range<i32>, handled: &Handled, each: i32) {
    let handled = handled.lock().unwrap();
    for sender in senders {
        let of_it = handled.iter().filter(|n| **n / 10_000 == sender);
        assert!(of_it.map(|n| n % 10_000).eq(0..each), "sender {sender}");
    }
}

#[test]
fn a_key_goes_on_while_two_senders_send_one_message_after_the_other() {
    let mut place = Place::new();
    let (receiver, handled) = receive(&place.messaging);

    let meanwhile = handled_beside(2, &handled, |sender| {
        for n in 0..1000 {
            place
                .messaging
                .send(keyed("hot", sender * 10_000 + n))
                .unwrap();
        }
    });

    assert!(meanwhile >= 500, "{meanwhile} of 2000");
    eventually("the rest is handled", || count(&handled) == 2000);
    place.await_no_trace();
    receiver.stop(PATIENCE);
    assert_in_order(0..2, &handled, 1000);
}

#[test]
fn a_key_goes_on_in_another_process_while_four_senders_are_busy() {
    let mut place = Place::new();
    let elsewhere = process(&place.url, Duration::from_secs(1));
    let (receiver, handled) = receive(&elsewhere);
    let began = Instant::now();

    let meanwhile = handled_beside(4, &handled, |sender| {
        for n in 0..250 {
            place
                .messaging
                .send(keyed("hot", sender * 10_000 + n))
                .unwrap();
        }
    });

    // A hint goes out every 10 ms, and each brings one message. How many come depends on how long
    // the senders are busy, not on how many they send. Polling alone would bring one a second; on a
    // machine with other work a hint takes 50 ms.
    let busy = began.elapsed();
    let wanted = busy.as_millis() / 200;
    assert!(meanwhile as u128 >= wanted, "{meanwhile} in {busy:?}");
    eventually("the rest is handled", || count(&handled) == 1000);
    place.await_no_trace();
    receiver.stop(PATIENCE);
    assert_in_order(0..4, &handled, 250);
}

#[test]
fn a_key_goes_on_with_each_transaction_that_holds_it_for_long() {
    let mut place = Place::watchful();
    let (receiver, handled) = receive(&place.messaging);

    let meanwhile = handled_beside(2, &handled, |sender| {
        let mut client = client(&place.url);
        for round in 0..25 {
            let mut open = client.transaction().unwrap();
            let mut session = MessagingSession::join(&place.messaging, &mut open).unwrap();
            for n in 0..10 {
                let n = sender * 10_000 + round * 10 + n;
                session.send(keyed("hot", n)).unwrap();
            }
            drop(session);
            open.batch_execute("SELECT pg_sleep(0.01)").unwrap();
            open.commit().unwrap();
        }
    });

    // Of fifty transactions.
    assert!(meanwhile >= 10, "{meanwhile} of 500");
    eventually("the rest is handled", || count(&handled) == 500);
    place.await_no_trace();
    receiver.stop(PATIENCE);
    assert_in_order(0..2, &handled, 250);
}

#[test]
fn a_busy_key_goes_on_beside_a_busy_topic() {
    let mut place = Place::new();
    let (receiver, handled) = receive(&place.messaging);

    let meanwhile = handled_beside(3, &handled, |sender| {
        for n in 0..400 {
            let n = sender * 10_000 + n;
            let message = match sender {
                0 => NewMessage::json(TOPIC, &n).unwrap(),
                _ => keyed("hot", n),
            };
            place.messaging.send(message).unwrap();
        }
    });

    let of_key = |n: &&i32| **n >= 10_000;
    let of_key = handled.lock().unwrap()[..meanwhile]
        .iter()
        .filter(of_key)
        .count();
    // Looks back find it, which a busy topic has few of; without the senders' help it was one or
    // none.
    assert!(of_key >= 10, "{of_key} of 800");
    eventually("the rest is handled", || count(&handled) == 1200);
    place.await_no_trace();
    receiver.stop(PATIENCE);
    assert_in_order(1..3, &handled, 400);
}

/// Checks that a line of one key, whose lane is always held by one of three senders, is over before
/// a long backlog of later messages is.
#[track_caller]
fn check_before_a_backlog(lease: Option<Duration>, backlog: i32) {
    const LINE: i32 = 20;
    let place = Place::new();
    place
        .messaging
        .session(|session| {
            for n in 0..LINE {
                session.send(keyed("hot", 10_000 + n))?;
            }
            Ok(session.send_messages(TOPIC, std::iter::repeat_n(0, backlog as usize))?)
        })
        .unwrap();
    let receiver = place.messaging.receiver(TOPIC).workers(2);
    let receiver = match lease {
        Some(lease) => receiver.lease(lease),
        None => receiver,
    };
    let is_over = AtomicBool::new(false);

    let before = thread::scope(|scope| {
        for _ in 0..3 {
            let (url, messaging, is_over) = (&place.url, &place.messaging, &is_over);
            scope.spawn(move || {
                let mut client = client(url);
                while !is_over.load(Ordering::Relaxed) {
                    let mut open = client.transaction().unwrap();
                    MessagingSession::join(messaging, &mut open)
                        .unwrap()
                        .send(keyed("hot", 20_000))
                        .unwrap();
                    open.batch_execute("SELECT pg_sleep(0.005)").unwrap();
                    open.commit().unwrap();
                }
            });
        }
        let (receiver, told) = telling::<i32>(receiver);
        let (mut before, mut of_key) = (0, 0);
        while of_key < LINE {
            match told.recv_timeout(PATIENCE).unwrap() {
                0 => before += 1,
                20_000 => {}
                _ => of_key += 1,
            }
        }
        is_over.store(true, Ordering::Relaxed);
        receiver.stop(PATIENCE);
        before
    });

    println!("{before} of {backlog} were handled before the last of the line");
    assert!(before < backlog, "all of the backlog came first");
}

#[test]
fn a_key_has_its_turn_in_a_backlog_while_its_senders_are_busy() {
    check_before_a_backlog(None, 100_000);
    check_before_a_backlog(Some(Duration::from_secs(60)), 30_000);
}

#[test]
fn a_key_goes_on_while_senders_that_roll_back_hold_it_in_turn() {
    let place = Place::watchful();
    let gate = Gate::new();
    for n in 0..2 {
        place.send_new(keyed("hot", n));
    }
    let (receiver, told) = gate.telling::<i32>(place.messaging.receiver(TOPIC));
    gate.await_arrivals(1);
    let is_over = AtomicBool::new(false);
    let (url, messaging) = (&place.url, &place.messaging);
    let hold_in_turn = || {
        let mut client = client(url);
        while !is_over.load(Ordering::Relaxed) {
            let mut open = client.transaction().unwrap();
            let mut session = MessagingSession::join(messaging, &mut open).unwrap();
            session.send(keyed("hot", 7)).unwrap();
            drop(session);
            open.batch_execute("SELECT pg_sleep(0.005)").unwrap();
            open.rollback().unwrap();
        }
    };

    let came = thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(hold_in_turn);
        }
        gate.open_for(2);
        let came: Vec<_> = (0..2).map(|_| told.recv_timeout(PATIENCE)).collect();
        is_over.store(true, Ordering::Relaxed);
        came
    });

    assert_eq!(came, [Ok(0), Ok(1)]);
    receiver.stop(PATIENCE);
}
