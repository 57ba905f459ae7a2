//! Many writers whose transactions last, readers that are killed, a server that restarts: every
//! reader reads all that was committed, once, in one order.

use crate::log::log;
use crate::support::{Child, Ledger, PATIENCE, client, eventually, pass_time, test_name};
use outtray::testing::Server;
use outtray::{HandlerError, Message, Messaging, MessagingSession, NewMessage};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

const CHILD: &str = test_name!(what_child_processes_run);
const WRITERS: usize = 16;
const KEYS: usize = 8;
const SECONDS: u64 = 4;

/// `sent` has no order, and effects have those of their readers.
const TABLES: &str = "
    CREATE TABLE sent (n bigint PRIMARY KEY);
    CREATE TABLE effect (at bigserial, n bigint NOT NULL, key text NOT NULL, reader text NOT NULL);
    CREATE SEQUENCE number";

/// What must not be, of each reader: a name for it, and the query that counts it.
const WRONG: [(&str, &str); 3] = [
    (
        "missed",
        "SELECT count(*) FROM sent, (VALUES ('one'), ('two'), ('lanes')) AS reader (reader)
            WHERE NOT EXISTS (SELECT FROM effect WHERE effect.n = sent.n AND effect.reader = reader.reader)",
    ),
    (
        "twice",
        "SELECT count(*) FROM (SELECT FROM effect GROUP BY reader, n HAVING count(*) > 1) AS twice",
    ),
    (
        "never committed",
        "SELECT count(*) FROM effect WHERE n NOT IN (SELECT n FROM sent)",
    ),
];

/// Reads under one of the names, until killed or told to go.
#[test]
fn what_child_processes_run() {
    let Some(name) = Child::role() else { return };
    let messaging = Ledger::messaging_of_parent();
    let lanes = if name == "lanes" { 3 } else { 1 };
    let as_name = name.clone();
    let receiver = messaging
        .reader("ledger", &name)
        .lanes(lanes)
        .batch_size(20)
        .start(move |session, entries: &[Message<i64>]| enter(session, &as_name, entries));
    let receiver = receiver.unwrap();
    Child::await_parent();
    receiver.stop(PATIENCE);
}

fn enter(
    session: &mut MessagingSession<'_>,
    reader: &str,
    entries: &[Message<i64>],
) -> Result<(), HandlerError> {
    let numbers: Vec<i64> = entries.iter().map(|entry| entry.payload).collect();
    let keys: Vec<Option<&str>> = entries.iter().map(|entry| entry.key.as_deref()).collect();
    session.execute(
        "INSERT INTO effect (n, key, reader)
            SELECT n, key, $3 FROM unnest($1::bigint[], $2::text[]) AS entry (n, key)",
        &[&numbers, &keys, &reader],
    )?;
    Ok(())
}

/// Sends some entries in a transaction that lasts, and may come to nothing.
fn write(messaging: &Messaging) {
    let written = messaging.session(|session| {
        for _ in 0..fastrand::usize(1..4) {
            let row = session.query_one(
                "INSERT INTO sent VALUES (nextval('number')) RETURNING n",
                &[],
            )?;
            let n: i64 = row.get(0);
            let key = format!("{}", fastrand::usize(..KEYS));
            session.send(NewMessage::json("ledger", &n)?.key(key))?;
            pass_time(Duration::from_millis(fastrand::u64(0..8)));
        }
        match fastrand::u8(..10) {
            0 => Err(HandlerError::failed("not after all")),
            _ => Ok(()),
        }
    });
    if written.is_err() {
        // The server may be away.
        pass_time(Duration::from_millis(10));
    }
}

/// Keeps readers running, kills one after the other, and restarts the server on the way.
fn make_trouble(server: &Server, ledger: &Ledger, readers: &mut [(&str, Child)]) {
    let started = Instant::now();
    let mut restarts = 0;
    while started.elapsed() < Duration::from_secs(SECONDS) {
        pass_time(Duration::from_millis(fastrand::u64(20..150)));
        let (name, victim) = fastrand::choice(readers.iter_mut()).unwrap();
        let next = ledger.child(CHILD, name);
        std::mem::replace(victim, next).kill();
        revive(ledger, readers);
        if started.elapsed().as_secs() > restarts * 2 {
            restarts += 1;
            server.restart_immediately().unwrap();
        }
    }
}

/// Starts readers again that met the server while it was away.
fn revive(ledger: &Ledger, readers: &mut [(&str, Child)]) {
    for (name, child) in readers {
        if child.ended().is_some() {
            *child = ledger.child(CHILD, name);
        }
    }
}

/// Returns the numbers that a reader read, in order, with their keys.
fn read(url: &str, reader: &str) -> Vec<(i64, String)> {
    let query = "SELECT n, key FROM effect WHERE reader = $1 ORDER BY at";
    let rows = client(url).query(query, &[&reader]).unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

#[test]
fn all_readers_read_everything_once_in_one_order_whatever_dies() {
    let server = Server::builder().always_embedded().start().unwrap();
    let url = server.database().unwrap();
    let messaging = Messaging::builder()
        .url(&url)
        .pool_size(20)
        .connect()
        .unwrap();
    messaging.topic("ledger").configure(log()).unwrap();
    client(&url).batch_execute(TABLES).unwrap();
    let ledger = Ledger::at(url.clone());
    // Two processes for one of the names.
    let mut readers = ["one", "one", "two", "lanes"].map(|name| (name, ledger.child(CHILD, name)));
    let is_over = AtomicBool::new(false);

    thread::scope(|scope| {
        for _ in 0..WRITERS {
            scope.spawn(|| {
                while !is_over.load(Relaxed) {
                    write(&messaging);
                }
            });
        }
        make_trouble(&server, &ledger, &mut readers);
        is_over.store(true, Relaxed);
    });
    let count = |query: &str| -> i64 { client(&url).query_one(query, &[]).unwrap().get(0) };
    eventually("all is read", || {
        revive(&ledger, &mut readers);
        count(WRONG[0].1) == 0
    });
    drop(readers);

    for (what, query) in WRONG {
        assert_eq!(count(query), 0, "{what}");
    }
    let one = read(&url, "one");
    assert!(one.len() > 100, "{} entries", one.len());
    assert!(one == read(&url, "two"), "one order");
    let lanes = read(&url, "lanes");
    for key in 0..KEYS {
        let of_key = |read: &[(i64, String)]| -> Vec<i64> {
            let of_key = read.iter().filter(|(_, of)| *of == key.to_string());
            of_key.map(|(n, _)| *n).collect()
        };
        assert!(of_key(&one) == of_key(&lanes), "one order of key {key}");
    }
}
