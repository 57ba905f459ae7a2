//! The savepoint around each handler.
//!
//! A transaction carries many messages; the work of each is undone alone if its handler fails, and
//! the row locks of the claim, which were taken before, survive that. The savepoint is opened on a
//! handler's first use of its session, so a handler without SQL costs nothing. The one before is
//! released in the same round trip, and a first statement that can travel with others runs in it
//! too.
//!
//! An undo concerns the message at hand alone. One whose handler did not get as far as a savepoint
//! has nothing to undo, and must not go back to the one before, which holds its neighbour's work.
//! The two have different names, so that this also holds where the flight that opens one failed
//! before it did: a savepoint that is not there cannot be gone back to, and the whole transaction
//! fails instead.
//!
//! Around those of several messages lies one more, the bundle's: what the database refuses of them
//! before COMMIT is undone as a whole then, and the claim still holds the messages, so that nobody
//! else runs the one at fault meanwhile (see `receive/bundle`).
//!
//! Acks and reschedules never run inside: a `DELETE` in a savepoint of a row that was locked
//! outside makes a MultiXact for each message (measured: from 6,000 to 500 messages a second).

use crate::db::commands::{
    CHECK_DEFERRED, OPEN_A, OPEN_B, OPEN_BUNDLE, RELEASE_A, RELEASE_B, RELEASE_BUNDLE, script,
};
use crate::db::flight::Flight;
use crate::db::statement::Statement;
use crate::session::messaging_session::MessagingSession;
use crate::session::outbox::Mark;
use crate::words::side_effects::Did;
use crate::words::sqlstate::{Failure, classify, failure, is_aborted, is_ended};
use crate::words::{Error, Result};
use std::time::Instant;

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

/// The savepoint around those of several messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Bundle {
    /// There is none.
    #[default]
    None,
    /// It opens with the next one of a message.
    Wanted,
    Open,
}

impl Bundle {
    /// Returns what opens it with the savepoint of a message, closing the one before.
    fn opening(before: Savepoint) -> Commands {
        static FIRST: [&Statement; 2] = [&OPEN_BUNDLE, &OPEN_A];
        static AFTER_A: [&Statement; 3] = [&RELEASE_A, &OPEN_BUNDLE, &OPEN_B];
        static AFTER_B: [&Statement; 3] = [&RELEASE_B, &OPEN_BUNDLE, &OPEN_A];
        match before {
            Savepoint::Finished(Name::A) => &AFTER_A,
            Savepoint::Finished(Name::B) => &AFTER_B,
            _ => &FIRST,
        }
    }

    const UNDO: &str = "ROLLBACK TO outtray_bundle";
}

/// When what is deferred until COMMIT is checked for a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Check {
    /// With all of its bundle, before COMMIT.
    Bundled,
    /// Now, for it is the only one in its transaction: what comes after is checked at once.
    Only,
    /// Now, and others follow, for which constraints are deferred as they were.
    Alone,
}

impl Check {
    fn sql(self) -> &'static str {
        match self {
            Check::Bundled => "",
            Check::Only => "SET CONSTRAINTS ALL IMMEDIATE;\n",
            Check::Alone => {
                "SAVEPOINT outtray_check; SET CONSTRAINTS ALL IMMEDIATE; ROLLBACK TO outtray_check; RELEASE outtray_check;\n"
            }
        }
    }
}

/// Commands that go one after the other.
pub(crate) type Commands = &'static [&'static Statement];

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
    fn release(self) -> &'static Statement {
        match self {
            Name::A => &RELEASE_A,
            Name::B => &RELEASE_B,
        }
    }
}

impl Savepoint {
    /// Returns what opens it for the message at hand, closing the one before, and where it stands
    /// then; `None` if there is nothing to open.
    pub(crate) fn opening(self) -> Option<(Commands, Savepoint)> {
        static FIRST: [&Statement; 1] = [&OPEN_A];
        static AFTER_A: [&Statement; 2] = [&RELEASE_A, &OPEN_B];
        static AFTER_B: [&Statement; 2] = [&RELEASE_B, &OPEN_A];
        let (commands, name): (Commands, _) = match self {
            Savepoint::None | Savepoint::Open(_) => return None,
            Savepoint::Closed => (&FIRST, Name::A),
            Savepoint::Finished(Name::A) => (&AFTER_A, Name::B),
            Savepoint::Finished(Name::B) => (&AFTER_B, Name::A),
        };
        Some((commands, Savepoint::Open(name)))
    }

    /// Returns what has to go before statements of the top level.
    pub(crate) fn leaving(self) -> Option<&'static Statement> {
        match self {
            Savepoint::None | Savepoint::Closed => None,
            Savepoint::Open(name) | Savepoint::Finished(name) => Some(name.release()),
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

impl MessagingSession<'_> {
    /// Begins with the next transaction, which has no savepoint yet.
    pub(crate) fn begin_anew(&mut self) {
        self.savepoint = Savepoint::Closed;
        self.bundle = Bundle::None;
        self.bundle_mark = Mark::default();
        self.begun_at = Instant::now();
    }

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

    /// Lets the message at hand and those after it be a bundle.
    pub(crate) fn join_bundle(&mut self) -> Result<()> {
        if self.bundle != Bundle::None {
            return Ok(());
        }
        // What was sent before goes with no undo of the bundle.
        if self.outbox.statements() > 0 {
            self.leave_message()?;
            self.outbox.store(self.lent.own()?, Mark::default())?;
        }
        self.bundle = Bundle::Wanted;
        self.bundle_mark = self.outbox.mark();
        Ok(())
    }

    /// Returns what opens the savepoint of the message at hand, and where it stands then; `None` if
    /// there is nothing to open.
    pub(crate) fn opening(&self) -> Option<(Commands, Savepoint)> {
        let (commands, opened) = self.savepoint.opening()?;
        match self.bundle {
            Bundle::Wanted => Some((Bundle::opening(self.savepoint), opened)),
            Bundle::None | Bundle::Open => Some((commands, opened)),
        }
    }

    /// Notes that what [`opening`](Self::opening) returned was run.
    pub(crate) fn note_opened(&mut self, opened: Savepoint) {
        self.savepoint = opened;
        if self.bundle == Bundle::Wanted {
            self.bundle = Bundle::Open;
        }
    }

    /// Keeps what was done for the message at hand.
    ///
    /// # Errors
    /// When it cannot be undone alone.
    pub(crate) fn keep_message(&mut self, check: Check) -> Result<Kept> {
        let Savepoint::Open(name) = self.savepoint else {
            return self.check_unopened().map(|()| Kept::Whole);
        };
        if !self.is_in_doubt && check != Check::Alone {
            self.savepoint = Savepoint::Finished(name);
            return Ok(Kept::Whole);
        }
        let release = script([name.release()]);
        let sql = format!("{}{release}{}", check.sql(), self.restoring());
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
            Err(error) if check != Check::Bundled && failure(&error) == Failure::Refused => {
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
    pub(crate) fn push_leaving(&self, flight: &mut Flight, is_checked: bool) {
        match is_checked {
            true => self
                .leaving_checked()
                .for_each(|command| flight.command(command)),
            false => self.leaving().for_each(|command| flight.command(command)),
        }
    }

    /// Undoes what the only message of the transaction did, or those of the bundle, if that is what
    /// a flight failed of, which began with [`push_leaving`](Self::push_leaving), checked. Returns
    /// whether it did, and the transaction goes on.
    pub(crate) fn undo_refused(&mut self, error: &postgres::Error) -> bool {
        let (sql, undone) = match (self.bundle, self.savepoint) {
            _ if failure(error) != Failure::Refused => return false,
            (Bundle::Open, _) => (Bundle::UNDO, Savepoint::Closed),
            (_, Savepoint::Open(name) | Savepoint::Finished(name)) => {
                (name.undo(), Savepoint::Finished(name))
            }
            _ => return false,
        };
        let Ok(open) = self.lent.own() else {
            return false;
        };
        // It is gone if the flight got any further.
        if open.transaction.batch_execute(sql).is_err() {
            return false;
        }
        self.savepoint = undone;
        self.outbox.roll_back(self.bundle_mark);
        true
    }

    /// Leaves the bundle, checked, for statements that belong to the top level. Returns why it was
    /// undone instead, if it was.
    pub(crate) fn leave_bundle(&mut self) -> Result<Option<Error>> {
        if self.bundle != Bundle::Open {
            return Ok(None);
        }
        let sql = script(self.leaving_checked());
        match self.lent.own()?.transaction.batch_execute(&sql) {
            Ok(()) => {
                self.savepoint = Savepoint::Closed;
                self.bundle = Bundle::None;
                Ok(None)
            }
            Err(error) if self.undo_refused(&error) => Ok(Some(classify(error, "committing"))),
            Err(error) => Err(classify(error, "closing a savepoint")),
        }
    }

    /// For a message without a savepoint: fails where one could not be opened, which nothing but
    /// the end of the transaction can undo.
    fn check_unopened(&mut self) -> Result<()> {
        match self.is_in_doubt {
            true => self.leave_message(),
            false => Ok(()),
        }
    }

    /// Leaves the savepoints, for statements that belong to the top level.
    pub(crate) fn leave_savepoint(&mut self) -> Result<()> {
        let leaving = script(self.leaving());
        self.bundle = Bundle::None;
        self.leave(&leaving)
    }

    /// Leaves the savepoint of a message.
    fn leave_message(&mut self) -> Result<()> {
        self.leave(&script(self.savepoint.leaving()))
    }

    fn leave(&mut self, leaving: &str) -> Result<()> {
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
