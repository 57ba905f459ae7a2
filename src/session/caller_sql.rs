//! What the caller's own SQL does to the session's transaction and connection, and what follows
//! from it.
//!
//! **It ends the transaction.** A session commits and rolls back by itself, since more than the
//! caller's work may be in its transaction: the work of other messages, and the locks that keep all
//! of them. What would end it is refused before it is sent where that can be read from the text,
//! also on the wire while the caller has the driver's transaction in hand. What passes all the same
//! (`connect/caller_sql` sees it, or a savepoint is gone) makes the session fail, or the message:
//! for good if it was a COMMIT, since what it did is there.
//!
//! **It sets something that outlives it**: for the transaction (`SET LOCAL`) or the connection
//! (`SET ROLE`, `LISTEN`, a temporary table). The next message, and the next user of the
//! connection, are to find it as it was made. So who sets something pays for it: the message is the
//! last of its transaction, and before anything of ours follows the connection is put back inside
//! the transaction, where it commits or is undone with the rest. What cannot be put back costs the
//! connection.

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
    /// Whether what was done until then is there for good.
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

/// Says that the caller's own SQL ended the transaction.
pub(crate) fn ended(is_committed: bool) -> Error {
    let text = "SQL of its own ended the transaction, which only the session may";
    Error::new(ErrorKind::TransactionEnded, text).because(EndedTransaction { is_committed })
}

/// Says that the caller's own SQL was kept from ending the transaction.
fn stopped() -> Error {
    let text = "SQL of its own would have ended the transaction, which only the session may: the connection was closed";
    let is_committed = false;
    Error::new(ErrorKind::TransactionEnded, text).because(EndedTransaction { is_committed })
}

/// Refuses SQL that would end the transaction behind the session's back, as far as its text tells.
/// Of what `is_single` the server takes no more than one command.
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
    /// Notes which transaction it is, before SQL of the caller's that nobody can watch. A round
    /// trip, through a socket file.
    pub(super) fn note_own(&mut self) -> Result<()> {
        let is_blind = self.state.caller_sql().is_some_and(|sql| sql.is_blind());
        if is_blind && self.own.is_none() {
            self.state.begun()?;
            self.own = standing::own(self.state.current()?)?;
        }
        Ok(())
    }

    /// Says what became of the transaction that was noted.
    fn ask_for_own(&mut self) -> SideEffects {
        if self.own.is_none() {
            return SideEffects::default();
        }
        match (self.standing(), self.savepoint) {
            (Ok((true, _)), _) => SideEffects::default(),
            (Ok((false, true)), _) => SideEffects::COMMITTED,
            (Ok((false, false)), _) => SideEffects::ENDED,
            // A transaction failed, and it may be another one. It comes to nothing in any case.
            (Err(_), Savepoint::None) => match self.standing_after_all() {
                true => SideEffects::COMMITTED,
                false => SideEffects::FAILED,
            },
            // The savepoint will tell.
            (Err(_), _) => SideEffects::default(),
        }
    }

    fn standing(&mut self) -> Result<(bool, bool)> {
        let own = self.own.clone().unwrap_or_default();
        standing::of(self.state.current()?, &own)
    }

    /// Rolls back whatever is open, and returns whether the transaction that was noted was
    /// committed.
    fn standing_after_all(&mut self) -> bool {
        let rolled_back = self
            .state
            .begun()
            .map(|open| open.batch_execute("ROLLBACK"));
        let is_over = matches!(rolled_back, Ok(Ok(())));
        is_over && matches!(self.standing(), Ok((_, true)))
    }

    /// Says that the savepoint is gone, and the transaction with it.
    pub(super) fn gone(&mut self) -> Error {
        let is_committed = self.own.is_some() && self.standing_after_all();
        self.state.mark_stale();
        ended(is_committed)
    }

    /// Learns what the caller's SQL did, once its closure is done.
    pub(super) fn end_callers(&mut self) {
        let mut did = self.state.take_side_effects();
        did.add(self.ask_for_own());
        if self.is_in_doubt && self.state.caller_sql().is_some_and(|sql| sql.is_unread()) {
            // An error came before the server's last word.
            let _ = self.state.begun().map(|open| open.batch_execute(""));
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

    /// Says that the caller's SQL ended the transaction, if it did. The connection is of no more
    /// use then.
    pub(super) fn ended(&mut self) -> Option<Error> {
        let did = self.side_effects;
        // A tag does not say whether it was to a savepoint.
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

    /// Returns whether what the caller set lasts longer than its turn, so that nobody else's may
    /// follow in the transaction.
    pub(super) fn has_set(&self) -> bool {
        self.side_effects.is_lasting()
    }

    /// Returns the statements that put the connection back, if there is a need, for the flight that
    /// comes next.
    pub(super) fn restoring(&mut self) -> String {
        if !self.side_effects.is_lasting() || self.is_restored {
            return String::new();
        }
        let sql = self.state.caller_sql();
        sql.map_or_else(String::new, |sql| sql.restoring())
    }

    /// Notes that they ran.
    pub(super) fn restored(&mut self) {
        self.is_restored = true;
        self.state.unlock();
    }

    /// Puts the connection back if there is a need, before statements of ours. What the caller
    /// deferred until COMMIT is checked first: it was meant to happen with what is set.
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
