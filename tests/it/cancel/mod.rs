//! A message that is given up is not delivered, or its handler learns of it, and it is never tried
//! again.

mod lives;

use crate::support::{
    Child, Gate, Ledger, NO_POLLING, PATIENCE, Place, WORK, awaited, eventually, next, process,
    test_name, tracked,
};
use crossbeam_channel::{after, unbounded};
use outtray::{
    Backoff, BatchMessage, Cancelled, Delivery, ErrorKind, HandlerError, How, Message, MessageId,
    Messaging, NewMessage, ReceiverBuilder,
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
        let _ = after(Duration::from_millis(10)).recv();
    }
    panic!("nobody asked in time");
}

#[test]
fn a_message_that_waits_is_gone_and_never_delivered() {
    let mut place = Place::new();
    let ready = place.send_new(tracked("jobs"));
    let later = place.send_new(tracked("jobs").delay(Duration::from_secs(60)));
    let dependent = place.send_new(tracked("jobs").after(&[later]));
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
            let id = place.send_new(tracked("jobs"));
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
    let id = place.send_new(tracked("jobs"));
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
fn a_handler_of_batches_learns_which_of_its_messages_are_to_be_given_up() {
    let place = Place::polling(NO_POLLING);
    let other = process(&place.url, NO_POLLING);
    for canceller in [&place.messaging, &other] {
        let (tell, told) = unbounded();
        let ids: Vec<MessageId> = (0..3).map(|_| place.send_new(tracked("jobs"))).collect();
        let receiver = worker(&place.messaging, false)
            .start_batches(10, move |_, batch: &[BatchMessage<i32>]| {
                tell.send(batch.len())?;
                until_cancelled(&batch[1]);
                for message in batch.iter().filter(|message| message.is_cancelled()) {
                    message.retry("given up");
                }
                Ok(())
            })
            .unwrap();
        assert_eq!(next(&told, 1), [3]);

        assert_eq!(canceller.cancel(ids[1]).unwrap(), Cancelled::Asked);

        let ends = [How::Done, How::Cancelled, How::Done];
        assert_eq!([0, 1, 2].map(|n| awaited(&other, ids[n]).how), ends);
        receiver.stop(PATIENCE);
        assert!(place.is_empty("jobs"));
    }
}

#[test]
fn a_batch_that_fails_is_not_tried_again_with_those_that_were_to_be_given_up() {
    let mut place = Place::polling(NO_POLLING);
    let (tell, told) = unbounded();
    let ids: Vec<MessageId> = (0..3).map(|_| place.send_new(tracked("jobs"))).collect();
    let receiver = worker(&place.messaging, false)
        .backoff(Backoff::fixed(LEASE))
        .start_batches(10, move |_, batch: &[BatchMessage<i32>]| {
            tell.send(batch.len())?;
            until_cancelled(&batch[2]);
            Err(HandlerError::failed("no"))
        })
        .unwrap();
    assert_eq!(next(&told, 1), [3]);

    assert_eq!(place.messaging.cancel(ids[2]).unwrap(), Cancelled::Asked);

    assert_eq!(awaited(&place.messaging, ids[2]).how, How::Cancelled);
    receiver.stop(PATIENCE);
    assert_eq!(place.count("outtray.scheduled WHERE attempts = 1"), 2);
    assert!(place.dead_letters("jobs").is_empty());
}

#[test]
fn one_that_is_to_be_given_up_before_its_batch_begins_is_left_out_of_it() {
    let mut place = Place::polling(NO_POLLING);
    let gate = Gate::new();
    let handler_gate = gate.clone();
    let (tell, told) = unbounded();
    let alone = place.send_new(tracked("jobs"));
    // What failed before goes alone, before the batch.
    place.sql("UPDATE outtray.message SET attempts = 1");
    let ids: Vec<MessageId> = (0..2).map(|_| place.send_new(tracked("jobs"))).collect();
    let receiver = worker(&place.messaging, false)
        .start_batches(10, move |_, batch: &[BatchMessage<i32>]| {
            if batch[0].id == alone {
                handler_gate.pass();
            }
            let ids: Vec<MessageId> = batch.iter().map(|message| message.id).collect();
            Ok(tell.send(ids)?)
        })
        .unwrap();
    gate.await_arrivals(1);

    assert_eq!(place.messaging.cancel(ids[0]).unwrap(), Cancelled::Asked);
    gate.open_for(1);

    assert_eq!(next(&told, 2), [vec![alone], vec![ids[1]]]);
    assert_eq!(awaited(&place.messaging, ids[0]).how, How::Cancelled);
    assert_eq!(awaited(&place.messaging, ids[1]).how, How::Done);
    receiver.stop(PATIENCE);
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
        .session(|session| Ok(session.send(tracked(WORK))?.id()))
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
fn a_leased_message_is_marked_and_removed_once_its_lease_is_over() {
    let mut place = Place::watchful();
    let id = place.send_new(tracked("jobs").delay(Duration::from_secs(60)));
    place.sql("UPDATE outtray.scheduled SET receipt = gen_random_uuid()");

    assert_eq!(place.messaging.cancel(id).unwrap(), Cancelled::Asked);

    assert_eq!(place.count("outtray.scheduled WHERE is_cancelled"), 1);
    // The holder is gone, and somebody put the message back where it waits.
    place.sql("UPDATE outtray.scheduled SET receipt = NULL");
    let _receiver = place
        .messaging
        .start_receiving_messages("another.topic", |_, _: Message| Ok(()))
        .unwrap();
    assert_eq!(awaited(&place.messaging, id).how, How::Cancelled);
}

/// Takes the message by hand, and has it cancelled meanwhile.
fn leased_and_cancelled(place: &Place, id: MessageId) -> Delivery<u32> {
    let taken = place.messaging.topic("jobs").receive(LEASE).unwrap();
    let taken = taken.expect("it is ready");
    assert_eq!(place.messaging.cancel(id).unwrap(), Cancelled::Asked);
    taken
}

#[test]
fn a_leased_message_whose_holder_died_is_not_tried_again_where_nothing_runs_in_the_background() {
    let mut place = Place::new();
    let by_hand = place.send_new(tracked("jobs"));
    let _of_the_dead = leased_and_cancelled(&place, by_hand);
    place.make_due();
    let other = process(&place.url, NO_POLLING);
    let again = other.topic("jobs").receive::<u32>(LEASE).unwrap();
    assert!(again.is_none(), "{again:?}");

    let drained = place.send_new(tracked("jobs"));
    let _of_the_dead = leased_and_cancelled(&place, drained);
    place.make_due();
    let report = other.drain("jobs", |_, _: Message| Ok(())).unwrap();
    assert_eq!((report.handled, report.retried), (0, 0));

    for id in [by_hand, drained] {
        let end = place.messaging.completion(id).unwrap();
        assert_eq!(end.map(|end| end.how), Some(How::Cancelled));
    }
    assert!(place.is_empty("jobs"));
}

#[test]
fn one_that_is_asked_for_before_it_is_leased_is_not_delivered_under_a_lease() {
    let mut place = Place::new();
    let id = place.send_new(tracked("jobs"));
    let messaging = place.messaging.clone();
    let mut held = place.client.transaction().unwrap();
    held.batch_execute("SELECT FROM outtray.message FOR UPDATE")
        .unwrap();
    assert_eq!(messaging.cancel(id).unwrap(), Cancelled::Asked);
    held.rollback().unwrap();

    let taken = messaging.topic("jobs").receive::<u32>(LEASE).unwrap();

    assert!(taken.is_none(), "{taken:?}");
    let end = messaging.completion(id).unwrap();
    assert_eq!(end.map(|end| end.how), Some(How::Cancelled));
    assert!(place.is_empty("jobs"));
}

#[test]
fn a_handler_under_a_lease_learns_of_a_request_that_crossed_its_claim() {
    let mut place = Place::watchful();
    let gate = Gate::new();
    let handler_gate = gate.clone();
    let receiver = place
        .messaging
        .receiver("jobs")
        .lease(Duration::from_millis(300))
        .start(move |_, message: Message| {
            handler_gate.pass();
            until_cancelled(&message);
            Err(HandlerError::failed("given up"))
        })
        .unwrap();
    let id = place.send_new(tracked("jobs"));
    gate.await_arrivals(1);

    // The claim did not see it, and who asked did not see the lease.
    place.sql(
        "INSERT INTO outtray.cancellation (topic, id) SELECT topic, id FROM outtray.scheduled",
    );
    gate.open_for(1);

    assert_eq!(awaited(&place.messaging, id).how, How::Cancelled);
    receiver.stop(PATIENCE);
}

#[test]
fn one_that_is_leased_and_not_begun_is_not_begun_any_more() {
    let place = Place::new();
    let gate = Gate::new();
    let ids = [
        place.send_new(tracked("jobs")),
        place.send_new(tracked("jobs")),
    ];
    let receiver = gate.holding(
        place
            .messaging
            .receiver("jobs")
            .lease(LEASE)
            .workers(1)
            .messages_per_transaction(2),
    );
    gate.await_arrivals(1);

    assert_eq!(place.messaging.cancel(ids[1]).unwrap(), Cancelled::Asked);
    gate.open_for(1);

    assert_eq!(awaited(&place.messaging, ids[1]).how, How::Cancelled);
    assert_eq!(awaited(&place.messaging, ids[0]).how, How::Done);
    assert!(gate.is_lonely_for(Duration::from_millis(100)));
    receiver.stop(PATIENCE);
}

#[test]
fn a_dead_letter_that_was_asked_for_before_it_died_is_delivered_when_it_is_redriven() {
    let place = Place::new();
    // Who works learns which messages are to be given up.
    place
        .messaging
        .drain("jobs", |_, _: Message| Ok(()))
        .unwrap();
    let id = place.send_new(tracked("jobs"));
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
    let id = place.send_new(tracked("jobs").delay(Duration::from_secs(60)));
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
fn messages_are_cancelled_by_their_headers() {
    let place = Place::polling(NO_POLLING);
    let message = |n: i32| NewMessage::json("mail", &n).unwrap();
    let gate = Gate::new();
    let handler_gate = gate.clone();
    let receiver = place
        .messaging
        .receiver("mail")
        .workers(1)
        .messages_per_transaction(1)
        .backoff(Backoff::fixed(Duration::from_secs(60)))
        .start(move |_, message: Message<i32>| {
            if message.payload == 1 {
                handler_gate.pass();
                assert!(message.is_cancelled());
            }
            Err(HandlerError::failed("no"))
        })
        .unwrap();
    let spring = |n| message(n).header("campaign", "spring");
    place.send_new(spring(1).header("country", "ch"));
    gate.await_arrivals(1);
    place.send_new(
        spring(2)
            .header("country", "ch")
            .delay(Duration::from_secs(60)),
    );
    for n in 3..6 {
        place.send_new(spring(n).header("country", "ch").header("more", "x"));
    }
    place.send_new(spring(6));
    place.send_new(spring(7).header("country", "de"));
    place.send_new(message(8));
    place.send_new(
        NewMessage::json("other", &9)
            .unwrap()
            .header("campaign", "spring"),
    );

    let topic = place.messaging.topic("mail");
    let wanted = [("campaign", "spring"), ("country", "ch")];
    assert_eq!(topic.cancel_where(wanted).unwrap(), 5);
    assert_eq!(topic.cancel_where([("missing", "")]).unwrap(), 0);
    assert_eq!(
        topic.cancel_where([("campaign", "' OR 'a'='a")]).unwrap(),
        0
    );
    let nothing: [(&str, &str); 0] = [];
    let refused = topic.cancel_where(nothing).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    gate.open_for(1);

    eventually("the others wait for their retries", || {
        let stats = topic.stats().unwrap();
        (stats.ready, stats.scheduled) == (0, 3)
    });
    receiver.stop(PATIENCE);
    assert_eq!(place.messaging.topic("other").stats().unwrap().ready, 1);
}

#[test]
fn a_campaign_of_many_thousands_is_cancelled_and_nothing_else() {
    let mut place = Place::new();
    place.sql(
        "INSERT INTO outtray.message (topic, rank, id, payload, headers)
             SELECT 'mail', 0, gen_random_uuid(), '1', json_build_object('campaign', CASE n % 4 WHEN 0 THEN 'autumn' ELSE 'spring' END)
             FROM generate_series(1, 16000) AS n",
    );

    let cancelled = place
        .messaging
        .topic("mail")
        .cancel_where([("campaign", "spring")]);

    assert_eq!(cancelled.unwrap(), 12_000);
    assert_eq!(place.count("outtray.message"), 4_000);
    let spring = "outtray.message WHERE headers ->> 'campaign' = 'spring'";
    assert_eq!(place.count(spring), 0);
    assert_eq!(place.count("outtray.cancellation"), 0);
}

#[test]
fn a_cancel_that_races_with_the_end_is_one_or_the_other() {
    let place = Place::new();
    let receiver = place
        .messaging
        .start_receiving_messages("jobs", |_, _: Message<i32>| Ok(()))
        .unwrap();

    for _ in 0..100 {
        let id = place.send_new(tracked("jobs"));
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

#[test]
fn many_are_cancelled_in_one_call_and_each_is_answered_for() {
    let place = Place::polling(NO_POLLING);
    let gate = Gate::new();
    let in_work = place.send_new(tracked("jobs"));
    let receiver = gate.holding(worker(&place.messaging, false));
    gate.await_arrivals(1);
    let ready = place.send("others", &2);
    let tracked_one = place.send_new(tracked("others"));
    let hour = Duration::from_secs(3600);
    let later = place.send_new(tracked("jobs").delay(hour));
    let leased = place.send("leased", &3);
    let delivery = place.messaging.topic("leased").receive::<i32>(hour);
    let delivery = delivery.unwrap().unwrap();
    let unknown = MessageId::from(uuid::Uuid::now_v7());
    let ids = [unknown, ready, in_work, later, leased, ready, tracked_one];

    let ends = place.messaging.cancel_all(&ids).unwrap();

    use Cancelled::{Asked, NotThere, Removed};
    assert_eq!(
        ends,
        [NotThere, Removed, Asked, Removed, Asked, Removed, Removed]
    );
    assert_eq!(place.messaging.cancel_all(&[]).unwrap(), []);
    let again = place.messaging.cancel_all(&[ready, later]).unwrap();
    assert_eq!(again, [NotThere, NotThere]);
    assert_eq!(awaited(&place.messaging, later).how, How::Cancelled);
    delivery.nack().unwrap();
    assert!(place.is_empty("leased"));
    gate.open_for(1);
    assert_eq!(awaited(&place.messaging, in_work).how, How::Done);
    receiver.stop(PATIENCE);
}
