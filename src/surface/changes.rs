//! The list of changes, and in whose name they are made.

use crate::changes::cursor::ChangeCursor;
use crate::changes::{self, Change, Note};
use crate::connect::apart::apart;
use crate::connect::connection::Connection;
use crate::db::Run;
use crate::surface::messaging::Messaging;
use crate::surface::topics::Topic;
use crate::words::limits::count;
use crate::words::{Result, topic};

impl Messaging {
    /// Returns the latest changes that operators made, at most `limit`, the latest first. They are
    /// kept for 90 days.
    ///
    /// A change is noted where it is made [in the name of an operator](Self::as_operator): settings
    /// and pauses, redrives and edits, removals, cancellations, runs before their time, recurring
    /// messages, subscriptions, and dedupe keys. The command and the dashboard always name one.
    /// What a program does without one is not noted, since most programs configure and subscribe at
    /// each start.
    ///
    /// ```no_run
    /// # fn f(messaging: &outtray::Messaging) -> outtray::Result<()> {
    /// for change in messaging.changes(20)? {
    ///     println!("{} {} {:?}", change.operator, change.what, change.topic);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// `SchemaMissing`, `Denied`, `Unavailable`, `PoolExhausted`.
    pub fn changes(&self, limit: usize) -> Result<Vec<Change>> {
        self.in_order(|run| changes::list(run, None, None, count(limit)))
    }

    /// Returns the changes that come after one of them in the order of [`changes`](Self::changes):
    /// those that were made before it. At most `limit`.
    ///
    /// ```no_run
    /// # fn f(messaging: &outtray::Messaging) -> outtray::Result<()> {
    /// let mut changes = messaging.changes(100)?;
    /// while let Some(last) = changes.last() {
    ///     let next = messaging.changes_after(&last.cursor, 100)?;
    ///     changes = next;
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As of [`changes`](Self::changes).
    pub fn changes_after(&self, cursor: &ChangeCursor, limit: usize) -> Result<Vec<Change>> {
        self.in_order(|run| changes::list(run, None, Some(cursor), count(limit)))
    }

    /// Notes a change of a topic, if it is made in the name of an operator.
    pub(crate) fn note(&self, run: &mut dyn Run, topic: Option<&str>, note: &Note) -> Result<()> {
        match self.operator() {
            Some(operator) => changes::note(run, operator, topic, note),
            None => Ok(()),
        }
    }

    /// Makes a change of a topic and notes it in the same transaction: without an operator in no
    /// transaction of its own. `note` returns `None` for one that changed nothing.
    pub(crate) fn noting<R>(
        &self,
        connection: &mut Connection,
        topic: &str,
        change: impl FnOnce(&mut dyn Run) -> Result<R>,
        note: impl FnOnce(&R) -> Option<Note>,
    ) -> Result<R> {
        if self.operator().is_none() {
            return change(connection);
        }
        apart(connection, "making a change", |open| {
            let changed = change(open)?;
            if let Some(note) = note(&changed) {
                self.note(open, Some(topic), &note)?;
            }
            Ok(changed)
        })
    }
}

impl Topic<'_> {
    /// Returns the latest changes that operators made to the topic, at most `limit`, the latest
    /// first; see [`Messaging::changes`].
    pub fn changes(&self, limit: usize) -> Result<Vec<Change>> {
        topic::check(&self.name)?;
        self.look(|run, topic| changes::list(run, Some(topic), None, count(limit)))
    }

    /// Returns the changes of the topic that come after one of them, as
    /// [`Messaging::changes_after`] does of all.
    pub fn changes_after(&self, cursor: &ChangeCursor, limit: usize) -> Result<Vec<Change>> {
        topic::check(&self.name)?;
        self.look(|run, topic| changes::list(run, Some(topic), Some(cursor), count(limit)))
    }
}
