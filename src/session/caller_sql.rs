//! How a session handles the side effects of the caller's own SQL on its transaction and
//! connection.
//!
//! **SQL that ends the transaction.** A session commits and rolls back by itself, because its
//! transaction may hold more than the caller's work: the work of other messages, and the locks on
//! all of them. SQL that would end the transaction is refused before it is sent if its text shows
//! it, and on the wire while the caller has the driver's transaction in hand. If such SQL gets
//! through (`connect/caller_sql` sees it, or a savepoint is gone), the session or the message
//! fails. After a COMMIT the message fails for good, because its writes are permanent.
//!
//! **SQL that sets something beyond itself**, for the transaction (`SET LOCAL`) or the connection
//! (`SET ROLE`, `LISTEN`, a temporary table). The next message and the next user of the connection
//! must find the connection as it was made. So a message that sets something is the last of its
//! transaction, and before any statement of ours the connection is restored, inside the
//! transaction, so that the restore commits or rolls back with the rest. If something cannot be
//! restored, the connection is closed.

use crate::connect::caller_sql::CallerSql;
use crate::db::commands::{CHECK_DEFERRED, script};
use crate::db::standing;
use crate::session::savepoint::Savepoint;
use crate::session::transaction::SessionTransaction;
use crate::words::control::{Refusal, refusal};
use crate::words::{DriverResult, Error, ErrorKind, Result, SideEffects};
use std::error::Error as StdError;
use std::fmt;

/// The caller's own SQL ended the transaction.
#[derive(Debug)]
pub(crate) struct EndedTransaction {
    /// Whether the work up to that point is committed.
    pub(crate) is_committed: bool,
}

impl fmt::Display for EndedTransaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.is_committed {
            true => "what it had written until then is committed",
            false => "what it had written until then is rolled back",
        })
    }
}

impl StdError for EndedTransaction {}

/// Returns the error for SQL of the caller's that ended the transaction.
pub(crate) fn ended(is_committed: bool) -> Error {
    let text = "SQL of its own ended the transaction, which only the session may";
    Error::new(ErrorKind::TransactionEnded, text).because(EndedTransaction { is_committed })
}

/// Returns the error for SQL of the caller's that was kept from ending the transaction.
fn stopped() -> Error {
    let text = "SQL of its own would have ended the transaction, which only the session may: the connection was closed";
    let is_committed = false;
    Error::new(ErrorKind::TransactionEnded, text).because(EndedTransaction { is_committed })
}

/// Refuses SQL whose text shows that it would end the transaction behind the session's back.
/// `is_single` says that the server accepts only one command in the text.
pub(crate) fn refuse_control(sql: &str, is_single: bool) -> Result<()> {
    match refusal(sql.as_bytes(), is_single) {
        None => Ok(()),
        Some(Refusal::Control(word)) => Err(Error::invalid(format!(
            "{word} is not for a session: it commits when its closure returns Ok and rolls back \
             when it returns an error"
        ))),
        Some(Refusal::Savepoint) => Err(Error::invalid(
            "savepoints whose names begin with outtray_ are the session's own",
        )),
    }
}

impl SessionTransaction<'_> {
    /// Notes the number of the transaction before SQL of the caller's that cannot be watched, as
    /// through a socket file. Blocks for a round trip there.
    pub(super) fn note_own(&mut self) -> Result<()> {
        let is_blind = self.state.caller_sql().is_some_and(|sql| sql.is_blind());
        if is_blind && self.own.is_none() {
            self.state.begun()?;
            self.own = standing::own(self.state.current()?)?;
        }
        Ok(())
    }

    /// Returns what became of the noted transaction.
    fn ask_for_own(&mut self) -> SideEffects {
        if self.own.is_none() {
            return SideEffects::default();
        }
        match (self.standing(), self.savepoint) {
            (Ok((true, _)), _) => SideEffects::default(),
            (Ok((false, true)), _) => SideEffects::COMMITTED,
            (Ok((false, false)), _) => SideEffects::ENDED,
            // A transaction failed, perhaps another one. None of it will be committed.
            (Err(_), Savepoint::None) => match self.standing_after_all() {
                true => SideEffects::COMMITTED,
                false => SideEffects::FAILED,
            },
            // The next use of the savepoint shows it.
            (Err(_), _) => SideEffects::default(),
        }
    }

    fn standing(&mut self) -> Result<(bool, bool)> {
        let own = self.own.clone().unwrap_or_default();
        standing::of(self.state.current()?, &own)
    }

    /// Rolls back the open transaction, and returns whether the noted transaction was committed.
    fn standing_after_all(&mut self) -> bool {
        let rolled_back = self
            .state
            .begun()
            .map(|open| open.batch_execute("ROLLBACK"));
        let is_over = matches!(rolled_back, Ok(Ok(())));
        is_over && matches!(self.standing(), Ok((_, true)))
    }

    /// Returns the error for a savepoint that is gone, and its transaction with it.
    pub(super) fn gone(&mut self) -> Error {
        let is_committed = self.own.is_some() && self.standing_after_all();
        self.state.mark_stale();
        ended(is_committed)
    }

    /// Collects the side effects of the caller's SQL once its closure has returned.
    pub(super) fn end_callers(&mut self) {
        let mut did = self.state.take_side_effects();
        did.add(self.ask_for_own());
        if self.is_in_doubt && self.state.caller_sql().is_some_and(|sql| sql.is_unread()) {
            self.read_on();
            did.add(self.state.take_side_effects());
        }
        let in_question = [
            SideEffects::SAVED,
            SideEffects::ROLLED_BACK,
            SideEffects::BEGUN,
        ];
        self.is_in_doubt |= did.is_lasting() || did.any(&in_question);
        self.side_effects = did;
    }

    /// Reads the server's last answer, before which the driver returned an error.
    fn read_on(&mut self) {
        let _ = self.state.begun().map(|open| open.batch_execute(""));
    }

    /// Fails if the server said that the caller's SQL ended the transaction: what follows would run
    /// outside of any, or in one of the caller's.
    pub(super) fn check_open(&mut self) -> Result<()> {
        if self.state.caller_sql().is_some_and(|sql| sql.is_unread()) {
            self.read_on();
        }
        let was_ended = self.state.was_ended();
        was_ended.map_or(Ok(()), |is_committed| Err(ended(is_committed)))
    }

    /// Returns an error if the caller's SQL ended the transaction. The connection is not used again
    /// then.
    pub(super) fn ended(&mut self) -> Option<Error> {
        let did = self.side_effects;
        // The command tag is the same for ROLLBACK and ROLLBACK TO a savepoint.
        let is_rolled_back = did.any(&[SideEffects::ROLLED_BACK])
            && (did.any(&[SideEffects::BEGUN, SideEffects::CHAINED])
                || !did.any(&[SideEffects::SAVED]));
        let error = if did.any(&[SideEffects::COMMITTED]) {
            ended(true)
        } else if did.any(&[SideEffects::STOPPED]) {
            stopped()
        } else if did.any(&[SideEffects::ENDED]) || is_rolled_back {
            ended(false)
        } else {
            return None;
        };
        self.state.mark_stale();
        Some(error)
    }

    /// Returns whether statements of ours may be undone without our notice: by a savepoint of the
    /// caller's, or in a transaction of its own.
    pub(super) fn may_be_undone_unseen(&mut self) -> bool {
        self.is_joined()
            || self
                .state
                .caller_sql()
                .is_some_and(CallerSql::may_have_saved)
    }

    /// Returns whether a setting of the caller's outlasts its part, so that no other part may
    /// follow in the transaction.
    pub(super) fn has_set(&self) -> bool {
        self.side_effects.is_lasting()
    }

    /// Returns the statements that restore the connection, for the next flight; empty if nothing is
    /// to be restored.
    pub(super) fn restoring(&mut self) -> String {
        if !self.side_effects.is_lasting() || self.is_restored {
            return String::new();
        }
        let sql = self.state.caller_sql();
        sql.map_or_else(String::new, |sql| sql.restoring())
    }

    /// Notes that the statements of [`restoring`](Self::restoring) ran.
    pub(super) fn restored(&mut self) {
        self.is_restored = true;
        self.state.unlock();
    }

    /// Restores the connection, if necessary, before statements of ours. Deferred constraints are
    /// checked first, because they must run with the caller's settings in place.
    pub(super) fn restore(&mut self) -> DriverResult<()> {
        let restoring = self.restoring();
        if restoring.is_empty() {
            return Ok(());
        }
        let before = match self.savepoint {
            Savepoint::None => Some(&CHECK_DEFERRED),
            savepoint => savepoint.leaving(),
        };
        let sql = script(before) + &restoring;
        if self.savepoint.leaving().is_some() {
            self.savepoint = Savepoint::Closed;
        }
        if let Ok(open) = self.state.begun() {
            open.batch_execute(&sql)?;
        }
        self.restored();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sql_that_ends_the_transaction_is_refused_and_named() {
        let error = refuse_control("/* x */ commit", true).unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().starts_with("COMMIT is not"), "{error}");
        assert!(refuse_control("SELECT 1; COMMIT", false).is_err());
        assert!(refuse_control("SAVEPOINT outtray_a", false).is_err());
        assert!(refuse_control("SAVEPOINT mine", false).is_ok());
    }
}
