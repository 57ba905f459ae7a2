//! Reading a log from a place on.
//!
//! The entries of several ticks come with one statement: those that the last of the ticks sees, and
//! the one before the first does not. Which tick each is of is found out here, by the snapshots,
//! and so is their order. A single tick with very many entries is read in slices, in the order of
//! their numbers, which is the order within a tick.

use crate::db::run::{Params, Run, query};
use crate::db::statement::{Statement, sql};
use crate::log::entry::{EntryRow, origin};
use crate::log::ticks::{Tick, gone, ticks_from};
use crate::words::error::{Error, Result};
use crate::words::log_position::LogPosition;
use postgres::Row;
use std::collections::VecDeque;

static READ_ENTRIES: Statement = sql!("read_entries", Anew);

/// How much further than by the numbers of its entries a reader reads at once: the numbers are
/// those of all logs together, and of all lanes.
const MOST_STRETCH: i64 = 4096;

/// One of several lanes: which, and of how many.
pub(crate) type LaneShare = (i64, i64);

/// What was read.
#[derive(Debug)]
pub(crate) struct Entries {
    pub(crate) entries: Vec<EntryRow>,
    /// The place after it, which may be further than the last entry.
    pub(crate) upto: LogPosition,
}

/// Reads a log, in order, from a place on. Remembers the ticks, which never change.
#[derive(Debug)]
pub(crate) struct Cursor {
    topic: String,
    lane: Option<LaneShare>,
    place: LogPosition,
    /// Ticks in a row; those before the one before the place's are of no more use.
    ticks: Vec<Tick>,
    /// Entries that were read and not returned, and the place after them.
    ahead: VecDeque<EntryRow>,
    ahead_upto: LogPosition,
    stretch: i64,
}

/// Ticks whose entries are read with one statement.
struct TickSlice {
    /// How many, without the one before.
    ticks: usize,
    /// Whether it is a part of one tick.
    is_part: bool,
    limit: i64,
}

impl Cursor {
    pub(crate) fn new(topic: &str, place: LogPosition, lane: Option<LaneShare>) -> Self {
        Cursor {
            topic: topic.to_owned(),
            lane,
            place,
            ticks: Vec::new(),
            ahead: VecDeque::new(),
            ahead_upto: place,
            stretch: 1,
        }
    }

    /// Returns the place up to which entries were returned.
    pub(crate) fn place(&self) -> LogPosition {
        self.place
    }

    /// Returns the next entries, `limit` at most, and goes to the place after them. None: all ticks
    /// are read.
    ///
    /// # Errors
    /// `PositionGone`; the place stays.
    pub(crate) fn read(&mut self, run: &mut dyn Run, limit: usize) -> Result<Entries> {
        while self.ahead.is_empty() && self.has_ticks(run)? {
            self.read_ahead(run, i64::try_from(limit).unwrap_or(i64::MAX).max(1))?;
        }
        let taken = limit.min(self.ahead.len());
        let entries: Vec<EntryRow> = self.ahead.drain(..taken).collect();
        self.place = match entries.last() {
            Some(last) if !self.ahead.is_empty() => last.position,
            _ => self.ahead_upto,
        };
        Ok(Entries {
            entries,
            upto: self.place,
        })
    }

    /// Returns whether there is a tick to be read, and the one before it.
    fn has_ticks(&mut self, run: &mut dyn Run) -> Result<bool> {
        if self.known().len() > 1 {
            return Ok(true);
        }
        let from = self.ahead_upto.tick - 1;
        self.ticks = ticks_from(run, &self.topic, from, self.ahead_upto)?;
        Ok(self.known().len() > 1)
    }

    /// Returns the tick before the place's, and those after it, as far as they are known.
    fn known(&self) -> &[Tick] {
        let from = self.ahead_upto.tick - 1;
        match self.ticks.binary_search_by_key(&from, |tick| tick.tick) {
            Ok(at) => &self.ticks[at..],
            Err(_) => &[],
        }
    }

    fn read_ahead(&mut self, run: &mut dyn Run, limit: i64) -> Result<()> {
        let slice = self.slice(limit);
        if self.read_slice(run, &slice)? {
            return Ok(());
        }
        // More than was expected: of transactions that took long.
        self.stretch = 1;
        let part = TickSlice {
            ticks: 1,
            is_part: true,
            limit: limit.saturating_add(1),
        };
        self.read_slice(run, &part).map(drop)
    }

    /// Returns as many ticks as may have so many entries, and one at least.
    fn slice(&self, limit: i64) -> TickSlice {
        let numbers = limit.saturating_mul(self.stretch);
        let known = self.known();
        let sum = |tick: &Tick| tick.high.saturating_sub(known[0].low);
        let is_fitting = |tick: &&Tick| sum(tick) <= numbers;
        let ticks = known.iter().skip(1).take_while(is_fitting).count().max(1);
        let is_part = ticks == 1;
        TickSlice {
            ticks,
            is_part,
            limit: match is_part {
                true => limit.saturating_add(1),
                false => limit.saturating_mul(2),
            },
        }
    }

    /// Reads a slice. Returns false, with nothing read, where there was more than fits.
    fn read_slice(&mut self, run: &mut dyn Run, slice: &TickSlice) -> Result<bool> {
        let rows = self.ask(run, slice)?;
        let ticks = &self.known()[..=slice.ticks];
        let (before, last) = (&ticks[0], &ticks[slice.ticks]);
        let next = LogPosition::before(last.tick + 1);
        let (mut fresh, mut late) = (0, 0);
        let mut entries = Vec::with_capacity(rows.len());
        for row in rows {
            let Some((tx, seq)) = origin(&row)? else {
                return Err(self.gone(run));
            };
            match tx >= before.next {
                true => fresh += 1,
                false => late += 1,
            }
            let at = ticks.partition_point(|tick| !tick.snapshot.sees(tx));
            let tick = ticks.get(at).map_or(last.tick, |tick| tick.tick);
            let position = LogPosition { tick, seq };
            if position > self.ahead_upto {
                entries.push(EntryRow::new(position, row));
            }
        }
        let is_cut = fresh >= slice.limit || late >= slice.limit;
        if is_cut && !slice.is_part {
            return Ok(false);
        }
        entries.sort_by_key(|entry| entry.position);
        // One more than is wanted was asked for: whether there is more.
        let wanted = usize::try_from(slice.limit - 1).unwrap_or(usize::MAX);
        let is_whole = !slice.is_part || entries.len() <= wanted;
        if !is_whole {
            entries.truncate(wanted);
        }
        self.ahead_upto = match entries.last() {
            Some(last) if !is_whole => last.position,
            _ => next,
        };
        self.learn(fresh + late, slice);
        self.ahead = entries.into();
        Ok(true)
    }

    /// Asks for the entries of a slice.
    fn ask(&self, run: &mut dyn Run, slice: &TickSlice) -> Result<Vec<Row>> {
        let ticks = &self.known()[..=slice.ticks];
        let (before, last) = (&ticks[0], &ticks[slice.ticks]);
        let mut segments: Vec<i64> = Vec::new();
        ticks[1..]
            .iter()
            .for_each(|tick| segments.extend(&tick.segments));
        segments.sort_unstable();
        segments.dedup();
        let ended: Vec<String> = before.ended_by(last).map(|tx| tx.to_string()).collect();
        let next = before.next.to_string();
        // What was read of a tick that is read alone is not read again.
        let read = if slice.is_part {
            self.ahead_upto.seq
        } else {
            0
        };
        let low = before.low.max(read);
        let lane = self.lane.map(|(lane, lanes)| vec![lane, lanes]);
        let params: Params<'_> = &[
            &self.topic,
            &segments,
            &next,
            &last.snapshot.text,
            &low,
            &last.high,
            &ended,
            &read,
            &lane,
            &slice.limit,
            &self.ahead_upto.tick,
        ];
        query(run, &READ_ENTRIES, params, "reading a log")
    }

    /// Learns how many entries there are to so many numbers.
    fn learn(&mut self, read: i64, slice: &TickSlice) {
        let limit = slice.limit / 2;
        if slice.is_part {
            return;
        }
        if read < limit / 2 {
            self.stretch = (self.stretch * 2).min(MOST_STRETCH);
        } else if read > limit {
            self.stretch = (self.stretch / 2).max(1);
        }
    }

    /// Says where the log begins now.
    fn gone(&self, run: &mut dyn Run) -> Error {
        let place = self.ahead_upto;
        match ticks_from(run, &self.topic, place.tick, place) {
            Err(error) => error,
            Ok(_) => gone(&self.topic, place, place.tick),
        }
    }
}
