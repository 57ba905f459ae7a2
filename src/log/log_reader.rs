//! Looking at named readers, moving and removing them.

use crate::db::{Params, Run, Statement, column, columns, execute, query, sql};
use crate::log::places::begins;
use crate::log::ticks::{gone, no_log};
use crate::words::log_position::LogPosition;
use crate::words::{Error, Result};
use postgres::Row;
use serde::Serialize;
use std::time::Duration;

static LOCK_READER: Statement = sql!("lock_reader", Key);
static LOG_READERS: Statement = sql!("log_readers", Anew);
static UNTICKED_ENTRIES: Statement = sql!("unticked_entries", Anew);
static NOTE_READER_CHANGE: Statement = sql!("note_reader_change", Key);
static READ_LOGS: Statement = sql!("read_logs", Anew);
static REMOVE_READER: Statement = sql!("remove_reader", Key);
static SEEK_READER: Statement = sql!("seek_reader", Key);

/// Logs whose readers are looked at together: each takes a statement.
const MOST_LOGS: i64 = 1000;

/// A named reader of a log, and how far it is.
///
/// Its JSON is that of `outtray log readers --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LogReader {
    /// The log's topic.
    pub topic: String,
    /// Its name.
    pub reader: String,
    /// In how many lanes it reads.
    pub lanes: u64,
    /// The place up to which all its lanes have read.
    pub position: LogPosition,
    /// About how many messages it has not read; 0 if it has read all. An estimate, too high where
    /// other logs are written meanwhile.
    pub lag: u64,
    /// How long ago the first that it has not read was found committed by a reader of the log, or,
    /// where no reader runs, sent; `None` if it has read all.
    #[serde(rename = "behind_ms", with = "crate::words::millis::optional")]
    pub behind: Option<Duration>,
}

/// Returns the readers of a log, by their names.
pub(crate) fn list(run: &mut dyn Run, topic: &str) -> Result<Vec<LogReader>> {
    let rows = query(
        run,
        &LOG_READERS,
        &[&topic],
        "looking at the readers of a log",
    )?;
    let Some(first) = rows.first() else {
        return Ok(Vec::new());
    };
    let (lag, behind) = unticked(run, topic, first)?;
    let readers = rows.iter().map(|row| {
        let reader = read(row, topic)?;
        Ok(LogReader {
            lag: reader.lag + lag,
            behind: reader.behind.or(behind),
            ..reader
        })
    });
    readers.collect()
}

/// Returns about how many messages were committed that no tick sees yet, and how long ago the first
/// was sent: readers make ticks, so all that came since the last of them stopped. `newest` says
/// where to look.
fn unticked(run: &mut dyn Run, topic: &str, newest: &Row) -> Result<(u64, Option<Duration>)> {
    let segments: Vec<i64> = column(newest, "segments")?;
    let late: Vec<String> = column(newest, "late")?;
    let (high, floor): (i64, i64) = (column(newest, "high")?, column(newest, "floor")?);
    let params: Params<'_> = &[&topic, &segments, &high, &late, &floor];
    let doing = "looking at what no reader of a log has seen";
    let rows = query(run, &UNTICKED_ENTRIES, params, doing)?;
    let Some(row) = rows.first() else {
        return Ok((0, None));
    };
    let sent_ms: Option<i64> = column(row, "sent_ms")?;
    Ok((
        column::<i64>(row, "lag")?.unsigned_abs(),
        sent_ms.map(|ms| Duration::from_millis(ms.unsigned_abs())),
    ))
}

/// Returns the readers of all logs, by their names, of a thousand logs at most.
pub(crate) fn list_all(run: &mut dyn Run) -> Result<Vec<LogReader>> {
    let doing = "looking at the readers of logs";
    let logs: Vec<String> = columns(&query(run, &READ_LOGS, &[&MOST_LOGS], doing)?, "topic")?;
    let mut readers = Vec::new();
    for log in &logs {
        readers.extend(list(run, log)?);
    }
    Ok(readers)
}

fn read(row: &Row, topic: &str) -> Result<LogReader> {
    let number = |name| column::<i64>(row, name).map(|number| u64::try_from(number).unwrap_or(0));
    let behind: Option<i64> = column(row, "behind_ms")?;
    Ok(LogReader {
        topic: topic.to_owned(),
        reader: column(row, "reader")?,
        lanes: number("lanes")?,
        position: LogPosition {
            tick: column(row, "tick")?,
            seq: column(row, "seq")?,
        },
        lag: number("lag")?,
        behind: behind.map(|ms| Duration::from_millis(ms.unsigned_abs())),
    })
}

/// Moves a reader to a place, in a transaction of the caller's. Waits for those who read for it.
///
/// # Errors
/// `Invalid` for a reader that there is not; `PositionGone` for a place that is not kept any more.
pub(crate) fn seek(run: &mut dyn Run, topic: &str, reader: &str, place: LogPosition) -> Result<()> {
    hold(run, topic, reader)?;
    // Its batch may have taken long, and nothing was held back for the place meanwhile.
    let begins = begins(run, topic)?;
    if place < begins {
        return Err(gone(topic, place, begins.tick));
    }
    let params: Params<'_> = &[&topic, &reader, &place.tick, &place.seq];
    execute(run, &SEEK_READER, params, "moving a reader of a log")?;
    tell(run, topic)
}

/// Removes a reader, in a transaction of the caller's. Waits for those who read for it.
///
/// # Errors
/// `Invalid` for a reader that there is not.
pub(crate) fn remove(run: &mut dyn Run, topic: &str, reader: &str) -> Result<()> {
    hold(run, topic, reader)?;
    let doing = "removing a reader of a log";
    execute(run, &REMOVE_READER, &[&topic, &reader], doing)?;
    tell(run, topic)
}

/// Has all who read look at their lanes.
fn tell(run: &mut dyn Run, topic: &str) -> Result<()> {
    let doing = "noting a change of a reader of a log";
    execute(run, &NOTE_READER_CHANGE, &[&topic], doing).map(drop)
}

/// Locks all lanes of a reader.
fn hold(run: &mut dyn Run, topic: &str, reader: &str) -> Result<()> {
    let doing = "waiting for a reader of a log";
    let rows = query(run, &LOCK_READER, &[&topic, &reader], doing)?;
    let lanes: i64 = rows.first().map_or(Ok(0), |row| column(row, "lanes"))?;
    match lanes {
        0 if !crate::log::configure::is_log(run, topic)? => Err(no_log(topic)),
        0 => Err(Error::invalid(format!(
            "log {topic} has no reader {reader}"
        ))),
        _ => Ok(()),
    }
}
