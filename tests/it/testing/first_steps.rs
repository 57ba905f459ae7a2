//! What a newcomer does first: send, receive, see that failure is handled.

use crate::support::{PATIENCE, database};
use crossbeam_channel::bounded;
use outtray::{Backoff, Message, Messaging};
use serde_json::{Value, json};
use std::time::Duration;

fn messaging() -> Messaging {
    Messaging::connect(&database()).unwrap()
}

#[test]
fn a_message_reaches_its_handler_and_is_gone_afterwards() {
    let messaging = messaging();
    let (seen, handled) = bounded(1);
    let receiver = messaging
        .start_receiving_messages("greetings", move |_, message: Message<Value>| {
            seen.send((message.id, message.payload)).unwrap();
            Ok(())
        })
        .unwrap();

    let id = messaging
        .session(|session| Ok(session.send_message("greetings", &json!({"foo": "bar"}))?))
        .unwrap();

    assert_eq!(
        handled.recv_timeout(PATIENCE).unwrap(),
        (id, json!({"foo": "bar"}))
    );
    receiver.stop(PATIENCE);
    assert!(messaging.topic("greetings").is_empty().unwrap());
}

#[test]
fn a_failing_message_is_retried_and_kept_as_a_dead_letter() {
    let messaging = messaging();
    messaging
        .session(|session| {
            session.batch_execute("CREATE TABLE seen (attempt integer)")?;
            Ok(session.send_message("jobs", &1)?)
        })
        .unwrap();

    let receiver = messaging
        .receiver("jobs")
        .max_attempts(3)
        .backoff(Backoff::fixed(Duration::from_millis(10)))
        .start(|session, message: Message<i32>| {
            let attempt = i32::try_from(message.attempt)?;
            session.execute("INSERT INTO seen VALUES ($1)", &[&attempt])?;
            Err(std::io::Error::other("no such customer").into())
        })
        .unwrap();
    crate::support::eventually("a dead letter", || {
        messaging.topic("jobs").stats().unwrap().dead == 1
    });
    receiver.stop(PATIENCE);

    let letters = messaging.topic("jobs").dead_letters(10).unwrap();
    assert_eq!(letters[0].attempts, 3);
    assert_eq!(letters[0].error, "no such customer");
    let seen: i64 = messaging
        .session(|session| Ok(session.query_one("SELECT count(*) FROM seen", &[])?.get(0)))
        .unwrap();
    assert_eq!(seen, 0);
}
