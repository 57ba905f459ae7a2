//! The rows of a lane: its lock, and its place.

use crate::db::flight::Flight;
use crate::db::statement::{Statement, sql};
use crate::db::value::Value;
use crate::receive::log::reading::LogReading;
use crate::session::handler_session::HandlerSession;
use crate::words::error::{Error, ErrorKind, Result};
use crate::words::limits::count;
use crate::words::log_position::LogPosition;
use crate::words::sqlstate::classify;
use postgres::SimpleQueryRow;
use std::str::FromStr;

static LANE_PLACE: Statement = sql!("lane_place", Key);
static LOCK_LANE: Statement = sql!("lock_lane", Key);
static MOVE_PLACE: Statement = sql!("move_place", Key);

/// Where a lane is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LanePlace {
    /// How often it was moved: no two places of a lane have the same.
    pub(crate) moved: i64,
    /// All up to this is read.
    pub(crate) at: LogPosition,
    pub(crate) hand: LaneHand,
}

/// Who has the entries after a place in hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct LaneHand {
    /// The number of the receiver; `None`: nobody.
    pub(crate) holder: Option<i64>,
    /// How many, at most.
    pub(crate) in_hand: usize,
    /// Whether it is one, with nothing beside it that could kill the process.
    pub(crate) is_alone: bool,
    /// How many processes died with it in hand before.
    pub(crate) deaths: u32,
}

/// A lane by its number, and the number of a place that it had, if one is known.
pub(crate) type LaneAt = (usize, Option<i64>);

/// What an error says of a look at a lane.
pub(crate) const LOOKING: &str = "looking at a lane of a log";

/// Appends what locks a lane and reads its place.
///
/// Two statements, since the one that locks may see less than what the last holder committed.
pub(crate) fn push_look(flight: &mut Flight, reading: &LogReading, lane: LaneAt) {
    let values = [
        Value::Text(&reading.log),
        Value::Text(&reading.name),
        Value::Number(count(lane.0)),
        Value::Number(count(reading.lanes)),
    ];
    flight.call(&LOCK_LANE, &values);
    push_place(flight, reading, lane);
}

fn push_place(flight: &mut Flight, reading: &LogReading, (lane, known): LaneAt) {
    let values = [
        Value::Text(&reading.log),
        Value::Text(&reading.name),
        Value::Number(count(lane)),
        Value::Number(known.unwrap_or_default()),
    ];
    flight.call(&LANE_PLACE, &values);
}

fn has(rows: &[SimpleQueryRow], name: &str) -> bool {
    rows.iter().any(|row| row.try_get(name).is_ok())
}

/// Sends a flight that ends with a look at the lane; returns its place, or `None` if somebody else
/// has the lane.
pub(crate) fn look(
    reading: &LogReading,
    session: &mut HandlerSession<'_>,
    lane: LaneAt,
    mut flight: Flight,
) -> Result<Option<LanePlace>> {
    push_look(&mut flight, reading, lane);
    let rows = session.open()?.fly(flight);
    let mut rows = rows.map_err(|error| classify(error, LOOKING))?;
    session.note_begun();
    if has(&rows, "lane") && !has(&rows, "moved") && lane.1.is_some() {
        // It moved less often than is known here: a copy from before was put in its place.
        let mut flight = session.open()?.flight().of_names();
        push_place(&mut flight, reading, (lane.0, None));
        let more = session.open()?.fly(flight);
        rows.extend(more.map_err(|error| classify(error, LOOKING))?);
    }
    read_look(&rows)
}

/// Reads the rows of [`push_look`] among those of a flight; `None` if somebody else has the lane.
pub(crate) fn read_look(rows: &[SimpleQueryRow]) -> Result<Option<LanePlace>> {
    if !has(rows, "lane") {
        return Ok(None);
    }
    let Some(row) = rows.iter().find(|row| row.try_get("moved").is_ok()) else {
        return Err(odd("place"));
    };
    let holder = row.try_get("holder").map_err(|_| odd("holder"))?;
    Ok(Some(LanePlace {
        moved: read(row, "moved")?,
        at: LogPosition {
            tick: read(row, "tick")?,
            seq: read(row, "seq")?,
        },
        hand: LaneHand {
            holder: holder.map(|text| parse(text, "holder")).transpose()?,
            in_hand: read(row, "in_hand")?,
            is_alone: row.try_get("is_alone").ok().flatten() == Some("t"),
            deaths: read(row, "deaths")?,
        },
    }))
}

/// Appends the move of a lane from a place. It fails if the lane is not there any more.
pub(crate) fn push_move(
    flight: &mut Flight,
    reading: &LogReading,
    lane: usize,
    from: i64,
    to: LogPosition,
    hand: LaneHand,
) {
    let values = [
        Value::Text(&reading.log),
        Value::Text(&reading.name),
        Value::Number(count(lane)),
        Value::Number(from),
        Value::Number(to.tick),
        Value::Number(to.seq),
        hand.holder.map_or(Value::Null, Value::Number),
        Value::Number(count(hand.in_hand)),
        Value::Number(hand.is_alone.into()),
        Value::Number(hand.deaths.into()),
    ];
    flight.call(&MOVE_PLACE, &values);
}

fn read<T: FromStr>(row: &SimpleQueryRow, name: &str) -> Result<T> {
    let text = row.try_get(name).ok().flatten();
    text.map_or_else(|| Err(odd(name)), |text| parse(text, name))
}

fn parse<T: FromStr>(text: &str, name: &str) -> Result<T> {
    text.parse().map_err(|_| odd(name))
}

fn odd(name: &str) -> Error {
    let text =
        format!("the {name} of a reader of a log cannot be read: was the table changed by hand?");
    Error::new(ErrorKind::Database, text)
}
