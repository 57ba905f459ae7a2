//! Named readers: each has lanes, and each lane a place of its own.

use crate::db::flight::Flight;
use crate::db::run::{Params, Run, column, query};
use crate::db::statement::{Statement, sql};
use crate::db::value::Value;
use crate::words::error::{Error, ErrorKind, Result};
use crate::words::limits::key_flaw;
use crate::words::log_position::LogPosition;
use crate::words::sqlstate::classify;

static ENSURE_READER: Statement = sql!("ensure_reader", Kept);
static LANE_PLACE: Statement = sql!("lane_place", Key);
static LOCK_LANE: Statement = sql!("lock_lane", Key);
static MOVE_PLACE: Statement = sql!("move_place", Key);

/// The most lanes of a reader.
pub(crate) const MAX_LANES: usize = 256;

/// A lane of a reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LaneOf<'a> {
    pub(crate) topic: &'a str,
    pub(crate) reader: &'a str,
    pub(crate) lane: i64,
}

/// Where a lane stands: the place up to which it read, and how often it moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LanePlace {
    pub(crate) moved: i64,
    pub(crate) place: LogPosition,
}

/// Checks a reader's name.
pub(crate) fn check_name(topic: &str, reader: &str) -> Result<()> {
    let flaw = key_flaw("name of a reader", reader);
    flaw.map_or(Ok(()), |flaw| {
        Err(Error::invalid(format!("{flaw}, on topic {topic}")))
    })
}

/// Makes a reader at a place, unless there is one of this name; returns how many lanes it has.
pub(crate) fn ensure(
    run: &mut dyn Run,
    topic: &str,
    reader: &str,
    lanes: usize,
    from: LogPosition,
) -> Result<usize> {
    let wanted = i64::try_from(lanes).unwrap_or(i64::MAX);
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

/// Locks a lane until the transaction ends, and returns where it stands; `known` is what is known
/// of that, if anything is. `None`: somebody else reads for it, or there is no such reader.
pub(crate) fn lock(
    run: &mut dyn Run,
    lane: LaneOf<'_>,
    known: Option<LanePlace>,
) -> Result<Option<LanePlace>> {
    let doing = "taking a lane of a reader";
    let params: Params<'_> = &[&lane.topic, &lane.reader, &lane.lane];
    if query(run, &LOCK_LANE, params, doing)?.is_empty() {
        return Ok(None);
    }
    place(run, lane, known)
}

/// Returns where a lane stands; `None` if there is no such reader.
pub(crate) fn place(
    run: &mut dyn Run,
    lane: LaneOf<'_>,
    known: Option<LanePlace>,
) -> Result<Option<LanePlace>> {
    let doing = "reading the place of a reader";
    let moved = known.map_or(0, |known| known.moved);
    let params: Params<'_> = &[&lane.topic, &lane.reader, &lane.lane, &moved];
    let rows = query(run, &LANE_PLACE, params, doing)?;
    rows.first()
        .map(|row| {
            Ok(LanePlace {
                moved: column(row, "moved")?,
                place: LogPosition {
                    tick: column(row, "tick")?,
                    seq: column(row, "seq")?,
                },
            })
        })
        .transpose()
}

/// Appends the move of a lane, which the transaction has locked, to a flight; it fails with a
/// `Conflict` if somebody moved it meanwhile. The lane's next move counts from one more.
pub(crate) fn push_move(flight: &mut Flight, lane: LaneOf<'_>, moved: i64, to: LogPosition) {
    flight.call(
        &MOVE_PLACE,
        &[
            Value::Text(lane.topic),
            Value::Text(lane.reader),
            Value::Number(lane.lane),
            Value::Number(moved),
            Value::Number(to.tick),
            Value::Number(to.seq),
        ],
    );
}

/// The same at once.
pub(crate) fn move_now(
    run: &mut dyn Run,
    lane: LaneOf<'_>,
    moved: i64,
    to: LogPosition,
) -> Result<()> {
    let params: Params<'_> = &[
        &lane.topic,
        &lane.reader,
        &lane.lane,
        &moved,
        &to.tick,
        &to.seq,
    ];
    run.rows(&MOVE_PLACE, params)
        .map(drop)
        .map_err(|error| classify(error, "moving a reader"))
}
