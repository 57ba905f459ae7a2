//! A database gets its schema, and a newer one, while everything goes on.

mod dropping;
mod one_by_one;

use crate::support::{PATIENCE, Place, database, empty_database, eventually};
use crossbeam_channel::bounded;
use outtray::{ErrorKind, Message, Messaging, MessagingSession, Result};
use postgres::{Client, NoTls};
use serde_json::Value;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

fn connect(url: &str) -> Client {
    Client::connect(url, NoTls).unwrap()
}

fn number(url: &str, query: &str) -> i64 {
    connect(url).query_one(query, &[]).unwrap().get(0)
}

/// Connects to a schema of this name.
fn in_schema(url: &str, schema: &str) -> Messaging {
    Messaging::builder()
        .url(url)
        .schema(schema)
        .connect()
        .unwrap()
}

/// Sends and handles one message.
fn works(messaging: &Messaging) -> Result<bool> {
    messaging.session(|session| Ok(session.send_message("t", &1)?))?;
    let report = messaging.drain("t", |_, _: Message<Value>| Ok(()))?;
    Ok(report.handled == 1)
}

/// Describes everything in a schema but its name: columns, constraints, indexes, sequences,
/// settings of tables.
fn describe(url: &str, schema: &str) -> Vec<String> {
    let query = "
        SELECT concat_ws(' ', 'column', c.table_name, c.column_name, c.data_type, c.collation_name, c.is_nullable,
            replace(c.column_default, $1, '')) AS it
        FROM information_schema.columns AS c WHERE c.table_schema = $1
        UNION ALL
        SELECT concat_ws(' ', 'constraint', r.relname, k.conname, pg_get_constraintdef(k.oid))
        FROM pg_constraint AS k JOIN pg_class AS r ON r.oid = k.conrelid
        WHERE k.connamespace = $1::text::regnamespace
        UNION ALL
        SELECT concat_ws(' ', 'index', replace(i.indexdef, $1, ''))
        FROM pg_indexes AS i WHERE i.schemaname = $1
        UNION ALL
        SELECT concat_ws(' ', r.relkind, r.relname, r.reloptions::text)
        FROM pg_class AS r WHERE r.relnamespace = $1::text::regnamespace
        UNION ALL
        SELECT concat_ws(' ', 'migration', m.version, m.name, m.checksum) FROM outtray.migration AS m
        ORDER BY it";
    let query = query.replace("outtray.", &format!("{schema}."));
    let rows = connect(url).query(&query, &[&schema]).unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[test]
fn the_second_migration_finds_nothing_to_do() {
    let url = empty_database();
    let messaging = Messaging::connect(&url).unwrap();

    let first = messaging.migrate().unwrap();
    let second = messaging.migrate().unwrap();

    assert_eq!(first[0], "0001_message");
    assert!(second.is_empty(), "{second:?}");
    assert!(works(&messaging).unwrap());
}

#[test]
fn a_dry_run_says_what_would_be_applied_and_changes_nothing() {
    let url = empty_database();
    let messaging = Messaging::connect(&url).unwrap();

    let pending = messaging.pending_migrations().unwrap();

    let schemas = "SELECT count(*) FROM pg_namespace WHERE nspname = 'outtray'";
    assert_eq!(number(&url, schemas), 0);
    assert_eq!(messaging.migrate().unwrap(), pending);
    assert!(messaging.pending_migrations().unwrap().is_empty());
}

#[test]
fn of_eight_that_migrate_at_once_each_migration_is_applied_by_one() {
    let url = empty_database();
    let pending = Messaging::connect(&url)
        .unwrap()
        .pending_migrations()
        .unwrap();
    let start = Barrier::new(8);

    let mut applied: Vec<String> = thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let messaging = Messaging::connect(&url).unwrap();
                    start.wait();
                    let applied = messaging.migrate().unwrap();
                    assert!(
                        messaging.pending_migrations().unwrap().is_empty(),
                        "all is there on return"
                    );
                    applied
                })
            })
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });

    // Collected thread by thread, which is not the order in which they were applied.
    applied.sort();
    assert_eq!(applied, pending);
    assert!(works(&Messaging::connect(&url).unwrap()).unwrap());
}

#[test]
fn one_that_migrates_waits_for_another_and_finds_its_work() {
    let url = empty_database();
    let messaging = Messaging::connect(&url).unwrap();
    let mut other = connect(&url);
    let mut transaction = other.transaction().unwrap();
    let turn = "SELECT pg_advisory_xact_lock(hashtextextended('outtray migration outtray', 0))";
    transaction.execute(turn, &[]).unwrap();

    thread::scope(|scope| {
        let waiting = scope.spawn(|| messaging.migrate());
        eventually("the second one waits", || {
            number(
                &url,
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted",
            ) == 1
        });
        let sql = Messaging::schema_sql("outtray").unwrap();
        let inside = sql.replace("BEGIN;", "").replace("COMMIT;", "");
        transaction.batch_execute(&inside).unwrap();
        transaction.commit().unwrap();

        assert!(waiting.join().unwrap().unwrap().is_empty());
    });

    assert!(works(&messaging).unwrap());
}

#[test]
fn a_migration_goes_on_beside_claims_and_hinders_no_send() {
    let url = database();
    let messaging = Messaging::connect(&url).unwrap();
    messaging
        .session(|session| Ok(session.send_message("t", &1)?))
        .unwrap();
    let mut claims = connect(&url);
    let mut claim = claims.transaction().unwrap();
    assert_eq!(
        claim
            .execute("SELECT FROM outtray.message FOR UPDATE", &[])
            .unwrap(),
        1
    );
    let (told, migrated) = bounded(1);

    thread::scope(|scope| {
        scope.spawn(|| told.send(messaging.migrate()));
        let applied = migrated.recv_timeout(PATIENCE).unwrap().unwrap();
        assert!(applied.is_empty(), "{applied:?}");
        messaging
            .session(|session| Ok(session.send_message("t", &2)?))
            .unwrap();
    });

    claim.rollback().unwrap();
    assert_eq!(messaging.topic("t").stats().unwrap().ready, 2);
}

#[test]
fn two_schemas_in_one_database_live_apart() {
    let url = empty_database();
    let (one, two) = (in_schema(&url, "team_one"), in_schema(&url, "team_two"));
    let applied = one.migrate().unwrap();
    assert_eq!(two.migrate().unwrap(), applied);
    let (seen, handled) = bounded(9);
    let receivers = [(1, &one), (2, &two)].map(|(team, messaging)| {
        let seen = seen.clone();
        messaging
            .start_receiving_messages("t", move |_, message: Message<i32>| {
                seen.send((team, message.payload))?;
                Ok(())
            })
            .unwrap()
    });

    // Each hears of its own messages, through another connection's notification.
    in_schema(&url, "team_one")
        .session(|session| Ok(session.send_message("t", &10)?))
        .unwrap();
    assert_eq!(handled.recv_timeout(PATIENCE).unwrap(), (1, 10));
    in_schema(&url, "team_two")
        .session(|session| Ok(session.send_message("t", &20)?))
        .unwrap();
    assert_eq!(handled.recv_timeout(PATIENCE).unwrap(), (2, 20));

    for receiver in receivers {
        receiver.stop(PATIENCE);
    }
    assert!(handled.try_recv().is_err());
    one.session(|session| Ok(session.send_message("only.here", &1)?))
        .unwrap();
    assert_eq!(two.topic("only.here").stats().unwrap().ready, 0);
    assert!(
        two.topics()
            .unwrap()
            .iter()
            .all(|stats| stats.topic != "only.here")
    );
}

#[test]
fn a_schema_may_have_any_plain_name() {
    let url = empty_database();
    let longest = "s".repeat(63);

    for schema in ["TeamSeven", "_7", "select", longest.as_str()] {
        let messaging = in_schema(&url, schema);
        assert!(!messaging.migrate().unwrap().is_empty(), "{schema}");
        assert!(messaging.migrate().unwrap().is_empty(), "{schema}");
        assert!(works(&messaging).unwrap(), "{schema}");
        let query = "SELECT count(*) FROM pg_namespace WHERE nspname = $1";
        let found: i64 = connect(&url).query_one(query, &[&schema]).unwrap().get(0);
        assert_eq!(found, 1, "{schema}");
    }
}

#[test]
fn sql_applied_by_hand_makes_what_a_migration_makes() {
    let migrated = empty_database();
    Messaging::connect(&migrated).unwrap().migrate().unwrap();
    let by_hand = empty_database();

    connect(&by_hand)
        .batch_execute(&Messaging::schema_sql("outtray").unwrap())
        .unwrap();

    assert_eq!(
        describe(&by_hand, "outtray"),
        describe(&migrated, "outtray")
    );
    let messaging = Messaging::connect(&by_hand).unwrap();
    assert!(messaging.pending_migrations().unwrap().is_empty());
    assert!(messaging.migrate().unwrap().is_empty());
    assert!(works(&messaging).unwrap());
}

#[test]
fn a_schema_that_was_migrated_in_part_is_refused_and_then_completed() {
    let url = empty_database();
    let messaging = Messaging::connect(&url).unwrap();
    let all = messaging.pending_migrations().unwrap();
    let sql = Messaging::schema_sql("outtray").unwrap();
    let (first_three, _) = sql.split_once(&format!("-- Migration {}", all[3])).unwrap();
    let first_three = format!("{first_three} COMMIT");
    connect(&url).batch_execute(&first_three).unwrap();

    let done = |_: &mut MessagingSession<'_>, _: Message| Ok(());
    let refused = messaging.start_receiving_messages("t", done).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::SchemaMissing, "{refused}");
    assert_eq!(messaging.pending_migrations().unwrap(), all[3..]);
    assert_eq!(messaging.migrate().unwrap(), all[3..]);

    assert!(works(&messaging).unwrap());
}

#[test]
fn sql_applied_by_hand_twice_is_refused_and_changes_nothing() {
    let url = empty_database();
    let sql = Messaging::schema_sql("outtray").unwrap();
    connect(&url).batch_execute(&sql).unwrap();
    let before = describe(&url, "outtray");

    assert!(connect(&url).batch_execute(&sql).is_err());

    assert_eq!(describe(&url, "outtray"), before);
}

#[test]
fn attempts_below_none_of_a_row_made_by_hand_count_as_none() {
    let place = Place::new();
    let row = "INSERT INTO outtray.message (topic, rank, id, attempts, payload) \
        VALUES ('t', 0, gen_random_uuid(), -5, '1')";
    let mut client = connect(&place.url);
    client.batch_execute(row).unwrap();
    client.batch_execute(row).unwrap();

    let minute = Duration::from_secs(60);
    let leased = place.messaging.topic("t").receive::<i32>(minute).unwrap();
    let leased = leased.unwrap();
    let drained = place.messaging.drain("t", |_, message: Message<i32>| {
        assert_eq!(message.attempt, 1);
        Ok(())
    });

    assert_eq!(leased.attempt, 1);
    leased.nack().unwrap();
    assert_eq!(drained.unwrap().handled, 1);
    assert_eq!(place.messaging.topic("t").stats().unwrap().ready, 1);
}

/// Rows that make no sense, and a part of what the server says about each. ID is a new one.
const BAD_ROWS: &[(&str, &str, &str)] = &[
    (
        "no content",
        "message (topic, rank, id) VALUES ('t', 0, ID)",
        "one_content",
    ),
    (
        "two contents",
        "message (topic, rank, id, payload, body) VALUES ('t', 0, ID, '1', 'x')",
        "one_content",
    ),
    (
        "no JSON",
        "message (topic, rank, id, payload) VALUES ('t', 0, ID, 'x')",
        "json",
    ),
    (
        "no JSON in headers",
        "message (topic, rank, id, headers, body) VALUES ('t', 0, ID, '', 'x')",
        "json",
    ),
    (
        "no topic",
        "message (rank, id, payload) VALUES (0, ID, '1')",
        "null value",
    ),
    (
        "no id",
        "message (topic, rank, payload) VALUES ('t', 0, '1')",
        "null value",
    ),
    (
        "attempts below none",
        "scheduled (topic, rank, id, attempts, due_at, payload) VALUES ('t', 0, ID, -1, now(), '1')",
        "attempts_count",
    ),
    (
        "a place taken twice",
        "message (topic, rank, seq, id, payload) SELECT 't', 0, 1, ID, '1' FROM generate_series(1, 2)",
        "duplicate key",
    ),
    (
        "scheduled without content",
        "scheduled (topic, rank, id, due_at) VALUES ('t', 0, ID, now())",
        "one_content",
    ),
    (
        "scheduled without a time",
        "scheduled (topic, rank, id, payload) VALUES ('t', 0, ID, '1')",
        "null value",
    ),
    (
        "a dead letter without a reason",
        "dead_letter (topic, id, rank, attempts, error, sent_at, payload) VALUES ('t', ID, 0, 1, '', now(), '1')",
        "null value",
    ),
    (
        "a dead letter without content",
        "dead_letter (topic, id, rank, attempts, reason, error, sent_at) \
                 VALUES ('t', ID, 0, 1, 'rejected', '', now())",
        "one_content",
    ),
];

#[test]
fn rows_that_make_no_sense_cannot_be_stored() {
    let url = database();
    let mut client = connect(&url);

    for (what, row, says) in BAD_ROWS {
        let row = row.replace("ID", "gen_random_uuid()");
        let error = client
            .batch_execute(&format!("INSERT INTO outtray.{row}"))
            .expect_err(what);
        let text = error.as_db_error().unwrap().message().to_owned();
        assert!(text.contains(says), "{what}: {text}");
    }
}
