//! Handlers publish in the transactions of their messages, in every way of working.

use super::{publish, subscribed, taken};
use crate::support::{Gate, HOUR, MINUTE, PATIENCE, Place, eventually, process};
use outtray::{
    BatchMessage, HandlerError, Message, MessagingSession, Position, TopicConfig, TopicKind,
};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Publishes the payload of a message, twice, and fails for odd ones.
fn pass_on(session: &mut MessagingSession<'_>, number: i32) -> Result<(), HandlerError> {
    assert_eq!(session.publish("orders.created", &number)?.copies, 1);
    session.execute("SELECT 1", &[])?;
    assert_eq!(session.publish("orders.created", &-number)?.copies, 1);
    match number % 2 {
        0 => Ok(()),
        _ => Err(HandlerError::reject("odd")),
    }
}

#[track_caller]
fn check_passed_on(place: &Place) {
    let mut passed_on = taken(&place.messaging, "billing");
    passed_on.sort_unstable();
    assert_eq!(passed_on, [-8, -6, -4, -2, 2, 4, 6, 8]);
    assert_eq!(place.dead_letters("jobs").len(), 4);
    assert!(place.is_empty("jobs"));
}

fn with_jobs() -> Place {
    let place = subscribed("billing");
    place.send_all("jobs", 1..=8);
    place
}

#[test]
fn what_a_failed_handler_published_is_gone_and_its_neighbours_stays() {
    let place = with_jobs();
    let handler = |session: &mut MessagingSession<'_>, message: Message<i32>| {
        pass_on(session, message.payload)
    };
    let running = place
        .messaging
        .start_receiving_messages("jobs", handler)
        .unwrap();
    eventually("all are handled", || place.is_empty("jobs"));
    running.stop(PATIENCE);
    check_passed_on(&place);
}

#[test]
fn a_drain_and_handlers_under_leases_publish_too() {
    let place = with_jobs();
    let drained = place
        .messaging
        .drain("jobs", |session, message: Message<i32>| {
            pass_on(session, message.payload)
        });
    assert_eq!(drained.unwrap().handled, 4);
    check_passed_on(&place);

    let place = with_jobs();
    let leased = place.messaging.receiver("jobs").lease(MINUTE);
    let drained = leased.drain(|session, message: Message<i32>| pass_on(session, message.payload));
    assert_eq!(drained.unwrap().handled, 4);
    check_passed_on(&place);
}

#[test]
fn a_batch_publishes_as_one() {
    let place = with_jobs();
    let publish_all = |session: &mut MessagingSession<'_>, batch: &[BatchMessage<i32>]| {
        for message in batch {
            drop(session.publish("orders.created", &message.payload)?);
        }
        Ok(())
    };
    let running = place
        .messaging
        .start_receiving_batches("jobs", 4, publish_all)
        .unwrap();
    eventually("all are handled", || place.is_empty("jobs"));
    running.stop(PATIENCE);
    let mut published = taken(&place.messaging, "billing");
    published.sort_unstable();
    assert_eq!(published, [1, 2, 3, 4, 5, 6, 7, 8]);
}

#[test]
fn a_delivery_that_is_settled_in_a_session_publishes_with_it() {
    let place = with_jobs();
    let delivery = place
        .messaging
        .topic("jobs")
        .receive::<i32>(HOUR)
        .unwrap()
        .unwrap();
    delivery
        .settle_in(|session| {
            session.publish("orders.created", &17)?;
            Ok(())
        })
        .unwrap();
    assert_eq!(taken(&place.messaging, "billing"), [17]);
    assert_eq!(place.messaging.topic("jobs").stats().unwrap().ready, 7);
}

/// Returns how often a handler ran that published, while another process subscribed before its
/// transaction committed. Under a lease it need not run again: returns how many were reached.
#[track_caller]
fn runs(is_leased: bool) -> usize {
    let mut place = subscribed("billing");
    let other = process(&place.url, PATIENCE);
    let (gate, runs) = (Gate::new(), AtomicUsize::new(0));
    place.send("jobs", &1);
    thread::scope(|scope| {
        let (gate, messaging, runs) = (&gate, &place.messaging, &runs);
        let draining = scope.spawn(move || {
            let handler = |session: &mut MessagingSession<'_>, message: Message<i32>| {
                let run = runs.fetch_add(1, Ordering::SeqCst);
                assert_eq!(message.attempt, 1);
                // What is known is young then.
                publish(messaging, "nothing", 0);
                let published = session.publish("orders.created", &message.payload)?;
                assert_eq!(published.copies, run + 1);
                if run == 0 {
                    gate.pass();
                }
                Ok(())
            };
            match is_leased {
                false => messaging.drain("jobs", handler),
                true => messaging.receiver("jobs").lease(HOUR).drain(handler),
            }
        });
        gate.await_arrivals(1);
        other.subscribe("orders.*", "audit").unwrap();
        gate.open_for(1);
        assert_eq!(draining.join().unwrap().unwrap().handled, 1);
    });
    assert_eq!(taken(&place.messaging, "billing"), [1]);
    let others = taken(&place.messaging, "audit").len();
    assert_eq!(place.count("outtray.message"), 0);
    match is_leased {
        true => assert_eq!(runs.into_inner(), 1),
        false => assert_eq!(runs.into_inner(), 1 + others),
    }
    1 + others
}

#[test]
fn subscriptions_that_change_while_a_handler_runs_are_obeyed_as_a_whole() {
    for is_leased in [false, true] {
        // On a slow machine a publish asks before it is too late, and need not be right any more.
        assert!((0..50).any(|_| runs(is_leased) == 2), "leased: {is_leased}");
    }
}

#[test]
fn a_handler_that_took_a_role_publishes_as_it_sends() {
    let place = with_jobs();
    let drained = place
        .messaging
        .drain("jobs", |session, message: Message<i32>| {
            // One that may read and write nothing of ours.
            session.execute("SET LOCAL ROLE pg_signal_backend", &[])?;
            session.send_message("others", &message.payload)?;
            assert_eq!(
                session.publish("orders.created", &message.payload)?.copies,
                1
            );
            assert_eq!(session.publish("nothing", &message.payload)?.copies, 0);
            Ok(())
        });
    assert_eq!(drained.unwrap().handled, 8);
    assert_eq!(taken(&place.messaging, "billing"), [1, 2, 3, 4, 5, 6, 7, 8]);
    place
        .messaging
        .session(|session| {
            session.execute("SET LOCAL ROLE pg_signal_backend", &[])?;
            assert_eq!(session.publish("orders.created", &9)?.copies, 1);
            Ok(())
        })
        .unwrap();
    assert_eq!(taken(&place.messaging, "billing"), [9]);
}

#[test]
fn the_handler_of_a_logs_reader_publishes_each_entry_once() {
    let place = subscribed("billing");
    let log = TopicConfig {
        kind: TopicKind::Log,
        ..TopicConfig::default()
    };
    place.messaging.topic("ledger").configure(log).unwrap();
    place.send_all("ledger", 0..200);
    let reader = place.messaging.reader("ledger", "copier").batch_size(10);
    let running = reader
        .from(Position::Start)
        .start(|session, entries: &[Message<i32>]| {
            for entry in entries {
                assert_eq!(session.publish("orders.created", &entry.payload)?.copies, 1);
            }
            Ok(())
        });
    let running = running.unwrap();
    // Others change what has nothing to do with it.
    let other = process(&place.url, PATIENCE);
    let ready = || place.messaging.topic("billing").stats().unwrap().ready;
    eventually("all are published", || {
        other.subscribe("others", "others").unwrap();
        other.unsubscribe("others", "others").unwrap();
        ready() >= 200
    });
    running.stop(PATIENCE);
    assert_eq!(
        taken(&place.messaging, "billing"),
        (0..200).collect::<Vec<_>>()
    );
}
