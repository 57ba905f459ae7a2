//! What a check asks with, and how it says what it found.

use crate::connect::transaction::OpenTransaction;
use crate::db::{Params, Run, Statement};
use crate::doctor::facts::Facts;
use crate::doctor::finding::{Finding, Severity};
use crate::words::{Doing, Error, ErrorKind, Result};
use postgres::Row;

/// What a check asks with.
pub(crate) struct Ask<'a, 't> {
    pub(crate) open: &'a mut OpenTransaction<'t>,
    pub(crate) facts: &'a Facts,
    pub(crate) check: &'static str,
}

impl Ask<'_, '_> {
    /// Runs a statement and returns its rows.
    pub(crate) fn rows(&mut self, statement: &Statement, params: Params<'_>) -> Result<Vec<Row>> {
        self.open.rows(statement, params).doing("examining")
    }

    /// Fails if something was refused before, and that was taken for an empty answer: the
    /// transaction takes no more statements.
    pub(crate) fn was_answered(&mut self) -> Result<()> {
        let asked = self.open.transaction.batch_execute("SAVEPOINT asked");
        asked.map_err(|error| {
            let text = "the role may not read what has to be compared";
            Error::new(ErrorKind::Denied, text).because(error)
        })
    }

    pub(crate) fn ok(&self, seen: impl Into<String>) -> Vec<Finding> {
        vec![Finding::new(self.check, Severity::Ok, seen)]
    }

    pub(crate) fn note(&self, seen: impl Into<String>) -> Finding {
        Finding::new(self.check, Severity::Note, seen)
    }

    pub(crate) fn warning(&self, seen: impl Into<String>) -> Finding {
        Finding::new(self.check, Severity::Warning, seen)
    }

    pub(crate) fn is_unsafe(&self, seen: impl Into<String>) -> Finding {
        Finding::new(self.check, Severity::Unsafe, seen)
    }

    /// Returns what was found, or that all is well.
    pub(crate) fn or_ok(&self, found: Vec<Finding>, seen: impl Into<String>) -> Vec<Finding> {
        match found.is_empty() {
            true => self.ok(seen),
            false => found,
        }
    }
}
