//! What the database says against a COMMIT arrives whole, whoever commits and whatever it says.

use crate::support::{MINUTE, Place, client, eventually};
use outtray::{ErrorKind, HandlerError, MessagingSession, Result};

/// SQLSTATEs that a function may raise, and among them those of savepoints and of transactions that
/// are gone, which the server itself raises for another reason.
const CODES: [&str; 16] = [
    "P0001", "23503", "23505", "40001", "40P01", "55P03", "57014", "57P01", "08006", "42501",
    "42P01", "53100", "3B001", "25P01", "25P02", "XX000",
];

/// A row in `effect` says what is raised at COMMIT; one of `warning` before that.
const RAISING: &str = "
    CREATE TABLE effect (code text, warning text);
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NEW.warning IS NOT NULL THEN
            RAISE WARNING 'a worker says no' USING ERRCODE = NEW.warning;
            RAISE WARNING 'failed to commit somewhere';
        END IF;
        RAISE EXCEPTION 'refused for a reason'
            USING ERRCODE = NEW.code, DETAIL = 'this and that', HINT = 'try otherwise';
    END $$;
    CREATE CONSTRAINT TRIGGER refusing AFTER INSERT ON effect
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()";

fn place() -> Place {
    let mut place = Place::watchful();
    place.sql(RAISING);
    place
}

fn insert(session: &mut MessagingSession<'_>, code: &str) -> Result<(), HandlerError> {
    session.execute("INSERT INTO effect VALUES ($1, NULL)", &[&code])?;
    Ok(())
}

type Way = (&'static str, fn(&Place, &str) -> Result<()>);

const WAYS: &[Way] = &[
    ("a session", |place, code| {
        place.messaging.session(|session| insert(session, code))
    }),
    ("a session that sends", |place, code| {
        place.messaging.session(|session| {
            insert(session, code)?;
            session.send_message("jobs", &1)?;
            Ok(())
        })
    }),
    ("a session that sends much", |place, code| {
        place.messaging.session(|session| {
            insert(session, code)?;
            session.send_messages("jobs", 0..6_000)?;
            Ok(())
        })
    }),
    ("a session that publishes", |place, code| {
        place.messaging.session(|session| {
            insert(session, code)?;
            session.publish("some.key", &1)?;
            Ok(())
        })
    }),
    ("a session with the driver's transaction", |place, code| {
        place.messaging.session(|session| {
            let mut nested = session.transaction()?;
            nested.execute("INSERT INTO effect VALUES ($1, NULL)", &[&code])?;
            nested.commit()?;
            Ok(())
        })
    }),
    ("work under an idempotency key", |place, code| {
        let work = |session: &mut MessagingSession<'_>| insert(session, code);
        place.messaging.retrying(code, MINUTE, work).map(drop)
    }),
];

#[test]
fn what_is_raised_at_commit_arrives_with_its_sqlstate_text_detail_and_hint() {
    let place = place();
    let mut wrong = Vec::new();

    for (way, commit) in WAYS {
        for code in CODES {
            // Those that may succeed if they are tried again are, for a while.
            if *way == "work under an idempotency key"
                && ["40001", "40P01", "57P01", "08006"].contains(&code)
            {
                continue;
            }
            let error = commit(&place, code).unwrap_err();

            let cause = error.cause::<outtray::postgres::Error>();
            let said = cause.and_then(|cause| cause.as_db_error());
            let found = said.map(|said| {
                (
                    said.code().code(),
                    said.message(),
                    said.detail(),
                    said.hint(),
                )
            });
            let expected = (
                code,
                "refused for a reason",
                Some("this and that"),
                Some("try otherwise"),
            );
            if found != Some(expected) || error.kind() == ErrorKind::TransactionEnded {
                wrong.push(format!("{way}, {code}: {error:?}"));
            }
        }
    }

    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Runs a session whose COMMIT passes on what another server said, as Citus does.
fn passed_on(place: &Place, warning: &str) -> outtray::Error {
    let session = place.messaging.session(|session| {
        session.execute("INSERT INTO effect VALUES ('XX000', $1)", &[&warning])?;
        session.send_message("jobs", &1)?;
        Ok(())
    });
    session.unwrap_err()
}

#[test]
fn what_another_server_said_of_a_commit_tells_whether_to_run_it_again() {
    let place = place();

    for (warning, kind) in [
        ("40001", ErrorKind::Conflict),
        ("40P01", ErrorKind::Conflict),
        ("23503", ErrorKind::RolledBack),
        ("P0001", ErrorKind::RolledBack),
    ] {
        let error = passed_on(&place, warning);

        assert_eq!(error.kind(), kind, "{warning}: {error:?}");
        let all = format!("{error:?}");
        assert!(
            all.contains("a worker says no") && all.contains(warning),
            "{all}"
        );
        let cause = error.cause::<outtray::postgres::Error>().unwrap();
        assert_eq!(
            cause.as_db_error().unwrap().message(),
            "refused for a reason"
        );
    }

    // A warning of an earlier statement says nothing of a COMMIT.
    let error = place
        .messaging
        .session(|session| {
            session
                .batch_execute("DO $$ BEGIN RAISE WARNING 'x' USING ERRCODE = '40001'; END $$")?;
            insert(session, "XX000")
        })
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RolledBack, "{error:?}");
}

#[test]
fn a_conflict_that_another_server_met_at_commit_costs_a_message_no_attempt() {
    let mut place = place();
    place.sql("CREATE SEQUENCE tries");
    place.send("jobs", &1);
    let url = place.url.clone();

    let _receiver = place
        .messaging
        .receiver("jobs")
        .workers(1)
        .max_attempts(1)
        .start(move |session, message: outtray::Message<i32>| {
            let tries = client(&url).query_one("SELECT nextval('tries')", &[])?;
            if tries.get::<_, i64>(0) <= 2 {
                session.execute("INSERT INTO effect VALUES ('XX000', '40001')", &[])?;
            } else {
                session.send_message("done", &message.attempt)?;
            }
            Ok::<(), HandlerError>(())
        })
        .unwrap();

    eventually("it is handled", || {
        place.count("outtray.message WHERE topic = 'done'") == 1
    });
    assert!(place.dead_letters("jobs").is_empty());
}

#[test]
fn a_connection_that_breaks_before_the_commit_leaves_nothing_unknown() {
    let place = place();
    let mut other = client(&place.url);

    let ended = place.messaging.session(|session| {
        session.send_message("jobs", &1)?;
        session.execute("SET application_name = 'mine'", &[])?;
        let process: i32 = session.query("SELECT pg_backend_pid()", &[])?[0].get(0);
        other.execute("SELECT pg_terminate_backend($1)", &[&process])?;
        let is_there = "SELECT FROM pg_stat_activity WHERE pid = $1";
        eventually("it is gone", || {
            other.query(is_there, &[&process]).unwrap().is_empty()
        });
        Ok(())
    });

    let error = ended.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.unknown_ids().is_empty());
}
