//! A parameter of the caller's as a literal, so that its statement can travel as text.
//!
//! The driver gives a parameter in binary form, for the type that the server inferred. Types of which
//! that form is plain are turned into text here; all others are left to the driver, which costs a
//! round trip more and is otherwise the same.

use crate::store::call::Value;
use bytes::BytesMut;
use postgres::types::{IsNull, ToSql, Type};
use uuid::Uuid;

/// Bytes of a parameter above which the round trip is cheaper than the quoting.
const MAX_BYTES: usize = 8 << 10;

/// Appends `parameter` as a literal for a parameter of type `kind`. Returns `None`, with `sql` as it
/// was, where that is not possible; the driver then takes it, or says what is wrong with it.
pub(crate) fn push_literal(
    sql: &mut String,
    kind: &Type,
    parameter: &(dyn ToSql + Sync),
) -> Option<()> {
    let mut binary = BytesMut::new();
    if let IsNull::Yes = parameter.to_sql_checked(kind, &mut binary).ok()? {
        Value::Null.push(sql);
        return Some(());
    }
    if binary.len() > MAX_BYTES {
        return None;
    }
    value(kind, &binary)?.push(sql);
    Some(())
}

/// Reads the binary form of a type.
fn value<'a>(kind: &Type, binary: &'a [u8]) -> Option<Value<'a>> {
    Some(match *kind {
        Type::BOOL => Value::Text(if binary == [0] { "f" } else { "t" }),
        Type::INT2 => Value::Number(i16::from_be_bytes(binary.try_into().ok()?).into()),
        Type::INT4 => Value::Number(i32::from_be_bytes(binary.try_into().ok()?).into()),
        Type::INT8 => Value::Number(i64::from_be_bytes(binary.try_into().ok()?)),
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::JSON => text(binary)?,
        // Its binary form begins with a version, of which there is one.
        Type::JSONB => text(binary.strip_prefix(&[1])?)?,
        Type::UUID => Value::Uuid(Uuid::from_slice(binary).ok()?),
        Type::BYTEA => Value::Bytes(binary),
        _ => return None,
    })
}

/// A text query ends at a NUL; the driver's way gets the server's error for it.
fn text(binary: &[u8]) -> Option<Value<'_>> {
    let text = std::str::from_utf8(binary).ok()?;
    (!text.contains('\0')).then_some(Value::Text(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    #[track_caller]
    fn check(kind: Type, parameter: &(dyn ToSql + Sync), expected: Option<&str>) {
        let mut sql = String::new();
        let pushed = push_literal(&mut sql, &kind, parameter);
        assert_eq!(pushed.map(|()| sql.as_str()), expected);
        assert!(pushed.is_some() || sql.is_empty(), "{sql}");
    }

    #[test]
    fn plain_types_become_literals() {
        check(Type::BOOL, &true, Some("E't'"));
        check(Type::BOOL, &false, Some("E'f'"));
        check(Type::INT2, &i16::MIN, Some("'-32768'"));
        check(Type::INT4, &i32::MIN, Some("'-2147483648'"));
        check(Type::INT8, &i64::MIN, Some("'-9223372036854775808'"));
        check(Type::TEXT, &r"it's a \", Some(r"E'it''s a \\'"));
        check(Type::VARCHAR, &"", Some("E''"));
        check(
            Type::UUID,
            &Uuid::nil(),
            Some("'00000000-0000-0000-0000-000000000000'"),
        );
        check(Type::BYTEA, &[0_u8, 92].as_slice(), Some(r"E'\\x005c'"));
        check(Type::TEXT, &None::<String>, Some("NULL"));
    }

    #[test]
    fn the_version_of_binary_json_is_left_out() {
        let json = value(&Type::JSONB, b"\x01{}");
        assert!(matches!(json, Some(Value::Text("{}"))));
        assert!(value(&Type::JSONB, b"\x02{}").is_none());
    }

    #[test]
    fn all_else_is_left_to_the_driver() {
        check(Type::TIMESTAMPTZ, &SystemTime::UNIX_EPOCH, None);
        check(Type::FLOAT8, &1.5, None);
        check(Type::TEXT, &"a\0b", None);
        check(Type::TEXT, &"x".repeat(MAX_BYTES + 1), None);
        // A type that does not fit: the driver says so.
        check(Type::INT4, &"7", None);
    }
}
