//! Messages under a lease that are given up.

use super::{LEASE, leased_and_cancelled, until_cancelled};
use crate::support::{Gate, NO_POLLING, PATIENCE, Place, awaited, process, tracked};
use outtray::{Cancelled, HandlerError, How, Message};
use std::time::Duration;

#[test]
fn a_leased_message_is_marked_and_removed_once_its_lease_is_over() {
    let mut place = Place::watchful();
    let id = place.send_new(tracked("jobs", 1).delay(Duration::from_secs(60)));
    place.sql("UPDATE outtray.scheduled SET receipt = gen_random_uuid()");

    assert_eq!(place.messaging.cancel(id).unwrap(), Cancelled::Asked);

    assert_eq!(place.count("outtray.scheduled WHERE is_cancelled"), 1);
    // The holder is gone, and somebody put the message back where it waits.
    place.sql("UPDATE outtray.scheduled SET receipt = NULL");
    let _receiver = place.idle_receiver();
    assert_eq!(awaited(&place.messaging, id).how, How::Cancelled);
}

#[test]
fn a_leased_message_whose_holder_died_is_not_tried_again_where_nothing_runs_in_the_background() {
    let mut place = Place::new();
    let by_hand = place.send_new(tracked("jobs", 1));
    let _of_the_dead = leased_and_cancelled(&place, by_hand);
    place.make_due();
    let other = process(&place.url, NO_POLLING);
    let again = other.topic("jobs").receive::<u32>(LEASE).unwrap();
    assert!(again.is_none(), "{again:?}");

    let drained = place.send_new(tracked("jobs", 1));
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
    let id = place.send_new(tracked("jobs", 1));
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
    let id = place.send_new(tracked("jobs", 1));
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
        place.send_new(tracked("jobs", 1)),
        place.send_new(tracked("jobs", 1)),
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
