//! How a receiver that lives is told from one that died: by the advisory lock that its process
//! holds or, behind a pooler, by when it was seen last.
//!
//! Rows are read first, and locks are tried in a statement of their own that reads no table: where
//! tables are distributed, the statement runs where the lock is held, on the node that clients
//! connect to. What a row said may be over when its lock is tried. So whoever finds a lock free and
//! counts that as a death looks at the row once more, or removes it.

use crate::db::{Params, Run, Statement, columns, query, sql};
use crate::words::Result;
use std::collections::HashSet;

static FREE_LOCKS: Statement = sql!("free_locks", Kept);

/// How a receiver that holds something is told from one that died.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Liveness {
    /// What ids are mixed with to be the keys of advisory locks.
    pub(crate) namespace: i64,
    /// How long one without a lock is believed to live.
    pub(crate) unseen_s: i64,
}

/// Returns those of the receivers whose locks are free. They stay locked, shared, until the
/// transaction ends.
pub(crate) fn free_locks(
    run: &mut dyn Run,
    namespace: i64,
    receivers: &[i64],
) -> Result<HashSet<i64>> {
    if receivers.is_empty() {
        return Ok(HashSet::new());
    }
    let params: Params<'_> = &[&namespace, &receivers];
    let rows = query(run, &FREE_LOCKS, params, "trying the locks of receivers")?;
    columns(&rows, "id")
}
