//! What the server counts, read before and after some work.

use super::bed::{Bed, Result};
use std::time::Duration;

/// The position in the WAL and the number of commits, to be compared with a later look.
pub(crate) struct Counters {
    pub(crate) wal_bytes: i64,
    pub(crate) commits: i64,
}

impl Counters {
    /// Reads them. Blocks for a second: busy backends report their statistics each second, and
    /// those that end do so at once.
    pub(crate) fn read(bed: &Bed) -> Result<Self> {
        let _ = crossbeam_channel::after(Duration::from_millis(1100)).recv();
        let row = bed.client()?.query_one(
            "SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint, \
                    (SELECT xact_commit FROM pg_stat_database WHERE datname = current_database())",
            &[],
        )?;
        Ok(Counters {
            wal_bytes: row.try_get(0)?,
            commits: row.try_get(1)?,
        })
    }
}
