//! Removing rows that are over.

use crate::store::run::{Run, execute};
use crate::store::statements::Statements;
use crate::words::Result;

/// Rows that one statement removes: its locks are held for milliseconds only.
const BATCH: i64 = 1000;

/// Removes a batch of each kind; returns whether there may be more.
pub(crate) fn prune(run: &mut dyn Run, statements: &Statements) -> Result<bool> {
    let mut is_more = false;
    for (statement, doing) in [
        (&statements.prune_dedupe, "removing old dedupe keys"),
        (&statements.prune_buckets, "removing full buckets"),
        (&statements.prune_vacated, "removing notes of lost room"),
    ] {
        let removed = execute(run, statement, &[&BATCH], doing)?;
        is_more |= removed == BATCH.unsigned_abs();
    }
    Ok(is_more)
}
