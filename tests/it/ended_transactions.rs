//! A session ends its transaction, and nobody else: SQL of its own that would is refused or found, and neither the message
//! nor its neighbours are done twice or lost.

use crate::support::{PATIENCE, Place, client, eventually};
use outtray::{
    Backoff, BatchMessage, DeadReason, ErrorKind, HandlerError, Message, MessagingSession,
    TopicConfig,
};
use std::time::Duration;

/// What would end the transaction, as it can be read from the text.
const READABLE: [&str; 14] = [
    "COMMIT",
    "/* x */ COMMIT",
    ";COMMIT",
    "-- x\nCOMMIT AND CHAIN",
    "END",
    "ABORT",
    "rollback work",
    "ROLLBACK; BEGIN",
    "ROLLBACK AND CHAIN",
    "PREPARE/**/TRANSACTION 'x'",
    "INSERT INTO public.effect VALUES (-1); COMMIT",
    "COMMIT; BEGIN",
    "SELECT ';'; END; START TRANSACTION",
    "RELEASE outtray_a",
];

/// What commits although it does not look so: what a backslash stands for before a quote is a setting.
const COMMITS: [&str; 3] = [
    "SELECT 'C:\\'; COMMIT; --'",
    "SELECT 'C:\\'; COMMIT; BEGIN; --'",
    "SELECT 'C:\\'; COMMIT AND CHAIN; --'",
];

/// The same for what rolls back.
const ROLLS_BACK: [&str; 5] = [
    "SELECT 'C:\\'; ROLLBACK; --'",
    "SELECT 'C:\\'; ROLLBACK; BEGIN; --'",
    "SELECT 'C:\\'; ROLLBACK AND CHAIN; --'",
    "SELECT 'C:\\'; PREPARE TRANSACTION 'x'; --'",
    "SELECT 'C:\\'; RELEASE outtray_a; RELEASE outtray_b; --'",
];

/// How it is run.
#[derive(Debug, Clone, Copy, PartialEq)]
enum By {
    Execute,
    Query,
    BatchExecute,
    Borrowed,
    Nested,
    Prepared,
}

const BY: [By; 6] = [
    By::Execute,
    By::Query,
    By::BatchExecute,
    By::Borrowed,
    By::Nested,
    By::Prepared,
];

fn run(session: &mut MessagingSession<'_>, sql: &str, by: By) -> Result<(), HandlerError> {
    match by {
        By::Execute => drop(session.execute(sql, &[])?),
        By::Query => drop(session.query(sql, &[])?),
        By::BatchExecute => session.batch_execute(sql)?,
        By::Borrowed => session.with_transaction(|open| open.batch_execute(sql))??,
        By::Nested => {
            let mut nested = session.transaction()?;
            nested.batch_execute(sql)?;
            nested.commit()?;
        }
        By::Prepared => {
            let run = |open: &mut postgres::Transaction<'_>| {
                let statement = open.prepare(sql)?;
                open.execute(&statement, &[])
            };
            session.with_transaction(run)??;
        }
    }
    Ok(())
}

/// How messages are received.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    Adaptive,
    Fixed,
    Several,
    Leases,
    Drain,
    LeasedDrain,
    Suspect,
    Limited,
}

const WAYS: [Way; 8] = [
    Way::Adaptive,
    Way::Fixed,
    Way::Several,
    Way::Leases,
    Way::Drain,
    Way::LeasedDrain,
    Way::Suspect,
    Way::Limited,
];

const COUNT: i32 = 12;
/// The one that would end its transaction.
const BAD: i32 = 5;
const ATTEMPTS: u32 = 3;

fn handle(
    session: &mut MessagingSession<'_>,
    n: i32,
    (sql, by, is_swallowed): (&str, By, bool),
) -> Result<(), HandlerError> {
    session.execute("INSERT INTO public.effect VALUES ($1)", &[&n])?;
    session.send_message("sent", &n)?;
    if n == BAD {
        let ran = run(session, sql, by);
        if !is_swallowed {
            ran?;
        }
    }
    Ok(())
}

fn effects() -> Place {
    let mut place = Place::new();
    place.sql("CREATE TABLE effect (n integer NOT NULL)");
    place
}

fn play(place: &mut Place, way: Way, what: (&'static str, By, bool)) {
    place.send_all("numbers", 0..COUNT);
    if way == Way::Suspect {
        place.sql("INSERT INTO outtray.topic (topic, suspect_until) VALUES ('numbers', now() + interval '1 minute')");
    }
    if way == Way::Limited {
        let config = TopicConfig {
            max_in_work: Some(2),
            ..TopicConfig::default()
        };
        place.messaging.topic("numbers").configure(config).unwrap();
    }
    let builder = place
        .messaging
        .receiver("numbers")
        .max_attempts(ATTEMPTS)
        .backoff(Backoff::fixed(Duration::ZERO).without_jitter())
        .workers(if way == Way::Several { 3 } else { 1 });
    let builder = match way {
        Way::Fixed | Way::Drain => builder.messages_per_transaction(COUNT as usize),
        Way::Leases | Way::LeasedDrain => builder.lease(PATIENCE),
        _ => builder,
    };
    let one = move |session: &mut MessagingSession<'_>, message: Message<i32>| {
        handle(session, message.payload, what)
    };
    if matches!(way, Way::Drain | Way::LeasedDrain) {
        builder.drain(one).unwrap();
        return;
    }
    let receiver = builder.start(one).unwrap();
    eventually("all are settled", || {
        place.is_empty("numbers") && place.count("outtray.scheduled") == 0
    });
    receiver.stop(PATIENCE);
}

/// Checks that all but the bad one did what they do, once, and sent what they send; returns the effects of the bad one.
#[track_caller]
fn check_neighbours(place: &mut Place, what: &str) -> i64 {
    let good = i64::from(COUNT) - 1;
    let effects = format!("effect WHERE n <> {BAD}");
    assert_eq!(place.count(&effects), good, "{what}");
    let once = format!("(SELECT DISTINCT n FROM {effects} AND n >= 0) AS once");
    assert_eq!(place.count(&once), good, "{what}");
    let sent = format!("outtray.message WHERE topic = 'sent' AND payload::text <> '{BAD}'");
    assert_eq!(place.count(&sent), good, "{what}");
    place.count(&format!("effect WHERE n = {BAD}"))
}

#[track_caller]
fn check_dead(place: &mut Place, reason: DeadReason, attempts: u32, what: &str) {
    let dead = place.dead_letters("numbers");
    assert_eq!(dead.len(), 1, "{what}");
    assert_eq!(dead[0].payload.to_string(), BAD.to_string(), "{what}");
    assert_eq!(
        (dead[0].reason, dead[0].attempts),
        (reason, attempts),
        "{what}: {}",
        dead[0].error
    );
    let sent = format!("outtray.message WHERE topic = 'sent' AND payload::text = '{BAD}'");
    assert_eq!(place.count(&sent), 0, "{what}");
}

#[test]
fn a_handler_cannot_end_its_transaction_however_it_is_written() {
    for (index, sql) in READABLE.into_iter().enumerate() {
        for turn in 0..3 {
            let mut place = effects();
            let by = BY[(index + turn * 2) % BY.len()];
            let way = WAYS[(index + turn * 3) % WAYS.len()];
            let what = format!("{way:?}, {by:?}, {sql}");

            play(&mut place, way, (sql, by, false));

            assert_eq!(check_neighbours(&mut place, &what), 0, "{what}");
            check_dead(&mut place, DeadReason::Exhausted, ATTEMPTS, &what);
        }
    }
}

#[test]
fn a_handler_that_does_not_mind_a_refused_statement_is_done_once() {
    for sql in ["/* x */ COMMIT", "END", "COMMIT; BEGIN"] {
        for way in WAYS {
            let mut place = effects();
            let what = format!("{way:?}, {sql}");

            play(&mut place, way, (sql, By::BatchExecute, true));

            assert_eq!(check_neighbours(&mut place, &what), 1, "{what}");
            assert_eq!(place.dead_letters("numbers").len(), 0, "{what}");
        }
    }
}

#[test]
fn a_handler_that_does_not_mind_that_its_connection_was_cut_has_failed() {
    for way in WAYS {
        let mut place = effects();

        play(&mut place, way, ("COMMIT", By::Borrowed, true));

        let what = format!("{way:?}");
        assert_eq!(check_neighbours(&mut place, &what), 0, "{what}");
        check_dead(&mut place, DeadReason::Exhausted, ATTEMPTS, &what);
    }
}

#[test]
fn a_handler_that_committed_does_not_run_again_and_its_neighbours_are_done_once() {
    for sql in COMMITS {
        for way in WAYS.into_iter().filter(|way| *way != Way::Several) {
            for (by, is_swallowed) in [(By::BatchExecute, false), (By::Borrowed, true)] {
                let mut place = effects();
                let what = format!("{way:?}, {by:?}, {sql}");

                play(&mut place, way, (sql, by, is_swallowed));

                assert_eq!(check_neighbours(&mut place, &what), 1, "{what}");
                check_dead(&mut place, DeadReason::Rejected, 1, &what);
                let error = &place.dead_letters("numbers")[0].error;
                assert!(error.contains("is committed"), "{error}");
            }
        }
    }
}

#[test]
fn a_handler_that_rolled_back_is_charged_and_its_neighbours_are_done_once() {
    for sql in ROLLS_BACK {
        for way in WAYS {
            // Under a lease no savepoint is there that could be released.
            if matches!(way, Way::Leases | Way::LeasedDrain) && sql.contains("RELEASE") {
                continue;
            }
            let mut place = effects();
            let what = format!("{way:?}, {sql}");

            play(&mut place, way, (sql, By::BatchExecute, true));

            assert_eq!(check_neighbours(&mut place, &what), 0, "{what}");
            check_dead(&mut place, DeadReason::Exhausted, ATTEMPTS, &what);
        }
    }
}

#[test]
fn a_handler_of_batches_that_ends_its_transaction_leaves_no_effect_twice() {
    for sql in ["COMMIT", COMMITS[0], COMMITS[1], ROLLS_BACK[1]] {
        let mut place = effects();
        place.send_all("numbers", 0..COUNT);

        let receiver = place
            .messaging
            .receiver("numbers")
            .workers(1)
            .max_attempts(2)
            .backoff(Backoff::fixed(Duration::ZERO).without_jitter())
            .start_batches(4, move |session, batch: &[BatchMessage<i32>]| {
                for message in batch {
                    handle(session, message.payload, (sql, By::Borrowed, true))?;
                }
                Ok(())
            })
            .unwrap();
        eventually("all are settled", || {
            place.is_empty("numbers") && place.count("outtray.scheduled") == 0
        });
        receiver.stop(PATIENCE);

        let once = "(SELECT DISTINCT n FROM effect) AS once";
        assert_eq!(place.count("effect"), place.count(once), "{sql}");
        let dead = place.dead_letters("numbers").len() as i64;
        let sent = place.count("outtray.message WHERE topic = 'sent'");
        assert_eq!(sent + dead, i64::from(COUNT), "{sql}");
        assert!((1..=4).contains(&dead), "{sql}: {dead}");
    }
}

#[test]
fn a_handler_whose_function_would_commit_has_failed() {
    let mut place = effects();
    place.sql("CREATE PROCEDURE finish() LANGUAGE plpgsql AS $$ BEGIN COMMIT; END $$");
    for sql in ["CALL finish()", "DO $$ BEGIN COMMIT; END $$"] {
        let mut place = Place::over(&place.url, place.messaging.clone());

        play(&mut place, Way::Fixed, (sql, By::BatchExecute, false));

        assert_eq!(check_neighbours(&mut place, sql), 0);
        check_dead(&mut place, DeadReason::Exhausted, ATTEMPTS, sql);
        place.sql(
            "DELETE FROM effect; DELETE FROM outtray.message; DELETE FROM outtray.dead_letter",
        );
    }
}

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
