//! The session of a worker: one transaction, with a part for each handler.
//!
//! Whoever works through messages has one for as long as it works: claims, what becomes of
//! messages, and COMMIT belong to the top level of its transactions; handlers get the
//! [`MessagingSession`] inside, each for its part. A last flight ends one transaction, may begin
//! the next, and carries all that is left to do: [`last_flight`](HandlerSession::last_flight)
//! begins it, [`commit`](HandlerSession::commit) sends it.

use crate::connect::connection::Connection;
use crate::connect::transaction::OpenTransaction;
use crate::db::Flight;
use crate::publish;
use crate::session::commit::{not_stored, swallowed};
use crate::session::messaging_session::{MessagingSession, Recorder};
use crate::session::parts::PartOutcome;
use crate::session::process::Process;
use crate::session::savepoint::{Bundle, Check, Savepoint};
use crate::session::transaction::SessionTransaction;
use crate::session::transaction_state::TransactionState;
use crate::wake::news::News;
use crate::words::sqlstate::{is_resubscribed, is_sequence_behind};
use crate::words::{Doing, Error, Result, SideEffects, classify};
use postgres::SimpleQueryRow;
use std::time::{Duration, Instant};

/// The session of a worker, which outlives its handlers and its transactions.
pub(crate) struct HandlerSession<'c> {
    session: MessagingSession<'c>,
}

/// Why a last flight did not commit.
#[derive(Debug)]
pub(crate) struct NotCommitted {
    pub(crate) error: Error,
    /// Whether what it had checked is undone, and the transaction goes on.
    pub(crate) is_undone: bool,
}

impl<'c> HandlerSession<'c> {
    /// Makes a session in a transaction that holds messages. Each part may record a result if
    /// `has_results`.
    pub(crate) fn begun(
        process: &'c Process,
        open: OpenTransaction<'c>,
        has_results: bool,
    ) -> Self {
        let state = TransactionState::Begun(open);
        let transaction = SessionTransaction::new(state, Savepoint::Closed);
        let mut session = MessagingSession::new(process, transaction);
        session.recorder = has_results.then(Recorder::default);
        HandlerSession { session }
    }

    /// Makes a session whose transaction begins when the handler needs one, for a message under a
    /// lease. All of it is one part.
    pub(crate) fn on_demand(process: &'c Process, connection: &'c mut Connection) -> Self {
        let state = TransactionState::Leased(connection);
        let transaction = SessionTransaction::new(state, Savepoint::None);
        let mut session = MessagingSession::new(process, transaction);
        session.recorder = Some(Recorder::default());
        HandlerSession { session }
    }

    /// Lets the part that comes next, and those after it, be a bundle.
    pub(crate) fn join_bundle(&mut self) -> Result<()> {
        let session = &mut self.session;
        if session.transaction.bundle != Bundle::None {
            return Ok(());
        }
        // What was sent before goes with no undo of the bundle.
        if session.outbox.statements() > 0 {
            session.transaction.leave_part()?;
            session.outbox.store(session.transaction.state.own()?)?;
        }
        session.transaction.bundle = Bundle::Wanted;
        session.outbox.begin_bundle();
        Ok(())
    }

    /// Runs a handler as a part of its own, and learns what its SQL did beyond its rows. The part
    /// is to be [kept](Self::keep) or [undone](Self::undo) then, unless the handler
    /// [ended](Self::ended) the transaction.
    pub(crate) fn part<T>(&mut self, run: impl FnOnce(&mut MessagingSession<'_>) -> T) -> T {
        let session = &mut self.session;
        session.outbox.begin_part();
        session.transaction.begin_part();
        if let Some(recorder) = &mut session.recorder {
            recorder.take();
        }
        let ran = run(session);
        session.transaction.end_callers();
        ran
    }

    /// Returns the error that says so if the part ended the transaction.
    pub(crate) fn ended(&mut self) -> Option<Error> {
        self.session.transaction.ended()
    }

    /// Keeps what the part did.
    ///
    /// # Errors
    /// When it cannot be undone alone.
    pub(crate) fn keep(&mut self, check: Check) -> Result<PartOutcome> {
        let kept = self.session.transaction.keep(check)?;
        if !matches!(kept, PartOutcome::Kept) {
            self.forget();
        }
        Ok(kept)
    }

    /// Undoes what the part did, and drops what it sent.
    ///
    /// # Errors
    /// When it cannot be undone alone.
    pub(crate) fn undo(&mut self) -> Result<()> {
        self.forget();
        self.session.transaction.undo()
    }

    /// Drops what the part sent.
    fn forget(&mut self) {
        self.session.outbox.roll_back_part();
    }

    /// Returns what the part recorded.
    pub(crate) fn take_result(&mut self) -> Option<String> {
        self.session.recorder.as_mut().and_then(Recorder::take)
    }

    /// Returns whether the part may have left the transaction aborted.
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.session.transaction.is_in_doubt
    }

    /// Returns whether the server ended the connection for a transaction that took too long.
    pub(crate) fn is_overlong(&self) -> bool {
        self.session.transaction.is_overlong
    }

    /// Returns whether a prepared statement no longer fitted, also one that the handler
    /// `had_outdated`.
    pub(crate) fn is_outdated(&mut self, had_outdated: bool) -> bool {
        let state = &mut self.session.transaction.state;
        if had_outdated {
            state.mark_outdated();
        }
        state.is_outdated()
    }

    /// Returns whether what the part set lasts longer than itself, so that no other part may follow
    /// in the transaction.
    pub(crate) fn has_set(&self) -> bool {
        self.session.transaction.has_set()
    }

    /// Puts the connection back as it was before the part, if there is a need.
    pub(crate) fn restore(&mut self) -> Result<()> {
        let restored = self.session.transaction.restore();
        restored.doing("putting a connection back as it was")
    }

    /// Returns whether the connection is not to be used after this transaction.
    pub(crate) fn is_spent(&mut self) -> bool {
        self.session.transaction.state.is_spent()
    }

    /// Returns whether nothing was asked of the database, nor sent.
    pub(crate) fn is_untouched(&self) -> bool {
        !self.has_begun() && self.session.outbox.statements() == 0
    }

    /// Returns whether there is a transaction, of a session that has one on demand.
    pub(crate) fn has_begun(&self) -> bool {
        !matches!(self.session.transaction.state, TransactionState::Leased(_))
    }

    /// Returns the open transaction, wherever the savepoints stand.
    pub(crate) fn open(&mut self) -> Result<&mut OpenTransaction<'c>> {
        self.session.transaction.state.own()
    }

    /// Notes that another transaction has just begun, as part of a flight.
    pub(crate) fn note_begun(&mut self) {
        self.session.transaction.note_begun();
    }

    pub(crate) fn since_begin(&self) -> Duration {
        self.session.transaction.since_begin()
    }

    /// Returns the transaction outside all savepoints.
    pub(crate) fn top(&mut self) -> Result<&mut OpenTransaction<'c>> {
        self.session.transaction.top()
    }

    /// Leaves the bundle, checked, for statements that belong to the top level. Returns why it was
    /// undone instead, if it was.
    pub(crate) fn leave_bundle(&mut self) -> Result<Option<Error>> {
        if !self.is_bundle_open() {
            return Ok(None);
        }
        let refused = self.session.transaction.leave_bundle()?;
        if refused.is_some() {
            self.session.outbox.roll_back_bundle();
        }
        Ok(refused)
    }

    /// Returns whether several parts would be undone together.
    pub(crate) fn is_bundle_open(&self) -> bool {
        self.session.transaction.bundle == Bundle::Open
    }

    /// Begins the flight that commits: with what was sent, if that is little, and with what leaves
    /// the savepoints. What was deferred is checked before if `is_checked`, while it can still be
    /// undone. `has_values` says whether more than names and numbers will be appended.
    pub(crate) fn last_flight(&mut self, is_checked: bool, has_values: bool) -> Result<Flight> {
        let MessagingSession {
            transaction,
            outbox,
            ..
        } = &mut self.session;
        let mut flight = transaction.state.own()?.flight();
        if !has_values && !outbox.has_few() {
            flight = flight.of_names();
        }
        if let Some(version) = outbox.matched_version() {
            publish::push_check(&mut flight, version);
        }
        if !outbox.push_few(&mut flight) {
            outbox.store_last(transaction.state.own()?)?;
        }
        transaction.push_leaving(&mut flight, is_checked);
        Ok(flight)
    }

    /// Sends the flight that [`last_flight`](Self::last_flight) began. Another transaction is open
    /// then, if it begins one.
    pub(crate) fn commit(
        &mut self,
        last: Flight,
        is_checked: bool,
    ) -> Result<Vec<SimpleQueryRow>, NotCommitted> {
        let own = self.session.transaction.state.own();
        let own = own.map_err(|error| NotCommitted {
            error,
            is_undone: false,
        })?;
        let (matched, started) = (self.session.outbox.matched_version(), Instant::now());
        match own.fly(last) {
            Ok(rows) => {
                if let Some(version) = matched {
                    self.session.process.subscriptions.checked(version, started);
                }
                self.begin_anew();
                Ok(rows)
            }
            Err(error) => {
                if is_resubscribed(&error) {
                    self.session.process.subscriptions.failed();
                    self.session.outbox.take_matched();
                }
                // One that is behind is nobody's fault.
                let may_undo = is_checked && !is_sequence_behind(&error);
                let is_undone = may_undo && self.session.transaction.undo_refused(&error);
                if is_undone {
                    self.session.outbox.roll_back_bundle();
                }
                let error = classify(error, "committing");
                Err(NotCommitted { error, is_undone })
            }
        }
    }

    /// Returns whom to wake for what was sent, and forgets it. Also to be asked for after an error:
    /// it may have come after the COMMIT, and a false hint costs a claim.
    pub(crate) fn news(&mut self) -> News {
        self.session.outbox.take_news()
    }

    fn begin_anew(&mut self) {
        self.session.transaction.begin_anew();
        self.session.outbox.begin_anew();
    }

    /// Begins another transaction after a handler ended the one that was open, on a connection that
    /// is as it was made.
    pub(crate) fn begin_over(&mut self) -> Result<()> {
        const DOING: &str = "beginning anew";
        self.forget();
        let rolled_back = self.open()?.run("ROLLBACK");
        rolled_back.doing(DOING)?;
        self.begin_anew();
        let transaction = &mut self.session.transaction;
        transaction.side_effects.add(SideEffects::SET);
        transaction.is_restored = false;
        let restoring = transaction.restoring();
        let begin = format!("BEGIN ISOLATION LEVEL READ COMMITTED;\n{restoring}");
        let begun = transaction.state.own()?.run(&begin);
        begun.doing(DOING)?;
        transaction.is_in_doubt = false;
        transaction.restored();
        Ok(())
    }

    /// Stores what the only part sent, in a transaction that begins now if it did not, and returns
    /// the session for what ends its message.
    pub(crate) fn store(&mut self) -> Result<&mut MessagingSession<'c>> {
        let MessagingSession {
            transaction,
            outbox,
            ..
        } = &mut self.session;
        if transaction.side_effects.any(&[SideEffects::FAILED]) {
            return Err(swallowed());
        }
        if let Some(error) = outbox.take_broken() {
            return Err(error);
        }
        transaction.state.begun()?;
        let restored = transaction.restore();
        restored.map_err(|error| not_stored(classify(error, "committing")))?;
        self.session.settle_published()?;
        let MessagingSession {
            transaction,
            outbox,
            ..
        } = &mut self.session;
        outbox.store(transaction.state.own()?).map_err(not_stored)?;
        Ok(&mut self.session)
    }

    /// Ends the session with its transaction.
    pub(crate) fn end(mut self, doing: &str) -> Result<()> {
        let committed = self.open()?.run("COMMIT");
        committed.doing(doing)?;
        self.committed();
        Ok(())
    }

    /// Ends the session after a flight that ended with COMMIT.
    pub(crate) fn committed(self) {
        self.session.transaction.state.committed();
    }
}
