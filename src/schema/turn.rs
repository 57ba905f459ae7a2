//! The turns of those who change a schema: one process at a time, and never waiting long for a
//! lock, since a waiting `ALTER TABLE` stalls every claim that comes after it.

use crate::schema::name::SchemaName;
use crate::words::{Error, Result, classify};
use crossbeam_channel::after;
use postgres::{Client, Transaction};
use std::time::Duration;

/// How long one try may wait for a table lock.
const LOCK_TIMEOUT: Duration = Duration::from_secs(2);
/// Tries for each file: about a minute in all, with the waits between them.
const TRIES: u32 = 20;
const BETWEEN_TRIES: Duration = Duration::from_secs(1);

/// Runs `work` in a transaction of its own, alone among all processes that migrate this schema.
pub(crate) fn in_turn<T>(
    client: &mut Client,
    schema: &SchemaName,
    doing: &str,
    work: impl FnOnce(&mut Transaction<'_>) -> Result<T>,
) -> Result<T> {
    let failed = |error| classify(error, doing);
    let mut transaction = client.transaction().map_err(failed)?;
    // Transaction-level, so that it works behind a pooler and ends with the transaction.
    transaction
        .execute(
            "SELECT pg_advisory_xact_lock(hashtextextended('outtray migration ' || $1::text, 0::bigint))",
            &[&schema.as_str()],
        )
        .and_then(|_| {
            let timeout = LOCK_TIMEOUT.as_millis();
            transaction.batch_execute(&format!("SET LOCAL lock_timeout = {timeout}"))
        })
        .map_err(failed)?;
    let done = work(&mut transaction)?;
    transaction.commit().map_err(failed)?;
    Ok(done)
}

/// Repeats a step that waited too long for a lock (55P03), or that another process did at the same
/// time (23505, 42P06, 42P07).
pub(crate) fn retrying<T>(mut step: impl FnMut() -> Result<T>) -> Result<T> {
    for _ in 1..TRIES {
        match step() {
            Err(error) if is_worth_a_retry(&error) => {}
            done => return done,
        }
        // A plain wait: a migration has no stop signal, and its caller blocks anyway.
        let _ = after(BETWEEN_TRIES).recv();
    }
    step()
}

fn is_worth_a_retry(error: &Error) -> bool {
    let code = error
        .cause::<postgres::Error>()
        .and_then(|error| error.code())
        .map(|code| code.code());
    matches!(code, Some("55P03" | "23505" | "42P06" | "42P07" | "40P01"))
}
