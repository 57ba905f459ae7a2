//! Producers in SQL and handlers in Rust are killed: nothing is lost, nothing is there twice, keys
//! stay in order, dedupe keys and bounds are kept.

use super::scripts::psql;
use crate::support::{Child, Ledger, PATIENCE, WORK, eventually, spawn, test_name};
use outtray::{Backoff, HandlerError, Message, TopicConfig};
use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

const CHILD: &str = test_name!(what_handlers_do_until_they_are_killed);
const PRODUCERS: usize = 3;
const ROUNDS: usize = 4;
const LIMIT: u64 = 40;
const KEYS: usize = 4;

/// Numbers are those of the producer's statements. What it sent is noted in the same transaction.
const TABLES: &str = "
    CREATE TABLE sent (producer text NOT NULL, number integer NOT NULL, id uuid NOT NULL);
    CREATE TABLE step (n bigserial, id uuid NOT NULL, producer text NOT NULL, number integer NOT NULL, key text)";

/// One transaction of a producer: a message of a key, one with a dedupe key, which each other one
/// has, too, and nothing if there is no room.
fn transaction(producer: &str, number: usize) -> String {
    let key = format!("{producer}-{}", number % KEYS);
    let payload = format!(r#"{{"producer": "{producer}", "number": {number}}}"#);
    format!(
        "BEGIN;
        INSERT INTO sent SELECT '{producer}', {number},
            outtray.send('{WORK}', '{payload}', key => '{key}', wait_for_room => '60 s');
        SELECT outtray.send_once('once', '{number}', 'number-{number}', '1 day');
        COMMIT;\n"
    )
}

/// A psql that is fed with transactions.
struct Producer {
    process: std::process::Child,
    /// It ends when nobody reads any more.
    writer: JoinHandle<()>,
}

impl Producer {
    fn start(psql: &Path, ledger: &Ledger, name: String) -> Producer {
        let mut process = Command::new(psql)
            .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", ledger.url()])
            // Otherwise the server waits for room for a minute after its client has died.
            .env("PGOPTIONS", "-c client_connection_check_interval=500ms")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut input = process.stdin.take().unwrap();
        let writer = spawn("producer", move || {
            for number in 0..100_000 {
                let text = transaction(&name, number);
                if input.write_all(text.as_bytes()).is_err() {
                    break;
                }
            }
        });
        Producer { process, writer }
    }

    fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.writer.join().unwrap();
    }
}

#[test]
fn what_is_sent_by_sql_is_handled_once_and_in_order_whatever_dies() {
    let Some(psql) = psql() else { return };
    let ledger = Ledger::open();
    ledger.execute(TABLES);
    let bounded = TopicConfig {
        max_length: Some(LIMIT),
        ..TopicConfig::default()
    };
    ledger.messaging().topic(WORK).configure(bounded).unwrap();
    let mut most = 0;

    for round in 0..ROUNDS {
        let mut handler = Some(ledger.child(CHILD, "handler"));
        handler.as_mut().unwrap().listen();
        let producers: Vec<Producer> = (0..PRODUCERS)
            .map(|producer| Producer::start(&psql, &ledger, format!("{round}-{producer}")))
            .collect();
        let handled = "SELECT count(*) FROM step";
        let before = ledger.number(handled, &[]);
        eventually("all of them work", || {
            most = most.max(ledger.left());
            ledger.number(handled, &[]) > before + 60
        });
        if round % 2 == 0 {
            handler.take().unwrap().kill();
            handler = Some(ledger.child(CHILD, "handler"));
            let before = ledger.number(handled, &[]);
            eventually("the next one works", || {
                ledger.number(handled, &[]) > before + 20
            });
        }
        producers.into_iter().for_each(Producer::kill);
        handler.unwrap().kill();
    }
    eventually("the killed are gone", || {
        ledger.number(
            "SELECT count(*) FROM pg_stat_activity
                WHERE datname = current_database() AND application_name IN ('psql', 'outtray') AND state <> 'idle'",
            &[],
        ) == 0
    });
    handle_the_rest(&ledger);
    check(&ledger, most);
}

fn handle_the_rest(ledger: &Ledger) {
    let messaging = ledger.messaging();
    let receiver = messaging.start_receiving_messages(WORK, record).unwrap();
    let kept = "SELECT (SELECT count(*) FROM outtray.message WHERE topic = 'work')
        + (SELECT count(*) FROM outtray.scheduled) + (SELECT count(*) FROM outtray.follower)";
    eventually("all is handled", || ledger.number(kept, &[]) == 0);
    receiver.stop(PATIENCE);
}

#[track_caller]
fn check(ledger: &Ledger, most: i64) {
    let none = |what: &str, rows: &str| {
        let query = format!("SELECT count(*) FROM {rows}");
        assert_eq!(ledger.number(&query, &[]), 0, "{what}");
    };
    none("lost", "sent WHERE id NOT IN (SELECT id FROM step)");
    none("from nowhere", "step WHERE id NOT IN (SELECT id FROM sent)");
    none(
        "twice",
        "(SELECT FROM step GROUP BY id HAVING count(*) > 1) AS twice",
    );
    none(
        "out of order",
        "(SELECT number <= lag(number) OVER (PARTITION BY key ORDER BY n) AS is_late FROM step) AS step WHERE is_late",
    );
    none("dead", "outtray.dead_letter");
    assert!(most <= LIMIT as i64, "{most} messages at a time");
    let once = "SELECT payload::text FROM outtray.message WHERE topic = 'once'";
    let once: Vec<String> = ledger
        .client()
        .query(once, &[])
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect();
    let sent = ledger.number("SELECT count(DISTINCT number) FROM sent", &[]);
    let distinct: BTreeSet<&String> = once.iter().collect();
    assert_eq!((once.len(), distinct.len()), (sent as usize, sent as usize));
    // A note of room that is taken off, and not more.
    let room = "SELECT used - (SELECT coalesce(sum(messages), 0) FROM outtray.vacated)::bigint FROM outtray.room";
    assert_eq!(ledger.number(room, &[]), 0);
}

fn record(
    session: &mut outtray::MessagingSession<'_>,
    message: Message<serde_json::Value>,
) -> Result<(), HandlerError> {
    let number = i32::try_from(message.payload["number"].as_i64().unwrap())?;
    session.execute(
        "INSERT INTO step (id, producer, number, key) VALUES ($1, $2, $3, $4)",
        &[
            &message.id.as_uuid(),
            &message.payload["producer"].as_str(),
            &number,
            &message.key,
        ],
    )?;
    Ok(())
}

#[test]
fn what_handlers_do_until_they_are_killed() {
    if Child::role().is_none() {
        return;
    }
    let messaging = Ledger::messaging_of_parent();
    let receiver = messaging
        .receiver(WORK)
        .workers(4)
        .max_attempts(10_000)
        .backoff(Backoff::fixed(Duration::from_millis(5)))
        .start(|session, message: Message<serde_json::Value>| {
            let fails = message.attempt == 1 && message.payload["number"].as_i64() == Some(7);
            record(session, message)?;
            match fails {
                true => Err(HandlerError::failed("again")),
                false => Ok(()),
            }
        })
        .unwrap();
    Child::tell("begun");
    Child::await_parent();
    receiver.stop(PATIENCE);
}
