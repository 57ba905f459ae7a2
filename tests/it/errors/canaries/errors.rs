//! Errors that the library returns.

use super::{AVIARY, CANARY, REFUSED, check_error};
use crate::support::{Place, not_checked};
use outtray::{Error, HandlerError, MessagingSession};
use std::fmt;

/// An error of a caller's own over the driver's.
#[derive(Debug)]
struct Wrapped(postgres::Error);

impl fmt::Display for Wrapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the bird was not written")
    }
}

impl std::error::Error for Wrapped {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

fn by_driver(session: &mut MessagingSession<'_>, sql: &str) -> Result<(), postgres::Error> {
    let run = |transaction: &mut postgres::Transaction<'_>| transaction.query(sql, &[&CANARY]);
    session.with_transaction(run).unwrap().map(drop)
}

/// Runs a statement in a session in each way to return its error.
fn errors(place: &Place, sql: &'static str) -> Vec<(&'static str, Error)> {
    type Way = fn(&mut MessagingSession<'_>, &str) -> Result<(), HandlerError>;
    let ways: [(&'static str, Way); 6] = [
        ("query", |session, sql| {
            session.query(sql, &[&CANARY])?;
            Ok(())
        }),
        ("execute", |session, sql| {
            session.execute(sql, &[&CANARY])?;
            Ok(())
        }),
        ("the driver's", |session, sql| Ok(by_driver(session, sql)?)),
        ("the caller's own", |session, sql| {
            Ok(by_driver(session, sql).map_err(Wrapped)?)
        }),
        ("anyhow", |session, sql| {
            let result = by_driver(session, sql).map_err(anyhow::Error::new);
            Ok(result.map_err(|error| error.context("not written"))?)
        }),
        ("a cause", |session, sql| {
            by_driver(session, sql)
                .map_err(|error| HandlerError::failed("not written").because(error))
        }),
    ];
    ways.map(|(name, way)| {
        let error = place.messaging.session(|session| way(session, sql));
        (name, error.expect_err(sql))
    })
    .into()
}

#[test]
fn an_error_tells_what_was_refused_and_where_and_no_value() {
    let mut place = Place::new();
    place.sql(AVIARY);

    for (sql, code, part) in REFUSED {
        for (way, error) in errors(&place, sql) {
            let what = format!("{sql} by {way}");
            check_error(&what, &error);
            let text = format!("{error:?}");
            assert!(text.contains(code), "{what}: no {code} in {text}");
            assert!(text.contains(part), "{what}: no {part} in {text}");
        }
    }
}

#[test]
fn all_that_the_database_said_is_there_for_who_asks_for_it() {
    let mut place = Place::new();
    place.sql(AVIARY);
    let (sql, ..) = REFUSED[0];

    for (way, error) in errors(&place, sql) {
        if way == "anyhow" {
            // It does not give away what it holds.
            continue;
        }
        let said = error.cause::<postgres::Error>().expect(way);
        let said = said.as_db_error().expect(way);
        assert!(said.detail().is_some_and(|detail| detail.contains(CANARY)));
        if way == "the caller's own" {
            assert!(error.cause::<Wrapped>().is_some());
        }
    }
}

#[test]
fn no_language_of_the_server_tells_a_value() {
    let mut place = Place::new();
    place.sql(AVIARY);
    for language in ["de_DE.UTF-8", "fr_FR.UTF-8"] {
        let set = format!("SET lc_messages = '{language}'");
        if place.client.batch_execute(&set).is_err() {
            not_checked(&format!(
                "the locale {language} is not installed (apt-get install locales)"
            ));
            continue;
        }
        place.sql(&format!(
            "ALTER ROLE CURRENT_USER IN DATABASE {} SET lc_messages = '{language}'",
            database(&place)
        ));
        let there = Place::over(&place.url, outtray::Messaging::connect(&place.url).unwrap());

        for (sql, code, _) in REFUSED {
            for (way, error) in errors(&there, sql) {
                check_error(&format!("{sql} by {way}"), &error);
                assert!(format!("{error:?}").contains(code), "{error:?}");
            }
        }
    }
}

fn database(place: &Place) -> &str {
    let (_, database) = place.url.rsplit_once('/').unwrap();
    database.split('?').next().unwrap()
}
