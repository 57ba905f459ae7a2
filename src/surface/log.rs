//! The named readers of a log.

use crate::changes::{Note, What};
use crate::connect::apart::apart;
use crate::log::configure::is_log;
use crate::log::log_reader::{self, LogReader};
use crate::log::places::place_of;
use crate::log::ticks::no_log;
use crate::surface::messaging::Messaging;
use crate::surface::topics::Topic;
use crate::words::Result;
use crate::words::log_position::{LogPosition, Position};
use serde_json::json;

impl Messaging {
    /// Returns the named readers of all logs, by log and name, and how far they are. Of a thousand
    /// logs at most; each takes a statement.
    ///
    /// # Errors
    /// `SchemaMissing`, `Unavailable`, `PoolExhausted`.
    pub fn log_readers(&self) -> Result<Vec<LogReader>> {
        self.in_order(log_reader::list_all)
    }
}

impl Topic<'_> {
    /// Returns the named readers of the log, by their names, and how far they are.
    ///
    /// # Errors
    /// `Invalid` for a topic that is no log.
    ///
    /// ```no_run
    /// # fn f(messaging: &outtray::Messaging) -> outtray::Result<()> {
    /// for reader in messaging.topic("ledger").readers()? {
    ///     println!("{}: {} to read, {:?} behind", reader.reader, reader.lag, reader.behind);
    /// }
    /// # Ok(()) }
    /// ```
    pub fn readers(&self) -> Result<Vec<LogReader>> {
        self.run(|run, topic| match is_log(run, topic)? {
            true => log_reader::list(run, topic),
            false => Err(no_log(topic)),
        })
    }

    /// Moves a named reader of the log: it goes on from this position, forward or back. Waits for
    /// the batches that are being handled for it, which count as read where they were. Returns the
    /// place. Entries that it put aside stay there; those that are read again meanwhile wait once.
    ///
    /// # Errors
    /// `Invalid` for a topic that is no log, a reader that there is not, or a place that the log
    /// does not have yet; `PositionGone` for one that is not kept any more.
    ///
    /// ```no_run
    /// # fn f(messaging: &outtray::Messaging) -> outtray::Result<()> {
    /// # use outtray::Position;
    /// messaging.topic("ledger").seek("billing", Position::Start)?;
    /// # Ok(()) }
    /// ```
    pub fn seek(&self, reader: &str, position: impl Into<Position>) -> Result<LogPosition> {
        let position = position.into();
        self.set(|connection, _| {
            let place = place_of(connection, &self.name, &position)?;
            apart(connection, "moving a reader of a log", |open| {
                log_reader::seek(open, &self.name, reader, place)?;
                let details = json!({ "reader": reader, "position": place.to_string() });
                let note = Note::new(What::ReaderMoved).details(details);
                self.messaging.note(open, Some(&self.name), &note)
            })?;
            Ok(place)
        })
    }

    /// Removes a named reader of the log, with its position: nothing is held back for it any more.
    /// Waits for the batches that are being handled for it. A reader that is started under this
    /// name later is a new one.
    ///
    /// # Errors
    /// `Invalid` for a topic that is no log, or a reader that there is not.
    pub fn remove_reader(&self, reader: &str) -> Result<()> {
        self.set(|connection, _| {
            apart(connection, "removing a reader of a log", |open| {
                log_reader::remove(open, &self.name, reader)?;
                let note = Note::new(What::ReaderRemoved).details(json!({ "reader": reader }));
                self.messaging.note(open, Some(&self.name), &note)
            })
        })
    }
}
