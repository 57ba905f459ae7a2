//! A middleware of the process is around every handler, outside of those of a receiver.

use crate::support::{MINUTE, PATIENCE, Place, database, done, eventually};
use outtray::{
    BatchMessage, HandlerError, Message, Messaging, MessagingSession, Position, Router,
    TopicConfig, TopicKind,
};
use std::sync::{Arc, Mutex};

/// What ran, in order.
type Trace = Arc<Mutex<Vec<String>>>;

fn traced() -> (Place, Trace) {
    let (url, trace) = (database(), Trace::default());
    let noting = |name: &'static str| {
        let trace = Arc::clone(&trace);
        move |session: &mut MessagingSession<'_>,
              messages: &[outtray::Incoming<'_>],
              next: outtray::Next<'_>| {
            trace
                .lock()
                .unwrap()
                .push(format!("{name} {}", messages.len()));
            next.run(session)
        }
    };
    let builder = Messaging::builder().url(&url);
    let builder = builder
        .middleware(noting("outer"))
        .middleware(noting("inner"));
    (Place::over(&url, builder.connect().unwrap()), trace)
}

fn take(trace: &Trace) -> Vec<String> {
    std::mem::take(&mut trace.lock().unwrap())
}

#[test]
fn it_is_around_handlers_and_batches_and_routers_and_leases() {
    let (place, trace) = traced();
    let messaging = &place.messaging;

    place.send("jobs", &1);
    let (own, receiver) = (Arc::clone(&trace), messaging.receiver("jobs"));
    let receiver = receiver.middleware(move |session, _, next| {
        own.lock().unwrap().push("own".to_owned());
        next.run(session)
    });
    receiver.drain(done).unwrap();
    assert_eq!(take(&trace), ["outer 1", "inner 1", "own"]);

    place.send_all("jobs", 0..3);
    let batches = |_: &mut MessagingSession<'_>, _: &[BatchMessage<i32>]| Ok(());
    messaging
        .receiver("jobs")
        .drain_batches(3, batches)
        .unwrap();
    assert_eq!(take(&trace), ["outer 3", "inner 3"]);

    place.send("jobs", &1);
    let router = Router::new().on("#", |_, _: Message<i32>| Ok(()));
    messaging.receiver("jobs").drain_router(&router).unwrap();
    assert_eq!(take(&trace), ["outer 1", "inner 1"]);

    place.send("jobs", &1);
    place.leasing(MINUTE).drain(done).unwrap();
    assert_eq!(take(&trace), ["outer 1", "inner 1"]);
}

#[test]
fn it_is_around_readers_of_logs() {
    let (place, trace) = traced();
    let log = TopicConfig {
        kind: TopicKind::Log,
        ..TopicConfig::default()
    };
    place.messaging.topic("ledger").configure(log).unwrap();
    place.send_all("ledger", 0..3);

    let reader = place
        .messaging
        .reader("ledger", "bills")
        .from(Position::Start);
    let reader = reader.start(|_, _: &[Message<i32>]| Ok(())).unwrap();
    eventually("it reads", || trace.lock().unwrap().len() >= 2);
    reader.stop(PATIENCE);

    assert_eq!(take(&trace), ["outer 3", "inner 3"]);
}

#[test]
fn its_error_is_one_of_the_handler() {
    let url = database();
    let builder = Messaging::builder().url(&url);
    let builder = builder.middleware(|_, _, _| Err(HandlerError::reject("closed")));
    let place = Place::over(&url, builder.connect().unwrap());
    place.send("jobs", &1);

    assert_eq!(place.messaging.drain("jobs", done).unwrap().dead, 1);

    assert_eq!(place.dead_letters("jobs")[0].error, "closed");
}
