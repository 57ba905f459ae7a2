//! Keys whose messages wait behind a dead letter, until somebody decides.

use crate::db::{Run, Statement, column, query, sql};
use crate::words::Result;

static STUCK_KEYS: Statement = sql!("stuck_keys", Anew);

/// How far the messages behind a key are counted.
pub(crate) const COUNTED: i64 = 1_000;

/// A key that nothing moves but a redrive or a purge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StuckKey {
    pub(crate) key: String,
    /// Messages that wait, counted up to [`COUNTED`].
    pub(crate) waiting: u64,
}

/// Returns the first 20 of a topic.
pub(crate) fn stuck_keys(run: &mut dyn Run, topic: &str) -> Result<Vec<StuckKey>> {
    let doing = "looking for stuck keys";
    query(run, &STUCK_KEYS, &[&topic, &COUNTED], doing)?
        .iter()
        .map(|row| {
            Ok(StuckKey {
                key: column(row, "key")?,
                waiting: column::<i64>(row, "waiting")?.unsigned_abs(),
            })
        })
        .collect()
}
