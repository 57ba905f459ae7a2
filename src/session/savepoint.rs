//! The savepoint around each handler.
//!
//! A transaction carries many messages; the work of each is undone alone if its handler fails, and
//! the row locks of the claim, which were taken before, survive that. The savepoint is opened on a
//! handler's first use of its session, so a handler without SQL costs nothing. The one before is
//! released in the same round trip, and a first statement that can travel as text runs in it too.
//!
//! An undo concerns the message at hand alone. One whose handler did not get as far as a savepoint has nothing to undo, and
//! must not go back to the one before, which holds its neighbour's work. The two have different names, so that this also
//! holds where the flight that opens one failed before it did: a savepoint that is not there cannot be gone back to, and the
//! whole transaction fails instead.
//!
//! Acks and reschedules never run inside: a `DELETE` in a savepoint of a row that was locked
//! outside makes a MultiXact for each message (measured: from 6,000 to 500 messages a second).

use crate::session::commit::is_aborted;
use crate::session::messaging_session::MessagingSession;
use crate::session::outbox::Mark;
use crate::words::did::Did;
use crate::words::sqlstate::{Failure, classify, failure, is_ended};
use crate::words::{Error, Result};

/// Where the savepoint stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Savepoint {
    /// The session is not a handler's: it is undone as a whole.
    #[default]
    None,
    /// A handler's session without a savepoint.
    Closed,
    /// Open, with the work of the message at hand in it and no other.
    Open(Name),
    /// Open, with the finished work of an earlier message in it, or nothing.
    Finished(Name),
}

/// The names that savepoints have in turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Name {
    A,
    B,
}

impl Name {
    /// Undoes the work since it was opened; it stays open.
    fn undo(self) -> &'static str {
        match self {
            Name::A => "ROLLBACK TO outtray_a",
            Name::B => "ROLLBACK TO outtray_b",
        }
    }

    /// Closes it, keeping its work. Fails if a statement inside failed.
    fn release(self) -> &'static str {
        match self {
            Name::A => "RELEASE outtray_a;\n",
            Name::B => "RELEASE outtray_b;\n",
        }
    }
}

impl Savepoint {
    /// Returns what opens it for the message at hand, closing the one before, and where it stands then; `None` if there is
    /// nothing to open.
    pub(crate) fn opening(self) -> Option<(&'static str, Savepoint)> {
        let (sql, name) = match self {
            Savepoint::None | Savepoint::Open(_) => return None,
            Savepoint::Closed => ("SAVEPOINT outtray_a", Name::A),
            Savepoint::Finished(Name::A) => ("RELEASE outtray_a; SAVEPOINT outtray_b", Name::B),
            Savepoint::Finished(Name::B) => ("RELEASE outtray_b; SAVEPOINT outtray_a", Name::A),
        };
        Some((sql, Savepoint::Open(name)))
    }

    /// Returns what has to go before statements of the top level.
    pub(crate) fn leaving(self) -> &'static str {
        match self {
            Savepoint::None | Savepoint::Closed => "",
            Savepoint::Open(name) | Savepoint::Finished(name) => name.release(),
        }
    }
}

/// What became of the work of a message whose handler was done.
#[derive(Debug)]
pub(crate) enum Kept {
    /// It stays.
    Whole,
    /// It is undone: a statement had failed and nobody said so.
    Swallowed,
    /// It is undone: what the database would have refused at COMMIT.
    Refused(Error),
}

/// Has what is deferred until COMMIT checked now, while it can be undone alone and the messages are held. Only before the
/// end of a transaction: what comes after is checked at once.
pub(crate) const CHECK: &str = "SET CONSTRAINTS ALL IMMEDIATE;\n";

impl MessagingSession<'_> {
    /// Begins the part of the transaction that belongs to the next message.
    pub(crate) fn begin_message(&mut self) {
        self.mark = self.outbox.mark();
        self.result = None;
        self.is_in_doubt = false;
        let _ = self.lent.take_did();
        self.did = Did::default();
        self.is_restored = false;
        self.own = None;
    }

    /// Keeps what was done for the message at hand, the last one of its transaction or not.
    ///
    /// # Errors
    /// When it cannot be undone alone.
    pub(crate) fn keep_message(&mut self, is_last: bool) -> Result<Kept> {
        let Savepoint::Open(name) = self.savepoint else {
            return self.check_unopened().map(|()| Kept::Whole);
        };
        if !self.is_in_doubt {
            self.savepoint = Savepoint::Finished(name);
            return Ok(Kept::Whole);
        }
        let check = if is_last { CHECK } else { "" };
        let sql = format!("{check}{}{}", name.release(), self.restoring());
        match self.lent.own()?.transaction.batch_execute(&sql) {
            Ok(()) => {
                self.savepoint = Savepoint::Closed;
                self.restored();
                Ok(Kept::Whole)
            }
            Err(error) if is_ended(&error) => Err(self.gone()),
            Err(error) if is_aborted(&error) => {
                self.undo_message()?;
                Ok(Kept::Swallowed)
            }
            Err(error) if is_last && failure(&error) == Failure::Refused => {
                self.undo_message()?;
                Ok(Kept::Refused(classify(error, "committing")))
            }
            Err(error) => Err(classify(error, "closing a savepoint")),
        }
    }

    /// Undoes what was done for the message at hand, and drops what it sent.
    ///
    /// # Errors
    /// When it cannot be undone alone.
    pub(crate) fn undo_message(&mut self) -> Result<()> {
        self.outbox.roll_back(self.mark);
        self.result = None;
        let Savepoint::Open(name) = self.savepoint else {
            return self.check_unopened();
        };
        self.savepoint = Savepoint::Finished(name);
        let undone = self.lent.own()?.transaction.batch_execute(name.undo());
        undone.map_err(|error| match is_ended(&error) {
            true => self.gone(),
            false => classify(error, "undoing a message"),
        })
    }

    /// Returns what has to go before statements of the top level and COMMIT, where what was done can still be undone:
    /// [`undo_refused`](Self::undo_refused) does it.
    pub(crate) fn leaving_checked(&self) -> String {
        match self.savepoint {
            Savepoint::Open(_) | Savepoint::Finished(_) => {
                format!("{CHECK}{}", self.savepoint.leaving())
            }
            Savepoint::None | Savepoint::Closed => String::new(),
        }
    }

    /// Undoes what the only message of the transaction did, if that is what a flight failed of, which began with
    /// [`leaving_checked`](Self::leaving_checked). Returns whether it did, and the transaction goes on.
    pub(crate) fn undo_refused(&mut self, error: &postgres::Error) -> bool {
        let (Savepoint::Open(name) | Savepoint::Finished(name), Failure::Refused) =
            (self.savepoint, failure(error))
        else {
            return false;
        };
        let Ok(open) = self.lent.own() else {
            return false;
        };
        // It is gone if the flight got any further.
        if open.transaction.batch_execute(name.undo()).is_err() {
            return false;
        }
        self.savepoint = Savepoint::Finished(name);
        self.outbox.roll_back(Mark::default());
        true
    }

    /// For a message without a savepoint: fails where one could not be opened, which nothing but the end of the
    /// transaction can undo.
    fn check_unopened(&mut self) -> Result<()> {
        match self.is_in_doubt {
            true => self.leave_savepoint(),
            false => Ok(()),
        }
    }

    /// Leaves the savepoint, for statements that belong to the top level.
    pub(crate) fn leave_savepoint(&mut self) -> Result<()> {
        let leaving = self.savepoint.leaving();
        if leaving.is_empty() {
            return Ok(());
        }
        self.savepoint = Savepoint::Closed;
        self.lent
            .own()?
            .transaction
            .batch_execute(leaving)
            .map_err(|error| classify(error, "closing a savepoint"))
    }
}
