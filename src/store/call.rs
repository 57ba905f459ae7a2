//! Statements as text, so that several travel in one flight.
//!
//! The driver cannot pipeline, but a simple query may hold many statements: `RELEASE …; ack;
//! COMMIT; BEGIN; claim` is one round trip instead of five (measured: 268 µs a message against 476
//! with prepared statements one by one). On a connection of our own the statements are prepared by
//! name and a call is an `EXECUTE`, so nothing is planned again; behind a pooler, which may hand
//! each transaction to another server process, the whole text travels.

use crate::store::statement::Statement;
use postgres::types::Type;
use std::fmt::{self, Write};
use uuid::Uuid;

/// Commits only a transaction that is still whole: a statement in an aborted one fails, whereas
/// COMMIT alone would "succeed" by rolling back.
pub(crate) const PROVE_AND_COMMIT: &str = "SELECT 1; COMMIT";

/// How the literal of a value begins that must not get into the server's log. It means the same as `E'`, which begins those
/// of topics and other names, and is in no text by chance.
pub(crate) const PRIVATE: &str = "/**/e'";

/// How a statement is called from text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallMode {
    /// `EXECUTE` of a statement that [`prepare`] made on this connection.
    Prepared,
    /// The statement's own text.
    Inline,
}

/// A value that becomes a quoted literal. All are quoted, numbers too: the cast beside the
/// parameter gives the type, and `-32768::smallint` without quotes would overflow.
pub(crate) enum Value<'a> {
    Null,
    /// A name: of a topic, say.
    Text(&'a str),
    /// What is in a message, or in a handler's row.
    Private(&'a str),
    Number(i64),
    Numbers(Vec<i64>),
    MaybeNumbers(Vec<Option<i64>>),
    Uuid(Uuid),
    Texts(Vec<Option<&'a str>>),
    Privates(Vec<Option<&'a str>>),
    Uuids(Vec<Uuid>),
    Bytes(&'a [u8]),
    MaybeBytes(Vec<Option<&'a [u8]>>),
}

impl Value<'_> {
    pub(crate) fn push(&self, sql: &mut String) {
        let written = match self {
            Value::Null => {
                sql.push_str("NULL");
                Ok(())
            }
            Value::Text(text) => {
                push_quoted(sql, NAME, text);
                Ok(())
            }
            Value::Private(text) => {
                push_quoted(sql, PRIVATE, text);
                Ok(())
            }
            Value::Number(number) => write!(sql, "'{number}'"),
            Value::Numbers(numbers) => push_array(sql, numbers),
            Value::Uuid(uuid) => write!(sql, "'{uuid}'"),
            Value::Texts(texts) => {
                push_texts(sql, NAME, texts);
                Ok(())
            }
            Value::Privates(texts) => {
                push_texts(sql, PRIVATE, texts);
                Ok(())
            }
            Value::MaybeNumbers(numbers) => push_maybe_numbers(sql, numbers),
            Value::MaybeBytes(items) => push_bytes(sql, items),
            Value::Uuids(uuids) => push_array(sql, uuids),
            Value::Bytes(bytes) => push_hex(sql, bytes),
        };
        written.expect("writing to a string cannot fail");
    }
}

/// How the literal of a name begins.
const NAME: &str = "E'";

/// Appends text as an `E''` literal, which reads the same whatever `standard_conforming_strings` is.
fn push_quoted(sql: &mut String, start: &str, text: &str) {
    sql.push_str(start);
    let mut rest = text;
    while let Some(at) = rest.find(['\'', '\\']) {
        // Either is one byte, and is doubled.
        sql.push_str(&rest[..=at]);
        sql.push_str(&rest[at..=at]);
        rest = &rest[at + 1..];
    }
    sql.push_str(rest);
    sql.push('\'');
}

/// Appends an array as an expression: inside a literal, texts would have to be quoted twice.
fn push_texts(sql: &mut String, start: &str, texts: &[Option<&str>]) {
    sql.push_str("ARRAY[");
    for (index, text) in texts.iter().enumerate() {
        sql.push_str(if index > 0 { "," } else { "" });
        match text {
            Some(text) => push_quoted(sql, start, text),
            None => sql.push_str("NULL"),
        }
    }
    sql.push_str("]::text[]");
}

/// The same for bytes.
fn push_bytes(sql: &mut String, items: &[Option<&[u8]>]) -> fmt::Result {
    sql.push_str("ARRAY[");
    for (index, bytes) in items.iter().enumerate() {
        sql.push_str(if index > 0 { "," } else { "" });
        match bytes {
            Some(bytes) => push_hex(sql, bytes)?,
            None => sql.push_str("NULL"),
        }
    }
    sql.push_str("]::bytea[]");
    Ok(())
}

/// Appends an array of what needs no quotes.
fn push_array<T: fmt::Display>(sql: &mut String, items: &[T]) -> fmt::Result {
    sql.push_str("'{");
    for (index, item) in items.iter().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        write!(sql, "{comma}{item}")?;
    }
    sql.push_str("}'");
    Ok(())
}

/// The same with gaps, as an expression: what NULL means inside a literal is a setting, `array_nulls`.
fn push_maybe_numbers(sql: &mut String, numbers: &[Option<i64>]) -> fmt::Result {
    sql.push_str("ARRAY[");
    for (index, number) in numbers.iter().enumerate() {
        sql.push_str(if index > 0 { "," } else { "" });
        match number {
            Some(number) => write!(sql, "'{number}'")?,
            None => sql.push_str("NULL"),
        }
    }
    sql.push_str("]::bigint[]");
    Ok(())
}

fn push_hex(sql: &mut String, bytes: &[u8]) -> fmt::Result {
    sql.push_str(PRIVATE);
    sql.push_str(r"\\x");
    for byte in bytes {
        write!(sql, "{byte:02x}")?;
    }
    sql.push('\'');
    Ok(())
}

/// What comes after a hot call in its transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// SQL of the caller, which is to be planned as ever.
    CallersSql,
    /// COMMIT, which puts the settings back by itself.
    Commit,
}

/// How a statement of the hot path is to be carried out, however few rows there are when it is planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Path {
    /// One row by its whole key.
    Key,
    /// The first rows in the order of an index, and nothing joined to them.
    Head,
    /// Rows in the order of an index, as many as are asked for.
    Order,
    /// Several rows, each by its whole key.
    Keys,
}

impl Path {
    /// Returns what the planner is kept from. Each setting costs some microseconds, so there are no more than needed.
    fn settings(self) -> &'static [(&'static str, &'static str)] {
        const ALL: [(&str, &str); 5] = [
            ("enable_seqscan", "off"),
            ("plan_cache_mode", "force_generic_plan"),
            ("enable_bitmapscan", "off"),
            ("enable_hashjoin", "off"),
            ("enable_mergejoin", "off"),
        ];
        match self {
            Path::Key => &ALL[..1],
            // Whatever does not follow the index has to sort.
            Path::Head => &[
                ("enable_sort", "off"),
                ("plan_cache_mode", "force_generic_plan"),
            ],
            Path::Order => &ALL[..3],
            Path::Keys => &ALL,
        }
    }
}

/// Appends a call of a statement of the hot path, planned once for the connection and never by reading a whole
/// topic; what the caller's own SQL is planned with stays as it is.
///
/// Left to itself the planner makes a new plan each time, because the parameters of an array or
/// LIMIT look costly when unknown (measured: 140 µs of a claim's 450). And a plan that was made while
/// the table was nearly empty would scan it from end to end when it is full, until the next ANALYZE: it sorts all of a
/// topic for a claim, or joins all of it with what is acknowledged (measured with eight workers at 10,000
/// ready messages: 20 ms for a claim that takes 1.2 ms).
pub(crate) fn push_hot_call(
    sql: &mut String,
    mode: CallMode,
    path: Path,
    statement: &Statement,
    values: &[Value<'_>],
    next: Next,
) {
    if mode == CallMode::Inline {
        return push_call(sql, mode, statement, values);
    }
    for (name, value) in path.settings() {
        sql.push_str("SET LOCAL ");
        sql.push_str(name);
        sql.push_str(" = ");
        sql.push_str(value);
        sql.push(';');
    }
    push_call(sql, mode, statement, values);
    if next == Next::CallersSql {
        for (name, _) in path.settings() {
            sql.push_str("SET LOCAL ");
            sql.push_str(name);
            sql.push_str(" TO DEFAULT;");
        }
    }
}

/// Appends a call of `statement` and a semicolon.
pub(crate) fn push_call(
    sql: &mut String,
    mode: CallMode,
    statement: &Statement,
    values: &[Value<'_>],
) {
    match mode {
        CallMode::Prepared => {
            sql.push_str("EXECUTE outtray_");
            sql.push_str(statement.name());
            push_arguments(sql, values);
        }
        CallMode::Inline => statement.push_text(sql, values),
    }
    sql.push_str(";\n");
}

fn push_arguments(sql: &mut String, values: &[Value<'_>]) {
    for (index, value) in values.iter().enumerate() {
        sql.push(if index == 0 { '(' } else { ',' });
        value.push(sql);
    }
    if !values.is_empty() {
        sql.push(')');
    }
}

/// Returns the text that prepares `statement` for [`CallMode::Prepared`].
pub(crate) fn prepare(statement: &Statement) -> String {
    let types: Vec<&str> = statement.types().iter().map(sql_name).collect();
    format!(
        "PREPARE outtray_{} ({}) AS {};",
        statement.name(),
        types.join(", "),
        statement.text()
    )
}

fn sql_name(kind: &Type) -> &str {
    // PostgreSQL takes its internal names in SQL too: `int8`, `_int8` for the array.
    kind.name()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: Value<'_>, expected: &str) {
        let mut literal = String::new();
        value.push(&mut literal);
        assert_eq!(literal, expected);
    }

    #[test]
    fn values_become_quoted_literals() {
        check(Value::Text("a'b\\c"), r"E'a''b\\c'");
        check(Value::Null, "NULL");
        check(Value::Private("a'b\\c"), r"/**/e'a''b\\c'");
        check(Value::Bytes(&[0, 255]), r"/**/e'\\x00ff'");
        check(
            Value::Uuid(Uuid::max()),
            "'ffffffff-ffff-ffff-ffff-ffffffffffff'",
        );
        check(Value::Number(-32768), "'-32768'");
        check(Value::Numbers(vec![1, -2]), "'{1,-2}'");
        check(Value::Numbers(vec![]), "'{}'");
        check(
            Value::MaybeNumbers(vec![None, Some(-2)]),
            "ARRAY[NULL,'-2']::bigint[]",
        );
    }

    #[test]
    fn a_call_is_an_execute_or_the_text() {
        let statement = Statement::new("example", "SELECT $1::text, $2::bigint[]");
        let values = [Value::Text("t"), Value::Numbers(vec![7])];

        let mut prepared = String::new();
        push_call(&mut prepared, CallMode::Prepared, &statement, &values);
        assert_eq!(prepared, "EXECUTE outtray_example(E't','{7}');\n");

        let mut inline = String::new();
        push_call(&mut inline, CallMode::Inline, &statement, &values);
        assert_eq!(inline, "SELECT E't'::text, '{7}'::bigint[];\n");

        assert_eq!(
            prepare(&statement),
            "PREPARE outtray_example (text, _int8) AS SELECT $1::text, $2::bigint[];"
        );
    }
}
