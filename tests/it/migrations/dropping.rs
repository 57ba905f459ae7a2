//! A schema is dropped for who names it, when nobody receives and nothing else is in it.

use crate::support::{Child, PATIENCE, Place, eventually, process, test_name};
use outtray::{ErrorKind, Message, Messaging};
use std::time::Duration;

/// Checks that the schema stays, with the message in it.
#[track_caller]
fn check_refused(place: &Place, name: &str, kind: ErrorKind, part: &str) {
    let error = place.messaging.drop_schema(name).unwrap_err();
    assert_eq!(error.kind(), kind, "{error:?}");
    assert!(format!("{error:?}").contains(part), "{error:?}");
    assert_eq!(place.messaging.topic("jobs").stats().unwrap().ready, 1);
}

#[test]
fn a_schema_is_dropped_by_its_name_and_made_anew() {
    let mut place = Place::new();
    place.send("jobs", &1);
    check_refused(&place, "", ErrorKind::Invalid, "\"outtray\"");
    check_refused(&place, "public", ErrorKind::Invalid, "public");
    check_refused(&place, "OUTTRAY", ErrorKind::Invalid, "OUTTRAY");

    assert!(place.messaging.drop_schema("outtray").unwrap());

    assert_eq!(place.count("pg_namespace WHERE nspname = 'outtray'"), 0);
    assert!(!place.messaging.drop_schema("outtray").unwrap());
    let refused = place.messaging.topic("jobs").stats().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::SchemaMissing);
    place.messaging.migrate().unwrap();
    place.send("jobs", &2);
    let delivery = place.messaging.topic("jobs").receive::<i32>(None).unwrap();
    let delivery = delivery.expect("a message");
    assert_eq!(delivery.payload, 2);
    delivery.ack().unwrap();
}

#[test]
fn a_schema_of_another_name_is_dropped_and_no_other() {
    let mut place = Place::new();
    let other = Messaging::builder().url(&place.url).schema("other");
    let other = other.connect().unwrap();
    other.migrate().unwrap();
    place.send("jobs", &1);

    assert_eq!(
        other.drop_schema("outtray").unwrap_err().kind(),
        ErrorKind::Invalid
    );
    assert!(other.drop_schema("other").unwrap());

    assert_eq!(
        place.count("pg_namespace WHERE nspname IN ('outtray', 'other')"),
        1
    );
    assert_eq!(place.messaging.topic("jobs").stats().unwrap().ready, 1);
}

#[test]
fn a_schema_with_anything_else_in_it_or_on_it_stays_whole() {
    let mut place = Place::new();
    place.send("jobs", &1);

    place.sql("CREATE TABLE outtray.mine (n integer)");
    check_refused(&place, "outtray", ErrorKind::Database, "not outtray's");
    place.sql("DROP TABLE outtray.mine; CREATE VIEW waiting AS SELECT id FROM outtray.message");
    check_refused(&place, "outtray", ErrorKind::Database, "rests on");

    place.sql("DROP VIEW waiting");
    assert!(place.messaging.drop_schema("outtray").unwrap());
}

#[test]
fn a_schema_is_not_dropped_while_anybody_receives() {
    if let Some(url) = Child::role() {
        let messaging = process(&url, Duration::from_secs(1));
        let done = |_: &mut outtray::MessagingSession<'_>, _: Message| Ok(());
        let _receiver = messaging.start_receiving_messages("others", done).unwrap();
        Child::tell("receiving");
        return Child::await_parent();
    }
    let mut place = Place::new();
    place.send("jobs", &1);
    let done = |_: &mut outtray::MessagingSession<'_>, _: Message| Ok(());
    let elsewhere = process(&place.url, PATIENCE);
    let receiver = elsewhere.start_receiving_messages("others", done).unwrap();
    check_refused(&place, "outtray", ErrorKind::InUse, "topic others");
    receiver.stop(PATIENCE);

    let test = test_name!(a_schema_is_not_dropped_while_anybody_receives);
    let mut child = Child::start(Child::this_program(), test, &place.url);
    child.listen();
    check_refused(&place, "outtray", ErrorKind::InUse, "1 in all");
    child.kill();

    // Its row is left, and its lock goes with it.
    assert_eq!(place.count("outtray.worker"), 1);
    eventually("the dead one counts no more", || {
        place.messaging.drop_schema("outtray").unwrap_or_default()
    });
}
