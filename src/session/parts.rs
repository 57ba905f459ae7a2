//! The savepoints around the parts of a handler's session: kept, undone, and left.
//!
//! A transaction carries many messages; the work of each is undone alone if its handler fails, and
//! the row locks of the claim, which were taken before, survive that. So each part has a savepoint.
//! It is opened on a handler's first use of its session: a handler without SQL costs nothing. The
//! one before is released in the same round trip, and a first statement that can travel with others
//! runs in it too.
//!
//! An undo concerns the part at hand alone. A handler that did not get as far as a savepoint has
//! nothing to undo, and must not go back to the one before, which holds its neighbour's work. The
//! two have different names, so that this also holds where the flight that opens one failed before
//! it did: a savepoint that is not there cannot be gone back to, and the whole transaction fails
//! instead.
//!
//! Around the parts of several messages lies one more savepoint, the bundle's: what the database
//! refuses of them before COMMIT is undone as a whole then, and the claim still holds the messages,
//! so that nobody else runs the one at fault meanwhile (see `receive/transaction/handle`).
//!
//! Acks and reschedules never run inside: a `DELETE` in a savepoint of a row that was locked
//! outside makes a MultiXact for each message (measured: from 6,000 to 500 messages a second).

use crate::connect::transaction::OpenTransaction;
use crate::db::commands::{CHECK_DEFERRED, RELEASE_BUNDLE, script};
use crate::db::{Flight, Statement};
use crate::session::savepoint::{Bundle, Check, Savepoint};
use crate::session::transaction::SessionTransaction;
use crate::words::sqlstate::{failure, is_aborted, is_ended};
use crate::words::{Doing, Error, Failure, Result, classify};

/// What became of the work of a handler that was done.
#[derive(Debug)]
pub(crate) enum PartOutcome {
    /// It stays.
    Kept,
    /// It is undone: a statement had failed and nobody said so.
    Swallowed,
    /// It is undone: what the database would have refused at COMMIT.
    Refused(Error),
}

impl<'c> SessionTransaction<'c> {
    /// Keeps what the part at hand did.
    ///
    /// # Errors
    /// When it cannot be undone alone.
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

    /// Undoes what the part at hand did.
    ///
    /// # Errors
    /// When it cannot be undone alone.
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

    /// For a part without a savepoint: fails where one could not be opened, which nothing but the
    /// end of the transaction can undo.
    fn check_unopened(&mut self) -> Result<()> {
        match self.is_in_doubt {
            true => self.leave_part(),
            false => Ok(()),
        }
    }

    /// Returns what has to go before statements of the top level.
    fn leaving(&self) -> impl Iterator<Item = &'static Statement> + use<> {
        let bundle = (self.bundle == Bundle::Open).then_some(&RELEASE_BUNDLE);
        self.savepoint.leaving().into_iter().chain(bundle)
    }

    /// Returns the same before COMMIT, where what was done can still be undone:
    /// [`undo_refused`](Self::undo_refused) does it. What is deferred is checked now, while it can
    /// be undone alone and the messages are held; what comes after is checked at once.
    fn leaving_checked(&self) -> impl Iterator<Item = &'static Statement> + use<> {
        let check = self.leaving().next().map(|_| &CHECK_DEFERRED);
        check.into_iter().chain(self.leaving())
    }

    /// Appends what has to go before statements of the top level, checked or not.
    pub(super) fn push_leaving(&self, flight: &mut Flight, is_checked: bool) {
        match is_checked {
            true => self
                .leaving_checked()
                .for_each(|command| flight.command(command)),
            false => self.leaving().for_each(|command| flight.command(command)),
        }
    }

    /// Undoes what the only part of the transaction did, or the bundle, if that is what a flight
    /// failed of, which began with [`push_leaving`](Self::push_leaving), checked. Returns whether
    /// it did, and the transaction goes on.
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
        // It is gone if the flight got any further.
        if open.transaction.batch_execute(sql).is_err() {
            return false;
        }
        self.savepoint = undone;
        true
    }

    /// Leaves the bundle, checked, for statements that belong to the top level. Returns why it was
    /// undone instead, if it was.
    pub(super) fn leave_bundle(&mut self) -> Result<Option<Error>> {
        let sql = script(self.leaving_checked());
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

    /// Leaves the savepoint of a part.
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
