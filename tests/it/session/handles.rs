//! What users hold goes wherever they need it: to other threads, and past panics.

use outtray::{
    BatchMessage, Builder, DeadLetter, Delivery, Filter, Message, Messaging, NewMessage, Payload,
    Receiver, Selection, Topic, TopicConfig,
};
use std::panic::{RefUnwindSafe, UnwindSafe, catch_unwind};
use std::time::Duration;

fn stands_panics<T: UnwindSafe + RefUnwindSafe>() {}

fn goes_anywhere<T: Send + Sync + UnwindSafe + RefUnwindSafe + 'static>() {}

#[test]
fn all_handles_stand_panics() {
    goes_anywhere::<Messaging>();
    goes_anywhere::<Builder>();
    goes_anywhere::<Receiver>();
    goes_anywhere::<Delivery<Payload>>();
    goes_anywhere::<Delivery<String>>();
    goes_anywhere::<outtray::Receipt>();
    goes_anywhere::<outtray::Interrupt>();
    goes_anywhere::<outtray::Wait>();
    goes_anywhere::<Message>();
    goes_anywhere::<NewMessage>();
    goes_anywhere::<TopicConfig>();
    goes_anywhere::<Filter>();
    goes_anywhere::<Selection>();
    goes_anywhere::<DeadLetter>();
    stands_panics::<Topic<'_>>();
    stands_panics::<BatchMessage>();
    stands_panics::<outtray::ReceiverBuilder<'_>>();
}

#[test]
fn a_panic_in_a_session_that_is_caught_leaves_all_handles_of_use() {
    let place = crate::support::Place::new();
    let messaging = &place.messaging;
    let jobs = messaging.topic("jobs");

    let caught = catch_unwind(|| {
        messaging.session(|session| {
            session.send_message("jobs", &1)?;
            let nobody: Result<i32, _> = "nobody".parse();
            Ok(nobody.unwrap())
        })
    });

    assert!(caught.is_err());
    assert!(jobs.is_empty().unwrap());
    place.send("jobs", &2);
    let minute = Duration::from_secs(60);
    let delivery = jobs.receive::<i32>(minute).unwrap().unwrap();
    let caught = catch_unwind(|| assert_eq!(delivery.payload, 1));
    assert!(caught.is_err());
    delivery.ack().unwrap();
    assert!(jobs.is_empty().unwrap());
}
