//! The other side: the same work in plain SQL. In Rust on prepared statements, a connection for
//! each thread; and by pgbench where it is installed, which has the least overhead there is.

use super::{Bed, Result};
use crossbeam_channel::after;
use outtray::postgres::config::Host;
use outtray::postgres::types::ToSql;
use outtray::postgres::{Client, Config};
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use uuid::Uuid;

const CLAIM: &str = "SELECT rank, seq, id, attempts, sent_at, headers::text, payload::text, body
     FROM outtray.message WHERE topic = $1 ORDER BY rank, seq LIMIT $2 FOR UPDATE SKIP LOCKED";
pub(super) const SEND: &str = "INSERT INTO outtray.message (topic, rank, id, payload)
     VALUES ($1, 0, $2, $3::text::json)";

/// A transaction that sends, for pgbench.
const PGBENCH_SEND: &str = r#"INSERT INTO outtray.message (topic, rank, id, payload)
    VALUES ('send', 0, gen_random_uuid(), '{"n":1}');
"#;
/// A transaction that claims, inserts, sends and deletes, for pgbench.
const PGBENCH_HANDLE: &str = r#"BEGIN;
SELECT rank, seq, id, attempts, payload::text AS payload FROM outtray.message WHERE topic = 'work' ORDER BY rank, seq LIMIT 1 FOR UPDATE SKIP LOCKED \gset
INSERT INTO thing (n) VALUES (:seq);
INSERT INTO outtray.message (topic, rank, id, payload) VALUES ('next', 0, gen_random_uuid(), :payload::json);
DELETE FROM outtray.message WHERE topic = 'work' AND rank = :rank AND seq = :seq;
COMMIT;
"#;

/// Names of the two ways.
pub(crate) const PGBENCH: &str = "pgbench, prepared";
pub(crate) const PREPARED: &str = "prepared statements in Rust";

/// Sends one by one; returns the time and the way.
pub(crate) fn send_one(bed: &Bed, messages: u64) -> Result<(Duration, &'static str)> {
    if let Some(pgbench) = bed.pgbench() {
        return Ok((
            run_pgbench(bed, &pgbench, PGBENCH_SEND, 1, messages)?,
            PGBENCH,
        ));
    }
    let mut client = bed.client()?;
    let send = client.prepare(SEND)?;
    let started = Instant::now();
    for number in 0..messages {
        let payload = format!(r#"{{"n":{number}}}"#);
        client.execute(&send, &[&"send", &Uuid::now_v7(), &payload])?;
    }
    Ok((started.elapsed(), PREPARED))
}

/// Sends `bulk` in a statement.
pub(crate) fn send_bulk(bed: &Bed, messages: u64, bulk: u64) -> Result<Duration> {
    let mut client = bed.client()?;
    let send = client.prepare(
        "INSERT INTO outtray.message (topic, rank, id, payload)
             SELECT 'send', 0, id, payload::json
             FROM unnest($1::uuid[], $2::text[]) AS sent (id, payload)",
    )?;
    let started = Instant::now();
    let mut left = messages;
    while left > 0 {
        let some = left.min(bulk);
        let ids: Vec<Uuid> = (0..some).map(|_| Uuid::now_v7()).collect();
        let payloads: Vec<String> = (0..some)
            .map(|number| format!(r#"{{"n":{number}}}"#))
            .collect();
        client.execute(&send, &[&ids, &payloads])?;
        left -= some;
    }
    Ok(started.elapsed())
}

/// Claims and deletes in one statement, 64 at a time: the least that a queue can do.
pub(crate) fn drain(bed: &Bed, connections: usize) -> Result<Duration> {
    on_threads(bed, connections, |client| {
        let take = client.prepare(
            "WITH ready AS MATERIALIZED (
                     SELECT rank, seq FROM outtray.message WHERE topic = 'work'
                     ORDER BY rank, seq LIMIT 64 FOR UPDATE SKIP LOCKED)
                 DELETE FROM outtray.message USING ready
                 WHERE topic = 'work' AND message.rank = ready.rank AND message.seq = ready.seq
                 RETURNING message.id, message.payload::text",
        )?;
        while !client.query(&take, &[])?.is_empty() {}
        Ok(())
    })
}

/// The same, and a row for each message in a history with the indexes of ours.
pub(crate) fn drain_recorded(bed: &Bed, connections: usize) -> Result<Duration> {
    on_threads(bed, connections, |client| {
        let take = client.prepare(
            "WITH ready AS MATERIALIZED (
                     SELECT rank, seq FROM outtray.message WHERE topic = 'work'
                     ORDER BY rank, seq LIMIT 64 FOR UPDATE SKIP LOCKED),
                 gone AS (
                     DELETE FROM outtray.message USING ready
                     WHERE topic = 'work' AND message.rank = ready.rank AND message.seq = ready.seq
                     RETURNING message.topic, message.id, message.key, message.sent_at, message.attempts,
                         message.payload::text),
                 recorded AS (
                     INSERT INTO outtray.history
                         (day, topic, id, how, ended_at, key, sent_at, started_at, attempts, process)
                     SELECT floor(extract(epoch FROM now()) / 86400)::bigint + 1, topic, id, 'done', clock_timestamp(), key, sent_at, now(), attempts + 1, 'plain'
                     FROM gone)
                 SELECT id, payload FROM gone",
        )?;
        while !client.query(&take, &[])?.is_empty() {}
        Ok(())
    })
}

/// One transaction for each message: claim, insert, send, delete. Returns the time and the way.
pub(crate) fn handle(
    bed: &Bed,
    messages: u64,
    connections: usize,
) -> Result<(Duration, &'static str)> {
    if let Some(pgbench) = bed.pgbench() {
        let took = run_pgbench(bed, &pgbench, PGBENCH_HANDLE, connections, messages)?;
        return Ok((took, PGBENCH));
    }
    let left = AtomicU64::new(messages);
    let took = on_threads(bed, connections, |client| {
        let claim = client.prepare(CLAIM)?;
        let insert = client.prepare("INSERT INTO thing (n) VALUES ($1)")?;
        let send = client.prepare(SEND)?;
        let delete = client
            .prepare("DELETE FROM outtray.message WHERE topic = $1 AND rank = $2 AND seq = $3")?;
        while left.load(Ordering::Relaxed) > 0 {
            let mut transaction = client.transaction()?;
            let claimed = transaction.query_opt(&claim, &[&"work", &1_i64])?;
            let Some(row) = claimed else {
                return Ok(());
            };
            let (rank, seq): (i16, i64) = (row.get(0), row.get(1));
            let payload: String = row.get(6);
            let parameters: &[&(dyn ToSql + Sync)] = &[&"next", &Uuid::now_v7(), &payload];
            transaction
                .execute(&insert, &[&seq])
                .and_then(|_| transaction.execute(&send, parameters))
                .and_then(|_| transaction.execute(&delete, &[&"work", &rank, &seq]))?;
            transaction.commit()?;
            left.fetch_sub(1, Ordering::Relaxed);
        }
        Ok(())
    })?;
    Ok((took, PREPARED))
}

/// What a request does, in four transactions one after the other: sends a question; claims it,
/// sends the reply and deletes the question; reads the reply; deletes it. Rests between two of
/// them; returns how long each took.
pub(crate) fn request(bed: &Bed, rounds: u64, rest: Duration) -> Result<Vec<Duration>> {
    let mut client = bed.client()?;
    let send = client.prepare(SEND)?;
    let claim = client.prepare(CLAIM)?;
    let delete = client
        .prepare("DELETE FROM outtray.message WHERE topic = $1 AND rank = $2 AND seq = $3")?;
    let read = client.prepare(CLAIM.trim_end_matches("FOR UPDATE SKIP LOCKED"))?;
    let mut times = Vec::new();
    for number in 0..rounds {
        let _ = after(rest).recv();
        let payload = number.to_string();
        let started = Instant::now();
        client.execute(&send, &[&"plain-ask", &Uuid::now_v7(), &payload])?;
        let mut transaction = client.transaction()?;
        let question = transaction.query_one(&claim, &[&"plain-ask", &1_i64])?;
        let (rank, seq): (i16, i64) = (question.get(0), question.get(1));
        transaction.execute(&send, &[&"plain-reply", &Uuid::now_v7(), &payload])?;
        transaction.execute(&delete, &[&"plain-ask", &rank, &seq])?;
        transaction.commit()?;
        let reply = client.query_one(&read, &[&"plain-reply", &1_i64])?;
        let (rank, seq): (i16, i64) = (reply.get(0), reply.get(1));
        client.execute(&delete, &[&"plain-reply", &rank, &seq])?;
        times.push(started.elapsed());
    }
    Ok(times)
}

/// Runs a script `messages` times over `connections` connections; returns the time without
/// connecting, as pgbench measured it.
fn run_pgbench(
    bed: &Bed,
    pgbench: &Path,
    script: &str,
    connections: usize,
    messages: u64,
) -> Result<Duration> {
    let each = messages / connections as u64;
    let mut command = Command::new(pgbench);
    command
        .args(["-n", "-M", "prepared", "-j", "2", "-f", "-"])
        .args(["-c", &connections.to_string()])
        .args(["-t", &each.max(1).to_string()]);
    let output = fed(name_database(&mut command, &bed.url)?, script);
    let output = output.map_err(|error| format!("pgbench cannot be run: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let tps: f64 = text
        .lines()
        .find_map(|line| line.strip_prefix("tps = "))
        .and_then(|line| line.split_whitespace().next())
        .and_then(|number| number.parse().ok())
        .ok_or_else(|| {
            format!(
                "pgbench failed: {}",
                String::from_utf8_lossy(&output.stderr)
            )
        })?;
    Ok(Duration::from_secs_f64(messages as f64 / tps))
}

/// Names a database in the environment: everybody sees arguments, and the password in them.
fn name_database<'a>(command: &'a mut Command, url: &str) -> Result<&'a mut Command> {
    let config: Config = url.parse()?;
    let Some(Host::Tcp(host)) = config.get_hosts().first() else {
        return Err("the server has no address".into());
    };
    let password = String::from_utf8_lossy(config.get_password().unwrap_or_default());
    let port = config.get_ports().first().copied().unwrap_or(5432);
    Ok(command
        .env("PGHOST", host)
        .env("PGPORT", port.to_string())
        .env("PGUSER", config.get_user().unwrap_or_default())
        .env("PGPASSWORD", &*password)
        .env("PGDATABASE", config.get_dbname().unwrap_or_default()))
}

/// Runs a command to its end with this on its standard input.
fn fed(command: &mut Command, input: &str) -> io::Result<Output> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes())?;
    }
    child.wait_with_output()
}

/// Does `work` on so many connections, a thread for each; returns how long that took.
pub(crate) fn on_threads(
    bed: &Bed,
    connections: usize,
    work: impl Fn(&mut Client) -> Result<()> + Sync,
) -> Result<Duration> {
    let started = Instant::now();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..connections)
            .map(|_| scope.spawn(|| work(&mut bed.client()?)))
            .collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().expect("a thread of plain SQL does not panic"))
    })?;
    Ok(started.elapsed())
}
