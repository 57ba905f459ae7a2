//! A receiver that cannot work says so when it starts.

use crate::support::{Place, empty_database, eventually, process};
use outtray::{ErrorKind, Message, Messaging, ReceiverBuilder};
use std::time::Duration;

#[track_caller]
fn check_refused(builder: ReceiverBuilder<'_>, kind: ErrorKind, part: &str) {
    let error = builder.start(|_, _: Message| Ok(())).unwrap_err();
    assert_eq!(error.kind(), kind);
    assert!(error.to_string().contains(part), "{error}");
}

#[test]
fn settings_out_of_range_are_refused() {
    let mut place = Place::new();
    let receiver = |topic| place.messaging.receiver(topic);

    let invalid = ErrorKind::Invalid;
    check_refused(receiver("t").workers(0), invalid, "workers is 0");
    check_refused(receiver("t").workers(1025), invalid, "1 to 1024");
    check_refused(receiver("t").max_attempts(0), invalid, "max_attempts is 0");
    check_refused(receiver("t").max_attempts(40_000), invalid, "1 to 32767");
    check_refused(receiver("t").messages_per_transaction(0), invalid, "is 0");
    check_refused(
        receiver("t").messages_per_transaction(65),
        invalid,
        "1 to 64",
    );
    check_refused(receiver(""), invalid, "empty");
    check_refused(receiver("a b"), invalid, "' '");

    assert_eq!(place.count("outtray.worker"), 0);
}

#[test]
fn a_missing_schema_is_said_to_be_missing() {
    let url = empty_database();
    let messaging = Messaging::connect(&url).unwrap();

    check_refused(
        messaging.receiver("t"),
        ErrorKind::SchemaMissing,
        "migrate()",
    );

    messaging.migrate().unwrap();
    let receiver = messaging.receiver("t").start(|_, _: Message| Ok(()));
    assert!(receiver.is_ok());
}

#[test]
fn a_drain_of_a_bad_topic_is_refused() {
    let place = Place::new();
    let error = place
        .messaging
        .drain("", |_, _: Message| Ok(()))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

#[test]
fn receivers_that_start_at_the_same_time_are_all_enrolled_and_signed_off() {
    let mut place = Place::new();
    let elsewhere = process(&place.url, Duration::from_secs(2));

    let receivers: Vec<outtray::Receiver> = std::thread::scope(|scope| {
        let starting: Vec<_> = (0..10)
            .map(|number| {
                let messaging = if number % 2 == 0 {
                    &place.messaging
                } else {
                    &elsewhere
                };
                scope.spawn(move || {
                    messaging
                        .receiver(&format!("topic-{number}"))
                        .start(|_, _: Message| Ok(()))
                        .unwrap()
                })
            })
            .collect();
        starting
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });

    assert_eq!(place.count("outtray.worker"), 10);
    drop(receivers);
    eventually("all signed off", || place.count("outtray.worker") == 0);
}
