//! An open transaction on a connection of ours, with that connection's prepared statements.

use crate::connect::execute::{copy, count, rows};
use crate::connect::literal::text_of;
use crate::connect::statement_cache::{Call, StatementCache};
use crate::db::commands::script;
use crate::db::flight::{self, Own, OwnValues, Transport};
use crate::db::protocol::sized;
use crate::db::{CallMode, Flight, Params, Run, Statement};
use crate::words::{Doing, DriverResult, Result};
use bytes::BytesMut;
use postgres::types::{IsNull, Type};
use postgres::{Row, SimpleQueryMessage, SimpleQueryRow, Transaction};

/// A transaction that was begun by us. Rolls back when it is dropped, which blocks for a round
/// trip.
pub(crate) struct OpenTransaction<'c> {
    pub(crate) transaction: Transaction<'c>,
    pub(crate) cache: &'c mut StatementCache,
    pub(crate) mode: CallMode,
}

impl<'c> OpenTransaction<'c> {
    /// Returns a flight for this transaction.
    pub(crate) fn flight(&self) -> Flight {
        self.cache.flight(self.mode)
    }

    /// Runs `before`, which are commands, and then one of the caller's own statements, in one
    /// flight. Returns `None`, with nothing sent, if the statement cannot travel with others.
    pub(crate) fn execute_after(
        &mut self,
        before: &[&'static Statement],
        text: &str,
        params: Params<'_>,
    ) -> Option<DriverResult<u64>> {
        if self.mode == CallMode::Inline || !can_be_called(text) {
            return None;
        }
        let mut flight = self.flight();
        let values = values(flight.transport(), self.cache.types(text)?, params)?;
        let call = self.cache.call(text)?;
        let (Call::Prepared(name) | Call::New(name)) = &call;
        let is_older = matches!(call, Call::Prepared(_));
        flight.commands(before);
        flight.own(Own {
            name,
            new: (!is_older).then_some(text),
            values,
        });
        let messages = self.cache.fly(&mut self.transaction, flight);
        let messages = self.cache.heed(is_older, messages);
        Some(messages.map(|messages| {
            if let Call::New(name) = call {
                self.cache.insert_call(text, name);
            }
            match messages.last() {
                Some(SimpleQueryMessage::CommandComplete(rows)) => *rows,
                _ => 0,
            }
        }))
    }

    /// Returns whether the server answers, also in a transaction that failed.
    pub(crate) fn is_alive(&mut self) -> bool {
        self.transaction.batch_execute("").is_ok()
    }

    /// Sends several statements in one flight and returns the rows of all of them.
    ///
    /// The flight may hold `COMMIT; BEGIN …`: the transaction object goes on with the new
    /// transaction. An error anywhere ends the flight there.
    pub(crate) fn fly(&mut self, flight: Flight) -> DriverResult<Vec<SimpleQueryRow>> {
        let begins = flight.begins();
        let messages = self.cache.fly(&mut self.transaction, flight);
        let messages = self.cache.heed(true, messages)?;
        if begins {
            self.cache.next_transaction();
        }
        Ok(flight::rows(messages))
    }

    /// Runs commands of ours, separated by semicolons.
    pub(crate) fn run(&mut self, commands: &str) -> DriverResult<()> {
        let run = self.transaction.batch_execute(commands);
        self.cache.heed(true, run)
    }

    /// Commits in the flight of its last statements; returns their rows.
    pub(crate) fn commit_in(
        mut self,
        mut flight: Flight,
        doing: &str,
    ) -> Result<Vec<SimpleQueryRow>> {
        flight.commit();
        let rows = self.fly(flight).doing(doing)?;
        self.committed();
        Ok(rows)
    }

    /// Ends the object after a flight that ended with COMMIT. Sends nothing.
    ///
    /// Its destructor would send a ROLLBACK, harmless and a round trip long. The object owns no
    /// memory, so forgetting it leaks nothing.
    pub(crate) fn committed(self) {
        std::mem::forget(self.transaction);
    }
}

impl Run for OpenTransaction<'_> {
    fn rows(&mut self, statement: &Statement, params: Params<'_>) -> DriverResult<Vec<Row>> {
        rows(
            &mut self.transaction,
            self.cache,
            self.mode,
            statement,
            params,
        )
    }

    fn count(&mut self, statement: &Statement, params: Params<'_>) -> DriverResult<u64> {
        count(
            &mut self.transaction,
            self.cache,
            self.mode,
            statement,
            params,
        )
    }

    fn copies_at_once(&self) -> bool {
        self.cache.transport(self.mode).keeps_statements()
    }

    fn copy(
        &mut self,
        statement: &'static Statement,
        rows: &dyn Fn() -> Vec<u8>,
    ) -> Option<DriverResult<()>> {
        if self.copies_at_once() {
            let mut flight = OpenTransaction::flight(self);
            flight.copy(statement, &rows());
            return Some(self.fly(flight).map(drop));
        }
        let is_prepared = self.mode == CallMode::Prepared;
        is_prepared.then(|| copy(&mut self.transaction, self.cache, statement, &rows()))
    }

    fn commands(&mut self, commands: &[&'static Statement]) -> DriverResult<()> {
        self.transaction
            .batch_execute(&script(commands.iter().copied()))
    }

    fn fly_calls(&mut self, fill: &mut dyn FnMut(&mut Flight)) -> Option<DriverResult<()>> {
        let mut flight = OpenTransaction::flight(self);
        let is_kept = flight.transport() == Transport::Protocol(CallMode::Prepared);
        is_kept.then(|| {
            fill(&mut flight);
            self.fly(flight).map(drop)
        })
    }
}

/// Returns the parameters as they travel there; `None` if one cannot.
fn values(transport: Transport, types: &[Type], params: Params<'_>) -> Option<OwnValues> {
    if types.len() != params.len() {
        return None;
    }
    let each = types.iter().zip(params);
    if let Transport::Text(_) = transport {
        let texts = each.map(|(kind, param)| text_of(kind, *param));
        return texts.collect::<Option<_>>().map(OwnValues::Texts);
    }
    let mut values = Vec::new();
    let mut one = BytesMut::new();
    for (kind, param) in each {
        one.clear();
        match param.to_sql_checked(kind, &mut one).ok()? {
            IsNull::Yes => values.extend((-1_i32).to_be_bytes()),
            IsNull::No => sized(&mut values, 0, |to| to.extend_from_slice(&one)),
        }
    }
    Some(OwnValues::Binary(params.len(), values))
}

/// Returns whether SQL's own PREPARE takes a text that the driver could prepare, and no rows come
/// back: those of a text query would all be kept in memory.
fn can_be_called(text: &str) -> bool {
    let first = text.split_ascii_whitespace().next().unwrap_or_default();
    let is_write = ["INSERT", "UPDATE", "DELETE"]
        .iter()
        .any(|word| first.eq_ignore_ascii_case(word));
    let returning = b"RETURNING";
    let mut words = text.as_bytes().windows(returning.len());
    is_write && !words.any(|word| word.eq_ignore_ascii_case(returning))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_without_rows_travel_as_text() {
        for text in [
            "INSERT INTO t VALUES ($1)",
            " update t SET n = 1",
            "Delete FROM t",
        ] {
            assert!(can_be_called(text), "{text}");
        }
        for text in [
            "SELECT 1",
            "WITH a AS (SELECT 1) INSERT INTO t SELECT 1",
            "CREATE TABLE t ()",
            "INSERT INTO t VALUES (1) returning n",
            "",
        ] {
            assert!(!can_be_called(text), "{text}");
        }
    }
}
