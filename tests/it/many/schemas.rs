//! What an operator does in one schema is done in no other, and nobody elsewhere is woken.

use super::{OTHER, job, ready, schema, two_schemas, two_without_polling};
use crate::support::{A_WHILE, Gate, PATIENCE, client, eventually, next, telling};
use outtray::{ErrorKind, HandlerError, Message};
use postgres::fallible_iterator::FallibleIterator;
use std::time::Duration;

#[test]
fn a_topic_that_is_paused_in_one_schema_goes_on_in_another() {
    let (place, other) = two_schemas();
    place.jobs().pause().unwrap();
    let (paused, nothing) = telling::<i32>(place.messaging.receiver("jobs"));
    let (running, told) = telling::<i32>(other.receiver("jobs"));

    place.send("jobs", &1);
    other.send(job(2)).unwrap();

    assert_eq!(next(&told, 1), [2]);
    assert!(nothing.recv_timeout(A_WHILE).is_err());
    place.jobs().resume().unwrap();
    assert_eq!(next(&nothing, 1), [1]);
    for receiver in [paused, running] {
        receiver.stop(PATIENCE);
    }
}

#[test]
fn a_purge_a_cancel_and_a_redrive_leave_another_schema_alone() {
    let (place, other) = two_schemas();
    for messaging in [&place.messaging, &other] {
        messaging.send(job(0)).unwrap();
        let fail = |_: &mut outtray::MessagingSession<'_>, _: Message<i32>| {
            Err(HandlerError::reject("no"))
        };
        messaging.drain("jobs", fail).unwrap();
    }
    let id = place.messaging.send(job(1)).unwrap().id();
    let its = other.send(job(1)).unwrap().id();
    place.send("jobs", &2);
    other.send(job(2)).unwrap();

    other.cancel(id).unwrap();
    assert_eq!((ready(&place.messaging), ready(&other)), (2, 2));
    place.messaging.cancel(its).unwrap();
    place.messaging.cancel(id).unwrap();
    assert_eq!((ready(&place.messaging), ready(&other)), (1, 2));
    place.jobs().purge().unwrap();
    assert_eq!((ready(&place.messaging), ready(&other)), (0, 2));
    place.jobs().redrive(..).unwrap();

    assert_eq!((ready(&place.messaging), ready(&other)), (1, 2));
    assert_eq!(other.topic("jobs").stats().unwrap().dead, 1);
}

#[test]
fn a_notification_is_heard_in_its_schema_alone() {
    let (place, other) = two_without_polling();
    let mut listener = client(&place.url);
    let both = format!("LISTEN outtray; LISTEN {OTHER}");
    listener.batch_execute(&both).unwrap();
    let mut heard = |count: usize| {
        let mut notifications = listener.notifications();
        let mut waiting = notifications.timeout_iter(PATIENCE);
        let next = (0..count).map(|_| waiting.next().unwrap().unwrap());
        next.map(|heard| heard.channel().to_owned())
            .collect::<Vec<_>>()
    };

    place.send("jobs", &1);
    assert_eq!(heard(1), ["outtray"]);
    other.send(job(2)).unwrap();
    assert_eq!(heard(1), [OTHER]);
    for schema in ["outtray", OTHER] {
        let send = format!("SELECT {schema}.send('jobs', '3', notify => true)");
        client(&place.url).batch_execute(&send).unwrap();
        assert_eq!(heard(1), [schema]);
    }
}

#[test]
fn a_receiver_is_woken_by_messages_of_its_schema_and_no_others() {
    let (place, other) = two_without_polling();
    let (one, its) = telling::<i32>(place.messaging.receiver("jobs"));
    let (another, others) = telling::<i32>(other.receiver("jobs"));
    let elsewhere = schema(&place.url, OTHER);
    let mut place = place;
    place.await_listeners(2);

    for number in 0..20 {
        elsewhere.send(job(number)).unwrap();
        assert_eq!(next(&others, 1), [number]);
    }

    assert!(its.try_recv().is_err());
    place.send("jobs", &20);
    assert_eq!(next(&its, 1), [20]);
    assert!(others.try_recv().is_err());
    for receiver in [one, another] {
        receiver.stop(PATIENCE);
    }
}

#[test]
fn a_schema_is_dropped_while_another_is_at_work() {
    let (mut place, other) = two_schemas();
    let gate = Gate::new();
    let receiver = gate.holding(place.messaging.receiver("jobs"));
    place.send("jobs", &1);
    other.send(job(2)).unwrap();
    gate.await_arrivals(1);

    assert!(other.drop_schema(OTHER).unwrap());

    let refused = other.topic("jobs").stats().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::SchemaMissing);
    gate.open_for(1);
    eventually("it is done", || place.is_empty("jobs"));
    place.send("jobs", &3);
    gate.await_arrivals(1);
    gate.open_for(1);
    assert_eq!(receiver.stop(PATIENCE).abandoned, 0);
    assert_eq!(place.count("pg_namespace WHERE nspname = 'outtray'"), 1);
}

#[test]
fn the_receivers_of_one_schema_keep_it_and_no_other_from_being_dropped() {
    let (place, other) = two_schemas();
    let (receiver, _told) = telling::<i32>(other.receiver("jobs"));

    let refused = other.drop_schema(OTHER).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InUse);
    assert!(place.messaging.drop_schema("outtray").unwrap());

    assert!(receiver.stop(PATIENCE).abandoned == 0);
    assert!(other.drop_schema(OTHER).unwrap());
}

#[test]
fn schemas_whose_names_begin_alike_are_told_apart() {
    let (place, _) = two_schemas();
    let names = ["other", "other_10", "Other_1", "other_1_"];
    let systems = names.map(|name| schema(&place.url, name));
    for (number, messaging) in (0..).zip(&systems) {
        messaging.send(job(number)).unwrap();
    }

    for (number, messaging) in (0..).zip(&systems) {
        let taken = messaging
            .topic("jobs")
            .receive::<i32>(Duration::from_secs(60));
        let taken = taken.unwrap().expect("a message");
        assert_eq!(taken.payload, number);
        taken.ack().unwrap();
        assert!(messaging.topic("jobs").is_empty().unwrap());
    }
}
