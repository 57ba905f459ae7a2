//! Running a statement of ours on the driver's client or transaction.

use crate::connect::statement_cache::StatementCache;
use crate::db::{CallMode, Params, Statement};
use crate::schema::name::SchemaName;
use crate::words::DriverResult;
use postgres::types::{ToSql, Type};
use postgres::{GenericClient, Row};
use std::io::Write;

/// Runs a statement of ours: prepared where that is of use, else unnamed with its types, which
/// is one round trip too.
pub(crate) fn rows<C: GenericClient>(
    client: &mut C,
    cache: &mut StatementCache,
    mode: CallMode,
    statement: &Statement,
    params: Params<'_>,
) -> DriverResult<Vec<Row>> {
    if mode == CallMode::Inline || statement.is_planned_anew() {
        return rows_once(client, &cache.schema, statement, params);
    }
    let prepared = cache.ours(client, statement)?;
    cache.heed(prepared.is_older, client.query(&prepared.statement, params))
}

/// Like [`rows`], for the number of rows.
pub(crate) fn count<C: GenericClient>(
    client: &mut C,
    cache: &mut StatementCache,
    mode: CallMode,
    statement: &Statement,
    params: Params<'_>,
) -> DriverResult<u64> {
    if mode == CallMode::Inline || statement.is_planned_anew() {
        return count_once(client, &cache.schema, statement, params);
    }
    let prepared = cache.ours(client, statement)?;
    cache.heed(
        prepared.is_older,
        client.execute(&prepared.statement, params),
    )
}

/// Runs a statement of ours that does not stay prepared.
pub(crate) fn rows_once<C: GenericClient>(
    client: &mut C,
    schema: &SchemaName,
    statement: &Statement,
    params: Params<'_>,
) -> DriverResult<Vec<Row>> {
    client.query_typed(&statement.text(schema), &typed(statement, params))
}

/// Like [`rows_once`], for the number of rows.
pub(crate) fn count_once<C: GenericClient>(
    client: &mut C,
    schema: &SchemaName,
    statement: &Statement,
    params: Params<'_>,
) -> DriverResult<u64> {
    client.execute_typed(&statement.text(schema), &typed(statement, params))
}

/// Runs one of the caller's own statements, prepared on its first use; returns how many rows it
/// touched.
pub(crate) fn execute_own<C: GenericClient>(
    client: &mut C,
    cache: &mut StatementCache,
    mode: CallMode,
    text: &str,
    params: Params<'_>,
) -> DriverResult<u64> {
    if mode == CallMode::Inline {
        return cache.heed(false, client.execute(text, params));
    }
    let prepared = cache.get(client, text)?;
    cache.heed(
        prepared.is_older,
        client.execute(&prepared.statement, params),
    )
}

/// Like [`execute_own`], for rows.
pub(crate) fn query_own<C: GenericClient>(
    client: &mut C,
    cache: &mut StatementCache,
    mode: CallMode,
    text: &str,
    params: Params<'_>,
) -> DriverResult<Vec<Row>> {
    if mode == CallMode::Inline {
        return cache.heed(false, client.query(text, params));
    }
    let prepared = cache.get(client, text)?;
    cache.heed(prepared.is_older, client.query(&prepared.statement, params))
}

/// Runs a COPY from `rows`, prepared.
pub(crate) fn copy<C: GenericClient>(
    client: &mut C,
    cache: &mut StatementCache,
    statement: &Statement,
    rows: &[u8],
) -> DriverResult<()> {
    let prepared = cache.ours(client, statement)?;
    let mut writer = cache.heed(prepared.is_older, client.copy_in(&prepared.statement))?;
    if let Err(error) = writer.write_all(rows) {
        // Without an end, so that the server takes none of it.
        return Err(error
            .downcast()
            .expect("the writer wraps the driver's error"));
    }
    cache.heed(prepared.is_older, writer.finish().map(drop))
}

fn typed<'a>(statement: &Statement, params: Params<'a>) -> Vec<(&'a (dyn ToSql + Sync), Type)> {
    params
        .iter()
        .copied()
        .zip(statement.types().iter().cloned())
        .collect()
}
