//! Ticks: the snapshots by which entries are ordered.

use crate::db::run::{Run, column, query};
use crate::db::statement::{Statement, sql};
use crate::words::error::{Error, ErrorKind, Result};
use crate::words::log_position::LogPosition;
use postgres::Row;

static MAKE_TICK: Statement = sql!("make_tick", Kept);
static MOVE_STRAYS: Statement = sql!("move_strays", Kept);
static TICKS_FROM: Statement = sql!("ticks_from", Anew);

/// Ticks that are read at a time: where many readers follow closely, each has a few entries.
const TICKS_AT_A_TIME: i64 = 1000;
/// Messages of queues that are moved at a time.
const STRAYS_AT_A_TIME: i64 = 1000;

const MINUTE_US: i64 = 60_000_000;

/// A tick: a snapshot with a number.
#[derive(Debug, Clone)]
pub(crate) struct Tick {
    pub(crate) tick: i64,
    /// When it was made, in microseconds of its minute: ticks are told apart by it, also where
    /// somebody moves them all by hours.
    pub(crate) made_us: i64,
    pub(crate) snapshot: TickSnapshot,
    /// Transactions from here on write larger numbers than `low`, and it sees none of them.
    pub(crate) next: u64,
    pub(crate) low: i64,
    /// What it sees has no larger numbers.
    pub(crate) high: i64,
    /// Entries with numbers up to this one are of an era before, whatever their transactions are.
    /// A tick with another one than the tick before begins an era: it sees all that is not in a
    /// tick before, whatever its snapshot says, which is for those that come after it.
    pub(crate) floor: i64,
    pub(crate) segments: Vec<i64>,
}

impl Tick {
    /// Makes one with nothing in it.
    #[cfg(test)]
    pub(crate) fn bare(tick: i64, made_us: i64) -> Self {
        Tick {
            tick,
            made_us,
            snapshot: TickSnapshot::parse("1:1:").expect("it is one"),
            next: 1,
            low: 0,
            high: 0,
            floor: 0,
            segments: Vec::new(),
        }
    }

    /// Returns the transactions that were at work when it was made, and that a later one sees.
    pub(crate) fn ended_by<'t>(&'t self, later: &'t Tick) -> impl Iterator<Item = u64> + 't {
        let running = self.snapshot.running.iter().copied();
        // Some of those at work are not in the list: a snapshot knows none after the last that has
        // ended.
        let unknown = self.snapshot.next..self.next;
        running.chain(unknown).filter(|tx| later.snapshot.sees(*tx))
    }
}

/// Which transactions a tick sees.
#[derive(Debug, Clone)]
pub(crate) struct TickSnapshot {
    /// As the server writes it.
    pub(crate) text: String,
    /// All before are seen.
    least: u64,
    /// None from here on is.
    next: u64,
    /// Those in between that are not, in order.
    running: Vec<u64>,
}

impl TickSnapshot {
    /// Reads what the server writes: `xmin:xmax:xip,xip`.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let (least, next) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let list = parts.next()?;
        let numbers = list.split(',').filter(|part| !part.is_empty());
        let mut running: Vec<u64> = numbers
            .map(|number| number.parse().ok())
            .collect::<Option<_>>()?;
        running.sort_unstable();
        Some(TickSnapshot {
            text: text.to_owned(),
            least,
            next,
            running,
        })
    }

    /// Returns whether it sees a transaction.
    pub(crate) fn sees(&self, tx: u64) -> bool {
        tx < self.least || tx < self.next && self.running.binary_search(&tx).is_err()
    }
}

/// Makes a tick if there is something new; returns the newest, which sees all that is committed, or
/// `None` for a topic that is no log. Needs a transaction of its own: others wait for it.
pub(crate) fn tick(run: &mut dyn Run, topic: &str) -> Result<Option<i64>> {
    make(run, topic, false)
}

/// Makes a tick, also if there is nothing new: what is committed later is of a later one.
pub(crate) fn tick_now(run: &mut dyn Run, topic: &str) -> Result<Option<i64>> {
    make(run, topic, true)
}

fn make(run: &mut dyn Run, topic: &str, is_forced: bool) -> Result<Option<i64>> {
    let doing = "looking for what is new in a log";
    loop {
        let rows = query(run, &MAKE_TICK, &[&topic, &is_forced], doing)?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        let newest: Option<i64> = column(row, "newest")?;
        let has_strays: Option<bool> = column(row, "has_strays")?;
        // What is moved is new once that is committed.
        if newest.is_none() || has_strays != Some(true) || move_strays(run, topic)? == 0 {
            return Ok(newest);
        }
    }
}

/// Moves what lies among the messages of queues; returns how many messages.
fn move_strays(run: &mut dyn Run, topic: &str) -> Result<i64> {
    let doing = "moving messages into a log";
    let rows = query(run, &MOVE_STRAYS, &[&topic, &STRAYS_AT_A_TIME], doing)?;
    rows.first().map_or(Ok(0), |row| column(row, "moved"))
}

/// Reads ticks from one on, and checks that what comes after `place` is kept.
///
/// # Errors
/// `PositionGone`; `Invalid` for a topic that is no log.
pub(crate) fn ticks_from(
    run: &mut dyn Run,
    topic: &str,
    from: i64,
    place: LogPosition,
) -> Result<Vec<Tick>> {
    let doing = "reading the ticks of a log";
    let upto = from.saturating_add(TICKS_AT_A_TIME);
    let rows = query(run, &TICKS_FROM, &[&topic, &from, &upto], doing)?;
    let Some(first) = rows.first() else {
        return Err(no_log(topic));
    };
    let begins: i64 = column(first, "begins")?;
    if place.tick < begins {
        return Err(gone(topic, place, begins));
    }
    rows.iter().map(read).collect()
}

fn read(row: &Row) -> Result<Tick> {
    let text: &str = column(row, "snapshot")?;
    let odd = || Error::new(ErrorKind::Database, "a snapshot of a log cannot be read");
    let snapshot = TickSnapshot::parse(text).ok_or_else(odd)?;
    let own: &str = column(row, "tx")?;
    let own: u64 = own.parse().map_err(|_| odd())?;
    Ok(Tick {
        tick: column(row, "tick")?,
        made_us: column::<i64>(row, "made_us")?.rem_euclid(MINUTE_US),
        next: own.max(snapshot.next),
        snapshot,
        low: column(row, "low")?,
        high: column(row, "high")?,
        floor: column(row, "floor")?,
        segments: column(row, "segments")?,
    })
}

/// Says that what comes after a place is not kept any more.
pub(crate) fn gone(topic: &str, place: LogPosition, begins: i64) -> Error {
    let begins = LogPosition::before(begins);
    Error::new(
        ErrorKind::PositionGone,
        format!("position {place} of log {topic} is gone: the log begins at {begins}, seek there"),
    )
}

/// Says that a topic is no log.
pub(crate) fn no_log(topic: &str) -> Error {
    Error::invalid(format!(
        "topic {topic} is no log: its setting kind says what it is"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_sees_what_ended_before_it() {
        let snapshot = TickSnapshot::parse("10:20:10,14,15").unwrap();
        let seen: Vec<u64> = (8..22).filter(|tx| snapshot.sees(*tx)).collect();
        assert_eq!(seen, [8, 9, 11, 12, 13, 16, 17, 18, 19]);
        assert!(TickSnapshot::parse("10:10:").unwrap().running.is_empty());
        for text in ["", "1", "1:2", "a:b:", "1:2:x"] {
            assert!(TickSnapshot::parse(text).is_none(), "{text}");
        }
    }
}
