//! Prepared statements of one connection. The driver keeps none.

use postgres::types::Type;
use postgres::{Client, Statement, Transaction};
use std::collections::{HashMap, HashSet};

/// Texts of the caller's own that are kept prepared on one connection. A program has a few dozen;
/// one that builds its texts would fill the server's memory without a bound.
const MAX_TEXTS: usize = 256;

/// Statements by their text, and the names that `PREPARE` made.
#[derive(Default)]
pub(crate) struct StatementCache {
    statements: HashMap<String, Statement>,
    named: HashSet<&'static str>,
    is_lost: bool,
}

impl StatementCache {
    /// Returns the prepared statement for `text`, made by `prepare` on its first use.
    pub(crate) fn get(
        &mut self,
        text: &str,
        prepare: impl FnOnce(&str) -> Result<Statement, postgres::Error>,
    ) -> Result<Statement, postgres::Error> {
        if let Some(statement) = self.statements.get(text) {
            return Ok(statement.clone());
        }
        if self.statements.len() >= MAX_TEXTS {
            self.statements.clear();
        }
        let statement = prepare(text)?;
        self.statements.insert(text.to_owned(), statement.clone());
        Ok(statement)
    }

    /// Notes that `name` was made by `PREPARE`; returns whether it is new.
    pub(crate) fn insert_name(&mut self, name: &'static str) -> bool {
        self.named.insert(name)
    }

    /// Forgets the statements of [`get`](Self::get), after a change of the tables behind them.
    pub(crate) fn clear(&mut self) {
        self.statements.clear();
    }

    /// Notes that statements are stale which cannot be made anew on this connection: those that
    /// `PREPARE` named, and those that the driver keeps to itself for types it does not know.
    pub(crate) fn lose(&mut self) {
        self.is_lost = true;
    }

    /// Returns whether the connection has to go, and its statements with it.
    pub(crate) fn is_lost(&self) -> bool {
        self.is_lost
    }
}

/// What prepares statements: a connection, or a transaction on it.
pub(crate) trait Prepare {
    fn prepare_text(&mut self, text: &str, types: &[Type]) -> Result<Statement, postgres::Error>;
}

impl Prepare for Client {
    fn prepare_text(&mut self, text: &str, types: &[Type]) -> Result<Statement, postgres::Error> {
        self.prepare_typed(text, types)
    }
}

impl Prepare for Transaction<'_> {
    fn prepare_text(&mut self, text: &str, types: &[Type]) -> Result<Statement, postgres::Error> {
        self.prepare_typed(text, types)
    }
}
