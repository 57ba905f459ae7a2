//! Leases in plain SQL, as people write them: a message in work is left alone until a time.

use super::plain::{SEND, on_threads};
use super::{Bed, Result};
use outtray::postgres::types::ToSql;
use outtray::postgres::{Client, Row, Statement};
use std::time::Duration;
use uuid::Uuid;

/// Takes messages under leases and removes them, `batch` at a time, an UPDATE and a DELETE, on so
/// many connections.
pub(crate) fn lease(bed: &Bed, batch: u64, connections: usize) -> Result<Duration> {
    on_threads(bed, connections, |client| {
        let take = prepare_take(client, batch)?;
        let end = client
            .prepare(
                "DELETE FROM outtray.message USING unnest($1::smallint[], $2::bigint[]) AS done (rank, seq)
                 WHERE topic = 'work' AND message.rank = done.rank AND message.seq = done.seq",
            )?;
        loop {
            let rows = client.query(&take, &[])?;
            if rows.is_empty() {
                return Ok(());
            }
            let (ranks, seqs): (Vec<_>, Vec<_>) = rows.iter().map(place).unzip();
            client.execute(&end, &[&ranks, &seqs])?;
        }
    })
}

/// Takes messages under leases, `batch` at a time, and for each of them inserts, sends and deletes
/// in a transaction.
pub(crate) fn handle(bed: &Bed, batch: u64, connections: usize) -> Result<Duration> {
    on_threads(bed, connections, |client| {
        let take = prepare_take(client, batch)?;
        let insert = client.prepare("INSERT INTO thing (n) VALUES ($1)")?;
        let send = client.prepare(SEND)?;
        let end = client
            .prepare("DELETE FROM outtray.message WHERE topic = $1 AND rank = $2 AND seq = $3")?;
        loop {
            let rows = client.query(&take, &[])?;
            if rows.is_empty() {
                return Ok(());
            }
            for row in &rows {
                let (rank, seq) = place(row);
                let payload: String = row.get(3);
                let parameters: &[&(dyn ToSql + Sync)] = &[&"next", &Uuid::now_v7(), &payload];
                let mut transaction = client.transaction()?;
                transaction.execute(&insert, &[&seq])?;
                transaction.execute(&send, parameters)?;
                transaction.execute(&end, &[&"work", &rank, &seq])?;
                transaction.commit()?;
            }
        }
    })
}

fn prepare_take(client: &mut Client, batch: u64) -> Result<Statement> {
    Ok(client.prepare(&format!(
        "WITH ready AS MATERIALIZED (
                 SELECT rank, seq FROM outtray.message
                 WHERE topic = 'work' AND (not_before IS NULL OR not_before <= now())
                 ORDER BY rank, seq LIMIT {batch} FOR UPDATE SKIP LOCKED)
             UPDATE outtray.message
             SET attempts = attempts + 1, not_before = now() + interval '1 minute'
             FROM ready
             WHERE topic = 'work' AND message.rank = ready.rank AND message.seq = ready.seq
             RETURNING message.rank, message.seq, message.id, message.payload::text"
    ))?)
}

fn place(row: &Row) -> (i16, i64) {
    (row.get(0), row.get(1))
}
