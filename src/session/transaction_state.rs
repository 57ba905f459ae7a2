//! The transaction that a session works in: one of ours, which begins when it is first needed, or
//! the caller's.

use crate::connect::caller_sql::CallerSql;
use crate::connect::connection::Connection;
use crate::connect::execute::{count_once, execute_own, query_own, rows_once};
use crate::connect::lazy_transaction::LazyTransaction;
use crate::connect::statement_cache::StatementCache;
use crate::connect::transaction::OpenTransaction;
use crate::db::commands::script;
use crate::db::flight::{self, Form, Transport};
use crate::db::{CallMode, Flight, Params, Run, Statement};
use crate::schema::name::SchemaName;
use crate::words::{Doing, DriverResult, Error, ErrorKind, Result, SideEffects};
use postgres::{IsolationLevel, Row, SimpleQueryRow, Transaction};

/// What a session needs of a transaction, whoever began it. A trait object, so that a session has
/// one lifetime, although a caller's transaction brings its own.
pub(crate) trait AnyTransaction: Run {
    fn execute(&mut self, text: &str, params: Params<'_>) -> DriverResult<u64>;
    fn query(&mut self, text: &str, params: Params<'_>) -> DriverResult<Vec<Row>>;
    fn batch_execute(&mut self, text: &str) -> DriverResult<()>;
    /// Returns a flight for this transaction.
    fn flight(&mut self) -> Flight;
    /// Sends several statements of ours in one flight and returns the rows of all of them.
    fn fly(&mut self, flight: Flight) -> DriverResult<Vec<SimpleQueryRow>>;
}

/// A transaction with the driver's own object.
pub(crate) trait DriverTransaction: AnyTransaction {
    fn nested(&mut self) -> DriverResult<Transaction<'_>>;
    fn lend(&mut self, borrower: &mut dyn FnMut(&mut Transaction<'_>));
}

impl AnyTransaction for OpenTransaction<'_> {
    fn execute(&mut self, text: &str, params: Params<'_>) -> DriverResult<u64> {
        let (client, cache) = (&mut self.transaction, &mut *self.cache);
        execute_own(client, cache, self.mode, text, params)
    }

    fn query(&mut self, text: &str, params: Params<'_>) -> DriverResult<Vec<Row>> {
        let (client, cache) = (&mut self.transaction, &mut *self.cache);
        query_own(client, cache, self.mode, text, params)
    }

    fn batch_execute(&mut self, text: &str) -> DriverResult<()> {
        self.transaction.batch_execute(text)
    }

    fn flight(&mut self) -> Flight {
        OpenTransaction::flight(self)
    }

    fn fly(&mut self, flight: Flight) -> DriverResult<Vec<SimpleQueryRow>> {
        self.fly(flight)
    }
}

impl DriverTransaction for OpenTransaction<'_> {
    fn nested(&mut self) -> DriverResult<Transaction<'_>> {
        self.transaction.transaction()
    }

    fn lend(&mut self, borrower: &mut dyn FnMut(&mut Transaction<'_>)) {
        borrower(&mut self.transaction);
    }
}

impl AnyTransaction for LazyTransaction<'_> {
    fn execute(&mut self, text: &str, params: Params<'_>) -> DriverResult<u64> {
        let (client, cache, mode) = self.connection().parts();
        execute_own(client, cache, mode, text, params)
    }

    fn query(&mut self, text: &str, params: Params<'_>) -> DriverResult<Vec<Row>> {
        let (client, cache, mode) = self.connection().parts();
        query_own(client, cache, mode, text, params)
    }

    fn batch_execute(&mut self, text: &str) -> DriverResult<()> {
        self.connection().client().batch_execute(text)
    }

    fn flight(&mut self) -> Flight {
        LazyTransaction::flight(self)
    }

    fn fly(&mut self, flight: Flight) -> DriverResult<Vec<SimpleQueryRow>> {
        self.fly(flight)
    }
}

/// A caller's transaction. It has no cache of statements, because the connection is not ours.
pub(crate) struct Joined<'c, 't> {
    pub(crate) transaction: &'c mut Transaction<'t>,
    pub(crate) schema: SchemaName,
}

impl AnyTransaction for Joined<'_, '_> {
    fn execute(&mut self, text: &str, params: Params<'_>) -> DriverResult<u64> {
        self.transaction.execute(text, params)
    }

    fn query(&mut self, text: &str, params: Params<'_>) -> DriverResult<Vec<Row>> {
        self.transaction.query(text, params)
    }

    fn batch_execute(&mut self, text: &str) -> DriverResult<()> {
        self.transaction.batch_execute(text)
    }

    fn flight(&mut self) -> Flight {
        Flight::new(Transport::Text(CallMode::Inline), &self.schema)
    }

    fn fly(&mut self, flight: Flight) -> DriverResult<Vec<SimpleQueryRow>> {
        let (_, Form::Text(sql)) = flight.end() else {
            unreachable!("a flight of a caller's transaction is a text");
        };
        self.transaction.simple_query(&sql).map(flight::rows)
    }
}

impl DriverTransaction for Joined<'_, '_> {
    fn nested(&mut self) -> DriverResult<Transaction<'_>> {
        self.transaction.transaction()
    }

    fn lend(&mut self, borrower: &mut dyn FnMut(&mut Transaction<'_>)) {
        borrower(self.transaction);
    }
}

impl Run for Joined<'_, '_> {
    fn rows(&mut self, statement: &Statement, params: Params<'_>) -> DriverResult<Vec<Row>> {
        rows_once(self.transaction, &self.schema, statement, params)
    }

    fn count(&mut self, statement: &Statement, params: Params<'_>) -> DriverResult<u64> {
        count_once(self.transaction, &self.schema, statement, params)
    }

    fn commands(&mut self, commands: &[&'static Statement]) -> DriverResult<()> {
        self.transaction
            .batch_execute(&script(commands.iter().copied()))
    }
}

/// Whose transaction it is, and its state.
pub(crate) enum TransactionState<'c> {
    /// Ours, not begun. A session that only sends needs no BEGIN.
    Idle(&'c mut Connection),
    /// Ours, not begun, for a handler under a lease. It begins as READ COMMITTED, because it ends
    /// the lease, which may have been renewed meanwhile.
    Leased(&'c mut Connection),
    /// Ours, begun.
    Begun(OpenTransaction<'c>),
    /// Ours, begun in the flight of its first statement.
    Lazy(LazyTransaction<'c>),
    /// The caller's.
    Joined(Box<dyn DriverTransaction + 'c>),
    /// The BEGIN failed.
    Broken,
}

impl<'c> TransactionState<'c> {
    /// Returns the transaction; one of ours begins now if it has not.
    pub(crate) fn begun(&mut self) -> Result<&mut dyn AnyTransaction> {
        if matches!(
            self,
            TransactionState::Idle(_) | TransactionState::Leased(_)
        ) {
            let (connection, level) = match std::mem::replace(self, TransactionState::Broken) {
                TransactionState::Idle(connection) => (connection, None),
                TransactionState::Leased(connection) => {
                    (connection, Some(IsolationLevel::ReadCommitted))
                }
                _ => return Err(broken()),
            };
            let begun = connection.begin(level).doing("beginning a transaction")?;
            *self = TransactionState::Begun(begun);
            let _ = self.take_side_effects();
        }
        self.unwatch();
        self.open()
    }

    /// Like [`begun`](Self::begun), for SQL of the caller's: `text`, or `None` if the text is not
    /// known. The SQL is watched until the transaction is used otherwise.
    pub(crate) fn watched(&mut self, text: Option<&str>) -> Result<&mut dyn AnyTransaction> {
        self.begun()?;
        if let Some(cache) = self.cache() {
            cache.caller_sql.watch(text);
        }
        self.open()
    }

    fn open(&mut self) -> Result<&mut dyn AnyTransaction> {
        match self {
            TransactionState::Begun(transaction) => Ok(transaction),
            TransactionState::Lazy(transaction) => Ok(transaction),
            TransactionState::Joined(transaction) => Ok(&mut **transaction),
            TransactionState::Idle(_) | TransactionState::Leased(_) | TransactionState::Broken => {
                Err(broken())
            }
        }
    }

    /// Returns the driver's own transaction object for the caller, whose SQL is watched from now
    /// on, and whether the transaction had begun without the object.
    pub(crate) fn lending(&mut self) -> Result<(&mut dyn DriverTransaction, bool)> {
        self.begun()?;
        let is_lazy = matches!(self, TransactionState::Lazy(_));
        if is_lazy {
            let TransactionState::Lazy(lazy) = std::mem::replace(self, TransactionState::Broken)
            else {
                return Err(broken());
            };
            let taken_over = lazy
                .into_connection()
                .take_over()
                .doing("taking over a transaction")?;
            *self = TransactionState::Begun(taken_over);
        }
        if let Some(cache) = self.cache() {
            cache.caller_sql.watch(None);
        }
        match self {
            TransactionState::Begun(transaction) => Ok((transaction, is_lazy)),
            TransactionState::Joined(transaction) => Ok((&mut **transaction, is_lazy)),
            TransactionState::Idle(_)
            | TransactionState::Leased(_)
            | TransactionState::Lazy(_)
            | TransactionState::Broken => Err(broken()),
        }
    }

    /// Begins a transaction of ours in the flight of its first statement, which `fill` appends, and
    /// returns the rows. Returns `None`, with nothing sent, for any other transaction.
    pub(crate) fn begin_with(
        &mut self,
        fill: impl FnOnce(&mut Flight),
    ) -> DriverResult<Option<Vec<SimpleQueryRow>>> {
        let connection = match std::mem::replace(self, TransactionState::Broken) {
            TransactionState::Idle(connection) => connection,
            other => {
                *self = other;
                return Ok(None);
            }
        };
        let mut lazy = LazyTransaction::new(connection);
        let rows = lazy.begin(fill);
        *self = match lazy.is_begun() {
            true => TransactionState::Lazy(lazy),
            false => TransactionState::Idle(lazy.into_connection()),
        };
        rows.map(Some)
    }

    /// Returns what runs a statement of ours: the open transaction or, if none is open, the
    /// connection, on which the statement is its own transaction.
    pub(crate) fn current(&mut self) -> Result<&mut dyn Run> {
        self.unwatch();
        match self {
            TransactionState::Idle(connection) | TransactionState::Leased(connection) => {
                Ok(*connection)
            }
            TransactionState::Begun(transaction) => Ok(transaction),
            TransactionState::Lazy(transaction) => Ok(transaction),
            TransactionState::Joined(transaction) => Ok(&mut **transaction),
            TransactionState::Broken => Err(broken()),
        }
    }

    /// Returns whether a prepared statement of this transaction was outdated: the whole transaction
    /// must run again, on another connection.
    pub(crate) fn is_outdated(&mut self) -> bool {
        self.cache().is_some_and(|cache| cache.is_outdated())
    }

    /// Returns whether the server ended the connection because a transaction took too long.
    pub(crate) fn is_overlong(&mut self) -> bool {
        self.cache().is_some_and(|cache| cache.is_overlong())
    }

    /// Notes that a statement which the caller prepared was outdated.
    pub(crate) fn mark_outdated(&mut self) {
        if let Some(cache) = self.cache() {
            cache.mark_outdated();
        }
    }

    /// Notes that statements from now on are ours.
    fn unwatch(&mut self) {
        let Some(cache) = self.cache() else {
            return;
        };
        cache.caller_sql.unwatch();
        if cache.caller_sql.is_spoiling() {
            cache.mark_spoilt();
            if let TransactionState::Begun(transaction) = self {
                transaction.mode = CallMode::Inline;
            }
        }
    }

    /// Returns whether the caller's SQL was seen to end the transaction, and then whether it was
    /// committed.
    pub(crate) fn was_ended(&mut self) -> Option<bool> {
        if !matches!(self, TransactionState::Begun(_) | TransactionState::Lazy(_)) {
            return None;
        }
        self.caller_sql()?.has_ended()
    }

    /// Takes the side effects of the caller's SQL since the last call. Statements from now on are
    /// ours.
    pub(crate) fn take_side_effects(&mut self) -> SideEffects {
        self.unwatch();
        let is_open = matches!(self, TransactionState::Begun(_) | TransactionState::Lazy(_));
        let did = self.cache().map(|cache| cache.caller_sql.take());
        let did = did.unwrap_or_default();
        match is_open {
            true => did,
            false => did.without(SideEffects::ENDED),
        }
    }

    /// Returns what is known of callers' SQL on a connection of ours; `None` for the caller's own.
    pub(crate) fn caller_sql(&mut self) -> Option<&CallerSql> {
        self.cache().map(|cache| &cache.caller_sql)
    }

    /// Searches a text of the caller's for side effects that the server does not report.
    pub(crate) fn note(&mut self, text: &str) {
        if let Some(cache) = self.cache() {
            cache.caller_sql.note(text);
        }
    }

    /// Notes that the connection was restored.
    pub(crate) fn unlock(&mut self) {
        if let Some(cache) = self.cache() {
            cache.caller_sql.unlock();
        }
    }

    /// Returns whether the connection must not be used after this transaction.
    pub(crate) fn is_spent(&mut self) -> bool {
        self.cache()
            .is_some_and(|cache| cache.is_stale() || cache.caller_sql.is_locked())
    }

    /// Notes that the connection must not be used again.
    pub(crate) fn mark_stale(&mut self) {
        if let Some(cache) = self.cache() {
            cache.mark_stale();
        }
    }

    pub(super) fn cache(&mut self) -> Option<&mut StatementCache> {
        match self {
            TransactionState::Idle(connection) | TransactionState::Leased(connection) => {
                Some(connection.parts().1)
            }
            TransactionState::Begun(transaction) => Some(transaction.cache),
            TransactionState::Lazy(transaction) => Some(transaction.connection().parts().1),
            TransactionState::Joined(_) | TransactionState::Broken => None,
        }
    }

    /// Ends the object after a flight that ended with COMMIT. Sends nothing.
    pub(crate) fn committed(self) {
        match self {
            TransactionState::Begun(transaction) => transaction.committed(),
            TransactionState::Lazy(transaction) => transaction.committed(),
            _ => {}
        }
    }

    /// Returns our own open transaction, which a handler's session always has.
    pub(crate) fn own(&mut self) -> Result<&mut OpenTransaction<'c>> {
        self.unwatch();
        match self {
            TransactionState::Begun(transaction) => Ok(transaction),
            _ => Err(broken()),
        }
    }
}

fn broken() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "the session has no open transaction: its BEGIN failed, try again",
    )
}
