//! Entries that were read and not handled yet.

use crate::db::run::Run;
use crate::log::cursor::{Cursor, Entries};
use crate::log::entry::EntryRow;
use crate::log::slices::{LogSlice, SharedSlices};
use crate::receive::log::reading::LogReading;
use crate::words::Result;
use crate::words::limits::count;
use crate::words::log_position::LogPosition;
use std::sync::Arc;

/// The most entries that are read ahead.
const MOST: usize = 4096;
/// The most bytes of payloads, unless one batch has more.
const MOST_BYTES: usize = 1 << 20;

/// Entries of a lane that were read and not handled yet.
#[derive(Debug, Default)]
pub(crate) struct Ahead {
    /// `None` until the place of the lane is known.
    cursor: Option<Cursor>,
    /// What was read last, here or by another reader.
    slice: Option<Arc<LogSlice>>,
    /// The first that is not handled.
    next: usize,
    /// How many to read at a time.
    limit: usize,
}

impl Ahead {
    pub(crate) fn is_empty(&self) -> bool {
        self.next >= self.entries().len()
    }

    /// Returns the next entry, which is there.
    pub(crate) fn next(&self) -> &EntryRow {
        &self.entries()[self.next]
    }

    /// Returns the next entries, so many at most.
    pub(crate) fn batch(&self, size: usize) -> &[EntryRow] {
        let rest = &self.entries()[self.next..];
        &rest[..size.min(rest.len())]
    }

    /// Returns the place after the next so many entries, `None` after none.
    pub(crate) fn place_after(&self, count: usize) -> Option<LogPosition> {
        match (self.is_used_up(count), count) {
            (true, _) => Some(self.place()),
            (false, 0) => None,
            (false, _) => Some(self.entries()[self.next + count - 1].position),
        }
    }

    /// Returns the place after all that was read.
    pub(crate) fn place(&self) -> LogPosition {
        let cursor = self.cursor.as_ref();
        cursor.map_or_else(|| LogPosition::before(0), Cursor::place)
    }

    /// Returns whether nothing is left after the next so many entries.
    pub(crate) fn is_used_up(&self, count: usize) -> bool {
        self.next + count >= self.entries().len()
    }

    /// Notes that so many entries are done.
    pub(crate) fn done(&mut self, count: usize) {
        self.next += count;
    }

    /// Forgets all that was read, since somebody else has the lane.
    pub(crate) fn forget(&mut self) {
        self.cursor = None;
        self.slice = None;
        self.next = 0;
    }

    /// Goes to a place of a lane.
    pub(crate) fn go_to(&mut self, reading: &LogReading, lane: usize, place: LogPosition) {
        self.forget();
        let lane = (reading.lanes > 1).then_some((count(lane), count(reading.lanes)));
        self.cursor = Some(Cursor::new(&reading.log, place, lane));
    }

    /// Takes the next entries from what other readers have read; returns whether there are any.
    pub(crate) fn take_shared(&mut self, slices: &SharedSlices) -> bool {
        while let Some(cursor) = &mut self.cursor
            && let Some(slice) = slices.after(cursor.place())
        {
            let place = cursor.place();
            self.next = slice
                .entries
                .partition_point(|entry| entry.position <= place);
            cursor.go_to(slice.upto);
            self.slice = Some(slice);
            if !self.is_empty() {
                return true;
            }
        }
        false
    }

    /// Reads the next entries, some batches of them if they are small. Returns them as others may
    /// have them.
    pub(crate) fn read(
        &mut self,
        run: &mut dyn Run,
        batch: usize,
    ) -> Result<Option<&Arc<LogSlice>>> {
        self.slice = None;
        self.next = 0;
        self.slice = self.fetch(batch, |cursor, limit| cursor.read(run, limit))?;
        Ok(self.slice.as_ref())
    }

    /// Reads what comes after the slice at hand, for later; `None` where that may not be much.
    pub(crate) fn read_further(
        &mut self,
        run: &mut dyn Run,
        batch: usize,
    ) -> Result<Option<Arc<LogSlice>>> {
        if !self.slice.as_ref().is_some_and(|slice| slice.is_full) {
            return Ok(None);
        }
        self.fetch(batch, |cursor, limit| cursor.look_ahead(run, limit))
    }

    /// Makes a slice of what is read from the cursor's place on.
    fn fetch(
        &mut self,
        batch: usize,
        read: impl FnOnce(&mut Cursor, usize) -> Result<Entries>,
    ) -> Result<Option<Arc<LogSlice>>> {
        let Some(cursor) = &mut self.cursor else {
            return Ok(None);
        };
        self.limit = self.limit.max(batch);
        let from = cursor.place();
        let Entries { entries, upto } = read(cursor, self.limit)?;
        let bytes: usize = entries.iter().map(EntryRow::len).sum();
        let is_full = entries.len() == self.limit;
        if bytes > MOST_BYTES {
            self.limit = (self.limit / 2).max(batch);
        } else if is_full && bytes <= MOST_BYTES / 2 {
            self.limit = (self.limit * 2).min(MOST.max(batch));
        }
        Ok(Some(Arc::new(LogSlice {
            from,
            upto,
            entries,
            is_full,
        })))
    }

    fn entries(&self) -> &[EntryRow] {
        self.slice.as_ref().map_or(&[], |slice| &slice.entries)
    }
}
