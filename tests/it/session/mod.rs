//! A session is one transaction: all of it happens, or nothing does, and its caller is told which.

mod bulk;
mod crossing;
pub(crate) mod ended_transactions;
mod first_settings;
mod flights;
mod handles;
mod joining;
mod kinds;
mod left_behind;
mod lent_pool;
mod refused_commits;
mod retrying;
mod round_trips;
mod sending;
mod settings_kept;
mod swallowed;
mod wide;

use crate::support::{PATIENCE, Place, client, pass_time};
use crossbeam_channel::bounded;
use outtray::{ErrorKind, HandlerError, Messaging, MessagingSession};
use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::{Duration, Instant};

/// Makes a database with a table of the application's own.
fn place() -> Place {
    let mut place = Place::new();
    place.sql("CREATE TABLE thing (name text PRIMARY KEY)");
    place
}

/// Counts what `FROM rows` gives, on a connection that outtray knows nothing of.
fn count(place: &Place, rows: &str) -> i64 {
    let query = format!("SELECT count(*) FROM {rows}");
    let counted = client(&place.url).query_one(&query, &[]);
    counted.unwrap().get(0)
}

/// Returns how many things are there, and how many messages in any state.
fn things_and_messages(place: &Place) -> (i64, i64) {
    let tables = ["message", "scheduled", "dead_letter"];
    let messages = tables.map(|table| count(place, &format!("outtray.{table}")));
    (count(place, "thing"), messages.iter().sum())
}

/// An error of the application's own.
#[derive(Debug, PartialEq)]
struct NoSuchCustomer(u32);

impl fmt::Display for NoSuchCustomer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no customer {}", self.0)
    }
}

impl std::error::Error for NoSuchCustomer {}

fn write_and_send(session: &mut MessagingSession<'_>) -> Result<(), HandlerError> {
    session.execute("INSERT INTO thing VALUES ($1)", &[&"one"])?;
    session.send_message("things", &"one")?;
    Ok(())
}

#[test]
fn what_a_session_writes_and_sends_is_there_when_it_returned_ok() {
    let place = place();

    place.messaging.session(write_and_send).unwrap();

    assert_eq!(things_and_messages(&place), (1, 1));
}

#[test]
fn a_session_that_fails_writes_nothing_and_sends_nothing() {
    let place = place();

    let error = place
        .messaging
        .session(|session| {
            write_and_send(session)?;
            Err::<(), _>(NoSuchCustomer(7).into())
        })
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::RolledBack);
    assert_eq!(error.cause::<NoSuchCustomer>(), Some(&NoSuchCustomer(7)));
    assert!(format!("{error:?}").contains("no customer 7"), "{error:?}");
    assert_eq!(things_and_messages(&place), (0, 0));
}

#[test]
fn a_panic_in_a_session_rolls_back_and_goes_on() {
    let place = place();

    let panic = catch_unwind(AssertUnwindSafe(|| {
        place.messaging.session(|session| {
            write_and_send(session)?;
            if session.query("SELECT", &[]).is_ok() {
                panic!("out of cheese");
            }
            Ok(())
        })
    }))
    .unwrap_err();

    assert_eq!(panic.downcast_ref(), Some(&"out of cheese"));
    assert_eq!(things_and_messages(&place), (0, 0));
    // The connection went back to the pool in order.
    place.messaging.session(write_and_send).unwrap();
    assert_eq!(things_and_messages(&place), (1, 1));
}

#[test]
fn a_payload_that_cannot_become_json_is_an_error_where_it_is_sent_and_the_rest_commits() {
    let place = place();
    let unfit = BTreeMap::from([(vec![1, 2], "a list cannot be a name")]);

    place
        .messaging
        .session(|session| {
            session.execute("INSERT INTO thing VALUES ('before')", &[])?;
            session.send_message("things", &"before")?;

            let error = session.send_message("things", &unfit).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Payload);
            assert!(error.to_string().contains("topic things"), "{error}");
            let error = session.send_messages("things", [&unfit]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Payload);

            session.execute("INSERT INTO thing VALUES ('after')", &[])?;
            session.send_message("things", &"after")?;
            Ok(())
        })
        .unwrap();

    assert_eq!(things_and_messages(&place), (2, 2));
}

#[test]
fn a_constraint_that_fails_at_commit_says_so_and_nothing_is_stored() {
    let mut place = place();
    place.sql(
        "CREATE TABLE part (thing text CONSTRAINT part_of_a_thing REFERENCES thing \
         DEFERRABLE INITIALLY DEFERRED)",
    );

    let error = place
        .messaging
        .session(|session| {
            write_and_send(session)?;
            session.execute("INSERT INTO part VALUES ('missing')", &[])?;
            Ok(())
        })
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::RolledBack);
    assert!(error.to_string().contains("part_of_a_thing"), "{error}");
    let cause = error
        .cause::<postgres::Error>()
        .and_then(|cause| cause.code());
    assert_eq!(cause.map(|code| code.code()), Some("23503"));
    assert_eq!(things_and_messages(&place), (0, 0));
}

#[test]
fn a_serialization_failure_is_a_conflict_and_the_same_session_again_succeeds() {
    let place = place();
    let mut other = client(&place.url);
    other
        .batch_execute("INSERT INTO thing VALUES ('contended')")
        .unwrap();
    let mut is_first = true;
    let mut rename = || {
        place.messaging.session(|session| {
            session.batch_execute(
                "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT FROM thing",
            )?;
            if std::mem::take(&mut is_first) {
                other.execute("UPDATE thing SET name = 'theirs'", &[])?;
            }
            session.execute("UPDATE thing SET name = 'ours'", &[])?;
            session.send_message("things", &"renamed")?;
            Ok(())
        })
    };

    let error = rename().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error:?}");
    assert_eq!(things_and_messages(&place), (1, 0));

    rename().unwrap();
    assert_eq!(things_and_messages(&place), (1, 1));
}

#[test]
fn a_serialization_failure_at_commit_is_a_conflict_too() {
    let place = place();
    let mut client = client(&place.url);
    let mut other = client
        .build_transaction()
        .isolation_level(postgres::IsolationLevel::Serializable)
        .start()
        .unwrap();
    other.execute("SELECT count(*) FROM thing", &[]).unwrap();
    other
        .execute("INSERT INTO thing VALUES ('theirs')", &[])
        .unwrap();
    let mut other = Some(other);

    let error = place
        .messaging
        .session(|session| {
            session.batch_execute(
                "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; SELECT count(*) FROM thing",
            )?;
            write_and_send(session)?;
            if let Some(other) = other.take() {
                other.commit()?;
            }
            Ok(())
        })
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Conflict, "{error:?}");
    assert_eq!(things_and_messages(&place), (1, 0));
}

#[test]
fn a_session_inside_a_session_is_a_transaction_of_its_own() {
    let place = place();

    let error = place
        .messaging
        .session(|outer| {
            outer.execute("INSERT INTO thing VALUES ('outer')", &[])?;
            outer.send_message("things", &"outer")?;
            place.messaging.session(write_and_send)?;
            Err::<(), _>(NoSuchCustomer(1).into())
        })
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::RolledBack);
    assert_eq!(things_and_messages(&place), (1, 1));
}

#[test]
fn an_error_of_an_inner_session_reaches_the_outer_caller_with_its_cause() {
    let place = place();

    let error = place
        .messaging
        .session(|_| {
            place
                .messaging
                .session(|_| Err::<(), _>(NoSuchCustomer(3).into()))?;
            Ok(())
        })
        .unwrap_err();

    assert_eq!(error.cause::<NoSuchCustomer>(), Some(&NoSuchCustomer(3)));
}

#[test]
fn a_session_that_finds_no_free_connection_says_so_in_time() {
    let place = place();
    let timeout = Duration::from_millis(200);
    let messaging = Messaging::builder()
        .url(&place.url)
        .pool_size(1)
        .checkout_timeout(timeout)
        .connect()
        .unwrap();

    let error = messaging
        .session(|_| {
            let started = Instant::now();
            let inner = messaging.session(write_and_send).unwrap_err();
            let waited = started.elapsed();
            assert!(waited >= timeout && waited < PATIENCE, "{waited:?}");
            Err::<(), _>(inner.into())
        })
        .unwrap_err();

    let inner = error.cause::<outtray::Error>().unwrap();
    assert_eq!(inner.kind(), ErrorKind::PoolExhausted);
    assert!(inner.to_string().contains("raise pool_size"), "{inner}");
    // The connection is free again.
    messaging.session(write_and_send).unwrap();
}

#[test]
fn a_session_waits_for_a_connection_that_becomes_free() {
    let place = place();
    let messaging = Messaging::builder()
        .url(&place.url)
        .pool_size(1)
        .connect()
        .unwrap();
    let (entered, in_session) = bounded(1);
    let (leave, left) = bounded::<()>(1);

    thread::scope(|scope| {
        let messaging = &messaging;
        scope.spawn(move || {
            messaging.session(|session| {
                session.send_message("things", &1)?;
                entered.send(()).unwrap();
                left.recv_timeout(PATIENCE)?;
                Ok(())
            })
        });
        in_session.recv_timeout(PATIENCE).unwrap();
        let waiting = scope.spawn(move || messaging.session(write_and_send));
        // It waits; there is nothing to see from outside, so it gets a moment to.
        pass_time(Duration::from_millis(50));
        leave.send(()).unwrap();
        waiting.join().unwrap().unwrap();
    });

    assert_eq!(things_and_messages(&place), (1, 2));
}

#[test]
fn a_session_cannot_commit_or_roll_back_by_itself() {
    let place = place();

    place
        .messaging
        .session(|session| {
            write_and_send(session)?;
            for sql in ["COMMIT", "rollback", "BEGIN", "END;", "ABORT"] {
                let error = session.execute(sql, &[]).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Invalid, "{sql}");
                assert_eq!(
                    session.batch_execute(sql).unwrap_err().kind(),
                    ErrorKind::Invalid
                );
            }
            Ok(())
        })
        .unwrap();

    assert_eq!(things_and_messages(&place), (1, 1));
}
