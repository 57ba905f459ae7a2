//! All handlers of a message commit together, or none of them, in whatever way one fails.

use super::{Seen, TOPIC, reason, routed, typed};
use crate::support::{MINUTE, PATIENCE, Place, eventually};
use outtray::{
    Backoff, DeadReason, HandlerError, Message, MessagingSession, ReceiverBuilder, Router,
};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Longer than any test.
const LATER: Duration = Duration::from_secs(500);

#[derive(Debug, Clone, Copy, PartialEq)]
enum Failing {
    Error,
    Panic,
    Rejection,
    Snooze,
    RetryAfter,
    SqlError,
    SwallowedSqlError,
    DeferredConstraint,
}

const WAYS: [Failing; 8] = [
    Failing::Error,
    Failing::Panic,
    Failing::Rejection,
    Failing::Snooze,
    Failing::RetryAfter,
    Failing::SqlError,
    Failing::SwallowedSqlError,
    Failing::DeferredConstraint,
];

const TABLES: &str = "CREATE TABLE effect (route text NOT NULL, n integer NOT NULL);
    CREATE TABLE once (n integer UNIQUE DEFERRABLE INITIALLY DEFERRED);
    INSERT INTO once VALUES (1)";

fn write(session: &mut MessagingSession<'_>, route: &str, n: i32) -> Result<(), HandlerError> {
    session.execute("INSERT INTO effect VALUES ($1, $2)", &[&route, &n])?;
    session.send_message("sent", &n)?;
    Ok(())
}

/// Writes, and fails if the number is 1.
fn fail(
    way: Failing,
    session: &mut MessagingSession<'_>,
    message: &Message<i32>,
) -> Result<(), HandlerError> {
    write(session, "failing", message.payload)?;
    if message.payload != 1 {
        return Ok(());
    }
    match way {
        Failing::Error => Err(HandlerError::failed("not now")),
        Failing::Panic => panic!("not now"),
        Failing::Rejection => Err(HandlerError::reject("never")),
        Failing::Snooze => Err(HandlerError::snooze(LATER)),
        Failing::RetryAfter => Err(HandlerError::retry_after(LATER)),
        Failing::SqlError => Ok(session.batch_execute("SELECT 1 / 0")?),
        Failing::SwallowedSqlError => {
            let _ = session.batch_execute("SELECT 1 / 0");
            Ok(())
        }
        Failing::DeferredConstraint => {
            session.execute("INSERT INTO once VALUES (1)", &[])?;
            Ok(())
        }
    }
}

fn table(way: Failing) -> Router {
    let writing = |route: &'static str| {
        move |session: &mut MessagingSession<'_>, message: Message<i32>| {
            write(session, route, message.payload)
        }
    };
    Router::new()
        .on("number", writing("first"))
        .on(["number", "numbers"], writing("second"))
        .on("#", move |session, message: Message<i32>| {
            fail(way, session, &message)
        })
        .on("*", writing("last"))
}

/// Routes four messages, of which one handler of the second fails in this way, and checks what
/// becomes of all.
#[track_caller]
fn check(way: Failing, configure: fn(ReceiverBuilder<'_>) -> ReceiverBuilder<'_>) {
    let mut place = Place::new();
    place.sql(TABLES);
    let numbers = (0..4).map(|number| typed("number", &number));
    let sent = place
        .messaging
        .session(|session| Ok(session.send_all(numbers)?));
    assert_eq!(sent.unwrap().len(), 4);
    let receiver = place
        .messaging
        .receiver(TOPIC)
        .backoff(Backoff::fixed(LATER));

    let report = configure(receiver).drain_router(&table(way)).unwrap();

    assert_eq!(report.handled, 3, "{way:?}");
    assert_eq!(place.count("effect WHERE n = 1"), 0, "{way:?}");
    assert_eq!(place.count("effect"), 4 * 3, "{way:?}");
    assert_eq!(
        place.count("outtray.message WHERE topic = 'sent'"),
        4 * 3,
        "{way:?}"
    );
    assert_eq!(
        place.count("outtray.message WHERE payload::text = '1'"),
        0,
        "{way:?}"
    );
    let attempts = match way {
        Failing::Rejection => {
            let dead = place.dead_letters(TOPIC);
            assert_eq!(dead[0].reason, DeadReason::Rejected);
            assert_eq!(dead[0].error, "route #: never");
            return;
        }
        Failing::Snooze => 0,
        // It was refused once beside the others and once alone, or once and no more.
        Failing::DeferredConstraint => {
            assert_eq!(
                place.count("outtray.scheduled WHERE attempts > 0"),
                1,
                "{way:?}"
            );
            return;
        }
        _ => 1,
    };
    let waiting = format!("outtray.scheduled WHERE topic = '{TOPIC}' AND attempts = {attempts}");
    assert_eq!(place.count(&waiting), 1, "{way:?}");
}

#[test]
fn a_handler_that_fails_in_any_way_undoes_all_handlers_of_its_message_alone() {
    for way in WAYS {
        check(way, |receiver| receiver.messages_per_transaction(4));
    }
}

#[test]
fn so_it_is_where_each_message_has_a_transaction_of_its_own() {
    for way in WAYS {
        check(way, |receiver| receiver.messages_per_transaction(1));
    }
}

#[test]
fn so_it_is_under_leases() {
    for way in WAYS {
        check(way, |receiver| receiver.lease(MINUTE));
    }
}

#[test]
fn a_message_is_tried_again_as_a_whole_until_all_handlers_succeed() {
    let mut place = Place::new();
    place.sql(TABLES);
    place.send_new(typed("number", &1));
    let seen = Seen::default();
    let router = Router::new()
        .on("number", seen.noting("first"))
        .on("number", |session, message: Message<i32>| {
            write(session, "second", message.payload)
        })
        .on("#", |session, message: Message<i32>| {
            match message.attempt {
                3 => write(session, "third", message.payload),
                _ => fail(Failing::Error, session, &message),
            }
        });
    let receiver = place
        .messaging
        .receiver(TOPIC)
        .backoff(Backoff::fixed(Duration::ZERO))
        .start_router(router)
        .unwrap();

    eventually("it is handled", || place.is_empty(TOPIC));
    receiver.stop(PATIENCE);

    assert_eq!(seen.take(), ["first"; 3]);
    assert_eq!(place.count("effect WHERE route = 'second'"), 1);
    assert_eq!(place.count("effect WHERE route = 'third'"), 1);
    assert_eq!(place.count("effect"), 2);
}

#[test]
fn a_message_whose_attempts_are_used_up_says_which_route_failed() {
    let place = Place::new();
    place.send_new(typed("number", &1));
    let router = Router::new()
        .on("number", |_, _: Message<i32>| Ok(()))
        .on(["num.#", "*"], |_, _: Message<i32>| {
            Err(HandlerError::failed("no paper"))
        });

    let receiver = place.messaging.receiver(TOPIC).max_attempts(2);
    let report = receiver.drain_all_router(&router).unwrap();

    assert_eq!((report.handled, report.retried, report.dead), (0, 1, 1));
    assert_eq!(reason(&place), "route num.#, *: no paper");
}

#[test]
fn the_handlers_of_a_message_see_what_the_ones_before_them_wrote() {
    let mut place = Place::new();
    place.sql(TABLES);
    place.send_new(typed("number", &2));
    let router = Router::new()
        .on("number", |session, message: Message<i32>| {
            write(session, "first", message.payload)
        })
        .on("#", |session, _: Message<i32>| {
            let row = session.query_one("SELECT count(*) FROM effect", &[])?;
            let written: i64 = row.try_get(0)?;
            write(session, "second", i32::try_from(written)?)
        });

    assert_eq!(routed(&place, &router), 1);

    assert_eq!(place.count("effect WHERE route = 'second' AND n = 1"), 1);
}

#[test]
fn a_conflict_in_one_handler_runs_all_of_them_again_and_spends_no_attempt() {
    for configure in [
        (|receiver| receiver) as fn(ReceiverBuilder<'_>) -> ReceiverBuilder<'_>,
        |receiver| receiver.lease(MINUTE),
    ] {
        let mut place = Place::new();
        place.sql(TABLES);
        place.send_new(typed("number", &2));
        let seen = Seen::default();
        let runs = AtomicU32::new(0);
        let router = Router::new().on("number", seen.noting("first")).on(
            "#",
            move |session, message: Message<i32>| {
                write(session, "second", message.payload)?;
                assert_eq!(message.attempt, 1);
                match runs.fetch_add(1, Ordering::Relaxed) {
                    0 => Ok(session.batch_execute(
                        "DO $$ BEGIN RAISE EXCEPTION 'in the way' USING ERRCODE = '40001'; END $$",
                    )?),
                    _ => Ok(()),
                }
            },
        );

        let receiver = configure(place.messaging.receiver(TOPIC));
        let report = receiver.drain_all_router(&router).unwrap();

        assert_eq!((report.handled, report.dead), (1, 0));
        assert_eq!(seen.take(), ["first"; 2]);
        assert_eq!(place.count("effect"), 1);
    }
}
