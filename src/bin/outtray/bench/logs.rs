//! Logs: writing them, and reading them by named readers.

use super::bed::work::{BULK, send_in_calls};
use super::bed::{Bed, Result};
use super::plan::Effort;
use super::report::Report;
use crossbeam_channel::bounded;
use outtray::postgres::{Client, Row, Transaction};
use outtray::{HandlerError, Message, MessagingSession, Payload, TopicConfig, TopicKind};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Entries of a batch, on both sides.
const BATCH: usize = 500;
/// Readers of the case with several.
const READERS: u64 = 4;
/// How long a round may take before something must be wrong.
const PATIENCE: Duration = Duration::from_secs(600);

/// Writes to a log, 1,000 entries to a transaction, beside the same sends to a queue.
pub(crate) fn write_case(bed: &Bed, plan: &Effort) -> Result<Report> {
    let messages = plan.scaled(200_000);
    let topics = Topics::new("log-write");
    let (ours, theirs) = plan.compare(
        bed,
        messages,
        || send(bed, &topics.next(bed)?, messages),
        || send(bed, "send", messages),
    )?;
    Ok(Report::new("log-write", messages).rates(ours, theirs, "the same sends to a queue"))
}

/// Reads with a handler that does nothing, beside the least that reads a table in plain SQL.
pub(crate) fn read_case(bed: &Bed, plan: &Effort) -> Result<Report> {
    let messages = plan.scaled(500_000);
    let topics = Topics::new("log-read");
    let (ours, theirs) = plan.compare(
        bed,
        messages,
        || {
            read(
                bed,
                &filled(bed, &topics, messages)?,
                1,
                messages,
                |_, _| Ok(()),
            )
        },
        || plain(bed, messages, |_, _| Ok(())),
    )?;
    Ok(Report::new("log-read", messages).rates(ours, theirs, "a table by its key, in Rust"))
}

/// Reads with a handler that inserts and sends for each entry, in bulk, beside the same in plain
/// SQL.
pub(crate) fn handle_case(bed: &Bed, plan: &Effort) -> Result<Report> {
    let messages = plan.scaled(100_000);
    let topics = Topics::new("log-handle");
    let (ours, theirs) = plan.compare(
        bed,
        messages,
        || {
            let topic = filled(bed, &topics, messages)?;
            read(bed, &topic, 1, messages, insert_and_send)
        },
        || plain(bed, messages, insert_and_send_plainly),
    )?;
    Ok(Report::new("log-handle", messages).rates(ours, theirs, "a table by its key, in Rust"))
}

/// Reads while a transaction elsewhere stays open, beside the same without it.
pub(crate) fn read_held_case(bed: &Bed, plan: &Effort) -> Result<Report> {
    let (messages, topics) = (plan.scaled(500_000), Topics::new("log-read-held"));
    let nothing = |_: &mut MessagingSession<'_>, _: &[Message<Payload>]| Ok(());
    let one = || read(bed, &filled(bed, &topics, messages)?, 1, messages, nothing);
    let (ours, theirs) = plan.compare(bed, messages, || held(bed, one), one)?;
    Ok(Report::new("log-read-held", messages).rates(ours, theirs, "nothing held"))
}

/// The same with a handler that inserts and sends for each entry.
pub(crate) fn handle_held_case(bed: &Bed, plan: &Effort) -> Result<Report> {
    let (messages, topics) = (plan.scaled(100_000), Topics::new("log-handle-held"));
    let one = || {
        let topic = filled(bed, &topics, messages)?;
        read(bed, &topic, 1, messages, insert_and_send)
    };
    let (ours, theirs) = plan.compare(bed, messages, || held(bed, one), one)?;
    Ok(Report::new("log-handle-held", messages).rates(ours, theirs, "nothing held"))
}

/// Reads by four readers at the same time, all entries together, beside one.
pub(crate) fn readers_case(bed: &Bed, plan: &Effort) -> Result<Report> {
    let messages = plan.scaled(300_000);
    let topics = Topics::new("log-readers");
    let nothing = |_: &mut MessagingSession<'_>, _: &[Message<Payload>]| Ok(());
    let (ours, theirs) = plan.compare(
        bed,
        messages,
        || {
            let topic = filled(bed, &topics, messages)?;
            let took = read(bed, &topic, READERS, messages, nothing)?;
            Ok(took / u32::try_from(READERS)?)
        },
        || read(bed, &filled(bed, &topics, messages)?, 1, messages, nothing),
    )?;
    Ok(Report::new("log-readers", messages).rates(ours, theirs, "one reader"))
}

/// Does something while a transaction that has written stays open.
fn held<T>(bed: &Bed, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let mut holder = bed.client()?;
    let mut held = holder.transaction()?;
    held.batch_execute("INSERT INTO thing (n) VALUES (0)")?;
    work()
}

/// Names of logs: a new one for each round, since what is in a log stays.
struct Topics {
    stem: &'static str,
    count: AtomicU64,
}

impl Topics {
    fn new(stem: &'static str) -> Self {
        let count = AtomicU64::new(0);
        Topics { stem, count }
    }

    fn next(&self, bed: &Bed) -> Result<String> {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let topic = format!("{}-{number}", self.stem);
        let config = TopicConfig {
            kind: TopicKind::Log,
            ..TopicConfig::default()
        };
        bed.messaging.topic(&topic).configure(config)?;
        Ok(topic)
    }
}

fn send(bed: &Bed, topic: &str, messages: u64) -> Result<Duration> {
    bed.sql("CHECKPOINT")?;
    let took = send_in_calls(bed, topic, messages, BULK, |number| json!({ "n": number }))?;
    Ok(took.all)
}

/// Returns a log with so many entries.
fn filled(bed: &Bed, topics: &Topics, messages: u64) -> Result<String> {
    let topic = topics.next(bed)?;
    send(bed, &topic, messages)?;
    bed.sql("VACUUM ANALYZE outtray.log_entry")?;
    bed.sql("CHECKPOINT")?;
    Ok(topic)
}

/// Has a log read to its end by so many readers; returns how long that took.
fn read(
    bed: &Bed,
    topic: &str,
    readers: u64,
    messages: u64,
    handler: fn(&mut MessagingSession<'_>, &[Message<Payload>]) -> Result<(), HandlerError>,
) -> Result<Duration> {
    let left = Arc::new(AtomicU64::new(messages * readers));
    let (done, end) = bounded(1);
    let started = Instant::now();
    let mut receivers = Vec::new();
    for reader in 0..readers {
        let (left, done) = (Arc::clone(&left), done.clone());
        let reader = bed.messaging.reader(topic, &format!("reader-{reader}"));
        receivers.push(reader.batch_size(BATCH).start(
            move |session, entries: &[Message<Payload>]| {
                handler(session, entries)?;
                let count = entries.len() as u64;
                if left.fetch_sub(count, Ordering::Relaxed) == count {
                    let _ = done.send(());
                }
                Ok(())
            },
        )?);
    }
    if end.recv_timeout(PATIENCE).is_err() {
        return Err("not all entries were read in time".into());
    }
    // The last commits count too.
    for receiver in &receivers {
        receiver.stop(Duration::from_secs(60));
    }
    Ok(started.elapsed())
}

fn insert_and_send(
    session: &mut MessagingSession<'_>,
    entries: &[Message<Payload>],
) -> Result<(), HandlerError> {
    let numbers: Vec<i64> = (0..).zip(entries).map(|(number, _)| number).collect();
    session.execute(
        "INSERT INTO thing (n) SELECT unnest($1::bigint[])",
        &[&numbers],
    )?;
    session.send_messages("next", entries.iter().map(|_| json!({ "n": 1 })))?;
    Ok(())
}

/// Reads a table of so many rows in batches, each in a transaction that moves a place.
fn plain(
    bed: &Bed,
    messages: u64,
    handle: fn(&mut Transaction<'_>, &[Row]) -> Result<()>,
) -> Result<Duration> {
    let mut client: Client = bed.client()?;
    client.batch_execute(&format!(
        "DROP TABLE IF EXISTS plain_entry, plain_place;
        CREATE TABLE plain_entry (seq bigint PRIMARY KEY, id uuid NOT NULL, sent_at timestamptz NOT NULL, payload json);
        CREATE TABLE plain_place (seq bigint NOT NULL);
        INSERT INTO plain_place VALUES (0);
        INSERT INTO plain_entry
            SELECT n, gen_random_uuid(), now(), json_build_object('n', n) FROM generate_series(1, {messages}) AS n"
    ))?;
    client.batch_execute("VACUUM ANALYZE plain_entry")?;
    client.batch_execute("CHECKPOINT")?;
    let read = client.prepare(
        "SELECT seq, id, sent_at, payload::text FROM plain_entry WHERE seq > $1 ORDER BY seq LIMIT $2",
    )?;
    let lock = client.prepare("SELECT seq FROM plain_place FOR UPDATE")?;
    let move_on = client.prepare("UPDATE plain_place SET seq = $1")?;
    let started = Instant::now();
    loop {
        let mut transaction = client.transaction()?;
        let place: i64 = transaction.query_one(&lock, &[])?.get(0);
        let rows = transaction.query(&read, &[&place, &i64::try_from(BATCH)?])?;
        let Some(last) = rows.last() else {
            return Ok(started.elapsed());
        };
        handle(&mut transaction, &rows)?;
        transaction.execute(&move_on, &[&last.get::<_, i64>(0)])?;
        transaction.commit()?;
    }
}

fn insert_and_send_plainly(transaction: &mut Transaction<'_>, rows: &[Row]) -> Result<()> {
    let numbers: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
    transaction.execute(
        "INSERT INTO thing (n) SELECT unnest($1::bigint[])",
        &[&numbers],
    )?;
    let ids: Vec<Uuid> = rows.iter().map(|_| Uuid::now_v7()).collect();
    let payloads: Vec<String> = rows.iter().map(|_| r#"{"n":1}"#.to_owned()).collect();
    transaction.execute(
        "INSERT INTO outtray.message (topic, rank, id, payload)
            SELECT 'next', 0, id, payload::json FROM unnest($1::uuid[], $2::text[]) AS sent (id, payload)",
        &[&ids, &payloads],
    )?;
    Ok(())
}
