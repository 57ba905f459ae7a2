//! Removing rows that are over.

use crate::store::run::{Run, column, query};
use crate::store::statements::Statements;
use crate::words::Result;

/// Rows that one statement removes: its locks are held for milliseconds only.
pub(crate) const BATCH: i64 = 1000;

/// Removes a batch of each kind; returns whether there may be more.
pub(crate) fn prune(run: &mut dyn Run, statements: &Statements) -> Result<bool> {
    let rows = query(run, &statements.prune, &[&BATCH], "removing what is over")?;
    let removed = rows.first().map_or(Ok(0), |row| column(row, "removed"))?;
    Ok(removed >= BATCH)
}
