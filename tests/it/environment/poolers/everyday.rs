//! What users do every day is the same behind a pooler.

use super::bouncer::behind_pgbouncer;
use super::{number, pooler_safe};
use crate::support::{database, empty_database};
use outtray::{
    DeadReason, ErrorKind, HandlerError, Message, Messaging, MessagingSession, NewMessage,
};
use postgres::{Client, NoTls, SimpleQueryMessage};
use serde_json::Value;
use std::thread;
use std::time::Duration;

#[test]
fn a_schema_is_made_behind_a_pooler() {
    let direct = empty_database();
    let Some(pooled) = behind_pgbouncer(&direct) else {
        return;
    };
    let processes: Vec<Messaging> = (0..4).map(|_| pooler_safe(&pooled)).collect();
    let pending = processes[0].pending_migrations().unwrap();

    let mut applied: Vec<String> = thread::scope(|scope| {
        let threads: Vec<_> = processes
            .iter()
            .map(|it| scope.spawn(|| it.migrate().unwrap()))
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });

    // Each by one of them, whichever.
    applied.sort_unstable();
    assert!(!applied.is_empty());
    assert_eq!(applied, pending);
    thread::scope(|scope| {
        for messaging in &processes {
            scope.spawn(|| {
                // Often enough to meet each of the server connections in the middle of it.
                for _ in 0..50 {
                    assert!(messaging.migrate().unwrap().is_empty());
                    assert!(messaging.pending_migrations().unwrap().is_empty());
                }
            });
        }
    });
}

#[test]
fn a_session_behind_a_pooler_commits_or_does_nothing() {
    let direct = database();
    let Some(pooled) = behind_pgbouncer(&direct) else {
        return;
    };
    let messaging = pooler_safe(&pooled);
    let swallowed = messaging.session(|session| {
        session.batch_execute("CREATE TABLE undone (it integer)")?;
        let _ = session.execute("INSERT INTO undone VALUES (1 / $1)", &[&0]);
        Ok(())
    });
    assert_eq!(swallowed.unwrap_err().kind(), ErrorKind::RolledBack);

    messaging
        .session(|session| {
            session.batch_execute("CREATE TABLE thing (it integer)")?;
            session.execute("INSERT INTO thing VALUES ($1)", &[&1])?;
            let mut nested = session.transaction()?;
            nested.execute("INSERT INTO thing VALUES ($1)", &[&2])?;
            nested.rollback()?;
            session.send_messages("things", 0..10_000)?;
            session.send(NewMessage::bytes("things", [1]).delay(Duration::from_secs(3600)))?;
            Ok(())
        })
        .unwrap();
    let failed = messaging.session(|session| {
        session.execute("INSERT INTO thing VALUES ($1)", &[&3])?;
        session.send_message("things", &1)?;
        Err::<(), _>(HandlerError::failed("no"))
    });

    assert_eq!(failed.unwrap_err().kind(), ErrorKind::RolledBack);
    assert_eq!(number(&direct, "SELECT sum(it) FROM thing"), 1);
    let stats = messaging.topic("things").stats().unwrap();
    assert_eq!((stats.ready, stats.scheduled), (10_000, 1));
    assert_eq!(messaging.topic("things").purge().unwrap(), 10_001);
}

#[test]
fn a_callers_own_transaction_behind_a_pooler_is_joined() {
    let direct = database();
    let Some(pooled) = behind_pgbouncer(&direct) else {
        return;
    };
    let messaging = pooler_safe(&pooled);
    let mut client = Client::connect(&pooled, NoTls).unwrap();

    for number in 0..20 {
        let mut transaction = client.transaction().unwrap();
        let mut session = MessagingSession::join(&messaging, &mut transaction).unwrap();
        session.send_message("t", &number).unwrap();
        session.send_messages("t", [number, number]).unwrap();
        assert!(session.send_message("t", "a\0b").is_err());
        drop(session);
        match number % 2 {
            0 => transaction.commit().unwrap(),
            _ => transaction.rollback().unwrap(),
        }
    }

    let report = messaging.drain("t", |_, _: Message<i32>| Ok(())).unwrap();
    assert_eq!(report.handled, 30);
}

#[test]
fn dead_letters_behind_a_pooler_are_looked_at_and_redriven() {
    let direct = database();
    let Some(pooled) = behind_pgbouncer(&direct) else {
        return;
    };
    let messaging = pooler_safe(&pooled);
    let ids = messaging
        .session(|session| Ok(session.send_messages("t", ["a", "b", "c"])?))
        .unwrap();
    messaging.drain("t", |_, _: Message<u8>| Ok(())).unwrap();

    let letters = messaging.topic("t").dead_letters(10).unwrap();
    assert_eq!(letters.len(), 3);
    assert!(
        letters
            .iter()
            .all(|letter| letter.reason == DeadReason::Undecodable)
    );
    assert_eq!(messaging.topic("t").purge_dead_letters(ids[0]).unwrap(), 1);
    assert_eq!(messaging.topic("t").redrive(..).unwrap(), 2);

    let report = messaging.drain("t", |_, _: Message<Value>| Ok(())).unwrap();
    assert_eq!(report.handled, 2);
    assert_eq!(messaging.topics().unwrap().len(), 0);
}

#[test]
fn options_in_the_url_that_a_pooler_does_not_take_are_named_as_what_is_wrong() {
    let direct = database();
    let Some(pooled) = behind_pgbouncer(&direct) else {
        return;
    };

    let error = Messaging::connect(&format!("{pooled}?options=-c%20lock_timeout%3D9")).unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("the URL's options"), "{error}");
}

#[test]
fn types_of_the_applications_own_cost_a_retry_at_most_behind_a_pooler() {
    const TYPES: usize = 100;
    let direct = database();
    let Some(pooled) = behind_pgbouncer(&direct) else {
        return;
    };
    let messaging = pooler_safe(&pooled);
    let types: String = (0..TYPES)
        .map(|n| format!("CREATE TYPE mood_{n} AS ENUM ('good');"))
        .collect();
    messaging
        .session(|session| Ok(session.batch_execute(&types)?))
        .unwrap();
    // The driver prepares a statement to look up a type it does not know, and keeps it for the next
    // one; by then the pooler may have given it another server connection.
    let look = |number: usize| {
        let query = format!("SELECT 'good'::mood_{number}");
        messaging.session(|session| Ok(session.query_one(&query, &[]).map(drop)?))
    };

    thread::scope(|scope| {
        for first in 0..4 {
            scope.spawn(move || {
                for number in (first..TYPES).step_by(4) {
                    let refused = (0..20).map_while(|_| look(number).err());
                    let refused: Vec<_> = refused.map(|error| error.kind()).collect();
                    assert!(refused.len() < 20, "mood_{number}: {refused:?}");
                    assert!(
                        refused.iter().all(|kind| *kind == ErrorKind::Conflict),
                        "{refused:?}"
                    );
                }
            });
        }
    });
}

#[test]
fn what_a_session_sets_is_gone_before_others_get_its_server_connection() {
    let url = database();
    let Some(pooled) = behind_pgbouncer(&url) else {
        return;
    };
    let messaging = pooler_safe(&pooled);
    messaging.migrate().unwrap();
    for set in [
        "SET app.tenant = 'x'",
        "SET search_path = nowhere",
        "SET statement_timeout = '1h'",
        "CREATE TEMP TABLE mine ()",
        "SELECT pg_advisory_lock(7)",
    ] {
        messaging
            .session(|session| {
                session.send_message("in", &1)?;
                Ok(session.with_transaction(|open| open.batch_execute(set))??)
            })
            .unwrap();
        let look = "SELECT concat_ws(' ', current_setting('app.tenant', true), current_setting('search_path'),
            current_setting('statement_timeout'), to_regclass('pg_temp.mine')::text,
            (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 7
                AND database = (SELECT oid FROM pg_database WHERE datname = current_database())))";
        let mut others: Vec<Client> = (0..2)
            .map(|_| Client::connect(&pooled, NoTls).unwrap())
            .collect();
        for other in &mut others {
            let answers = other.simple_query(look).unwrap();
            let found = answers.iter().find_map(|answer| match answer {
                SimpleQueryMessage::Row(row) => row.get(0),
                _ => None,
            });
            let found = found.unwrap().trim();
            assert_eq!(found, "\"$user\", public 0 0", "{set}");
        }
    }
}
