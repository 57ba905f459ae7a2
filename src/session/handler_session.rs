//! The session of a worker: one transaction, with a part for each handler.
//!
//! A worker keeps one for as long as it works. Claims, settling and COMMIT belong to the top level
//! of its transactions; each handler gets the [`MessagingSession`] inside for its part. A last
//! flight ends one transaction, may begin the next, and carries all remaining statements:
//! [`last_flight`](HandlerSession::last_flight) begins it, [`commit`](HandlerSession::commit) sends
//! it.

use crate::connect::connection::Connection;
use crate::connect::transaction::OpenTransaction;
use crate::db::Flight;
use crate::observe::spans;
use crate::publish;
use crate::session::messaging_session::{MessagingSession, Recorder};
use crate::session::parts::PartOutcome;
use crate::session::process::Process;
use crate::session::savepoint::{Bundle, Check, Savepoint};
use crate::session::transaction::SessionTransaction;
use crate::session::transaction_state::TransactionState;
use crate::wake::news::News;
use crate::words::sqlstate::{is_resubscribed, is_sequence_behind};
use crate::words::wrapped::unwrapped;
use crate::words::{Doing, Error, ErrorKind, Result, SideEffects, classify};
use postgres::SimpleQueryRow;
use std::time::{Duration, Instant};
use tracing::Span;

/// The session of a worker, which outlives its handlers and its transactions.
pub(crate) struct HandlerSession<'c> {
    pub(super) session: MessagingSession<'c>,
}

/// Why a last flight did not commit.
#[derive(Debug)]
pub(crate) struct NotCommitted {
    pub(crate) error: Error,
    /// Whether the work that failed its check was undone, so that the transaction goes on.
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

    /// Makes a session for a message under a lease. Its transaction begins when the handler needs
    /// one, and is a single part.
    pub(crate) fn on_demand(process: &'c Process, connection: &'c mut Connection) -> Self {
        let state = TransactionState::Leased(connection);
        let transaction = SessionTransaction::new(state, Savepoint::None);
        let mut session = MessagingSession::new(process, transaction);
        session.recorder = Some(Recorder::default());
        HandlerSession { session }
    }

    /// Makes the next part and those after it a [bundle](Bundle), unless there is one already.
    pub(crate) fn join_bundle(&mut self) -> Result<()> {
        let session = &mut self.session;
        if session.transaction.bundle != Bundle::None {
            return Ok(());
        }
        // Messages sent before the bundle must survive its undo.
        if session.outbox.statements() > 0 {
            session.transaction.leave_part()?;
            session.outbox.store(session.transaction.state.own()?)?;
        }
        session.transaction.bundle = Bundle::Wanted;
        session.outbox.begin_bundle();
        Ok(())
    }

    /// Runs a handler as a part of its own, and collects the side effects of its SQL. The caller
    /// then [keeps](Self::keep) or [undoes](Self::undo) the part, unless the handler
    /// [ended](Self::ended) the transaction.
    pub(crate) fn part<T>(&mut self, run: impl FnOnce(&mut MessagingSession<'_>) -> T) -> T {
        let session = &mut self.session;
        session.outbox.begin_part();
        session.transaction.begin_part();
        session.cause = None;
        if let Some(recorder) = &mut session.recorder {
            recorder.take();
        }
        let ran = run(session);
        session.transaction.end_callers();
        ran
    }

    /// Returns an error if the part ended the transaction.
    pub(crate) fn ended(&mut self) -> Option<Error> {
        self.session.transaction.ended()
    }

    /// Keeps the work of the part.
    ///
    /// # Errors
    /// When the work can be neither kept nor undone alone.
    pub(crate) fn keep(&mut self, check: Check) -> Result<PartOutcome> {
        let kept = self.session.transaction.keep(check)?;
        if !matches!(kept, PartOutcome::Kept) {
            self.forget();
        }
        Ok(kept)
    }

    /// Undoes the work of the part, and drops its messages.
    ///
    /// # Errors
    /// When the work cannot be undone alone.
    pub(crate) fn undo(&mut self) -> Result<()> {
        self.forget();
        self.session.transaction.undo()
    }

    /// Drops the messages of the part.
    fn forget(&mut self) {
        self.session.outbox.roll_back_part();
    }

    /// Takes the result that the part recorded.
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

    /// Returns whether a prepared statement was outdated, including one of the handler's own
    /// (`had_outdated`).
    pub(crate) fn is_outdated(&mut self, had_outdated: bool) -> bool {
        let state = &mut self.session.transaction.state;
        if had_outdated {
            state.mark_outdated();
        }
        state.is_outdated()
    }

    /// Returns whether a setting of the part outlasts it, so that no other part may follow in the
    /// transaction.
    pub(crate) fn has_set(&self) -> bool {
        self.session.transaction.has_set()
    }

    /// Restores the connection to what it was before the part, if necessary.
    pub(crate) fn restore(&mut self) -> Result<()> {
        let restored = self.session.transaction.restore();
        restored.doing("putting a connection back as it was")
    }

    /// Returns whether the connection must not be used after this transaction.
    pub(crate) fn is_spent(&mut self) -> bool {
        self.session.transaction.state.is_spent()
    }

    /// Returns whether the handler ran no statement and sent no message.
    pub(crate) fn is_untouched(&self) -> bool {
        !self.has_begun() && self.session.outbox.statements() == 0
    }

    /// Returns whether the part so far ran no statement and sent no message, nor one before it in
    /// the transaction.
    pub(crate) fn is_part_untouched(&self) -> bool {
        let session = &self.session;
        let is_closed = session.transaction.savepoint == Savepoint::Closed;
        is_closed && !self.is_in_doubt() && session.outbox.statements() == 0
    }

    /// Returns whether a session whose transaction begins on demand has begun it.
    pub(crate) fn has_begun(&self) -> bool {
        !matches!(self.session.transaction.state, TransactionState::Leased(_))
    }

    /// Returns the open transaction, whichever savepoints are open.
    pub(crate) fn open(&mut self) -> Result<&mut OpenTransaction<'c>> {
        self.session.transaction.state.own()
    }

    /// Notes that a flight has just begun another transaction.
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

    /// Checks the deferred constraints of the bundle, or of the only part of the transaction, and
    /// releases the savepoints, for statements at the top level. Returns the error if the check
    /// failed and the work was undone.
    pub(crate) fn leave_checked(&mut self) -> Result<Option<Error>> {
        let refused = self.session.transaction.leave_checked()?;
        if refused.is_some() {
            self.session.outbox.roll_back_bundle();
        }
        Ok(refused)
    }

    /// Returns whether the savepoint of the bundle is open.
    pub(crate) fn is_bundle_open(&self) -> bool {
        self.session.transaction.bundle == Bundle::Open
    }

    /// Begins the flight that commits, with a few messages that were sent and the statements that
    /// release the savepoints. More messages are stored before. If `is_checked`, deferred
    /// constraints are checked first, while the work can still be undone. `has_values` says whether
    /// the caller will append more than names and numbers.
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
        outbox.room.push_return(&mut flight);
        Ok(flight)
    }

    /// Sends the flight that [`last_flight`](Self::last_flight) began. If the flight also begins
    /// another transaction, that one is open afterwards.
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
                let warned = own.cache.warned();
                if is_resubscribed(&error) {
                    self.session.process.subscriptions.failed();
                    self.session.outbox.take_matched();
                }
                let error = unwrapped(error, warned);
                // A sequence that is behind its table is no message's fault, nor is a conflict.
                let at_fault = match &error {
                    Ok(error) => Some(error).filter(|error| !is_sequence_behind(error)),
                    Err(ours) if ours.kind() == ErrorKind::Conflict => None,
                    Err(ours) => ours.cause::<postgres::Error>(),
                };
                let is_undone = is_checked
                    && at_fault.is_some_and(|error| self.session.transaction.undo_refused(error));
                if is_undone {
                    self.session.outbox.roll_back_bundle();
                }
                let error = error.map(|error| classify(error, "committing"));
                let error = error.unwrap_or_else(|unwrapped| unwrapped);
                Err(NotCommitted { error, is_undone })
            }
        }
    }

    /// Does the same within a span, which ends then and tells the error.
    pub(crate) fn commit_in(
        &mut self,
        span: Span,
        last: Flight,
        is_checked: bool,
    ) -> Result<Vec<SimpleQueryRow>, NotCommitted> {
        let committed = span.in_scope(|| self.commit(last, is_checked));
        committed.inspect_err(|refused| spans::note_error(&span, &refused.error))
    }

    /// Takes the hints for those who wait for what the session sent and settled, after its commit.
    pub(crate) fn news(&mut self) -> News {
        let is_observed = self.session.process.observers.are_any();
        self.session.outbox.take_news(is_observed)
    }

    /// Takes the hints for those who wait for what the session sent, where nobody knows whether it
    /// was committed: a false hint costs only a claim.
    pub(crate) fn sent(&mut self) -> News {
        let is_observed = self.session.process.observers.are_any();
        self.session.outbox.take_sent(is_observed)
    }

    fn begin_anew(&mut self) {
        self.session.transaction.begin_anew();
        self.session.outbox.begin_anew();
    }

    /// Restores the connection and begins another transaction, after a handler ended the open one.
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
