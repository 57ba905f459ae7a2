//! A message that is given up is not delivered, or its handler learns of it, and it is never tried
//! again.

mod batches;
mod leased;
mod lives;
mod many;

use crate::support::{
    Child, Gate, Ledger, NO_POLLING, PATIENCE, Place, WORK, awaited, eventually, next, pass_time,
    process, test_name, tracked,
};
use crossbeam_channel::unbounded;
use outtray::{
    Cancelled, Delivery, HandlerError, How, Message, MessageId, Messaging, NewMessage,
    ReceiverBuilder,
};
use std::time::Duration;

/// Longer than any test.
const LEASE: Duration = Duration::from_secs(3600);

/// Sets up a receiver that holds messages by its transaction, or by leases.
fn worker(messaging: &Messaging, is_leasing: bool) -> ReceiverBuilder<'_> {
    let receiver = messaging.receiver("jobs").workers(1);
    match is_leasing {
        true => receiver.lease(LEASE),
        false => receiver,
    }
}

/// Looks, as a handler that takes long does, until it is asked to give up.
fn until_cancelled<T>(message: &Message<T>) {
    for _ in 0..3_000 {
        if message.is_cancelled() {
            return;
        }
        pass_time(Duration::from_millis(10));
    }
    panic!("nobody asked in time");
}

/// Takes the message by hand, and has it cancelled meanwhile.
fn leased_and_cancelled(place: &Place, id: MessageId) -> Delivery<u32> {
    let taken = place.messaging.topic("jobs").receive(LEASE).unwrap();
    let taken = taken.expect("it is ready");
    assert_eq!(place.messaging.cancel(id).unwrap(), Cancelled::Asked);
    taken
}

#[test]
fn a_message_that_waits_is_gone_and_never_delivered() {
    let mut place = Place::new();
    let ready = place.send_new(tracked("jobs", 1));
    let later = place.send_new(tracked("jobs", 1).delay(Duration::from_secs(60)));
    let dependent = place.send_new(tracked("jobs", 1).after(&[later]));
    let plain = place.send("jobs", &2);
    let kept = place.send("jobs", &3);

    for id in [ready, dependent, later, plain] {
        assert_eq!(place.messaging.cancel(id).unwrap(), Cancelled::Removed);
        assert_eq!(place.messaging.cancel(id).unwrap(), Cancelled::NotThere);
    }

    for id in [ready, dependent, later] {
        assert_eq!(awaited(&place.messaging, id).how, How::Cancelled);
    }
    place.make_due();
    let report = place
        .messaging
        .drain("jobs", move |_, message: Message| {
            assert_eq!(message.id, kept);
            Ok(())
        })
        .unwrap();
    assert_eq!((report.handled, report.retried), (1, 0));
    assert_eq!(place.count("outtray.dependency"), 0);
}

#[test]
fn a_follower_of_a_key_is_removed_too() {
    let mut place = Place::new();
    let behind = MessageId::from(uuid::Uuid::now_v7());
    place.sql("INSERT INTO outtray.lane (topic, key) VALUES ('jobs', 'k')");
    place
        .client
        .execute(
            "INSERT INTO outtray.follower (topic, key, rank, id, payload) VALUES ('jobs', 'k', 0, $1, '1')",
            &[&behind.as_uuid()],
        )
        .unwrap();

    assert_eq!(place.messaging.cancel(behind).unwrap(), Cancelled::Removed);

    assert_eq!(place.count("outtray.follower"), 0);
}

#[test]
fn the_handler_of_a_message_in_work_learns_of_it_and_who_waits_does_too() {
    let place = Place::polling(NO_POLLING);
    let other = process(&place.url, NO_POLLING);
    for (canceller, is_leasing) in [
        (&place.messaging, false),
        (&place.messaging, true),
        (&other, false),
        (&other, true),
    ] {
        for is_panic in [false, true] {
            let (tell, told) = unbounded();
            let receiver = worker(&place.messaging, is_leasing)
                .start(move |_, message: Message<i32>| {
                    tell.send(message.is_cancelled())?;
                    until_cancelled(&message);
                    assert!(!is_panic, "given up");
                    Err(HandlerError::snooze(Duration::from_secs(1)))
                })
                .unwrap();
            let id = place.send_new(tracked("jobs", 1));
            assert_eq!(next(&told, 1), [false]);

            assert_eq!(canceller.cancel(id).unwrap(), Cancelled::Asked);

            assert_eq!(awaited(&other, id).how, How::Cancelled);
            receiver.stop(PATIENCE);
            assert!(place.is_empty("jobs"));
            assert!(place.dead_letters("jobs").is_empty());
        }
    }
}

#[test]
fn a_handler_that_succeeds_all_the_same_is_done() {
    let place = Place::polling(NO_POLLING);
    let (tell, told) = unbounded();
    let receiver = place
        .messaging
        .start_receiving_messages("jobs", move |_, message: Message<i32>| {
            tell.send(())?;
            until_cancelled(&message);
            Ok(())
        })
        .unwrap();
    let id = place.send_new(tracked("jobs", 1));
    next(&told, 1);

    place.messaging.cancel(id).unwrap();

    assert_eq!(awaited(&place.messaging, id).how, How::Done);
    receiver.stop(PATIENCE);
}

#[test]
fn one_that_is_claimed_and_not_begun_is_not_begun_any_more() {
    for is_leasing in [false, true] {
        let place = Place::polling(NO_POLLING);
        let gate = Gate::new();
        let handler_gate = gate.clone();
        let (tell, told) = unbounded();
        place.send_all("jobs", 0..64);
        let last = place.send_new(NewMessage::json("jobs", &64).unwrap().tracked());
        let receiver = worker(&place.messaging, is_leasing)
            .messages_per_transaction(10)
            .start(move |_, message: Message<i32>| {
                // The batch with the last message in it.
                if message.payload == 60 {
                    handler_gate.pass();
                }
                Ok(tell.send(message.payload)?)
            })
            .unwrap();
        gate.await_arrivals(1);

        assert_eq!(place.messaging.cancel(last).unwrap(), Cancelled::Asked);
        gate.open_for(1);

        assert_eq!(awaited(&place.messaging, last).how, How::Cancelled);
        receiver.stop(PATIENCE);
        assert_eq!(
            told.try_iter().collect::<Vec<_>>(),
            (0..64).collect::<Vec<_>>()
        );
    }
}

#[test]
fn one_that_comes_back_to_its_queue_unheard_is_removed_there() {
    const TEST: &str = test_name!(one_that_comes_back_to_its_queue_unheard_is_removed_there);
    if Child::role().is_some() {
        let _receiver = Ledger::messaging_of_parent()
            .start_receiving_messages(WORK, |_, _: Message| {
                Child::tell("in hand");
                Child::await_parent();
                Ok(())
            })
            .unwrap();
        Child::await_parent();
        return;
    }
    let ledger = Ledger::open();
    let messaging = process(ledger.url(), Duration::from_millis(50));
    let mut child = ledger.child(TEST, "handler");
    let id = messaging
        .session(|session| Ok(session.send(tracked(WORK, 1))?.id()))
        .unwrap();
    assert_eq!(child.listen(), "in hand");

    assert_eq!(messaging.cancel(id).unwrap(), Cancelled::Asked);
    child.kill();
    let _receiver = messaging
        .start_receiving_messages("another.topic", |_, _: Message| Ok(()))
        .unwrap();

    assert_eq!(awaited(&messaging, id).how, How::Cancelled);
    ledger.execute("UPDATE outtray.cancellation SET asked_at = asked_at - interval '1 hour'");
    eventually("the request is forgotten", || {
        ledger.number("SELECT count(*) FROM outtray.cancellation", &[]) == 0
    });
}

#[test]
fn a_dead_letter_that_was_asked_for_before_it_died_is_delivered_when_it_is_redriven() {
    let place = Place::new();
    // Who works learns which messages are to be given up.
    place
        .messaging
        .drain("jobs", |_, _: Message| Ok(()))
        .unwrap();
    let id = place.send_new(tracked("jobs", 1));
    leased_and_cancelled(&place, id).reject("no use").unwrap();

    assert_eq!(place.messaging.topic("jobs").redrive(id).unwrap(), 1);

    let report = place
        .messaging
        .drain("jobs", |_, _: Message| Ok(()))
        .unwrap();
    assert_eq!(report.handled, 1);
    let end = place.messaging.completion(id).unwrap();
    assert_eq!(end.map(|end| end.how), Some(How::Done));
}

#[test]
fn one_that_somebody_has_in_hand_for_a_moment_is_removed_afterwards() {
    let mut place = Place::watchful();
    let id = place.send_new(tracked("jobs", 1).delay(Duration::from_secs(60)));
    let messaging = place.messaging.clone();
    let mut held = place.client.transaction().unwrap();
    held.batch_execute("SELECT FROM outtray.scheduled FOR UPDATE")
        .unwrap();

    assert_eq!(messaging.cancel(id).unwrap(), Cancelled::Asked);
    held.rollback().unwrap();
    let _receiver = messaging
        .start_receiving_messages("another.topic", |_, _: Message| Ok(()))
        .unwrap();

    assert_eq!(awaited(&messaging, id).how, How::Cancelled);
}

#[test]
fn a_cancel_that_races_with_the_end_is_one_or_the_other() {
    let place = Place::new();
    let receiver = place
        .messaging
        .start_receiving_messages("jobs", |_, _: Message<i32>| Ok(()))
        .unwrap();

    for _ in 0..100 {
        let id = place.send_new(tracked("jobs", 1));
        let did = place.messaging.cancel(id).unwrap();
        let how = awaited(&place.messaging, id).how;
        match did {
            Cancelled::Removed => assert_eq!(how, How::Cancelled),
            // Before its handler began, or while it ran.
            Cancelled::Asked => assert!(matches!(how, How::Cancelled | How::Done), "{how}"),
            _ => assert_eq!(how, How::Done),
        }
    }
    receiver.stop(PATIENCE);
}
