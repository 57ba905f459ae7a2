//! Behind a pooler that gives each transaction another server connection, all promises hold,
//! whether or not it is told so; and behind one that gives each client a connection of its own
//! ([`unsaid`]).
//!
//! PgBouncer 1.18, with fewer server connections than there are workers: no named statements, no
//! session state, no start-up options. The same work is done without it, for comparison.

mod bouncer;
mod silent;
mod unsaid;

use crate::support::{
    PATIENCE, aside, database, empty_database, eventually, make_suspect, next, rated_keys,
};
use bouncer::behind_pgbouncer;
use outtray::{
    Backoff, DeadReason, ErrorKind, HandlerError, Message, Messaging, MessagingSession, NewMessage,
    TopicConfig,
};
use postgres::{Client, NoTls, SimpleQueryMessage};
use serde_json::Value;
use std::thread;
use std::time::Duration;

const PRODUCERS: i32 = 4;
const MESSAGES: i32 = 2000;

fn number(url: &str, query: &str) -> i64 {
    Client::connect(url, NoTls)
        .unwrap()
        .query_one(query, &[])
        .unwrap()
        .get(0)
}

fn pooler_safe(url: &str) -> Messaging {
    Messaging::builder()
        .url(url)
        .pooler_safe(true)
        .poll_interval(Duration::from_millis(50))
        .connect()
        .unwrap()
}

/// Writes, sends on, and fails in several ways.
fn handle(session: &mut MessagingSession<'_>, message: Message<i32>) -> Result<(), HandlerError> {
    let number = message.payload;
    session.execute("INSERT INTO handled VALUES ($1)", &[&number])?;
    session.send_message("out", &number)?;
    match (number % 100, message.attempt) {
        (7, 1) => Err(HandlerError::failed("not at the first attempt")),
        (8, 1) => Ok(session.query_one("SELECT 1 / 0", &[]).map(drop)?),
        // Swallowed; it must not count as done.
        (9, 1) => {
            let _ = session.execute("SELECT nothing", &[]);
            Ok(())
        }
        (99, _) => Err(HandlerError::reject("never")),
        (98, _) => Err(HandlerError::failed("not at any attempt")),
        _ => Ok(()),
    }
}

/// Sends and handles 2,000 messages through `messaging` and counts, through `direct`, what became
/// of them.
#[track_caller]
fn check_exactly_once(messaging: &Messaging, direct: &str) {
    let setup = "CREATE TABLE handled (number integer); CREATE TABLE sent (number integer)";
    messaging
        .session(|session| Ok(session.batch_execute(setup)?))
        .unwrap();
    let receiver = messaging
        .receiver("in")
        .workers(4)
        .max_attempts(3)
        .backoff(Backoff::fixed(Duration::from_millis(10)))
        .start(handle)
        .unwrap();

    thread::scope(|scope| {
        for producer in 0..PRODUCERS {
            scope.spawn(move || {
                for number in (producer..MESSAGES).step_by(PRODUCERS as usize) {
                    messaging
                        .session(|session| {
                            session.execute("INSERT INTO sent VALUES ($1)", &[&number])?;
                            Ok(session.send_message("in", &number)?)
                        })
                        .unwrap();
                }
            });
        }
    });
    eventually("all messages are handled", || {
        messaging.topic("in").is_empty().unwrap()
    });
    receiver.stop(PATIENCE);

    // One in a hundred is rejected, one in a hundred fails three times.
    let (dead, done) = (
        i64::from(MESSAGES / 50),
        i64::from(MESSAGES - MESSAGES / 50),
    );
    assert_eq!(
        number(direct, "SELECT count(*) FROM sent"),
        i64::from(MESSAGES)
    );
    assert_eq!(
        number(direct, "SELECT count(DISTINCT number) FROM handled"),
        done,
        "none is lost"
    );
    assert_eq!(
        number(direct, "SELECT count(*) FROM handled"),
        done,
        "none is handled twice"
    );
    let out = "SELECT count(DISTINCT payload::text) FROM outtray.message WHERE topic = 'out'";
    assert_eq!(number(direct, out), done);
    assert_eq!(number(direct, "SELECT count(*) FROM outtray.message"), done);
    assert_eq!(
        number(direct, "SELECT count(*) FROM outtray.dead_letter"),
        dead
    );
    let exhausted =
        "SELECT count(*) FROM outtray.dead_letter WHERE reason = 'exhausted' AND attempts = 3";
    assert_eq!(number(direct, exhausted), dead / 2);
}

#[test]
fn every_message_takes_effect_exactly_once_without_a_pooler() {
    let direct = database();

    check_exactly_once(&Messaging::connect(&direct).unwrap(), &direct);
}

#[test]
fn every_message_takes_effect_exactly_once_behind_a_pooler() {
    let direct = database();
    let Some(pooled) = behind_pgbouncer(&direct) else {
        return;
    };

    check_exactly_once(&pooler_safe(&pooled), &direct);
}

/// Has eight workers, more than there are server connections, handle 200 messages with keys, while
/// others send.
#[track_caller]
fn check_that_nobody_waits_for_connections(prepare: impl FnOnce(&Messaging, &str)) {
    let direct = database();
    let Some(pooled) = behind_pgbouncer(&direct) else {
        return;
    };
    let messaging = pooler_safe(&pooled);
    prepare(&messaging, &direct);
    messaging
        .session(|session| {
            for number in 0..200 {
                session.send(NewMessage::json("in", &number)?.key(format!("{}", number % 100)))?;
            }
            Ok(())
        })
        .unwrap();
    let (tell, told) = crossbeam_channel::unbounded();

    let receiver = messaging
        .receiver("in")
        .workers(8)
        .start(move |_, message: Message<i32>| {
            // Others are in the middle of their transactions, too.
            let _ = crossbeam_channel::after(Duration::from_millis(5)).recv();
            Ok(tell.send(message.payload)?)
        })
        .unwrap();
    let producer = pooler_safe(&pooled);
    let sent = aside(move || {
        (0..20).all(|number| {
            producer
                .send(NewMessage::json("out", &number).unwrap())
                .is_ok()
        })
    });

    assert_eq!(sent.recv_timeout(PATIENCE), Ok(true), "others send");
    next(&told, 200);
    receiver.stop(PATIENCE);
}

#[test]
fn workers_of_a_suspect_topic_behind_a_pooler_do_not_wait_for_each_others_connections() {
    check_that_nobody_waits_for_connections(|_, direct| {
        make_suspect(&mut Client::connect(direct, NoTls).unwrap(), "in");
    });
}

#[test]
fn workers_of_keys_with_a_rate_behind_a_pooler_do_not_wait_for_each_others_connections() {
    check_that_nobody_waits_for_connections(|messaging, _| {
        messaging.topic("in").configure(rated_keys()).unwrap();
    });
}

#[test]
fn workers_of_a_limited_topic_behind_a_pooler_do_not_wait_for_each_others_connections() {
    check_that_nobody_waits_for_connections(|messaging, direct| {
        let config = TopicConfig {
            max_in_work: Some(6),
            ..TopicConfig::default()
        };
        messaging.topic("in").configure(config).unwrap();
        // As after a backup that was brought back without them.
        Client::connect(direct, NoTls)
            .unwrap()
            .batch_execute("DELETE FROM outtray.slot")
            .unwrap();
    });
}

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
fn several_processes_behind_a_pooler_share_the_work() {
    let direct = database();
    let Some(pooled) = behind_pgbouncer(&direct) else {
        return;
    };
    let processes: Vec<Messaging> = (0..3).map(|_| pooler_safe(&pooled)).collect();
    processes[0]
        .session(|session| {
            session.batch_execute("CREATE TABLE handled (number integer)")?;
            Ok(session.send_messages("t", 0..300)?)
        })
        .unwrap();

    let receivers: Vec<_> = processes
        .iter()
        .map(|it| {
            it.receiver("t")
                .workers(2)
                .start(|session, message: Message<i32>| {
                    session.execute("INSERT INTO handled VALUES ($1)", &[&message.payload])?;
                    Ok(())
                })
                .unwrap()
        })
        .collect();
    eventually("all is handled", || {
        processes[0].topic("t").is_empty().unwrap()
    });
    for receiver in receivers {
        receiver.stop(PATIENCE);
    }

    assert_eq!(number(&direct, "SELECT count(*) FROM handled"), 300);
    assert_eq!(
        number(&direct, "SELECT count(DISTINCT number) FROM handled"),
        300
    );
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
