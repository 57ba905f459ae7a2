//! What is between is found out where nobody says it.

use super::bouncer::{Mode, behind_pgbouncer_in, behind_pgbouncers_file};
use super::{check_exactly_once, number};
use crate::support::{NO_POLLING, PATIENCE, database, eventually, next, process, telling};
use outtray::{Message, Messaging, NewMessage};
use postgres::{Client, NoTls};
use std::thread;
use std::time::Duration;

fn unsaid(url: &str) -> Messaging {
    process(url, Duration::from_millis(50))
}

/// Sends 2,000 messages through a pooler that nobody speaks of.
#[track_caller]
fn check(mode: Mode) {
    let direct = database();
    let Some(pooled) = behind_pgbouncer_in(mode, &direct) else {
        return;
    };

    check_exactly_once(&unsaid(&pooled), &direct);
}

#[test]
fn every_message_takes_effect_exactly_once_behind_a_transaction_pooler_that_nobody_speaks_of() {
    check(Mode::Transaction);
}

#[test]
fn every_message_takes_effect_exactly_once_behind_a_session_pooler() {
    check(Mode::Session);
}

#[test]
fn a_transaction_pooler_behind_a_socket_file_is_found_too() {
    let direct = database();
    let Some(pooled) = behind_pgbouncers_file(Mode::Transaction, &direct) else {
        return;
    };

    let messaging = unsaid(&pooled);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for number in 0..50 {
                    let sent = messaging.session(|session| Ok(session.send_message("t", &number)?));
                    sent.unwrap();
                }
            });
        }
    });
    let report = messaging.drain("t", |_, _: Message<i32>| Ok(())).unwrap();
    assert_eq!((report.handled, report.retried), (200, 0));
}

#[test]
fn nothing_is_left_in_a_transaction_poolers_connections() {
    let direct = database();
    let Some(pooled) = behind_pgbouncer_in(Mode::Transaction, &direct) else {
        return;
    };
    // Holds one server connection, so that all that follows has the other.
    let mut holding = Client::connect(&pooled, NoTls).unwrap();
    let _held = holding.transaction().unwrap();
    let mut other = Client::connect(&pooled, NoTls).unwrap();
    // The application's name is the pooler's to set, for whoever is next.
    let mut look = || {
        let query = "SELECT (SELECT string_agg(name || '=' || setting, ' ' ORDER BY name) FROM pg_settings \
             WHERE source = 'session' AND name <> 'application_name'), (SELECT count(*) FROM pg_prepared_statements)";
        let seen = other.query_typed(query, &[]).unwrap();
        let row = &seen[0];
        (
            row.get::<_, Option<String>>(0).unwrap_or_default(),
            row.get::<_, i64>(1),
        )
    };
    let before = look();

    let messaging = Messaging::connect(&pooled).unwrap();
    messaging
        .session(|session| Ok(session.send_message("t", &1)?))
        .unwrap();
    messaging.drain("t", |_, _: Message<i32>| Ok(())).unwrap();

    assert_eq!(look(), before);
}

#[test]
fn a_message_behind_a_session_pooler_is_heard_of_by_other_processes() {
    let direct = database();
    let Some(pooled) = behind_pgbouncer_in(Mode::Session, &direct) else {
        return;
    };
    let connect = || process(&pooled, NO_POLLING);
    let (receiving, sending) = (connect(), connect());
    let (receiver, told) = telling::<i32>(receiving.receiver("t"));
    let listens = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'";
    eventually("it listens", || number(&direct, listens) > 0);

    for payload in 0..20 {
        sending
            .send(NewMessage::json("t", &payload).unwrap())
            .unwrap();
        assert_eq!(next(&told, 1), [payload]);
    }
    let locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted \
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    assert!(number(&direct, locks) > 0, "liveness is held by a lock");
    receiver.stop(PATIENCE);
}

#[test]
fn leases_behind_a_session_pooler_are_worked_on() {
    let direct = database();
    let Some(pooled) = behind_pgbouncer_in(Mode::Session, &direct) else {
        return;
    };
    let messaging = Messaging::connect(&pooled).unwrap();
    messaging
        .session(|session| Ok(session.send_messages("t", 0..50)?))
        .unwrap();

    let (receiver, told) = telling::<i32>(
        messaging
            .receiver("t")
            .workers(4)
            .lease(Duration::from_secs(30)),
    );

    let mut handled = next(&told, 50);
    handled.sort_unstable();
    assert_eq!(handled, (0..50).collect::<Vec<_>>());
    eventually("all is done", || messaging.topic("t").is_empty().unwrap());
    receiver.stop(PATIENCE);
}
