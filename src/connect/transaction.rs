//! An open transaction on a connection of ours, with that connection's prepared statements.

use crate::connect::bind_values::{Request, Step};
use crate::connect::connection::{copy, count, prepare_missing, rows};
use crate::connect::literal::text_of;
use crate::connect::statement_cache::{Call, StatementCache};
use crate::store::call::{CallMode, Value};
use crate::store::run::{Params, Run};
use crate::store::statement::Statement;
use postgres::types::Type;
use postgres::{Row, SimpleQueryMessage, SimpleQueryRow, Transaction};

/// A transaction that was begun by us. Rolls back when it is dropped, which blocks for a round trip.
pub(crate) struct OpenTransaction<'c> {
    pub(crate) transaction: Transaction<'c>,
    pub(crate) cache: &'c mut StatementCache,
    pub(crate) mode: CallMode,
}

impl<'c> OpenTransaction<'c> {
    /// Makes statements ready for calls as text; a no-op behind a pooler.
    pub(crate) fn prepare_calls(
        &mut self,
        statements: &[&Statement],
    ) -> Result<(), crate::words::Error> {
        if self.mode == CallMode::Inline {
            return Ok(());
        }
        let transaction = &mut self.transaction;
        prepare_missing(self.cache, statements, |sql| transaction.batch_execute(sql))
    }

    /// Runs one of the caller's own statements, prepared on its first use.
    pub(crate) fn execute(
        &mut self,
        text: &str,
        params: Params<'_>,
    ) -> Result<u64, postgres::Error> {
        if self.mode == CallMode::Inline {
            return self
                .cache
                .heed(false, self.transaction.execute(text, params));
        }
        let transaction = &mut self.transaction;
        let prepared = self.cache.get(text, |text| transaction.prepare(text))?;
        self.cache.heed(
            prepared.is_older,
            transaction.execute(&prepared.statement, params),
        )
    }

    /// Runs `before`, which returns no rows, and then one of the caller's own statements, in one flight.
    /// Returns `None`, with nothing sent, if the statement cannot travel as text.
    pub(crate) fn execute_after(
        &mut self,
        before: &str,
        text: &str,
        params: Params<'_>,
    ) -> Option<Result<u64, postgres::Error>> {
        if self.mode == CallMode::Inline || !can_be_called(text) {
            return None;
        }
        let values = values(self.cache.types(text)?, params)?;
        let call = self.cache.call(text)?;
        let (Call::Prepared(name) | Call::New(name)) = &call;
        let is_older = matches!(call, Call::Prepared(_));
        let new = (!is_older).then_some(text);
        let transaction = &mut self.transaction;
        let messages = match self.cache.flies_apart() {
            true => {
                let request = apart(before, new, name, values);
                self.cache.fly_apart(transaction, self.mode, vec![request])
            }
            false => transaction.simple_query(&in_one_text(before, new, name, &values)),
        };
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

    /// Like [`execute`](Self::execute), for rows.
    pub(crate) fn query(
        &mut self,
        text: &str,
        params: Params<'_>,
    ) -> Result<Vec<Row>, postgres::Error> {
        if self.mode == CallMode::Inline {
            return self.cache.heed(false, self.transaction.query(text, params));
        }
        let transaction = &mut self.transaction;
        let prepared = self.cache.get(text, |text| transaction.prepare(text))?;
        self.cache.heed(
            prepared.is_older,
            transaction.query(&prepared.statement, params),
        )
    }

    /// Returns whether the server answers, also in a transaction that failed.
    pub(crate) fn is_alive(&mut self) -> bool {
        self.transaction.batch_execute("").is_ok()
    }

    /// Sends several statements in one flight and returns the rows of all of them.
    ///
    /// The flight may hold `COMMIT; BEGIN …`: the transaction object goes on with the new
    /// transaction. An error anywhere ends the flight there.
    pub(crate) fn flight(&mut self, sql: &str) -> Result<Vec<SimpleQueryRow>, postgres::Error> {
        let messages = self.cache.fly(&mut self.transaction, self.mode, sql);
        let messages = self.cache.heed(true, messages)?;
        self.cache.next_transaction();
        Ok(messages
            .into_iter()
            .filter_map(|message| match message {
                SimpleQueryMessage::Row(row) => Some(row),
                _ => None,
            })
            .collect())
    }

    /// Ends the object after a flight that ended with COMMIT. Nothing is sent.
    ///
    /// Its destructor would send a ROLLBACK, harmless and a round trip long. The object owns no
    /// memory, so forgetting it leaks nothing.
    pub(crate) fn committed(self) {
        std::mem::forget(self.transaction);
    }
}

impl Run for OpenTransaction<'_> {
    fn rows(
        &mut self,
        statement: &Statement,
        params: Params<'_>,
    ) -> Result<Vec<Row>, postgres::Error> {
        rows(
            &mut self.transaction,
            Some(self.cache),
            self.mode,
            statement,
            params,
        )
    }

    fn count(&mut self, statement: &Statement, params: Params<'_>) -> Result<u64, postgres::Error> {
        count(
            &mut self.transaction,
            Some(self.cache),
            self.mode,
            statement,
            params,
        )
    }

    fn copy(
        &mut self,
        statement: &Statement,
        rows: &dyn Fn() -> Vec<u8>,
    ) -> Option<Result<(), postgres::Error>> {
        let is_prepared = self.mode == CallMode::Prepared;
        is_prepared.then(|| copy(&mut self.transaction, self.cache, statement, &rows()))
    }
}

/// Returns the parameters as texts, or `None` if one cannot be a text.
fn values(types: &[Type], params: Params<'_>) -> Option<Vec<Option<String>>> {
    if types.len() != params.len() {
        return None;
    }
    let each = types.iter().zip(params);
    each.map(|(kind, param)| text_of(kind, *param)).collect()
}

/// Returns a call after others, in which a `new` statement is prepared before it is called.
fn apart(before: &str, new: Option<&str>, name: &str, values: Vec<Option<String>>) -> Request {
    let before = before.split("; ");
    let mut steps: Vec<Step> = before
        .map(|text| Step::Text(text.to_owned(), Vec::new()))
        .collect();
    steps.extend(new.map(|text| Step::Prepare(name.to_owned(), text.to_owned())));
    steps.push(Step::Call(name.to_owned(), values));
    Request::Apart(steps)
}

/// The same as one text.
fn in_one_text(before: &str, new: Option<&str>, name: &str, values: &[Option<String>]) -> String {
    let mut sql = format!("{before};\n");
    if let Some(text) = new {
        // The text may end in a comment.
        sql.push_str(&format!("PREPARE {name} AS {text}\n;\n"));
    }
    sql.push_str("EXECUTE ");
    sql.push_str(name);
    for (index, value) in values.iter().enumerate() {
        sql.push(if index == 0 { '(' } else { ',' });
        value
            .as_deref()
            .map_or(Value::Null, Value::Private)
            .push(&mut sql);
    }
    if !values.is_empty() {
        sql.push(')');
    }
    sql
}

/// Returns whether SQL's own PREPARE takes a text that the driver could prepare, and no rows come back:
/// those of a text query would all be kept in memory.
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
