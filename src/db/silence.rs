//! Questions about other connections: what their server processes do while they are silent.

use crate::db::run::{Run, column, query};
use crate::db::statement::{Statement, sql};
use crate::words::limits::millis;
use crate::words::{ClaimPlace, Result};
use postgres::types::ToSql;
use std::time::{Duration, Instant};

static END_HOLDER: Statement = sql!("end_holder", Kept);
static END_PROCESSES: Statement = sql!("end_processes", Kept);
static LONGEST_AT_WORK: Statement = sql!("longest_at_work", Kept);
static LOOK_AT_PROCESSES: Statement = sql!("look_at_processes", Kept);

/// What a server process does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProcessActivity {
    pub(crate) number: i32,
    /// `None` if it cannot be seen.
    pub(crate) is_at_work: Option<bool>,
    /// For how long it has done that.
    pub(crate) since: Duration,
}

/// A message that an open transaction holds whose server process is not known, as behind a pooler.
/// By it the process is found.
#[derive(Debug, Clone)]
pub(crate) struct Hold {
    pub(crate) topic: String,
    pub(crate) position: ClaimPlace,
    /// When it was held at the latest.
    pub(crate) since: Instant,
}

/// Looks at server processes; those that are gone are missing.
pub(crate) fn look(run: &mut dyn Run, numbers: &[i32]) -> Result<Vec<ProcessActivity>> {
    let rows = query(run, &LOOK_AT_PROCESSES, &[&numbers], DOING)?;
    let process = |row| {
        Ok(ProcessActivity {
            number: column(row, "process")?,
            is_at_work: column(row, "is_at_work")?,
            since: milliseconds(column(row, "since_ms")?).unwrap_or_default(),
        })
    };
    rows.iter().map(process).collect()
}

/// Returns for how long a statement has been running at most, of this role in this database.
pub(crate) fn longest(run: &mut dyn Run) -> Result<Option<Duration>> {
    let rows = query(run, &LONGEST_AT_WORK, &[], DOING)?;
    let longest = rows.first().map(|row| column(row, "longest_ms"));
    Ok(longest.transpose()?.and_then(milliseconds))
}

/// Ends server processes whose clients are gone, with the transactions they hold open. Each is
/// named with its age.
pub(crate) fn end(run: &mut dyn Run, processes: &[(i32, Duration)]) -> Result<()> {
    let numbers: Vec<i32> = processes.iter().map(|(number, _)| *number).collect();
    let ages: Vec<i64> = processes.iter().map(|(_, since)| millis(*since)).collect();
    let doing = "ending lost connections";
    query(run, &END_PROCESSES, &[&numbers, &ages], doing).map(drop)
}

/// Ends the server process that holds a message whose client is gone, and of which nothing was
/// asked for `idle`.
pub(crate) fn end_holder(run: &mut dyn Run, hold: &Hold, idle: Duration) -> Result<()> {
    let (topic, ClaimPlace { rank, seq }) = (&hold.topic, hold.position);
    let (held, idle) = (millis(hold.since.elapsed()), millis(idle));
    let doing = "ending lost connections";
    let params: [&(dyn ToSql + Sync); 5] = [topic, &rank, &seq, &held, &idle];
    query(run, &END_HOLDER, &params, doing).map(drop)
}

const DOING: &str = "asking about silent connections";

fn milliseconds(value: Option<i64>) -> Option<Duration> {
    let value = u64::try_from(value?).unwrap_or_default();
    Some(Duration::from_millis(value))
}
