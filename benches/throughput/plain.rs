//! The same work in plain SQL: prepared statements on a connection for each thread, no library.

use crate::bed::Bed;
use postgres::Client;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use uuid::Uuid;

const CLAIM: &str = "SELECT rank, seq, id, attempts, sent_at, headers::text, payload::text, body
     FROM outtray.message WHERE topic = $1 ORDER BY rank, seq LIMIT $2 FOR UPDATE SKIP LOCKED";
const SEND: &str = "INSERT INTO outtray.message (topic, rank, id, payload)
     VALUES ($1, 0, $2, $3::text::json)";

pub(crate) fn send_one(bed: &Bed, messages: u64) -> Duration {
    let mut client = bed.client();
    let send = client.prepare(SEND).expect("a statement");
    let started = Instant::now();
    for number in 0..messages {
        let payload = format!(r#"{{"n":{number}}}"#);
        client
            .execute(&send, &[&"send", &Uuid::now_v7(), &payload])
            .expect("a message is sent");
    }
    bed.clear_after(started)
}

pub(crate) fn send_bulk(bed: &Bed, messages: u64, bulk: usize) -> Duration {
    let mut client = bed.client();
    let send = client
        .prepare(
            "INSERT INTO outtray.message (topic, rank, id, payload)
             SELECT 'send', 0, id, payload::json
             FROM unnest($1::uuid[], $2::text[]) AS sent (id, payload)",
        )
        .expect("a statement");
    let started = Instant::now();
    let mut left = messages as usize;
    while left > 0 {
        let some = left.min(bulk);
        let ids: Vec<Uuid> = (0..some).map(|_| Uuid::now_v7()).collect();
        let payloads: Vec<String> = (0..some)
            .map(|number| format!(r#"{{"n":{number}}}"#))
            .collect();
        client
            .execute(&send, &[&ids, &payloads])
            .expect("messages are sent");
        left -= some;
    }
    bed.clear_after(started)
}

/// Claims and deletes in one statement, 64 at a time: the least that a queue can do.
pub(crate) fn drain(bed: &Bed, messages: u64, connections: usize) -> Duration {
    bed.fill(messages);
    on_threads(bed, connections, |client| {
        let take = client
            .prepare(
                "WITH ready AS MATERIALIZED (
                     SELECT rank, seq FROM outtray.message WHERE topic = 'work'
                     ORDER BY rank, seq LIMIT 64 FOR UPDATE SKIP LOCKED)
                 DELETE FROM outtray.message USING ready
                 WHERE topic = 'work' AND message.rank = ready.rank AND message.seq = ready.seq
                 RETURNING message.id, message.payload::text",
            )
            .expect("a statement");
        while !client.query(&take, &[]).expect("messages").is_empty() {}
    })
}

/// One transaction for each message: claim, insert, send, delete.
pub(crate) fn handle(bed: &Bed, messages: u64, connections: usize) -> Duration {
    bed.fill(messages);
    let left = AtomicU64::new(messages);
    on_threads(bed, connections, |client| {
        let claim = client.prepare(CLAIM).expect("a statement");
        let insert = client
            .prepare("INSERT INTO thing (n) VALUES ($1)")
            .expect("a statement");
        let send = client.prepare(SEND).expect("a statement");
        let delete = client
            .prepare("DELETE FROM outtray.message WHERE topic = $1 AND rank = $2 AND seq = $3")
            .expect("a statement");
        while left.load(Ordering::Relaxed) > 0 {
            let mut transaction = client.transaction().expect("a transaction");
            let Some(row) = transaction
                .query_opt(&claim, &[&"work", &1_i64])
                .expect("a claim")
            else {
                return;
            };
            let (rank, seq): (i16, i64) = (row.get(0), row.get(1));
            let payload: String = row.get(6);
            let number = serde_json::from_str::<serde_json::Value>(&payload).expect("JSON")["n"]
                .as_i64()
                .unwrap_or_default();
            transaction.execute(&insert, &[&number]).expect("an insert");
            transaction
                .execute(&send, &[&"next", &Uuid::now_v7(), &payload])
                .expect("a message is sent");
            transaction
                .execute(&delete, &[&"work", &rank, &seq])
                .expect("a delete");
            transaction.commit().expect("a commit");
            left.fetch_sub(1, Ordering::Relaxed);
        }
    })
}

fn on_threads(bed: &Bed, connections: usize, work: impl Fn(&mut Client) + Sync) -> Duration {
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..connections {
            scope.spawn(|| work(&mut bed.client()));
        }
    });
    bed.clear_after(started)
}
