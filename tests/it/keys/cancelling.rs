//! Who cancels or purges messages behind others of their key leaves the key such that it goes on,
//! and nobody waits.

use super::{TOPIC, keyed};
use crate::support::{Gate, PATIENCE, Place, aside, client, eventually, next};
use outtray::{Cancelled, Message, MessagingSession};
use std::time::Duration;

/// Longer than any test.
const LEASE: Duration = Duration::from_secs(3600);

/// Where a cancel stands that has removed what waits, and has yet to ask for the rest and to
/// commit.
const BEFORE_ASKING: &str = "LOCK TABLE outtray.cancellation IN SHARE MODE";
/// Where one stands that has removed a tracked message, and has yet to say so and to commit.
const BEFORE_TELLING: &str = "LOCK TABLE outtray.outcome IN SHARE MODE";

#[test]
fn a_key_goes_on_whose_next_message_is_cancelled_while_the_one_in_work_ends() {
    let mut place = Place::watchful();
    place.send_new(keyed("a", 0));
    let id = place.send_new(keyed("a", 1).tracked());
    place.send_new(keyed("a", 2));
    let gate = Gate::new();
    let (receiver, told) = gate.telling::<i32>(place.messaging.receiver(TOPIC).workers(2));
    gate.await_arrivals(1);
    let mut other = client(&place.url);
    let mut open = other.transaction().unwrap();
    open.batch_execute(BEFORE_TELLING).unwrap();
    let messaging = place.messaging.clone();
    let cancelling = aside(move || messaging.cancel(id));
    place.await_waiter();

    gate.open_for(1);
    eventually("the end does not wait for the cancel", || {
        place.count("outtray.message") == 0
    });
    open.rollback().unwrap();

    assert_eq!(
        cancelling.recv_timeout(PATIENCE).unwrap().unwrap(),
        Cancelled::Removed
    );
    gate.open_for(1);
    assert_eq!(next(&told, 2), [0, 2]);
    place.await_no_trace();
    receiver.stop(PATIENCE);
}

#[test]
fn a_lease_is_acknowledged_while_it_and_the_next_of_its_key_are_cancelled() {
    let mut place = Place::new();
    for n in 0..2 {
        place.send_new(keyed("a", n).header("run", "1"));
    }
    let delivery = place.messaging.topic(TOPIC).receive::<i32>(LEASE).unwrap();
    let mut other = client(&place.url);
    let mut open = other.transaction().unwrap();
    open.batch_execute(BEFORE_ASKING).unwrap();
    let messaging = place.messaging.clone();
    let cancelling = aside(move || messaging.topic(TOPIC).cancel_where([("run", "1")]));
    place.await_waiter();

    let told = aside(move || delivery.unwrap().ack());
    let acknowledged = told.recv_timeout(PATIENCE);
    open.rollback().unwrap();

    acknowledged.expect("it waits for nobody").unwrap();
    // The one that was leased had ended before it was asked for.
    assert_eq!(cancelling.recv_timeout(PATIENCE).unwrap().unwrap(), 1);
    place
        .messaging
        .drain(TOPIC, |_, _: Message| Ok(()))
        .unwrap();
    place.await_no_trace();
}

#[test]
fn a_cancel_does_not_wait_for_a_lease_that_somebody_ends() {
    let mut place = Place::new();
    let id = place.send_new(keyed("a", 1));
    let delivery = place.messaging.topic(TOPIC).receive::<i32>(LEASE).unwrap();
    let mut other = client(&place.url);
    let mut open = other.transaction().unwrap();
    open.batch_execute("SELECT FROM outtray.scheduled FOR UPDATE")
        .unwrap();

    let messaging = place.messaging.clone();
    let told = aside(move || messaging.cancel(id));
    let cancelled = told.recv_timeout(PATIENCE);
    open.rollback().unwrap();

    assert_eq!(
        cancelled.expect("it waits for nobody").unwrap(),
        Cancelled::Asked
    );
    delivery.unwrap().ack().unwrap();
    place.await_no_trace();
}

#[test]
fn a_message_behind_others_is_cancelled_later_where_a_sender_holds_the_turn_of_its_key() {
    let mut place = Place::new();
    let ids: Vec<_> = (0..2).map(|n| place.send_new(keyed("a", n))).collect();
    let mut sender = client(&place.url);
    let mut open = sender.transaction().unwrap();
    MessagingSession::join(&place.messaging, &mut open)
        .and_then(|mut session| session.send(keyed("a", 2)).map(drop))
        .unwrap();

    assert_eq!(place.messaging.cancel(ids[1]).unwrap(), Cancelled::Asked);
    open.commit().unwrap();

    assert_eq!(place.handled::<i32>(TOPIC), [0, 2]);
    place.await_no_trace();
}

#[test]
fn a_purge_leaves_what_is_on_its_way_out_of_its_line() {
    let mut place = Place::new();
    for n in 0..3 {
        place.send_new(keyed("a", n));
    }
    let mut other = client(&place.url);
    let mut open = other.transaction().unwrap();
    open.batch_execute(
        "SELECT FROM outtray.lane FOR UPDATE;
        SELECT FROM outtray.follower ORDER BY seq LIMIT 1 FOR UPDATE",
    )
    .unwrap();

    let messaging = place.messaging.clone();
    let told = aside(move || messaging.topic(TOPIC).purge());
    let purged = told.recv_timeout(PATIENCE);
    open.rollback().unwrap();

    assert_eq!(purged.expect("it waits for nobody").unwrap(), 2);
    let report = place
        .messaging
        .drain(TOPIC, |_, _: Message| Ok(()))
        .unwrap();
    assert_eq!(report.handled, 1);
    place.await_no_trace();
}
