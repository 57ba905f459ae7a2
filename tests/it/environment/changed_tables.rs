//! Tables that change while programs use them, and statements that somebody drops: nobody is
//! charged for that, in whichever language the server speaks.

use crate::support::{NO_POLLING, PATIENCE, Place, client, eventually, next, not_checked, process};
use crossbeam_channel::unbounded;
use outtray::{ErrorKind, HandlerError, Message, MessagingSession, Receiver, ReceiverBuilder};
use postgres::Client;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Languages of the server, of which the first is always there.
const LANGUAGES: [&str; 3] = ["C", "de_DE.UTF-8", "fr_FR.UTF-8"];

/// Makes a place where the server speaks this language; nothing where it is not installed, which is
/// said loudly, and in CI a failure.
fn place_in(language: &str) -> Option<Place> {
    let mut place = Place::new();
    let (_, database) = place.url.rsplit_once('/').unwrap();
    let speak = format!("ALTER DATABASE {database} SET lc_messages = '{language}'");
    if place.client.batch_execute(&speak).is_err() {
        not_checked(&format!(
            "the locale {language} is not installed (apt-get install locales)"
        ));
        return None;
    }
    let mut place = Place::over(&place.url, process(&place.url, NO_POLLING));
    place.sql("CREATE TABLE thing (number int); INSERT INTO thing VALUES (1)");
    place.sql("CREATE TABLE handled (number int)");
    Some(place)
}

/// Handles messages one by one with this handler and may not fail once; `between` changes something
/// before each.
#[track_caller]
fn check(
    place: &mut Place,
    set_up: impl Fn(ReceiverBuilder<'_>) -> ReceiverBuilder<'_>,
    handler: impl Fn(&mut MessagingSession<'_>, i32) -> Result<(), HandlerError> + Send + Sync + 'static,
    between: impl Fn(&mut Client, i32),
) {
    const MESSAGES: i32 = 12;
    let (tell, told) = unbounded();
    let receiver: Receiver = set_up(place.messaging.receiver("jobs"))
        .max_attempts(1)
        .start(move |session, message: Message<i32>| {
            handler(session, message.payload)?;
            session.execute("INSERT INTO handled VALUES ($1)", &[&message.payload])?;
            tell.send(message.payload)?;
            Ok(())
        })
        .unwrap();

    for number in 0..MESSAGES {
        between(&mut place.client, number);
        place.send("jobs", &number);
        while next(&told, 1) != [number] {}
    }

    receiver.stop(PATIENCE);
    assert!(
        place.dead_letters("jobs").is_empty(),
        "{:?}",
        place.dead_letters("jobs")
    );
    assert_eq!(place.count("handled"), i64::from(MESSAGES));
    assert_eq!(
        place.count("(SELECT DISTINCT number FROM handled) AS n"),
        i64::from(MESSAGES)
    );
    place.sql("TRUNCATE handled");
}

fn look(session: &mut MessagingSession<'_>) -> Result<(), HandlerError> {
    session.query("SELECT * FROM thing WHERE number > $1", &[&0])?;
    Ok(())
}

fn add_column(client: &mut Client, number: i32) {
    let add = format!("ALTER TABLE thing ADD COLUMN IF NOT EXISTS more_{number} int");
    client.batch_execute(&add).unwrap();
}

#[test]
fn a_table_that_gets_a_column_while_handlers_read_all_of_it_costs_no_attempt_in_any_language() {
    for language in LANGUAGES {
        let Some(mut place) = place_in(language) else {
            continue;
        };

        check(
            &mut place,
            |it| it.workers(2),
            |session, _| look(session),
            add_column,
        );
    }
}

#[test]
fn neither_under_leases_nor_in_a_handler_that_hides_what_the_database_said() {
    let mut place = place_in("C").unwrap();
    let add =
        |start: i32| move |client: &mut Client, number: i32| add_column(client, start + number);

    check(
        &mut place,
        |it| it.workers(2).lease(Duration::from_secs(30)),
        |session, _| look(session),
        add(100),
    );
    check(
        &mut place,
        |it| it.workers(2),
        |session, _| look(session).map_err(|error| HandlerError::failed(error.to_string())),
        add(200),
    );
    check(
        &mut place,
        |it| it.workers(2),
        |session, _| {
            let _ = look(session);
            Ok(())
        },
        add(300),
    );
    check(
        &mut place,
        |it| it.workers(2),
        |session, _| {
            look(session).unwrap();
            Ok(())
        },
        add(400),
    );
}

#[test]
fn a_column_that_changes_its_type_costs_no_attempt() {
    let mut place = place_in("C").unwrap();

    check(
        &mut place,
        |it| it.workers(2),
        |session, _| {
            session.execute("UPDATE thing SET number = $1::bigint", &[&7_i64])?;
            session.query(
                "SELECT number FROM thing WHERE number < $1::bigint",
                &[&9_i64],
            )?;
            Ok(())
        },
        |client, number| {
            let kind = ["bigint", "int"][usize::from(number % 2 == 1)];
            let change = format!("ALTER TABLE thing ALTER number TYPE {kind}");
            client.batch_execute(&change).unwrap();
        },
    );
}

#[test]
fn a_handler_that_drops_all_prepared_statements_is_done_all_the_same() {
    for drop_all in [
        "DEALLOCATE ALL",
        "DEALLOCATE PREPARE ALL",
        "DISCARD PLANS; DEALLOCATE ALL",
    ] {
        let mut place = place_in("C").unwrap();

        check(
            &mut place,
            |it| it.workers(1),
            move |session, _| {
                look(session)?;
                session.batch_execute(drop_all)?;
                look(session)
            },
            |_, _| {},
        );
    }
}

#[test]
fn a_session_whose_statement_no_longer_fits_is_a_conflict_and_runs_again() {
    for language in LANGUAGES {
        let Some(mut place) = place_in(language) else {
            continue;
        };
        let look = |session: &mut MessagingSession<'_>| look(session);
        place.messaging.session(look).unwrap();
        add_column(&mut place.client, 0);

        let error = place.messaging.session(look).unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Conflict, "{language}: {error:?}");
        assert!(error.cause::<postgres::Error>().is_some());
        place.messaging.session(look).unwrap();
    }
}

#[test]
fn a_statement_that_a_function_misses_is_the_handlers_own_fault() {
    let mut place = place_in("C").unwrap();
    place.sql(
        "CREATE FUNCTION miss() RETURNS void LANGUAGE plpgsql AS
            $$ BEGIN EXECUTE 'EXECUTE nobody_made_it'; END $$;
        CREATE FUNCTION raise() RETURNS void LANGUAGE plpgsql AS
            $$ BEGIN RAISE 'it is gone' USING ERRCODE = '26000'; END $$",
    );
    let receiver = place.messaging.receiver("jobs").max_attempts(1);
    let receiver = receiver
        .start(|session, message: Message<String>| {
            Ok(session.query(&message.payload, &[]).map(drop)?)
        })
        .unwrap();

    place.send_all("jobs", ["SELECT miss()", "SELECT raise()"]);

    eventually("both are given up", || {
        place.dead_letters("jobs").len() == 2
    });
    receiver.stop(PATIENCE);
}

#[test]
fn what_the_server_does_not_support_is_the_handlers_own_fault() {
    let mut place = place_in("C").unwrap();
    place.sql(
        "CREATE FUNCTION refuse() RETURNS int LANGUAGE plpgsql AS
            $$ BEGIN RAISE 'cached plan' USING ERRCODE = '0A000'; END $$",
    );
    static RUNS: AtomicU32 = AtomicU32::new(0);
    place.send_all("jobs", 0..6);

    place
        .messaging
        .receiver("jobs")
        .max_attempts(1)
        .start(|session, _: Message<i32>| {
            RUNS.fetch_add(1, Ordering::Relaxed);
            session.query("SELECT refuse()", &[])?;
            Ok(())
        })
        .map(|receiver| {
            eventually("all are given up", || place.dead_letters("jobs").len() == 6);
            receiver.stop(PATIENCE)
        })
        .unwrap();

    // Each worker may meet it once with a statement that was prepared before.
    let runs = RUNS.load(Ordering::Relaxed);
    assert!((6..=30).contains(&runs), "{runs}");
    drop(client(&place.url));
}
