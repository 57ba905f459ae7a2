//! Several middlewares nest in the order in which they were added, for every kind of receiver.

use super::{Trace, effects, handle, place};
use crate::support::{MINUTE, PATIENCE, Place, eventually};
use outtray::{DrainReport, HandlerError, Message, NewMessage, ReceiverBuilder, Router};

/// Puts a middleware of each kind around the handler.
fn wrapped<'m>(receiver: ReceiverBuilder<'m>, trace: &Trace) -> ReceiverBuilder<'m> {
    let (before, after) = (trace.clone(), trace.clone());
    receiver
        .middleware(trace.noting("outer"))
        .before(move |_, message| {
            before.note(&format!("before {}", message.payload));
            Ok(())
        })
        .after(move |_, message| {
            after.note(&format!("after {}", message.payload));
            Ok(())
        })
        .middleware(trace.noting("inner"))
}

/// A way to handle what is there.
type Way = dyn Fn(&Place, &Trace) -> DrainReport;

const NESTED: [&str; 7] = [
    "outer begins",
    "before 1",
    "inner begins",
    "handler",
    "inner ends",
    "after 1",
    "outer ends",
];

#[test]
fn the_first_one_is_the_outermost() {
    let place = place(1..2);
    let trace = Trace::default();
    let noted = trace.clone();

    let receiver = wrapped(place.messaging.receiver("jobs"), &trace);
    let receiver = receiver
        .start(move |_, _: Message<i32>| {
            noted.note("handler");
            Ok(())
        })
        .unwrap();
    eventually("it is handled", || place.is_empty("jobs"));
    receiver.stop(PATIENCE);

    assert_eq!(trace.take(), NESTED);
}

#[test]
fn drains_and_leases_and_routers_have_them_too() {
    let leased = |place: &Place, trace: &Trace| {
        let noted = trace.clone();
        let receiver = wrapped(place.messaging.receiver("jobs"), trace).lease(MINUTE);
        receiver
            .drain(|_, _: Message<i32>| {
                noted.note("handler");
                Ok(())
            })
            .unwrap()
    };
    let drained = |place: &Place, trace: &Trace| {
        let noted = trace.clone();
        let receiver = wrapped(place.messaging.receiver("jobs"), trace);
        receiver
            .drain_all(|_, _: Message<i32>| {
                noted.note("handler");
                Ok(())
            })
            .unwrap()
    };
    let routed = |place: &Place, trace: &Trace| {
        let noted = trace.clone();
        let router = Router::new().on("#", move |_, _: Message<i32>| {
            noted.note("handler");
            Ok(())
        });
        wrapped(place.messaging.receiver("jobs"), trace)
            .drain_router(&router)
            .unwrap()
    };
    let ways: [&Way; 3] = [&leased, &drained, &routed];
    for way in ways {
        let place = place(1..2);
        let trace = Trace::default();

        assert_eq!(way(&place, &trace).handled, 1);

        assert_eq!(trace.take(), NESTED);
    }
}

#[test]
fn what_fails_is_seen_on_the_way_out_and_after_does_not_run() {
    let place = place(1..2);
    let trace = Trace::default();

    let receiver = wrapped(place.messaging.receiver("jobs"), &trace);
    let failed = receiver.drain(|_, _: Message<i32>| Err(HandlerError::reject("no")));

    assert_eq!(failed.unwrap().dead, 1);
    let expected = [
        "outer begins",
        "before 1",
        "inner begins",
        "inner fails",
        "outer fails",
    ];
    assert_eq!(trace.take(), expected);
}

#[test]
fn it_sees_the_message_as_it_was_sent() {
    let place = Place::new();
    let message = NewMessage::json_text("jobs", " [1] ").unwrap();
    let message = message
        .key("customer-7")
        .header("source", "web")
        .priority(3);
    let id = place.send_new(message);
    let trace = Trace::default();
    let noted = trace.clone();

    let receiver = place.messaging.receiver("jobs").before(move |_, message| {
        let (key, source) = (message.key.unwrap_or_default(), &message.headers["source"]);
        let attempts = format!("{} of {}", message.attempt, message.max_attempts);
        let (id, payload, priority) = (message.id, message.payload, message.priority);
        noted.note(&format!(
            "{id} {key} {source} {payload} {priority} {attempts}"
        ));
        assert!(!message.is_cancelled());
        assert_eq!(message.log_position(), None);
        Ok(())
    });
    assert_eq!(receiver.drain(|_, _: Message| Ok(())).unwrap().handled, 1);

    assert_eq!(
        trace.take(),
        [format!("{id} customer-7 web  [1]  3 1 of 10")]
    );
}

#[test]
fn each_message_of_a_transaction_goes_through_all_of_it() {
    let mut place = place(0..20);
    let receiver = place
        .messaging
        .receiver("jobs")
        .messages_per_transaction(20)
        .before(|session, message| super::write(session, "before", &message.payload.to_string()))
        .after(|session, message| super::write(session, "after", &message.payload.to_string()));

    assert_eq!(receiver.drain(handle).unwrap().handled, 20);

    assert_eq!(effects(&mut place).len(), 60);
}
