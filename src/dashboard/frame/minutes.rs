//! Sums of tallies, for charts and rates.

use crate::db::{Params, Run, Statement, column, query, sql};
use crate::schedule;
use crate::tallies::tallies;
use crate::threads::mutex::Mutex;
use crate::words::Result;
use crate::words::limits::micros;
use postgres::Row;
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, UNIX_EPOCH};

static RECENT_TALLIES: Statement = sql!("recent_tallies", Kept);
static SUM_TALLIES: Statement = sql!("sum_tallies", Anew);

const MINUTE_US: i64 = 60_000_000;
const DOING: &str = "reading tallies";

/// The sums of the minutes of the last hour over all topics that were read, by the minute since
/// 1970.
#[derive(Debug, Default)]
pub(crate) struct Hour(pub(crate) Mutex<BTreeMap<i64, MinuteSums>>);

/// What became of messages in one minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct MinuteSums {
    pub(crate) done: u64,
    pub(crate) failed: u64,
    pub(crate) dead: u64,
    pub(crate) expired: u64,
    pub(crate) cancelled: u64,
    /// How long handlers took together, in microseconds.
    pub(crate) handled_us: u64,
}

/// Returns the minute that it is, since 1970, and the sums over all topics of the minutes from
/// `first` on, but no more than so many. Minutes in which nothing happened are missing.
pub(crate) fn sums_since(
    run: &mut dyn Run,
    first: i64,
    most: i64,
) -> Result<(i64, Vec<(i64, MinuteSums)>)> {
    let rows = query(run, &SUM_TALLIES, &[&first, &most], DOING)?;
    let now = rows
        .first()
        .map_or(Ok(0), |row| column(row, "this_minute"))?;
    let mut sums = Vec::with_capacity(rows.len());
    for row in &rows {
        if let Some(minute) = column::<Option<i64>>(row, "minute")? {
            sums.push((minute, read(row)?));
        }
    }
    Ok((now, sums))
}

/// Returns the same of one topic.
pub(crate) fn sums_of(
    run: &mut dyn Run,
    topic: &str,
    most: u32,
) -> Result<(i64, Vec<(i64, MinuteSums)>)> {
    let now = schedule::clock(run)? / MINUTE_US;
    let tallies = tallies(run, Some(topic), Duration::from_secs(60) * most)?;
    let sums = tallies.iter().map(|tally| {
        let since_1970 = tally.minute.duration_since(UNIX_EPOCH).unwrap_or_default();
        let minute = i64::try_from(since_1970.as_secs() / 60).unwrap_or_default();
        let sums = MinuteSums {
            done: tally.done,
            failed: tally.failed,
            dead: tally.dead,
            expired: tally.expired,
            cancelled: tally.cancelled,
            handled_us: micros(tally.handler_time).unsigned_abs(),
        };
        (minute, sums)
    });
    Ok((now, sums.collect()))
}

/// Returns how many messages of some topics were handled in the last minutes that are over.
pub(crate) fn recent(
    run: &mut dyn Run,
    topics: &[String],
    minutes: i64,
) -> Result<HashMap<String, u64>> {
    let params: Params<'_> = &[&topics, &minutes];
    query(run, &RECENT_TALLIES, params, DOING)?
        .iter()
        .map(|row| Ok((column(row, "topic")?, number(row, "done")?)))
        .collect()
}

fn read(row: &Row) -> Result<MinuteSums> {
    Ok(MinuteSums {
        done: number(row, "done")?,
        failed: number(row, "failed")?,
        dead: number(row, "dead")?,
        expired: number(row, "expired")?,
        cancelled: number(row, "cancelled")?,
        handled_us: number(row, "handled_us")?,
    })
}

/// A hand may have written any number.
fn number(row: &Row, name: &str) -> Result<u64> {
    Ok(u64::try_from(column::<i64>(row, name)?).unwrap_or_default())
}
