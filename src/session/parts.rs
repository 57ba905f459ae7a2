//! The savepoints around the parts of a handler's session: keeping, undoing and leaving a part.
//!
//! A transaction carries many messages. If a handler fails, its work is undone alone, and the row
//! locks of the claim, which are older than the savepoint, survive. So each part has a savepoint.
//! It opens when the handler first uses its session, so a handler without SQL costs nothing. The
//! same round trip releases the savepoint before it, and runs the handler's first statement if that
//! can travel with others.
//!
//! An undo concerns the current part alone. A handler that did not get as far as a savepoint has
//! nothing to undo, and must not roll back to the savepoint before it, which holds its neighbour's
//! work. Savepoints have two names in turn, so that this also holds if the flight that opens one
//! failed before it did: rolling back to a savepoint that does not exist fails the whole
//! transaction instead.
//!
//! The parts of several messages lie in one outer savepoint, that of their [bundle](Bundle). What
//! the database refuses of them before COMMIT is undone as a whole, while the claim still holds the
//! messages, so that no other worker runs the message at fault (see `receive/transaction/handle`).
//!
//! Acks and reschedules never run inside a savepoint: a `DELETE` there of a row that was locked
//! outside makes a MultiXact for each message (measured: from 6,000 to 500 messages a second).

use crate::connect::transaction::OpenTransaction;
use crate::db::commands::{CHECK_DEFERRED, RELEASE_BUNDLE, script};
use crate::db::{Flight, Statement};
use crate::session::savepoint::{Bundle, Check, Savepoint};
use crate::session::transaction::SessionTransaction;
use crate::words::sqlstate::{failure, is_aborted, is_ended};
use crate::words::{Doing, Error, Failure, Result, classify};

/// What became of the work of a handler that succeeded.
#[derive(Debug)]
pub(crate) enum PartOutcome {
    /// The work stays.
    Kept,
    /// The work is undone: a statement had failed, and the handler hid its error.
    Swallowed,
    /// The work is undone: the database would have refused it at COMMIT.
    Refused(Error),
}

impl<'c> SessionTransaction<'c> {
    /// Keeps the work of the current part.
    ///
    /// # Errors
    /// When the work can be neither kept nor undone alone.
    pub(super) fn keep(&mut self, check: Check) -> Result<PartOutcome> {
        let Savepoint::Open(name) = self.savepoint else {
            return self.check_unopened().map(|()| PartOutcome::Kept);
        };
        if !self.is_in_doubt && check != Check::Alone {
            self.savepoint = Savepoint::Finished(name);
            return Ok(PartOutcome::Kept);
        }
        let release = script([name.release()]);
        let sql = format!("{}{release}{}", check.sql(), self.restoring());
        match self.state.own()?.transaction.batch_execute(&sql) {
            Ok(()) => {
                self.savepoint = Savepoint::Closed;
                self.restored();
                Ok(PartOutcome::Kept)
            }
            Err(error) if is_ended(&error) => Err(self.gone()),
            Err(error) if is_aborted(&error) => {
                self.undo()?;
                Ok(PartOutcome::Swallowed)
            }
            Err(error) if check != Check::Bundled && failure(&error) == Failure::Refused => {
                self.undo()?;
                Ok(PartOutcome::Refused(classify(error, "committing")))
            }
            Err(error) => Err(classify(error, "closing a savepoint")),
        }
    }

    /// Undoes the work of the current part.
    ///
    /// # Errors
    /// When the work cannot be undone alone.
    pub(super) fn undo(&mut self) -> Result<()> {
        let Savepoint::Open(name) = self.savepoint else {
            return self.check_unopened();
        };
        self.savepoint = Savepoint::Finished(name);
        let undone = self.state.own()?.transaction.batch_execute(name.undo());
        undone.map_err(|error| match is_ended(&error) {
            true => self.gone(),
            false => classify(error, "undoing a message"),
        })
    }

    /// Fails if the current part has no savepoint because opening it failed: then only the end of
    /// the transaction undoes the part.
    fn check_unopened(&mut self) -> Result<()> {
        match self.is_in_doubt {
            true => self.leave_part(),
            false => Ok(()),
        }
    }

    /// Returns the commands that release the savepoints before statements at the top level.
    fn leaving(&self) -> impl Iterator<Item = &'static Statement> + use<> {
        let bundle = (self.bundle == Bundle::Open).then_some(&RELEASE_BUNDLE);
        self.savepoint.leaving().into_iter().chain(bundle)
    }

    /// Returns the same commands after a check of the deferred constraints, which runs while the
    /// messages are held and their work can be undone by [`undo_refused`](Self::undo_refused).
    /// Constraints of later statements are checked at once.
    fn leaving_checked(&self) -> impl Iterator<Item = &'static Statement> + use<> {
        let check = self.leaving().next().map(|_| &CHECK_DEFERRED);
        check.into_iter().chain(self.leaving())
    }

    /// Appends the commands that release the savepoints, after a check if `is_checked`.
    pub(super) fn push_leaving(&self, flight: &mut Flight, is_checked: bool) {
        match is_checked {
            true => self
                .leaving_checked()
                .for_each(|command| flight.command(command)),
            false => self.leaving().for_each(|command| flight.command(command)),
        }
    }

    /// Undoes the bundle, or the only part of the transaction, if the check at the beginning of a
    /// flight refused it (see [`push_leaving`](Self::push_leaving)). Returns whether it did, so
    /// that the transaction goes on.
    pub(super) fn undo_refused(&mut self, error: &postgres::Error) -> bool {
        let (sql, undone) = match (self.bundle, self.savepoint) {
            _ if failure(error) != Failure::Refused => return false,
            (Bundle::Open, _) => (Bundle::UNDO, Savepoint::Closed),
            (_, Savepoint::Open(name) | Savepoint::Finished(name)) => {
                (name.undo(), Savepoint::Finished(name))
            }
            _ => return false,
        };
        let Ok(open) = self.state.own() else {
            return false;
        };
        // The savepoint is gone if the flight failed after the check.
        if open.transaction.batch_execute(sql).is_err() {
            return false;
        }
        self.savepoint = undone;
        true
    }

    /// Checks the deferred constraints of the bundle, or of the only part of the transaction, and
    /// releases the savepoints, for statements at the top level. Returns the error if the check
    /// failed and the work was undone.
    pub(super) fn leave_checked(&mut self) -> Result<Option<Error>> {
        let sql = script(self.leaving_checked());
        if sql.is_empty() {
            return Ok(None);
        }
        match self.state.own()?.transaction.batch_execute(&sql) {
            Ok(()) => {
                self.savepoint = Savepoint::Closed;
                self.bundle = Bundle::None;
                Ok(None)
            }
            Err(error) if self.undo_refused(&error) => Ok(Some(classify(error, "committing"))),
            Err(error) => Err(classify(error, "closing a savepoint")),
        }
    }

    /// Returns the transaction outside all savepoints.
    pub(super) fn top(&mut self) -> Result<&mut OpenTransaction<'c>> {
        let leaving = script(self.leaving());
        self.bundle = Bundle::None;
        self.leave(&leaving)?;
        self.state.own()
    }

    /// Releases the savepoint of the current part.
    pub(super) fn leave_part(&mut self) -> Result<()> {
        self.leave(&script(self.savepoint.leaving()))
    }

    fn leave(&mut self, leaving: &str) -> Result<()> {
        if leaving.is_empty() {
            return Ok(());
        }
        self.savepoint = Savepoint::Closed;
        let left = self.state.own()?.transaction.batch_execute(leaving);
        left.doing("closing a savepoint")
    }
}
