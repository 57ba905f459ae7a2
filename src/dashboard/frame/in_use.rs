//! How far the limits of topics are used, for those who look.

use crate::db::{Run, Statement, column, query, sql};
use crate::words::Result;
use std::collections::HashMap;
use std::time::Duration;

static LIMITS_IN_USE: Statement = sql!("limits_in_use", Kept);

/// How far the limits of a topic are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct LimitsInUse {
    /// Messages that count for the limit of length, or `None` if nothing was counted yet.
    pub(crate) used: Option<u64>,
    /// How long it takes until the bucket of the rate is full again.
    pub(crate) full_in: Duration,
}

/// Returns how far the limits of some topics are used.
pub(crate) fn limits_in_use(
    run: &mut dyn Run,
    topics: &[String],
) -> Result<HashMap<String, LimitsInUse>> {
    let rows = query(run, &LIMITS_IN_USE, &[&topics], "looking at limits")?;
    let found = rows.iter().map(|row| {
        let used: Option<i64> = column(row, "used")?;
        let full_in_us: Option<i64> = column(row, "full_in_us")?;
        let limits = LimitsInUse {
            used: used.map(|used| u64::try_from(used).unwrap_or_default()),
            full_in: Duration::from_micros(full_in_us.unwrap_or_default().unsigned_abs()),
        };
        Ok((column(row, "topic")?, limits))
    });
    found.collect()
}
