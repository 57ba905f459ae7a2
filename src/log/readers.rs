//! Named readers: each has lanes, and each lane a place of its own.

use crate::db::run::{Params, Run, column, query};
use crate::db::statement::{Statement, sql};
use crate::words::error::{Error, ErrorKind, Result};
use crate::words::limits::count;
use crate::words::log_position::LogPosition;

static ENSURE_READER: Statement = sql!("ensure_reader", Kept);
static READER_LANES: Statement = sql!("reader_lanes", Anew);

/// The most lanes of a reader.
pub(crate) const MAX_LANES: usize = 256;

/// Returns how many lanes a reader has; `None` if there is no such reader.
pub(crate) fn lanes(run: &mut dyn Run, topic: &str, reader: &str) -> Result<Option<usize>> {
    let rows = query(
        run,
        &READER_LANES,
        &[&topic, &reader],
        "looking for a reader of a log",
    )?;
    let lanes = rows
        .first()
        .map(|row| column::<i64>(row, "lanes"))
        .transpose()?;
    Ok(lanes.map(|lanes| usize::try_from(lanes).unwrap_or(1)))
}

/// Makes a reader at a place, unless there is one of this name; returns how many lanes it has.
pub(crate) fn ensure(
    run: &mut dyn Run,
    topic: &str,
    reader: &str,
    lanes: usize,
    from: LogPosition,
) -> Result<usize> {
    let wanted = count(lanes);
    let params: Params<'_> = &[&topic, &reader, &wanted, &from.tick, &from.seq];
    // A second look sees what another transaction made meanwhile.
    for _ in 0..2 {
        let rows = query(run, &ENSURE_READER, params, "making a reader of a log")?;
        if let Some(row) = rows.first() {
            let lanes: i64 = column(row, "lanes")?;
            return Ok(usize::try_from(lanes).unwrap_or(1));
        }
    }
    let text = format!("reader {reader} of log {topic} is being made by another transaction");
    Err(Error::new(ErrorKind::Conflict, text))
}
