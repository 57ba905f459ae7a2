//! Deliveries that are kept: their leases alive, and themselves wherever their holder likes.

use super::check_lost;
use crate::support::{MINUTE, NO_POLLING, PATIENCE, Place, aside, eventually, process};
use outtray::{
    Cancelled, Delivery, ErrorKind, HandlerError, MessageId, Messaging, NewMessage, Receipt,
};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// Long enough for a busy machine to prolong it in time, short enough to be waited out.
const SHORT: Duration = Duration::from_secs(3);

fn take(messaging: &Messaging, lease: Duration) -> Delivery<i32> {
    let taken = messaging.topic("jobs").receive(lease).unwrap();
    taken.expect("a message")
}

/// Checks that nobody gets a message although a short lease would have ended twice.
#[track_caller]
fn check_nobody_gets_one(place: &Place) {
    let next = place.jobs().receive_timeout::<i32>(SHORT * 2, MINUTE);
    assert!(next.unwrap().is_none());
}

#[test]
fn a_lease_that_is_kept_alive_lasts_until_its_message_is_settled() {
    let place = Place::new();
    place.send("jobs", &1);
    let delivery = take(&place.messaging, SHORT);
    delivery.keep_alive().unwrap();

    check_nobody_gets_one(&place);

    delivery.ack().unwrap();
    assert_eq!(place.numbers(), [0, 0, 0, 0]);
    check_lost(delivery.keep_alive());
}

#[test]
fn a_lease_is_kept_alive_by_its_receipt_alone_and_free_when_that_is_dropped() {
    let place = Place::new();
    place.send("jobs", &1);
    let delivery = take(&place.messaging, SHORT);
    delivery.keep_alive().unwrap();
    let (message, receipt) = delivery.into_parts();
    assert_eq!((message.payload, message.id), (1, receipt.id()));
    drop(message);

    check_nobody_gets_one(&place);
    drop(receipt);

    assert_eq!(take(&place.messaging, MINUTE).attempt, 2);
}

#[test]
fn a_lease_is_kept_alive_through_a_session_that_fails() {
    let place = Place::new();
    place.send("jobs", &1);
    let delivery = take(&place.messaging, SHORT);
    delivery.keep_alive().unwrap();

    let failed = delivery.settle_in(|_| Err::<(), _>(HandlerError::failed("no")));
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::RolledBack);
    let failed = place.messaging.session(|session| {
        session.settle(&delivery)?;
        Err::<(), _>(HandlerError::failed("no"))
    });
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::RolledBack);

    check_nobody_gets_one(&place);
    delivery.settle_in(|_| Ok(())).unwrap();
    assert_eq!(place.numbers(), [0, 0, 0, 0]);
    assert!(!delivery.is_cancelled());
}

#[test]
fn a_lease_that_no_heartbeat_could_keep_alive_is_refused_one() {
    let place = Place::new();
    place.send("jobs", &1);
    let delivery = take(&place.messaging, Duration::from_millis(50));

    let error = delivery.keep_alive().unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
}

#[test]
fn a_cancel_is_seen_without_asking_wherever_it_comes_from() {
    let mut place = Place::polling(NO_POLLING);
    let elsewhere = process(&place.url, NO_POLLING);
    place.send_all("jobs", [1, 2]);
    let [first, second] = [1, 2].map(|_| take(&place.messaging, MINUTE * 60));

    assert_eq!(place.messaging.cancel(first.id).unwrap(), Cancelled::Asked);
    assert_eq!((first.is_cancelled(), second.is_cancelled()), (true, false));

    second.keep_alive().unwrap();
    place.await_listener();
    assert_eq!(elsewhere.cancel(second.id).unwrap(), Cancelled::Asked);
    eventually("the holder is told", || second.is_cancelled());
    assert!(second.message().is_cancelled());
    first.nack().unwrap();
    second.nack().unwrap();
    assert_eq!(place.numbers(), [0, 0, 0, 0]);
}

#[test]
fn without_notifications_the_heartbeat_brings_word_of_a_cancel_and_of_a_lost_lease() {
    let mut place = Place::new();
    let deaf = Messaging::builder().url(&place.url).notify(false);
    let deaf = deaf.poll_interval(NO_POLLING).connect().unwrap();
    place.send_all("jobs", [1, 2]);
    let [cancelled, lost] = [1, 2].map(|_| take(&deaf, SHORT));
    for delivery in [&cancelled, &lost] {
        delivery.keep_alive().unwrap();
    }

    place.messaging.cancel(cancelled.id).unwrap();
    let id = lost.id;
    place.sql(&format!(
        "UPDATE outtray.scheduled SET receipt = gen_random_uuid() WHERE id = '{id}'"
    ));

    eventually("both are told", || {
        cancelled.is_cancelled() && lost.is_cancelled()
    });
    check_lost(lost.ack());
}

#[test]
fn a_message_that_is_taken_again_is_told_of_its_cancel_and_the_one_before_is_not() {
    let place = Place::new();
    place.send("jobs", &1);
    let first = take(&place.messaging, Duration::from_millis(1));
    let taken = place.jobs().receive_timeout::<i32>(MINUTE, MINUTE);
    let second = taken.unwrap().expect("the lease is over");
    assert_eq!(first.id, second.id);
    drop(first);

    place.messaging.cancel(second.id).unwrap();

    assert!(second.is_cancelled());
}

#[test]
fn deliveries_and_receipts_are_settled_from_wherever_they_are_kept() {
    let place = Place::new();
    place.send_all("jobs", 0..6);
    let batch = place.jobs().receive_batch::<i32>(6, MINUTE).unwrap();
    let mut by_payload: BTreeMap<i32, Delivery<i32>> = batch
        .into_iter()
        .map(|delivery| (delivery.payload, delivery))
        .collect();
    let mut receipts: HashMap<MessageId, Receipt> = HashMap::new();
    for payload in [0, 1] {
        let delivery = by_payload.remove(&payload).unwrap();
        let (message, receipt) = delivery.into_parts();
        receipts.insert(message.id, receipt);
    }

    let one = by_payload.remove(&2).unwrap();
    let settled = aside(move || one.ack());
    settled.recv_timeout(PATIENCE).expect("it ends").unwrap();
    let ids: Vec<MessageId> = receipts.keys().copied().collect();
    let settled = receipts.remove(&ids[0]).unwrap();
    place
        .messaging
        .session(|session| Ok(session.settle(&settled)?))
        .unwrap();
    assert!(
        place
            .messaging
            .extend_all(receipts.values(), MINUTE)
            .unwrap()
            .is_empty()
    );
    assert!(
        place
            .messaging
            .ack_all(receipts.values())
            .unwrap()
            .is_empty()
    );
    let rest = by_payload.values().filter(|delivery| delivery.payload > 3);
    assert!(place.messaging.ack_all(rest).unwrap().is_empty());
    assert_eq!(place.numbers(), [0, 0, 1, 0]);
    assert!(
        place
            .messaging
            .release_all(by_payload.values().take(1))
            .unwrap()
            .is_empty()
    );
    let lost = place.messaging.nack_all(receipts.values()).unwrap();

    assert_eq!(lost, [ids[1]]);
    assert_eq!(place.numbers(), [1, 0, 0, 0]);
}

#[test]
fn a_kept_delivery_of_a_tracked_message_ends_it_with_a_result() {
    let place = Place::new();
    let id = place.send_new(NewMessage::json("jobs", &1).unwrap().tracked());
    let (_, receipt) = take(&place.messaging, MINUTE).into_parts();

    receipt.ack_with(&"done").unwrap();

    assert!(receipt.is_settled());
    let end = place.messaging.completion(id).unwrap().unwrap();
    assert_eq!(end.result, Some("done".into()));
}
