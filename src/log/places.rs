//! Where to begin to read.

use crate::db::run::{Run, column, query};
use crate::db::statement::{Statement, sql};
use crate::log::ticks::{gone, no_log, tick, tick_now};
use crate::words::error::{Error, Result};
use crate::words::limits::micros_since_1970;
use crate::words::log_position::{LogPosition, Position};
use std::time::SystemTime;

static LOG_BOUNDS: Statement = sql!("log_bounds", Kept);
static PLACE_AT_TIME: Statement = sql!("place_at_time", Anew);

/// The beginning of the year 1, and of the last day of the year 9999, in microseconds since 1970.
const FIRST_US: i64 = -62_135_596_800_000_000;
const LAST_US: i64 = 253_402_214_400_000_000;

/// Returns the place from which a reader begins. Needs a transaction of its own, as a tick does.
///
/// # Errors
/// `Invalid` for a topic that is no log, or a place that it does not have yet; `PositionGone` for
/// one that is not kept any more.
pub(crate) fn place_of(run: &mut dyn Run, topic: &str, position: &Position) -> Result<LogPosition> {
    let end = |newest: Option<i64>| {
        let newest = newest.ok_or_else(|| no_log(topic))?;
        Ok(LogPosition::before(newest + 1))
    };
    match position {
        Position::Start => begins(run, topic),
        // What is committed is in a tick then, and what is not comes later.
        Position::Now => end(tick_now(run, topic)?),
        Position::Time(time) => {
            let end = end(tick(run, topic)?)?;
            at_time(run, topic, *time, end)
        }
        Position::At(place) => {
            let end = end(tick(run, topic)?)?;
            let begins = begins(run, topic)?;
            if *place > end {
                let text = format!(
                    "position {place} of log {topic} is not there yet: the log ends at {end}"
                );
                return Err(Error::invalid(text));
            }
            match *place < begins {
                true => Err(gone(topic, *place, begins.tick)),
                false => Ok(*place),
            }
        }
    }
}

/// Returns where a log begins.
pub(crate) fn begins(run: &mut dyn Run, topic: &str) -> Result<LogPosition> {
    let rows = query(
        run,
        &LOG_BOUNDS,
        &[&topic],
        "finding the beginning of a log",
    )?;
    let row = rows.first().ok_or_else(|| no_log(topic))?;
    column(row, "begins").map(LogPosition::before)
}

fn at_time(
    run: &mut dyn Run,
    topic: &str,
    time: SystemTime,
    end: LogPosition,
) -> Result<LogPosition> {
    let (us, doing) = (micros(time), "finding a place in a log");
    let rows = query(run, &PLACE_AT_TIME, &[&topic, &us, &end.tick], doing)?;
    let row = rows.first().ok_or_else(|| no_log(topic))?;
    column(row, "tick").map(LogPosition::before)
}

/// Returns a time in microseconds since 1970, within what the server's calendar holds.
fn micros(time: SystemTime) -> i64 {
    micros_since_1970(time).clamp(FIRST_US, LAST_US)
}
