//! The segments of logs that are in use.

use crate::db::{Run, Statement, column, query, sql};
use crate::words::Result;
use postgres::Row;
use std::time::Duration;

static LOG_SEGMENTS: Statement = sql!("log_segments", Anew);

/// A segment in use.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) topic: String,
    pub(super) segment: i64,
    /// The first tick of its log.
    pub(super) begins: i64,
    pub(super) last_tick: Option<i64>,
    pub(super) is_current: bool,
    pub(super) open_for: Duration,
    pub(super) bytes: u64,
    pub(super) has_entries: bool,
    /// How long ago the last tick was made; nothing: it was not.
    pub(super) ticked: Option<Duration>,
}

/// Returns the segments of some logs that are in use, by their logs and their last ticks.
pub(super) fn segments(run: &mut dyn Run, topics: &[&str], doing: &str) -> Result<Vec<Segment>> {
    let rows = query(run, &LOG_SEGMENTS, &[&topics], doing)?;
    rows.iter().map(read).collect()
}

fn read(row: &Row) -> Result<Segment> {
    let time = |ms: i64| Duration::from_millis(ms.unsigned_abs());
    let bytes: Option<i64> = column(row, "bytes")?;
    Ok(Segment {
        topic: column(row, "topic")?,
        segment: column(row, "segment")?,
        begins: column(row, "begins")?,
        last_tick: column(row, "last_tick")?,
        is_current: column(row, "is_current")?,
        open_for: time(column(row, "open_ms")?),
        bytes: bytes.unwrap_or_default().unsigned_abs(),
        has_entries: column::<Option<bool>>(row, "has_entries")?.unwrap_or_default(),
        ticked: column::<Option<i64>>(row, "ticked_ms")?.map(time),
    })
}
