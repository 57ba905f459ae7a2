//! What can run a statement of ours: a connection, or a transaction.

use crate::db::flight::Flight;
use crate::db::statement::Statement;
use crate::words::{Doing, DriverResult, Result, classify};
use postgres::Row;
use postgres::types::{FromSql, FromSqlOwned, ToSql};

/// Parameters in the driver's form.
pub(crate) type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// Rows that one statement removes: its locks are held for some tens of milliseconds.
pub(crate) const BATCH: i64 = 4000;

/// What an error says of the removal of such rows.
pub(crate) const PRUNING: &str = "removing what is over";

/// Runs one statement. Implemented where connections and their prepared statements live.
pub(crate) trait Run {
    /// Runs a statement and returns its rows. One round trip once it is prepared.
    fn rows(&mut self, statement: &Statement, params: Params<'_>) -> DriverResult<Vec<Row>>;

    /// Runs a statement and returns how many rows it touched.
    fn count(&mut self, statement: &Statement, params: Params<'_>) -> DriverResult<u64>;

    /// Runs commands in one round trip.
    fn commands(&mut self, commands: &[&'static Statement]) -> DriverResult<()>;

    /// Returns whether [`copy`](Self::copy) takes one round trip once it is prepared.
    fn copies_at_once(&self) -> bool {
        false
    }

    /// Runs a COPY from rows in its binary format. Two round trips once it is prepared, or one.
    /// Returns `None`, with nothing sent, where nothing can stay prepared: on a caller's
    /// connection, and behind a pooler.
    fn copy(
        &mut self,
        statement: &'static Statement,
        rows: &dyn Fn() -> Vec<u8>,
    ) -> Option<DriverResult<()>> {
        let _ = (statement, rows);
        None
    }

    /// Runs several statements, which `fill` appends, in one flight. Returns `None`, with nothing
    /// sent, where values would travel as texts, or nothing can stay prepared.
    fn fly_calls(&mut self, fill: &mut dyn FnMut(&mut Flight)) -> Option<DriverResult<()>> {
        let _ = fill;
        None
    }
}

/// Runs a statement; an error says what was being done.
pub(crate) fn query(
    run: &mut dyn Run,
    statement: &Statement,
    params: Params<'_>,
    doing: &str,
) -> Result<Vec<Row>> {
    run.rows(statement, params).doing(doing)
}

/// Runs a statement that returns no rows; an error says what was being done.
pub(crate) fn execute(
    run: &mut dyn Run,
    statement: &Statement,
    params: Params<'_>,
    doing: &str,
) -> Result<u64> {
    run.count(statement, params).doing(doing)
}

/// Reads a column of the first row; `None` without rows.
pub(crate) fn first<T: FromSqlOwned>(rows: &[Row], name: &str) -> Result<Option<T>> {
    rows.first().map(|row| column(row, name)).transpose()
}

/// Reads one column of all rows.
pub(crate) fn columns<T: FromSqlOwned, C: FromIterator<T>>(rows: &[Row], name: &str) -> Result<C> {
    rows.iter().map(|row| column(row, name)).collect()
}

/// Reads a column; one that is missing or of another type is an error, never a panic.
pub(crate) fn column<'a, T: FromSql<'a>>(row: &'a Row, name: &str) -> Result<T> {
    row.try_get(name)
        .map_err(|error| classify(error, &format!("reading column {name}")))
}
