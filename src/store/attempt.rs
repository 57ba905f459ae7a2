//! Deliveries that are counted before their handlers run, on topics where a process died.

use crate::store::run::{Run, column, execute, query};
use crate::store::statements::Statements;
use crate::words::Result;
use crate::words::message::MessageId;
use postgres::Row;

/// Counts a delivery; returns how many were counted so far, this included.
pub(crate) fn begin(
    run: &mut dyn Run,
    statements: &Statements,
    topic: &str,
    id: MessageId,
) -> Result<u32> {
    let doing = "counting an attempt";
    let rows = query(run, &statements.begin_attempt, &[&topic, &id.0], doing)?;
    Ok(attempts(&rows)?.unwrap_or(1))
}

/// Returns how many counted deliveries never ended.
pub(crate) fn counted(
    run: &mut dyn Run,
    statements: &Statements,
    topic: &str,
    id: MessageId,
) -> Result<u32> {
    let doing = "looking for counted attempts";
    let rows = query(run, &statements.counted_attempts, &[&topic, &id.0], doing)?;
    Ok(attempts(&rows)?.unwrap_or(0))
}

/// Takes one count of [`begin`] back.
pub(crate) fn take_back(
    run: &mut dyn Run,
    statements: &Statements,
    topic: &str,
    id: MessageId,
) -> Result<()> {
    let doing = "taking back a counted attempt";
    execute(run, &statements.take_back_attempt, &[&topic, &id.0], doing).map(drop)
}

/// Drops all counts of [`begin`].
pub(crate) fn forget(
    run: &mut dyn Run,
    statements: &Statements,
    topic: &str,
    id: MessageId,
) -> Result<()> {
    let doing = "closing a counted attempt";
    execute(run, &statements.forget_attempt, &[&topic, &id.0], doing).map(drop)
}

/// Reads the column `attempts` of the one row there is, if there is one.
pub(crate) fn attempts(rows: &[Row]) -> Result<Option<u32>> {
    let attempts = rows.first().map(|row| column::<i16>(row, "attempts"));
    Ok(attempts
        .transpose()?
        .map(|attempts| attempts.unsigned_abs().into()))
}
