//! Reading a log from a place on.
//!
//! The entries of several ticks come with one statement: those that the last of the ticks sees, and
//! the one before the first does not. Which tick each is of is found out here, by the snapshots,
//! and so is their order. A single tick with very many entries is read in parts, by ranges of their
//! numbers, which are the order within a tick: no range is wider than entries are wanted, so that
//! few rows are sorted, however the server finds them.

use crate::db::run::{Params, Run, column, query};
use crate::db::statement::{Statement, sql};
use crate::log::entry::{EntryRow, origin};
use crate::log::history::TickHistory;
use crate::log::places::begins;
use crate::log::ticks::{Tick, gone, ticks_from};
use crate::words::error::{Error, ErrorKind, Result};
use crate::words::limits::count;
use crate::words::log_position::LogPosition;
use std::collections::VecDeque;

static FIRST_LATE: Statement = sql!("first_late", Anew);
static READ_ENTRIES: Statement = sql!("read_entries", Anew);

/// How much further than by the numbers of its entries a reader reads at once, unless it finds
/// none: the numbers are those of all logs together, and of all lanes.
const MOST_STRETCH: i64 = 256;

/// Ticks before the first place that are remembered: a standby lacks fewer.
const BEFORE: i64 = 64;

/// A snapshot that sees all transactions.
const ALL: &str = "9223372036854775807:9223372036854775807:";

const READING: &str = "reading a log";

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
    /// Whether the last part of a tick had no entries.
    is_gap: bool,
    history: TickHistory,
}

/// What one statement asks for.
struct TickRange {
    /// Ticks, without the one before.
    ticks: usize,
    /// Numbers after this one, and up to that one.
    after: i64,
    upto: i64,
    /// Rows of each kind.
    most: i64,
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
            is_gap: true,
            history: TickHistory::default(),
        }
    }

    /// Returns the place up to which entries were returned.
    pub(crate) fn place(&self) -> LogPosition {
        self.place
    }

    /// Remembers the ticks before its place: a database that lacks some of them is noticed, also if
    /// nothing was read yet.
    pub(crate) fn look_back(&mut self, run: &mut dyn Run) -> Result<()> {
        let begins = begins(run, &self.topic)?.tick;
        let from = (self.place.tick - BEFORE).max(begins - 1);
        let mut ticks = ticks_from(run, &self.topic, from, self.place)?;
        ticks.retain(|tick| tick.tick < self.place.tick);
        self.history.learn(&ticks);
        Ok(())
    }

    /// Goes to a place.
    pub(crate) fn go_to(&mut self, place: LogPosition) {
        self.place = place;
        self.ahead.clear();
        self.ahead_upto = place;
        self.is_gap = true;
    }

    /// Returns the next entries, `limit` at most, and goes to the place after them. None: all ticks
    /// are read.
    ///
    /// # Errors
    /// `PositionGone`; the place stays.
    pub(crate) fn read(&mut self, run: &mut dyn Run, limit: usize) -> Result<Entries> {
        self.read_on(run, limit, true)
    }

    /// Returns what [`read`](Self::read) would, and stays where it is. None where it would have to
    /// go back.
    ///
    /// # Errors
    /// `PositionGone`.
    pub(crate) fn look_ahead(&mut self, run: &mut dyn Run, limit: usize) -> Result<Entries> {
        let place = self.place;
        let entries = self.read_on(run, limit, false);
        self.go_to(place);
        entries
    }

    fn read_on(&mut self, run: &mut dyn Run, limit: usize, may_go_back: bool) -> Result<Entries> {
        while self.ahead.is_empty() && self.has_ticks(run, may_go_back)? {
            self.read_ahead(run, count(limit).max(1))?;
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
    fn has_ticks(&mut self, run: &mut dyn Run, may_go_back: bool) -> Result<bool> {
        if self.known().len() > 1 {
            return Ok(true);
        }
        let from = self.ahead_upto.tick - 1;
        self.ticks = match ticks_from(run, &self.topic, from, self.ahead_upto) {
            // It may be one that lacks what came last.
            Err(error) if error.kind() == ErrorKind::Invalid && self.history.first().is_some() => {
                Vec::new()
            }
            ticks => ticks?,
        };
        if self.history.is_broken_by(&self.ticks, from) {
            match may_go_back {
                true => self.go_back(run)?,
                false => self.ticks.clear(),
            }
        }
        Ok(self.known().len() > 1)
    }

    /// Goes back to the last tick that is still the one that was read: a standby that was promoted
    /// without the latest commits lacks ticks, and makes others of their numbers.
    fn go_back(&mut self, run: &mut dyn Run) -> Result<()> {
        let begins = begins(run, &self.topic)?.tick;
        if self.place.tick < begins {
            return Err(gone(&self.topic, self.place, begins));
        }
        let oldest = self.history.first().unwrap_or_default();
        // What is before it is not kept, and nothing of it is lost with the latest.
        let first = oldest.max(begins - 1);
        let ticks = match ticks_from(run, &self.topic, first, LogPosition::before(first + 1)) {
            Err(error) if error.kind() == ErrorKind::Invalid => Vec::new(),
            ticks => ticks?,
        };
        // None of them: all that is there may be new.
        let none = begins - 1;
        let last = self.history.last_of(&ticks).unwrap_or(none);
        self.history.forget_after(last);
        // What was read ahead and not returned is remembered, too, and lies before some of that.
        self.go_to(self.place.min(LogPosition::before(last + 1)));
        self.ticks = ticks_from(run, &self.topic, self.place.tick - 1, self.place)?;
        Ok(())
    }

    /// Asks for ticks anew before the next is read: the database may be another one than it was.
    pub(crate) fn doubt(&mut self) {
        self.ticks.clear();
        self.ahead.clear();
        self.ahead_upto = self.place;
        self.is_gap = true;
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
        let most = limit.saturating_mul(2).saturating_add(1);
        let numbers = limit.saturating_mul(self.stretch);
        let known = self.known();
        let is_fitting = |tick: &&Tick| tick.high.saturating_sub(known[0].low) <= numbers;
        // One that begins an era is read alone: transactions of two are no order.
        let is_era = |tick: &&Tick| tick.floor == known[1].floor;
        let most_ticks = if begins_era(known) { 1 } else { usize::MAX };
        let fitting = known.iter().skip(1).take(most_ticks);
        let ticks = fitting.take_while(is_fitting).take_while(is_era).count();
        if ticks > 0 {
            let last = &known[ticks];
            let (upto, next) = (last.high, LogPosition::before(last.tick + 1));
            let after = 0;
            let range = TickRange {
                ticks,
                after,
                upto,
                most,
            };
            if let Some(entries) = self.ask(run, &range)? {
                self.keep(entries, next, limit);
                return Ok(());
            }
            // More than was expected: of transactions that took long.
            self.stretch = 1;
        }
        self.read_part(run, limit, most)
    }

    /// Reads a part of a tick.
    fn read_part(&mut self, run: &mut dyn Run, limit: i64, most: i64) -> Result<()> {
        let (tick, high) = (self.known()[1].tick, self.known()[1].high);
        let after = self.begin_of_part(run)?;
        loop {
            let upto = after.saturating_add(limit.saturating_mul(self.stretch));
            let upto = upto.min(high);
            let range = TickRange {
                ticks: 1,
                after,
                upto,
                most,
            };
            match self.ask(run, &range)? {
                // No wider than what is wanted, it has no more.
                None if self.stretch > 1 => self.stretch = 1,
                entries => {
                    let next = match upto < high {
                        true => LogPosition { tick, seq: upto },
                        false => LogPosition::before(tick + 1),
                    };
                    let entries = entries.unwrap_or_default();
                    self.is_gap = entries.is_empty() || upto >= high;
                    self.keep(entries, next, limit);
                    return Ok(());
                }
            }
        }
    }

    /// Returns the number after which the next part of a tick begins. What transactions wrote that
    /// took long may lie far back, and nothing between.
    fn begin_of_part(&self, run: &mut dyn Run) -> Result<i64> {
        let (before, tick) = (&self.known()[0], &self.known()[1]);
        let after = self.ahead_upto.seq.max(before.floor);
        if after >= before.low {
            return Ok(after);
        }
        let ended = ended(before, tick);
        if ended.is_empty() {
            return Ok(before.low);
        }
        if !self.is_gap {
            return Ok(after);
        }
        let params: Params<'_> = &[&self.topic, &tick.segments, &ended, &after];
        let rows = query(run, &FIRST_LATE, params, READING)?;
        let first: Option<i64> = rows.first().map_or(Ok(None), |row| column(row, "seq"))?;
        Ok(first.map_or(before.low, |first| before.low.min(first - 1)))
    }

    /// Asks for the entries of a range, in order. `None` where there are more than it may return.
    fn ask(&self, run: &mut dyn Run, range: &TickRange) -> Result<Option<Vec<EntryRow>>> {
        let ticks = &self.known()[..=range.ticks];
        let (before, last) = (&ticks[0], &ticks[range.ticks]);
        let mut segments: Vec<i64> = Vec::new();
        let named = ticks.iter().skip(1).map(|tick| &tick.segments);
        named.for_each(|named| segments.extend(named));
        segments.sort_unstable();
        segments.dedup();
        // What begins an era sees all, whatever its transaction is.
        let begins_era = begins_era(ticks);
        let first = if begins_era { 0 } else { before.next };
        let (next, late_after) = (first.to_string(), range.after.max(before.floor));
        let snapshot = if begins_era { ALL } else { &last.snapshot.text };
        let low = before.low.max(range.after);
        let lane = self.lane.map(|(lane, lanes)| vec![lane, lanes]);
        let params: Params<'_> = &[
            &self.topic,
            &segments,
            &next,
            &snapshot,
            &low,
            &range.upto,
            &ended(before, last),
            &late_after,
            &lane,
            &range.most,
            &self.ahead_upto.tick,
        ];
        let rows = query(run, &READ_ENTRIES, params, READING)?;
        let (mut fresh, mut late) = (0, 0);
        let mut entries = Vec::with_capacity(rows.len());
        for row in rows {
            let Some((tx, seq)) = origin(&row)? else {
                return Err(self.gone(run));
            };
            match tx >= first {
                true => fresh += 1,
                false => late += 1,
            }
            let asked = &ticks[1..];
            let at = asked.partition_point(|tick| !tick.snapshot.sees(tx));
            let tick = asked.get(at).map_or(last.tick, |tick| tick.tick);
            let position = LogPosition { tick, seq };
            if position > self.ahead_upto {
                entries.push(EntryRow::new(position, row));
            }
        }
        entries.sort_by_key(|entry| entry.position);
        let is_cut = fresh >= range.most || late >= range.most;
        Ok((!is_cut).then_some(entries))
    }

    /// Keeps what was read up to a place, and learns how many entries there are to so many numbers.
    fn keep(&mut self, entries: Vec<EntryRow>, upto: LogPosition, limit: i64) {
        let read = count(entries.len());
        self.stretch = match read {
            // Maybe a gap between the numbers of two servers, which is as wide as 2^48.
            0 => self.stretch.saturating_mul(2),
            read if read < limit / 2 => self.stretch.saturating_mul(2).min(MOST_STRETCH),
            read if read > limit => (self.stretch.min(MOST_STRETCH) / 2).max(1),
            _ => self.stretch.min(MOST_STRETCH),
        };
        let until = |tick: &Tick| tick.tick <= upto.tick;
        let read = self.known().partition_point(until);
        let from = self.ticks.len() - self.known().len();
        self.history.learn(&self.ticks[from..from + read]);
        self.ahead = entries.into();
        self.ahead_upto = upto;
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

/// Returns whether the second of some ticks begins an era.
fn begins_era(ticks: &[Tick]) -> bool {
    ticks[1].floor > ticks[0].floor
}

/// Returns the transactions that were at work at one tick, and that another one sees.
fn ended(before: &Tick, later: &Tick) -> Vec<String> {
    before.ended_by(later).map(|tx| tx.to_string()).collect()
}
