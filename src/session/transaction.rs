//! The transaction of a session, with its savepoints and its state.
//!
//! The transaction and the savepoint of each part begin when they are first needed. The type also
//! notes whether the transaction may be aborted without our knowing.

use crate::db::commands::script;
use crate::db::{Flight, Params, Run};
use crate::session::savepoint::{Bundle, Commands, Savepoint};
use crate::session::transaction_state::{AnyTransaction, DriverTransaction, TransactionState};
use crate::words::sqlstate::{classify_outdated, classify_own, failure};
use crate::words::{DriverResult, ErrorKind, Failure, Result, SideEffects, classify};
use postgres::SimpleQueryRow;
use std::time::{Duration, Instant};

/// The transaction of a session.
pub(crate) struct SessionTransaction<'c> {
    pub(super) state: TransactionState<'c>,
    pub(super) savepoint: Savepoint,
    pub(super) bundle: Bundle,
    /// Whether the transaction may be aborted without our knowing: a statement failed, or the
    /// caller had the transaction itself in hand.
    pub(super) is_in_doubt: bool,
    /// Whether the server ended the connection because the transaction was idle, or took, longer
    /// than it allows.
    pub(super) is_overlong: bool,
    /// The side effects of the caller's SQL in the last part, and whether the connection was
    /// restored since.
    pub(super) side_effects: SideEffects,
    pub(super) is_restored: bool,
    /// The number of the transaction, noted where only it tells whether the transaction is still
    /// the same.
    pub(super) own: Option<String>,
    begun_at: Instant,
}

impl<'c> SessionTransaction<'c> {
    pub(super) fn new(state: TransactionState<'c>, savepoint: Savepoint) -> Self {
        SessionTransaction {
            state,
            savepoint,
            bundle: Bundle::None,
            is_in_doubt: false,
            is_overlong: false,
            side_effects: SideEffects::default(),
            is_restored: false,
            own: None,
            begun_at: Instant::now(),
        }
    }

    /// Notes that another transaction began on the same connection, with no savepoint open.
    pub(super) fn begin_anew(&mut self) {
        self.savepoint = Savepoint::Closed;
        self.bundle = Bundle::None;
        self.note_begun();
    }

    /// Begins the part of the next handler: forgets what is known of the part before.
    pub(super) fn begin_part(&mut self) {
        self.is_in_doubt = false;
        let _ = self.state.take_side_effects();
        self.side_effects = SideEffects::default();
        self.is_restored = false;
        self.own = None;
    }

    pub(super) fn note_begun(&mut self) {
        self.begun_at = Instant::now();
    }

    pub(super) fn since_begin(&self) -> Duration {
        self.begun_at.elapsed()
    }

    pub(super) fn is_joined(&self) -> bool {
        matches!(self.state, TransactionState::Joined(_))
    }

    /// Runs statements of ours inside the savepoint of the current part. The transaction begins now
    /// if it has not.
    pub(super) fn ask<T>(&mut self, ask: impl FnOnce(&mut dyn Run) -> Result<T>) -> Result<T> {
        self.enter()?;
        self.state.begun()?;
        let asked = self.state.current().and_then(ask);
        let is_failed = asked
            .as_ref()
            .is_err_and(|error| error.kind() != ErrorKind::Full);
        self.is_in_doubt |= is_failed;
        asked
    }

    /// Begins the transaction in the flight of its first statement, which `fill` appends, and
    /// returns the rows. Returns `None`, with nothing sent, if it has begun already or is the
    /// caller's.
    pub(super) fn begin_with(
        &mut self,
        fill: impl FnOnce(&mut Flight),
    ) -> DriverResult<Option<Vec<SimpleQueryRow>>> {
        let answered = self.state.begin_with(fill);
        self.is_in_doubt |= answered.is_err();
        answered
    }

    /// Opens the savepoint of the current part, unless it is open.
    pub(super) fn enter(&mut self) -> Result<()> {
        if matches!(self.state, TransactionState::Leased(_)) {
            // Its transaction begins now.
            self.note_begun();
        }
        let Some((open, opened)) = self.opening() else {
            return Ok(());
        };
        let open = script(open.iter().copied());
        self.state.begun()?.batch_execute(&open).map_err(|error| {
            self.is_in_doubt = true;
            classify(error, "opening a savepoint")
        })?;
        self.note_opened(opened);
        Ok(())
    }

    /// Returns the commands that open the savepoint of the current part, and the state after them;
    /// `None` if none is to be opened.
    fn opening(&self) -> Option<(Commands, Savepoint)> {
        let (commands, opened) = self.savepoint.opening()?;
        match self.bundle {
            Bundle::Wanted => Some((Bundle::opening(self.savepoint), opened)),
            Bundle::None | Bundle::Open => Some((commands, opened)),
        }
    }

    /// Notes that the commands of [`opening`](Self::opening) ran.
    fn note_opened(&mut self, opened: Savepoint) {
        self.savepoint = opened;
        if self.bundle == Bundle::Wanted {
            self.bundle = Bundle::Open;
        }
    }

    /// Runs the first statement of the current part in the flight that opens its savepoint, if the
    /// statement can travel with others: round trips are half the cost of a handler with one
    /// statement.
    pub(super) fn execute_first(
        &mut self,
        sql: &str,
        params: Params<'_>,
    ) -> Result<Option<DriverResult<u64>>> {
        let Some((open, opened)) = self.opening() else {
            return Ok(None);
        };
        let result = self.state.own()?.execute_after(open, sql, params);
        if result.is_some() {
            self.state.note(sql);
            self.note_opened(opened);
        }
        Ok(result)
    }

    /// Runs SQL of the caller's inside the savepoint of the current part.
    pub(super) fn run_callers<T>(
        &mut self,
        text: &str,
        run: impl FnOnce(&mut dyn AnyTransaction) -> DriverResult<T>,
    ) -> Result<DriverResult<T>> {
        self.enter()?;
        Ok(run(self.state.watched(Some(text))?))
    }

    /// Returns the driver's own transaction object, inside the savepoint of the current part, and
    /// whether it had to be made for a transaction that began without.
    pub(super) fn lending(&mut self) -> Result<(&mut dyn DriverTransaction, bool)> {
        self.enter()?;
        self.note_own()?;
        self.state.lending()
    }

    /// Notes what an error of the caller's SQL says about the transaction, and classifies it.
    pub(super) fn noting<T>(&mut self, result: DriverResult<T>) -> Result<T> {
        result.map_err(|error| {
            let is_lost = failure(&error).is_lost();
            let is_overlong = failure(&error) == Failure::Overlong;
            self.is_overlong |= is_overlong || is_lost && self.state.is_overlong();
            self.is_in_doubt |= !is_lost;
            match !is_lost && self.state.is_outdated() {
                true => classify_outdated(error),
                false => classify_own(error),
            }
        })
    }
}
