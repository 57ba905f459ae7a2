//! Parameter values, in the two forms in which they travel.

use crate::db::protocol::sized;
use postgres::types::{Kind, Type};
use std::fmt::{self, Write};
use uuid::Uuid;

/// A value for a parameter.
pub(crate) enum Value<'a> {
    Null,
    Text(&'a str),
    Number(i64),
    Numbers(Vec<i64>),
    MaybeNumbers(Vec<Option<i64>>),
    Uuid(Uuid),
    Texts(Vec<Option<&'a str>>),
    Uuids(Vec<Uuid>),
    Bytes(&'a [u8]),
    MaybeBytes(Vec<Option<&'a [u8]>>),
}

impl Value<'_> {
    /// Appends it as a quoted literal. Numbers are quoted too: the cast beside the parameter gives
    /// the type, and `-32768::smallint` without quotes would overflow.
    pub(crate) fn push_literal(&self, sql: &mut String) {
        let written = match self {
            Value::Null => sql.write_str("NULL"),
            Value::Text(text) => {
                push_quoted(sql, text);
                Ok(())
            }
            Value::Number(number) => write!(sql, "'{number}'"),
            Value::Numbers(numbers) => push_array(sql, numbers),
            Value::Uuid(uuid) => write!(sql, "'{uuid}'"),
            Value::Texts(texts) => {
                push_texts(sql, texts);
                Ok(())
            }
            Value::MaybeNumbers(numbers) => push_maybe_numbers(sql, numbers),
            Value::MaybeBytes(items) => push_bytes(sql, items),
            Value::Uuids(uuids) => push_array(sql, uuids),
            Value::Bytes(bytes) => push_hex(sql, bytes),
        };
        written.expect("writing to a string cannot fail");
    }

    /// Appends it after its length, in the binary form of `kind`.
    pub(crate) fn push_binary(&self, to: &mut Vec<u8>, kind: &Type) {
        if let Value::Null = self {
            return to.extend((-1_i32).to_be_bytes());
        }
        sized(to, 0, |to| match self {
            Value::Null => {}
            Value::Text(text) => to.extend_from_slice(text.as_bytes()),
            Value::Number(number) => push_number(to, kind, *number),
            Value::Uuid(uuid) => to.extend_from_slice(uuid.as_bytes()),
            Value::Bytes(bytes) => to.extend_from_slice(bytes),
            Value::Numbers(numbers) => {
                let item = item_of(kind);
                push_items(to, &item, numbers.iter().map(Some), |to, number| {
                    push_number(to, &item, *number);
                });
            }
            Value::MaybeNumbers(numbers) => {
                let item = item_of(kind);
                push_items(
                    to,
                    &item,
                    numbers.iter().map(Option::as_ref),
                    |to, number| {
                        push_number(to, &item, *number);
                    },
                );
            }
            Value::Texts(texts) => {
                push_items(to, &Type::TEXT, texts.iter().copied(), |to, text| {
                    to.extend_from_slice(text.as_bytes());
                });
            }
            Value::Uuids(uuids) => {
                push_items(to, &Type::UUID, uuids.iter().map(Some), |to, uuid| {
                    to.extend_from_slice(uuid.as_bytes());
                });
            }
            Value::MaybeBytes(items) => {
                push_items(to, &Type::BYTEA, items.iter().copied(), |to, bytes| {
                    to.extend_from_slice(bytes);
                });
            }
        });
    }
}

/// Appends the values of a statement's parameters in their binary forms, each after its length.
pub(crate) fn push_all(to: &mut Vec<u8>, types: &[Type], values: &[Value<'_>]) {
    for (kind, value) in types.iter().zip(values) {
        value.push_binary(to, kind);
    }
}

/// Appends the binary form of a number. One that `kind` does not hold keeps its eight bytes, which
/// the server refuses.
fn push_number(to: &mut Vec<u8>, kind: &Type, number: i64) {
    let narrow = match *kind {
        Type::INT2 => i16::try_from(number).map(|number| to.extend(number.to_be_bytes())),
        Type::INT4 => i32::try_from(number).map(|number| to.extend(number.to_be_bytes())),
        Type::BOOL => u8::try_from(number).map(|number| to.push(number)),
        _ => return to.extend(number.to_be_bytes()),
    };
    if narrow.is_err() {
        to.extend(number.to_be_bytes());
    }
}

/// Returns the type of the items of an array.
fn item_of(kind: &Type) -> Type {
    match kind.kind() {
        Kind::Array(item) => item.clone(),
        _ => kind.clone(),
    }
}

/// Appends the binary form of an array: dimensions, whether there are gaps, the type, the length,
/// the first index, the items.
fn push_items<T>(
    to: &mut Vec<u8>,
    item: &Type,
    items: impl ExactSizeIterator<Item = Option<T>> + Clone,
    push: impl Fn(&mut Vec<u8>, T),
) {
    let length = i32::try_from(items.len()).unwrap_or(i32::MAX);
    let has_gaps = items.clone().any(|item| item.is_none());
    to.extend(i32::from(length > 0).to_be_bytes());
    to.extend(i32::from(has_gaps).to_be_bytes());
    to.extend(item.oid().to_be_bytes());
    if length == 0 {
        return;
    }
    to.extend(length.to_be_bytes());
    to.extend(1_i32.to_be_bytes());
    for item in items {
        match item {
            Some(item) => sized(to, 0, |to| push(to, item)),
            None => to.extend((-1_i32).to_be_bytes()),
        }
    }
}

/// Appends text as an `E''` literal, which reads the same whatever `standard_conforming_strings`
/// is.
fn push_quoted(sql: &mut String, text: &str) {
    sql.push_str("E'");
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
fn push_texts(sql: &mut String, texts: &[Option<&str>]) {
    sql.push_str("ARRAY[");
    for (index, text) in texts.iter().enumerate() {
        sql.push_str(if index > 0 { "," } else { "" });
        match text {
            Some(text) => push_quoted(sql, text),
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

/// The same with gaps, as an expression: what NULL means inside a literal is a setting,
/// `array_nulls`.
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
    sql.push_str(r"E'\\x");
    for byte in bytes {
        write!(sql, "{byte:02x}")?;
    }
    sql.push('\'');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: Value<'_>, expected: &str) {
        let mut literal = String::new();
        value.push_literal(&mut literal);
        assert_eq!(literal, expected);
    }

    #[test]
    fn values_become_quoted_literals() {
        check(Value::Text("a'b\\c"), r"E'a''b\\c'");
        check(Value::Null, "NULL");
        check(Value::Bytes(&[0, 255]), r"E'\\x00ff'");
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

    #[track_caller]
    fn check_binary(value: Value<'_>, kind: Type, expected: &[u8]) {
        let mut binary = Vec::new();
        value.push_binary(&mut binary, &kind);
        let length = i32::try_from(expected.len()).unwrap();
        assert_eq!(binary, [&length.to_be_bytes(), expected].concat());
    }

    #[test]
    fn values_have_the_binary_form_of_their_types() {
        check_binary(Value::Text("a'b"), Type::TEXT, b"a'b");
        check_binary(Value::Number(-2), Type::INT2, &[255, 254]);
        check_binary(Value::Number(-2), Type::INT4, &[255, 255, 255, 254]);
        check_binary(Value::Number(1), Type::BOOL, &[1]);
        check_binary(
            Value::Numbers(vec![]),
            Type::INT8_ARRAY,
            &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 20],
        );
        let gaps = [
            0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 25, 0, 0, 0, 2, 0, 0, 0, 1, 255, 255, 255, 255, 0, 0,
            0, 1, b'x',
        ];
        check_binary(Value::Texts(vec![None, Some("x")]), Type::TEXT_ARRAY, &gaps);
        // One that is too large is left to the server to refuse.
        check_binary(Value::Number(40_000), Type::INT2, &40_000_i64.to_be_bytes());
    }
}
