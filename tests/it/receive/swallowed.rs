//! A handler that swallows an error of its SQL has failed, and none of what it did is kept.

use crate::support::{PATIENCE, Place, eventually};
use outtray::{ErrorKind, HandlerError, Message, MessagingSession};

const BAD: &str = "SELECT 1 / 0";

fn by_execute(session: &mut MessagingSession<'_>) {
    assert_eq!(
        session.execute(BAD, &[]).unwrap_err().kind(),
        ErrorKind::Database
    );
}

fn by_batch_execute(session: &mut MessagingSession<'_>) {
    assert!(session.batch_execute(BAD).is_err());
}

fn by_transaction(session: &mut MessagingSession<'_>) {
    let mut nested = session.transaction().unwrap();
    assert!(nested.execute(BAD, &[]).is_err());
    assert!(nested.commit().is_err());
    // Rolled back by the failed commit at the latest, so the session itself has to fail.
    assert!(session.execute(BAD, &[]).is_err());
}

fn by_a_nested_transaction_that_is_forgotten(session: &mut MessagingSession<'_>) {
    let mut nested = session.transaction().unwrap();
    assert!(nested.execute(BAD, &[]).is_err());
    // Its destructor would roll back to its savepoint and so mend the transaction.
    std::mem::forget(nested);
}

fn by_with_transaction(session: &mut MessagingSession<'_>) {
    let result = session.with_transaction(|transaction| transaction.execute(BAD, &[]));
    assert!(result.unwrap().is_err());
}

/// Lets one message of `count` swallow an SQL error in this way, and checks what becomes of all.
#[track_caller]
fn check_swallowed(count: i32, swallow: fn(&mut MessagingSession<'_>)) {
    let mut place = Place::new();
    place.sql("CREATE TABLE effect (n integer, transaction text)");
    place.send_all("numbers", 0..count);
    let at_fault = count / 2;

    let receiver = place
        .messaging
        .receiver("numbers")
        .workers(1)
        .max_attempts(1)
        .messages_per_transaction(usize::try_from(count).unwrap())
        .start(move |session, message: Message<i32>| {
            session.execute(
                "INSERT INTO effect VALUES ($1, pg_current_xact_id()::text)",
                &[&message.payload],
            )?;
            session.send_message("sent", &message.payload)?;
            if message.payload == at_fault {
                swallow(session);
            }
            Ok(())
        })
        .unwrap();
    eventually("all settled", || place.is_empty("numbers"));
    receiver.stop(PATIENCE);

    let dead = place.dead_letters("numbers");
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].payload.to_string(), at_fault.to_string());
    assert!(dead[0].error.contains("swallowed"), "{}", dead[0].error);
    let others = i64::from(count - 1);
    assert_eq!(place.count("effect"), others);
    assert_eq!(place.count(&format!("effect WHERE n = {at_fault}")), 0);
    assert_eq!(place.count("outtray.message WHERE topic = 'sent'"), others);
    let transactions = place.number("SELECT count(DISTINCT transaction) FROM effect");
    assert!(transactions <= 1.0, "one batch: {transactions}");
}

#[test]
fn a_handler_that_swallows_a_failed_execute_is_a_failure() {
    check_swallowed(1, by_execute);
    check_swallowed(1, by_batch_execute);
}

#[test]
fn a_handler_that_swallows_a_failed_execute_fails_alone_in_its_batch() {
    check_swallowed(5, by_execute);
    check_swallowed(5, by_batch_execute);
}

#[test]
fn a_handler_that_swallows_a_failure_around_a_nested_transaction_is_a_failure() {
    check_swallowed(1, by_transaction);
    check_swallowed(1, by_a_nested_transaction_that_is_forgotten);
}

#[test]
fn a_handler_that_swallows_a_failure_around_a_nested_transaction_fails_alone_in_its_batch() {
    check_swallowed(5, by_transaction);
    check_swallowed(5, by_a_nested_transaction_that_is_forgotten);
}

#[test]
fn a_handler_that_swallows_a_failure_in_the_lent_transaction_is_a_failure() {
    check_swallowed(1, by_with_transaction);
}

#[test]
fn a_handler_that_swallows_a_failure_in_the_lent_transaction_fails_alone_in_its_batch() {
    check_swallowed(5, by_with_transaction);
}

#[test]
fn a_nested_transaction_that_the_handler_rolled_back_leaves_its_message_fine() {
    let mut place = Place::new();
    place.sql("CREATE TABLE effect (n integer)");
    place.send_all("numbers", 0..5);

    let report = place
        .messaging
        .drain("numbers", |session, message: Message<i32>| {
            session.execute("INSERT INTO effect VALUES ($1)", &[&message.payload])?;
            let mut nested = session.transaction()?;
            nested.execute("INSERT INTO effect VALUES (100)", &[])?;
            assert!(nested.execute(BAD, &[]).is_err());
            nested.rollback()?;
            drop(session.transaction()?);
            session.execute("INSERT INTO effect VALUES (10 + $1)", &[&message.payload])?;
            Ok(())
        })
        .unwrap();

    assert_eq!((report.handled, report.retried), (5, 0));
    assert_eq!(place.number("SELECT sum(n) FROM effect"), 70.0);
}

#[test]
fn a_nested_transaction_that_the_handler_committed_goes_with_its_message() {
    let mut place = Place::new();
    place.sql("CREATE TABLE effect (n integer)");
    place.send_all("numbers", 0..5);

    let report = place
        .messaging
        .drain("numbers", |session, message: Message<i32>| {
            let mut nested = session.transaction()?;
            nested.execute("INSERT INTO effect VALUES ($1)", &[&message.payload])?;
            nested.commit()?;
            match message.payload {
                2 => Err(HandlerError::reject("after the inner commit")),
                _ => Ok(()),
            }
        })
        .unwrap();

    assert_eq!((report.handled, report.dead), (4, 1));
    assert_eq!(place.count("effect"), 4);
    assert_eq!(place.count("effect WHERE n = 2"), 0);
}

#[test]
fn a_handler_cannot_end_its_transaction_through_the_session() {
    let mut place = Place::new();
    place.sql("CREATE TABLE effect (n integer)");
    place.send("numbers", &1);

    let report = place
        .messaging
        .drain("numbers", |session, message: Message<i32>| {
            for sql in ["COMMIT", "rollback", "END;", "BEGIN"] {
                let error = session.execute(sql, &[]).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Invalid, "{sql}");
                let error = session.batch_execute(sql).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Invalid, "{sql}");
            }
            session.execute("INSERT INTO effect VALUES ($1)", &[&message.payload])?;
            Ok(())
        })
        .unwrap();

    assert_eq!(report.handled, 1);
    assert_eq!(place.count("effect"), 1);
}

#[test]
fn a_handler_that_ends_its_transaction_behind_the_sessions_back_has_failed() {
    for sql in ["COMMIT", "ROLLBACK", "COMMIT; BEGIN", "ROLLBACK; BEGIN"] {
        let mut place = Place::new();
        place.send_all("numbers", [1, 2]);

        let receiver = place
            .messaging
            .receiver("numbers")
            .workers(1)
            .max_attempts(1)
            .start(move |session, message: Message<i32>| {
                if message.payload == 1 {
                    session.with_transaction(|transaction| transaction.batch_execute(sql))??;
                }
                Ok(())
            })
            .unwrap();
        eventually("both settled", || place.is_empty("numbers"));
        receiver.stop(PATIENCE);

        let dead = place.dead_letters("numbers");
        assert_eq!(dead.len(), 1, "{sql}");
        assert_eq!(dead[0].payload.to_string(), "1", "{sql}");
        assert_eq!(place.count("outtray.scheduled"), 0);
    }
}
