//! Producers with the library and consumers without it are killed again and again.

use super::{Taken, settle, take};
use crate::support::{Child, MINUTE, Place, client, eventually, pass_time, test_name};
use outtray::{HandlerError, Messaging, NewMessage, TopicConfig};
use postgres::Client;
use std::time::{Duration, Instant};

const CHILD: &str = test_name!(what_child_processes_run);
/// How long they are killed.
const TROUBLE: Duration = Duration::from_secs(6);
const BETWEEN_KILLS: Duration = Duration::from_millis(150);
/// How much later one is killed while nothing is done.
const IDLE: Duration = Duration::from_secs(1);
const CONSUMERS: usize = 3;
/// How many messages the topic may hold.
const MOST: i64 = 60;

const TABLES: &str = "
    CREATE TABLE sent (id uuid NOT NULL, key text NOT NULL, number integer NOT NULL);
    CREATE TABLE effect (at bigserial, id uuid NOT NULL);
    CREATE TABLE stop ()";

/// What must not be: a name for it, and the query that counts it.
const WRONG: [(&str, &str); 8] = [
        ("lost", "SELECT count(*) FROM sent WHERE id NOT IN (SELECT id FROM effect)"),
        ("from nowhere", "SELECT count(*) FROM effect WHERE id NOT IN (SELECT id FROM sent)"),
        (
            "twice",
            "SELECT count(*) FROM (SELECT FROM effect GROUP BY id HAVING count(*) > 1) AS twice",
        ),
        (
            "out of order",
            "SELECT count(*) FROM (
                SELECT number - lag(number) OVER (PARTITION BY key ORDER BY at) AS step FROM sent JOIN effect USING (id)
            ) AS steps WHERE step <= 0",
        ),
        ("lines", "SELECT (SELECT count(*) FROM outtray.lane) + (SELECT count(*) FROM outtray.follower)"),
        ("dead", "SELECT count(*) FROM outtray.dead_letter"),
        ("dedupe keys", "SELECT count(*) FROM outtray.dedupe"),
        (
            "room",
            "SELECT used - (SELECT coalesce(sum(messages), 0) FROM outtray.vacated)::bigint FROM outtray.room",
        ),
];

#[test]
fn consumers_and_producers_that_are_killed_lose_nothing_and_do_nothing_twice() {
    let mut place = Place::new();
    place.sql(TABLES);
    let bounded = TopicConfig {
        max_length: Some(MOST as u64),
        max_attempts: Some(30_000),
        ..TopicConfig::default()
    };
    place.messaging.topic("jobs").configure(bounded).unwrap();
    let start = |role: &str| {
        let role = format!("{role} {}", place.url);
        Child::start(Child::this_program(), CHILD, &role)
    };
    let mut children: Vec<(&str, Child)> = vec![("producer", start("producer"))];
    children.extend((0..CONSUMERS).map(|_| ("consumer", start("consumer"))));
    let mut watcher = client(&place.url);

    let started = Instant::now();
    let (mut kills, mut handled) = (0, 0);
    while started.elapsed() < TROUBLE || kills < 12 || handled <= 30 {
        assert!(
            started.elapsed() < 2 * MINUTE,
            "{kills} kills, {handled} handled"
        );
        pass_time(BETWEEN_KILLS);
        let held = count(
            &mut watcher,
            "SELECT (SELECT count(*) FROM outtray.message)
            + (SELECT count(*) FROM outtray.scheduled) + (SELECT count(*) FROM outtray.follower)",
        );
        assert!(held <= MOST, "{held} messages");
        // On a busy machine nobody would live for long enough to do anything.
        let patience = Instant::now() + IDLE;
        let before = handled;
        while handled == before && Instant::now() < patience {
            pass_time(BETWEEN_KILLS / 10);
            handled = count(&mut watcher, "SELECT count(*) FROM effect");
        }
        let at = fastrand::usize(..children.len());
        let (role, child) = children.swap_remove(at);
        child.kill();
        kills += 1;
        children.push((role, start(role)));
    }
    watcher
        .batch_execute("INSERT INTO stop DEFAULT VALUES")
        .unwrap();
    for (_, child) in &mut children {
        eventually("it stops", || child.ended().is_some());
        assert!(child.ended().is_some_and(|status| status.success()));
    }
    let mut own = client(&place.url);
    own.batch_execute("UPDATE outtray.scheduled SET due_at = now()")
        .unwrap();
    eventually("the rest is handled", || {
        work(&mut own);
        place.is_empty("jobs")
    });

    for (wrong, query) in WRONG {
        assert_eq!(count(&mut own, query), 0, "{wrong}");
    }
}

fn count(client: &mut Client, query: &str) -> i64 {
    client.query_one(query, &[]).unwrap().get(0)
}

/// Has the effects of what is there, as a program without the library does.
fn work(client: &mut Client) {
    let query =
        "SELECT *, payload::text AS text FROM outtray.receive('jobs', '700 milliseconds', 5)";
    let rows = client.query(query, &[]).unwrap();
    for taken in rows.iter().map(Taken::of) {
        if fastrand::u8(..8) == 0 {
            // May be lost meanwhile.
            let _ = settle(client, "nack($1, $2, '20 milliseconds', 'no ink')", &taken);
            continue;
        }
        let _ = have_effect(client, &taken);
    }
}

fn have_effect(client: &mut Client, taken: &Taken) -> Result<(), postgres::Error> {
    let mut transaction = client.transaction()?;
    transaction.execute("INSERT INTO effect (id) VALUES ($1)", &[&taken.id])?;
    pass_time(Duration::from_millis(fastrand::u64(..4)));
    transaction.execute("SELECT outtray.ack($1, $2)", &[&taken.id, &taken.receipt])?;
    transaction.commit()
}

/// Sends some messages, with keys of this process, and writes down which.
fn produce(messaging: &Messaging, number: &mut i32) {
    let key = format!("{}-{}", std::process::id(), fastrand::u8(..3));
    let size = fastrand::i32(1..4);
    let sent = messaging.session(|session| -> Result<(), HandlerError> {
        for at in 0..size {
            let message = NewMessage::json("jobs", &(*number + at))?.key(&key);
            let unique = format!("{}-{}", std::process::id(), *number + at);
            let id = session.send(message.dedupe_until_end(unique))?.id();
            let note = "INSERT INTO sent VALUES ($1, $2, $3)";
            session.execute(note, &[&id.as_uuid(), &key, &(*number + at)])?;
        }
        Ok(())
    });
    *number += size;
    if sent.is_err() {
        // It is full.
        pass_time(Duration::from_millis(5));
    }
}

#[test]
fn what_child_processes_run() {
    let Some(role) = Child::role() else { return };
    let (role, url) = role.split_once(' ').unwrap();
    let mut own = client(url);
    let messaging = Messaging::connect(url).unwrap();
    let mut number = 0;
    while count(&mut own, "SELECT count(*) FROM stop") == 0 {
        match role {
            "producer" => produce(&messaging, &mut number),
            _ => {
                work(&mut own);
                pass_time(Duration::from_millis(2));
            }
        }
    }
}

#[test]
fn a_message_in_the_hands_of_a_consumer_that_was_killed_comes_back_when_its_lease_ends() {
    let place = Place::new();
    place.send("jobs", &1);
    let mut consumer = client(&place.url);
    let taken = take(&mut consumer, "jobs", 1).remove(0);
    settle(&mut consumer, "extend($1, $2, '200 milliseconds')", &taken).unwrap();
    drop(consumer);

    let mut other = client(&place.url);
    let mut again = Vec::new();
    eventually("it comes back", || {
        again.extend(take(&mut other, "jobs", 1));
        !again.is_empty()
    });

    assert_eq!((again[0].id, again[0].attempt), (taken.id, 2));
}
