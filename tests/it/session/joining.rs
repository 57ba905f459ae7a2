//! The outbox inside a transaction of the caller's own: the caller commits, and nothing that is
//! wrong with a message gets in the way of that.

use super::{place, things_and_messages};
use crate::support::{PATIENCE, client, empty_database, process};
use crossbeam_channel::bounded;
use outtray::{ErrorKind, Message, MessagingSession, NewMessage};
use postgres::{Client, NoTls};
use std::collections::BTreeMap;
use std::time::Duration;

#[test]
fn what_is_sent_commits_with_the_callers_transaction() {
    let place = place();
    let mut client = client(&place.url);
    let mut transaction = client.transaction().unwrap();
    transaction
        .execute("INSERT INTO thing VALUES ('one')", &[])
        .unwrap();
    let mut session = MessagingSession::join(&place.messaging, &mut transaction).unwrap();
    let id = session.send_message("things", &"one").unwrap();
    drop(session);
    assert_eq!(
        things_and_messages(&place),
        (0, 0),
        "nobody sees it before the commit"
    );

    transaction.commit().unwrap();

    assert_eq!(things_and_messages(&place), (1, 1));
    assert_eq!(place.messaging.topic("things").peek(9).unwrap()[0].id, id);
}

#[test]
fn what_is_sent_is_gone_when_the_caller_rolls_back() {
    let place = place();
    let mut client = client(&place.url);
    let mut transaction = client.transaction().unwrap();
    let mut session = MessagingSession::join(&place.messaging, &mut transaction).unwrap();
    session.send_messages("things", 0..10).unwrap();
    session
        .send(NewMessage::bytes("things", [1]).delay(Duration::from_secs(60)))
        .unwrap();
    session
        .execute("INSERT INTO thing VALUES ('one')", &[])
        .unwrap();
    drop(session);

    transaction.rollback().unwrap();

    assert_eq!(things_and_messages(&place), (0, 0));
}

#[test]
fn what_is_sent_is_seen_in_the_callers_transaction_at_once() {
    let place = place();
    let mut client = client(&place.url);
    let mut transaction = client.transaction().unwrap();
    let count =
        "SELECT (SELECT count(*) FROM outtray.message), (SELECT count(*) FROM outtray.scheduled)";

    let mut session = MessagingSession::join(&place.messaging, &mut transaction).unwrap();
    session.send_message("things", &1).unwrap();
    session.send_messages("things", [2, 3]).unwrap();
    session
        .send(NewMessage::bytes("things", [4]).delay(Duration::from_secs(60)))
        .unwrap();
    let seen = session.query_one(count, &[]).unwrap();
    assert_eq!((seen.get::<_, i64>(0), seen.get::<_, i64>(1)), (3, 1));
    drop(session);

    let seen = transaction.query_one(count, &[]).unwrap();
    assert_eq!((seen.get::<_, i64>(0), seen.get::<_, i64>(1)), (3, 1));
}

#[test]
fn a_savepoint_of_the_caller_undoes_only_what_was_sent_in_it() {
    let place = place();
    let mut client = client(&place.url);
    let mut transaction = client.transaction().unwrap();
    MessagingSession::join(&place.messaging, &mut transaction)
        .unwrap()
        .send_message("things", &"kept")
        .unwrap();

    let mut nested = transaction.transaction().unwrap();
    MessagingSession::join(&place.messaging, &mut nested)
        .unwrap()
        .send_message("things", &"undone")
        .unwrap();
    nested.rollback().unwrap();
    transaction.commit().unwrap();

    let waiting = place.messaging.topic("things").peek(9).unwrap();
    let payloads: Vec<String> = waiting
        .iter()
        .map(|message| message.payload.to_string())
        .collect();
    assert_eq!(payloads, [r#""kept""#]);
}

#[test]
fn a_wake_after_the_callers_commit_is_not_a_poll_interval_late() {
    let place = place();
    let messaging = process(&place.url, Duration::from_secs(3600));
    let (seen, handled) = bounded(1);
    let receiver = messaging
        .start_receiving_messages("things", move |_, message: Message<i32>| {
            seen.send(message.payload)?;
            Ok(())
        })
        .unwrap();
    let mut client = client(&place.url);
    let mut transaction = client.transaction().unwrap();
    MessagingSession::join(&messaging, &mut transaction)
        .unwrap()
        .send_message("things", &7)
        .unwrap();
    transaction.commit().unwrap();

    messaging.wake("things");

    assert_eq!(handled.recv_timeout(PATIENCE).unwrap(), 7);
    receiver.stop(PATIENCE);
}

/// Something wrong to send, and the kind of error it is.
type Wrong = (
    &'static str,
    ErrorKind,
    fn(&mut MessagingSession<'_>) -> outtray::Result<()>,
);

fn json(topic: &str) -> NewMessage {
    NewMessage::json(topic, &1).unwrap()
}

const WRONG: &[Wrong] = &[
    ("an empty topic", ErrorKind::Invalid, |session| {
        session.send_message("", &1).map(drop)
    }),
    ("a topic with a quote", ErrorKind::Invalid, |session| {
        session.send_message("a'b", &1).map(drop)
    }),
    ("a topic with a NUL", ErrorKind::Invalid, |session| {
        session.send_message("a\0b", &1).map(drop)
    }),
    ("a long topic", ErrorKind::Invalid, |session| {
        session.send_message(&"x".repeat(300), &1).map(drop)
    }),
    ("a payload that is no JSON", ErrorKind::Payload, |session| {
        session
            .send_message("t", &BTreeMap::from([(vec![1], 2)]))
            .map(drop)
    }),
    ("a payload with a NUL", ErrorKind::Payload, |session| {
        session.send_message("t", "a\0b").map(drop)
    }),
    (
        "many payloads, the last with a NUL",
        ErrorKind::Payload,
        |session| session.send_messages("t", ["fine", "a\0b"]).map(drop),
    ),
    ("a large payload", ErrorKind::TooLarge, |session| {
        session.send_message("t", &"x".repeat(1 << 20)).map(drop)
    }),
    ("many bytes", ErrorKind::TooLarge, |session| {
        session
            .send(NewMessage::bytes("t", vec![0; (1 << 20) + 1]))
            .map(drop)
    }),
    ("a header without a name", ErrorKind::Invalid, |session| {
        session.send(json("t").header("", "x")).map(drop)
    }),
    ("a header with a NUL", ErrorKind::Invalid, |session| {
        session.send(json("t").header("x", "\0")).map(drop)
    }),
    ("a priority out of range", ErrorKind::Invalid, |session| {
        session.send(json("t").priority(i16::MIN)).map(drop)
    }),
    ("a delay without an end", ErrorKind::Invalid, |session| {
        session.send(json("t").delay(Duration::MAX)).map(drop)
    }),
    ("half a surrogate pair", ErrorKind::Payload, |session| {
        session
            .send(NewMessage::json_text("t", r#""\ud800""#)?)
            .map(drop)
    }),
    (
        "a statement that ends the transaction",
        ErrorKind::Invalid,
        |session| session.execute("COMMIT", &[]).map(drop),
    ),
];

#[test]
fn a_bad_message_does_not_abort_the_callers_transaction() {
    let place = place();
    let mut client = client(&place.url);
    let mut transaction = client.transaction().unwrap();

    for (index, (what, kind, send)) in WRONG.iter().enumerate() {
        let mut session = MessagingSession::join(&place.messaging, &mut transaction).unwrap();
        let error = send(&mut session).expect_err(what);
        assert_eq!(error.kind(), *kind, "{what}: {error:?}");
        session.send_message("good", &index).expect(what);
        drop(session);
        transaction
            .execute("INSERT INTO thing VALUES ($1)", &[what])
            .unwrap_or_else(|error| panic!("after {what}: {error:?}"));
    }
    transaction.commit().unwrap();

    let count = i64::try_from(WRONG.len()).unwrap();
    assert_eq!(things_and_messages(&place), (count, count));
}

#[test]
fn a_transaction_in_a_database_without_the_schema_says_what_is_missing() {
    let place = place();
    let mut elsewhere = Client::connect(&empty_database(), NoTls).unwrap();
    let mut transaction = elsewhere.transaction().unwrap();

    let mut session = MessagingSession::join(&place.messaging, &mut transaction).unwrap();
    let error = session.send_message("things", &1).unwrap_err();

    assert_eq!(error.kind(), ErrorKind::SchemaMissing);
    assert!(error.to_string().contains("run migrate()"), "{error}");
}

#[test]
fn a_transaction_that_was_aborted_before_is_an_error_at_once() {
    let place = place();
    let mut client = client(&place.url);
    let mut transaction = client.transaction().unwrap();
    transaction.execute("SELECT 1 / 0", &[]).unwrap_err();

    let mut session = MessagingSession::join(&place.messaging, &mut transaction).unwrap();
    let error = session.send_message("things", &1).unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Database);
    assert!(error.to_string().contains("aborted"), "{error}");
}
