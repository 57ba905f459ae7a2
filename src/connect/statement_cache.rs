//! Prepared statements of one connection. The driver keeps none.

use postgres::types::Type;
use postgres::{Client, Statement, Transaction};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Texts of the caller's own that are kept prepared on one connection. A program has a few dozen;
/// one that builds its texts would fill the server's memory without a bound.
const MAX_TEXTS: usize = 256;

/// Texts of the caller's own that are called from text on one connection, for as long as it lives. More
/// go by the driver.
const MAX_CALLS: usize = 64;

/// Statements by their text, and the names that `PREPARE` made.
#[derive(Default)]
pub(crate) struct StatementCache {
    statements: HashMap<String, Statement>,
    /// The names under which texts of the caller's own are called from text.
    calls: HashMap<String, Arc<str>>,
    /// Names that were tried; one whose `PREPARE` failed is not used again.
    named_calls: usize,
    named: HashSet<&'static str>,
    is_stale: bool,
}

/// How a text of the caller's own is called from text.
pub(crate) enum Call {
    /// By the name that `PREPARE` made.
    Prepared(Arc<str>),
    /// By this name, once `PREPARE` has made it.
    New(Arc<str>),
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

    /// Returns the types of the parameters of `text`, if it came before: many come only once.
    pub(crate) fn types(&self, text: &str) -> Option<&[Type]> {
        self.statements.get(text).map(Statement::params)
    }

    /// Returns how `text` is called from text, for a call that follows; `None` when there are too many.
    pub(crate) fn call(&mut self, text: &str) -> Option<Call> {
        if let Some(name) = self.calls.get(text) {
            return Some(Call::Prepared(Arc::clone(name)));
        }
        if self.named_calls == MAX_CALLS {
            return None;
        }
        self.named_calls += 1;
        Some(Call::New(
            format!("outtray_own_{}", self.named_calls).into(),
        ))
    }

    /// Notes that `PREPARE` made the name of a new call.
    pub(crate) fn insert_call(&mut self, text: &str, name: Arc<str>) {
        self.calls.insert(text.to_owned(), name);
    }

    /// Returns whether `name` was made by `PREPARE`.
    pub(crate) fn has_name(&self, name: &str) -> bool {
        self.named.contains(name)
    }

    /// Notes that `name` was made by `PREPARE`.
    pub(crate) fn insert_name(&mut self, name: &'static str) {
        self.named.insert(name);
    }

    /// Notes that statements no longer fit: the tables behind them changed, or somebody dropped
    /// them. Their connection is of no more use.
    pub(crate) fn mark_stale(&mut self) {
        self.is_stale = true;
    }

    pub(crate) fn is_stale(&self) -> bool {
        self.is_stale
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
