//! In strict order a message is not begun before the one before it is done.

use crate::support::{A_WHILE, Gate, PATIENCE, Place, client, eventually, next, process, send};
use crossbeam_channel::unbounded;
use outtray::{Backoff, HandlerError, Message, Messaging, MessagingSession, NewMessage, Receiver};
use std::time::Duration;

fn start(messaging: &Messaging, gate: &Gate) -> Receiver {
    let gate = gate.clone();
    messaging
        .receiver("line")
        .workers(3)
        .strict_order()
        .start(move |_, _: Message<i32>| {
            gate.pass();
            Ok(())
        })
        .unwrap()
}

#[test]
fn the_second_message_is_not_delivered_while_the_first_is_in_work() {
    let place = Place::watchful();
    let elsewhere = process(&place.url, Duration::from_millis(50));
    let gate = Gate::new();
    place.send_all("line", 0..3);

    let receivers = [start(&place.messaging, &gate), start(&elsewhere, &gate)];
    for _ in 0..3 {
        gate.await_arrivals(1);
        assert!(gate.is_lonely_for(A_WHILE));
        gate.open_for(1);
    }

    eventually("all handled", || place.is_empty("line"));
    for receiver in receivers {
        receiver.stop(PATIENCE);
    }
}

/// Starts a receiver in strict order that takes one message each time it is let through.
fn start_telling(place: &Place, gate: &Gate) -> (Receiver, crossbeam_channel::Receiver<i32>) {
    let (tell, told) = unbounded();
    let gate = gate.clone();
    let receiver = place.messaging.receiver("line").workers(2).strict_order();
    let receiver = receiver.start(move |_, message: Message<i32>| {
        gate.pass();
        Ok(tell.send(message.payload)?)
    });
    (receiver.unwrap(), told)
}

#[test]
fn a_producer_that_holds_a_key_does_not_halt_the_topic() {
    let place = Place::watchful();
    let keyed = |key: &str, payload: i32| NewMessage::json("line", &payload).unwrap().key(key);
    place.send_new(keyed("a", 1));
    place.send_new(keyed("a", 2));
    place.send("line", &3);
    place.send_new(keyed("b", 4));
    place.send_new(keyed("a", 5));
    let gate = Gate::new();
    let (_receiver, told) = start_telling(&place, &gate);
    gate.await_arrivals(1);
    let mut producer = client(&place.url);
    let mut open = producer.transaction().unwrap();
    let mut session = MessagingSession::join(&place.messaging, &mut open).unwrap();
    for key in ["a", "b", "new"] {
        session.send(keyed(key, 6)).unwrap();
    }

    gate.open_for(100);

    assert_eq!(next(&told, 5), [1, 2, 3, 4, 5]);
    place.send("line", &7);
    assert_eq!(next(&told, 1), [7]);
    drop(session);
    open.commit().unwrap();
    assert_eq!(next(&told, 3), [6; 3]);
    place.send_new(keyed("a", 8));
    assert_eq!(next(&told, 1), [8]);
}

#[test]
fn a_failing_head_is_retried_and_never_overtaken() {
    let place = Place::new();
    place.send_all("line", 0..4);
    let (tell, told) = unbounded();

    let _receiver = place
        .messaging
        .receiver("line")
        .workers(3)
        .strict_order()
        .backoff(Backoff::fixed(Duration::from_millis(20)))
        .start(move |_, message: Message<i32>| {
            tell.send((message.payload, message.attempt))?;
            match message.payload % 2 == 0 && message.attempt < 3 {
                true => Err(HandlerError::failed("again")),
                false => Ok(()),
            }
        })
        .unwrap();

    assert_eq!(
        next(&told, 8),
        [
            (0, 1),
            (0, 2),
            (0, 3),
            (1, 1),
            (2, 1),
            (2, 2),
            (2, 3),
            (3, 1)
        ]
    );
}

#[test]
fn a_new_message_waits_behind_the_backoff_of_the_head() {
    let mut place = Place::watchful();
    place.send("line", &1);
    let (tell, told) = unbounded();

    let _receiver = place
        .messaging
        .receiver("line")
        .strict_order()
        .backoff(Backoff::fixed(Duration::from_secs(600)))
        .start(move |_, message: Message<i32>| {
            tell.send((message.payload, message.attempt))?;
            match (message.payload, message.attempt) {
                (1, 1) => Err(HandlerError::failed("again")),
                _ => Ok(()),
            }
        })
        .unwrap();
    assert_eq!(next(&told, 1), [(1, 1)]);
    eventually("it waits", || {
        place.count("outtray.message WHERE not_before > now()") == 1
    });
    place.send("line", &2);
    assert!(told.recv_timeout(A_WHILE).is_err());

    place.sql("UPDATE outtray.message SET not_before = now() WHERE not_before IS NOT NULL");
    assert_eq!(next(&told, 2), [(1, 2), (2, 1)]);
}

#[test]
fn a_head_that_becomes_a_dead_letter_or_cannot_be_decoded_lets_the_next_go() {
    let place = Place::new();
    place.send("line", &1);
    place.send("line", "not a number");
    place.send("line", &2);
    place.send("line", &3);
    let (tell, told) = unbounded();

    let receiver = place
        .messaging
        .receiver("line")
        .strict_order()
        .max_attempts(2)
        .backoff(Backoff::fixed(Duration::from_millis(10)))
        .start(move |_, message: Message<i32>| {
            tell.send((message.payload, message.attempt))?;
            match message.payload {
                1 => Err(HandlerError::failed("never good")),
                2 => Err(HandlerError::reject("no")),
                _ => Ok(()),
            }
        })
        .unwrap();
    assert_eq!(next(&told, 4), [(1, 1), (1, 2), (2, 1), (3, 1)]);
    receiver.stop(PATIENCE);

    assert_eq!(place.dead_letters("line").len(), 3);
    assert!(place.is_empty("line"));
}

#[test]
fn the_heads_of_two_topics_wait_each_for_its_own_time() {
    let mut place = Place::polling(crate::support::NO_POLLING);
    let (tell, told) = unbounded();
    let receivers = [("quick", 50), ("slow", 400)].map(|(topic, delay_ms)| {
        let tell = tell.clone();
        place
            .messaging
            .receiver(topic)
            .workers(1)
            .strict_order()
            .backoff(Backoff::fixed(Duration::from_millis(delay_ms)))
            .start(move |_, message: Message<i32>| {
                tell.send((topic, message.attempt))?;
                match message.attempt {
                    1 => Err(HandlerError::failed("again")),
                    _ => Ok(()),
                }
            })
            .unwrap()
    });

    place.await_listener();

    send(&place.messaging, "slow", &1);
    assert_eq!(next(&told, 1), [("slow", 1)]);
    eventually("it waits", || {
        place.count("outtray.message WHERE attempts = 1") == 1
    });
    send(&place.messaging, "quick", &1);

    // Only a timer of its own is in time for each: the next poll is a minute away.
    assert_eq!(next(&told, 3), [("quick", 1), ("quick", 2), ("slow", 2)]);
    for receiver in receivers {
        receiver.stop(PATIENCE);
    }
}

#[test]
fn a_drain_of_all_makes_the_failed_head_due_in_its_place() {
    let mut place = Place::watchful();
    place.send_all("line", 0..3);
    let receiver = place
        .messaging
        .receiver("line")
        .strict_order()
        .backoff(Backoff::fixed(Duration::from_secs(3600)))
        .start(|_, _: Message<i32>| Err(HandlerError::failed("not in this order")))
        .unwrap();
    eventually("the first waits", || {
        place.count("outtray.message WHERE not_before > now()") == 1
    });
    receiver.stop(PATIENCE);
    let mut attempts = Vec::new();

    let report = place
        .messaging
        .drain_all("line", |_, message: Message<i32>| {
            attempts.push((message.payload, message.attempt));
            Ok(())
        })
        .unwrap();

    assert_eq!(report.handled, 3);
    attempts.sort_unstable();
    assert_eq!(attempts, [(0, 2), (1, 1), (2, 1)]);
}
