//! Sessions whose SQL would end their transaction, or does.

use super::{
    BAD, By, COMMITS, READABLE, ROLLS_BACK, Way, check_neighbours, effects, handle, play, run,
};
use crate::support::client;
use outtray::{ErrorKind, MessagingSession};

#[test]
fn a_session_cannot_end_its_transaction_however_it_is_written() {
    let mut place = effects();
    for sql in READABLE {
        for by in [By::Execute, By::Query, By::BatchExecute] {
            if by != By::BatchExecute && sql.contains(';') && sql != ";COMMIT" {
                continue;
            }
            place
                .messaging
                .session(|session| {
                    session.send_message("sent", &1)?;
                    session.execute("INSERT INTO effect VALUES (1)", &[])?;
                    let error = run(session, sql, by).unwrap_err();
                    let error = error.to_string();
                    assert!(error.contains("session"), "{sql}: {error}");
                    Ok(())
                })
                .unwrap();
        }
    }
    let sessions = place.count("effect");
    assert!(sessions > 30);
    assert_eq!(place.count("outtray.message"), sessions);
}

#[test]
fn a_session_that_lends_its_transaction_says_that_it_would_have_been_ended() {
    let mut place = effects();
    for sql in READABLE {
        for by in [By::Borrowed, By::Nested, By::Prepared] {
            for is_swallowed in [true, false] {
                // It takes one command.
                let is_refused = by == By::Prepared && sql.contains(';') && sql != ";COMMIT";
                if is_refused {
                    continue;
                }
                let ended = place.messaging.session(|session| {
                    session.send_message("sent", &1)?;
                    session.execute("INSERT INTO effect VALUES (1)", &[])?;
                    match run(session, sql, by) {
                        Err(error) if !is_swallowed => Err(error),
                        _ => Ok(()),
                    }
                });

                let error = ended.expect_err(sql);
                assert_eq!(
                    error.kind(),
                    ErrorKind::TransactionEnded,
                    "{sql}: {error:?}"
                );
            }
        }
    }
    assert_eq!(place.count("effect"), 0);
    assert_eq!(place.count("outtray.message"), 0);
    place.send("sent", &1);
}

#[test]
fn a_session_that_was_ended_all_the_same_says_what_happened() {
    for by in [By::BatchExecute, By::Borrowed] {
        let mut place = effects();
        for (sql, is_committed) in COMMITS
            .map(|sql| (sql, true))
            .into_iter()
            .chain(ROLLS_BACK[..4].iter().map(|sql| (*sql, false)))
        {
            place.sql("DELETE FROM effect");
            let ended = place.messaging.session(|session| {
                session.execute("INSERT INTO effect VALUES (1)", &[])?;
                session.send_message("sent", &1)?;
                let _ = run(session, sql, by);
                Ok(())
            });

            let error = ended.expect_err(sql);
            assert_eq!(
                error.kind(),
                ErrorKind::TransactionEnded,
                "{sql}: {error:?}"
            );
            let why = std::error::Error::source(&error).unwrap().to_string();
            assert_eq!(why.contains("is committed"), is_committed, "{sql}: {why}");
            assert_eq!(place.count("effect"), i64::from(is_committed), "{sql}");
        }
        assert_eq!(place.count("outtray.message"), 0);
        place.send("sent", &1);
    }
}

#[test]
fn savepoints_of_a_callers_own_are_no_end_of_its_transaction() {
    let texts = [
        "SAVEPOINT mine; INSERT INTO public.effect VALUES (1); ROLLBACK TO mine; RELEASE mine",
        "SAVEPOINT mine; SELECT 'COMMIT'; ROLLBACK TO SAVEPOINT mine",
        "SAVEPOINT mine; SAVEPOINT chain; ROLLBACK WORK TO mine",
        "SELECT 1; -- COMMIT",
    ];
    for sql in texts {
        for by in [By::BatchExecute, By::Borrowed, By::Nested] {
            let mut place = effects();
            place
                .messaging
                .session(|session| handle(session, BAD, (sql, by, false)))
                .unwrap();
            place.sql("DELETE FROM effect; DELETE FROM outtray.message");

            play(&mut place, Way::Fixed, (sql, by, false));

            assert_eq!(check_neighbours(&mut place, sql), 1, "{sql}");
            assert_eq!(place.dead_letters("numbers").len(), 0, "{sql}");
        }
    }
}

#[test]
fn a_joined_session_does_not_end_the_callers_transaction() {
    let mut place = effects();
    let mut client = client(&place.url);
    for sql in READABLE {
        let mut transaction = client.transaction().unwrap();
        let mut session = MessagingSession::join(&place.messaging, &mut transaction).unwrap();
        session
            .execute("INSERT INTO effect VALUES (1)", &[])
            .unwrap();
        session.send_message("sent", &1).unwrap();

        let error = session.batch_execute(sql).unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Invalid, "{sql}");
        drop(session);
        transaction.rollback().unwrap();
    }
    assert_eq!(place.count("effect"), 0);
    assert_eq!(place.count("outtray.message"), 0);
}
