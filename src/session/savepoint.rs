//! The savepoint around each handler.
//!
//! A transaction carries many messages; the work of each is undone alone if its handler fails, and
//! the row locks of the claim, which were taken before, survive that. The savepoint is opened on a
//! handler's first use of its session, so a handler without SQL costs nothing. The one before is
//! released in the same round trip, and a first statement that can travel as text runs in it too.
//!
//! Acks and reschedules never run inside: a `DELETE` in a savepoint of a row that was locked
//! outside makes a MultiXact for each message (measured: from 6,000 to 500 messages a second).

use crate::session::commit::is_aborted;
use crate::session::messaging_session::MessagingSession;
use crate::words::Result;
use crate::words::sqlstate::{classify, is_missing_savepoint};

/// Where the savepoint stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Savepoint {
    /// The session is not a handler's: it is undone as a whole.
    #[default]
    None,
    /// A handler's session without a savepoint.
    Closed,
    /// Open, with the work of the message at hand in it.
    Open,
    /// Open, with the finished work of an earlier message in it, or nothing.
    Finished,
}

/// Opens one.
const OPEN: &str = "SAVEPOINT outtray_message";
/// Closes the last one, keeping its work, and opens the next.
const OPEN_NEXT: &str = "RELEASE outtray_message; SAVEPOINT outtray_message";
/// Undoes the work since it was opened; it stays open.
const UNDO: &str = "ROLLBACK TO outtray_message";
/// Closes it, keeping its work. Fails if a statement inside failed.
const RELEASE: &str = "RELEASE outtray_message";

impl Savepoint {
    /// Returns what opens it for the message at hand, or `None` if there is nothing to open.
    pub(crate) fn opening(self) -> Option<&'static str> {
        match self {
            Savepoint::None | Savepoint::Open => None,
            Savepoint::Closed => Some(OPEN),
            Savepoint::Finished => Some(OPEN_NEXT),
        }
    }
}

impl MessagingSession<'_> {
    /// Begins the part of the transaction that belongs to the next message.
    pub(crate) fn begin_message(&mut self) {
        self.mark = self.outbox.mark();
        self.result = None;
        self.is_in_doubt = false;
    }

    /// Keeps what was done for the message at hand. Returns false, with all of it undone, when a
    /// statement had failed and nobody said so.
    pub(crate) fn keep_message(&mut self) -> Result<bool> {
        if self.savepoint != Savepoint::Open {
            return Ok(true);
        }
        self.savepoint = Savepoint::Finished;
        if !self.is_in_doubt {
            return Ok(true);
        }
        match self.lent.own()?.transaction.batch_execute(RELEASE) {
            Ok(()) => {
                self.savepoint = Savepoint::Closed;
                Ok(true)
            }
            Err(error) if is_aborted(&error) || is_missing_savepoint(&error) => {
                self.undo_message()?;
                Ok(false)
            }
            Err(error) => Err(classify(error, "closing a savepoint")),
        }
    }

    /// Undoes what was done for the message at hand, and drops what it sent.
    pub(crate) fn undo_message(&mut self) -> Result<()> {
        self.outbox.roll_back(self.mark);
        self.result = None;
        if matches!(self.savepoint, Savepoint::None | Savepoint::Closed) {
            return Ok(());
        }
        self.savepoint = Savepoint::Finished;
        self.lent
            .own()?
            .transaction
            .batch_execute(UNDO)
            .map_err(|error| classify(error, "undoing a message"))
    }

    /// Leaves the savepoint, for statements that belong to the top level.
    pub(crate) fn leave_savepoint(&mut self) -> Result<()> {
        if matches!(self.savepoint, Savepoint::None | Savepoint::Closed) {
            return Ok(());
        }
        self.savepoint = Savepoint::Closed;
        self.lent
            .own()?
            .transaction
            .batch_execute(RELEASE)
            .map_err(|error| classify(error, "closing a savepoint"))
    }

    /// Returns what has to go before statements of the top level in a flight.
    pub(crate) fn leaving_savepoint(&self) -> &'static str {
        match self.savepoint {
            Savepoint::None | Savepoint::Closed => "",
            Savepoint::Open | Savepoint::Finished => "RELEASE outtray_message;\n",
        }
    }
}
