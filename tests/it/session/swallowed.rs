//! A session that swallows an error of its SQL is never reported as committed.

use super::{place, things_and_messages, write_and_send};
use outtray::{ErrorKind, MessagingSession};

/// Runs a session that swallows a failed statement, and checks that nobody takes it for a commit.
#[track_caller]
fn check_swallowed(swallow: impl FnOnce(&mut MessagingSession<'_>)) {
    let place = place();

    let error = place
        .messaging
        .session(|session| {
            write_and_send(session)?;
            swallow(session);
            Ok(())
        })
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::RolledBack, "{error:?}");
    assert!(error.to_string().contains("swallowed"), "{error}");
    assert_eq!(things_and_messages(&place), (0, 0));
    place.messaging.session(write_and_send).unwrap();
}

#[test]
fn a_swallowed_error_of_execute_is_never_reported_as_a_commit() {
    check_swallowed(|session| {
        let _ = session.execute("INSERT INTO thing VALUES ('one')", &[]);
    });
}

#[test]
fn a_swallowed_error_of_query_is_never_reported_as_a_commit() {
    check_swallowed(|session| {
        let _ = session.query_opt("SELECT 1 / 0", &[]);
    });
}

#[test]
fn a_swallowed_error_of_batch_execute_is_never_reported_as_a_commit() {
    check_swallowed(|session| {
        let _ = session.batch_execute("SELECT 1; SELECT nothing FROM nowhere; SELECT 2");
    });
}

#[test]
fn a_swallowed_error_in_a_lent_transaction_is_never_reported_as_a_commit() {
    check_swallowed(|session| {
        let lent = session.with_transaction(|transaction| transaction.execute("nonsense", &[]));
        assert!(lent.unwrap().is_err());
    });
}

#[test]
fn a_swallowed_error_of_a_savepoint_that_could_not_be_kept_is_never_reported_as_a_commit() {
    check_swallowed(|session| {
        let mut nested = session.transaction().unwrap();
        let _ = nested.execute("SELECT 1 / 0", &[]);
        assert!(nested.commit().is_err());
    });
}

#[test]
fn an_error_swallowed_by_one_that_sends_on_is_never_reported_as_a_commit() {
    check_swallowed(|session| {
        let _ = session.execute("SELECT 1 / 0", &[]);
        session.send_message("things", &"after the error").unwrap();
    });
}

#[test]
fn what_fails_in_a_savepoint_is_undone_alone() {
    let place = place();

    place
        .messaging
        .session(|session| {
            write_and_send(session)?;
            let mut nested = session.transaction()?;
            nested.execute("INSERT INTO thing VALUES ('undone')", &[])?;
            assert!(
                nested
                    .execute("INSERT INTO thing VALUES ('one')", &[])
                    .is_err()
            );
            drop(nested);
            let mut nested = session.transaction()?;
            nested.execute("INSERT INTO thing VALUES ('two')", &[])?;
            nested.commit()?;
            Ok(())
        })
        .unwrap();

    assert_eq!(things_and_messages(&place), (2, 1));
}
