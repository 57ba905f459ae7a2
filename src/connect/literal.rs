//! A caller's parameter as a literal, so that its statement can travel as text.
//!
//! The driver gives a parameter in binary form, for the type that the server inferred. Types whose
//! binary form is simple are turned into text here. All others are left to the driver, which costs
//! one more round trip and is otherwise the same.

use bytes::BytesMut;
use postgres::types::{IsNull, ToSql, Type};
use std::fmt::Write;
use uuid::Uuid;

/// Bytes of a parameter above which the round trip is cheaper than the quoting.
const MAX_BYTES: usize = 8 << 10;

/// Returns `parameter`, of type `kind`, as a text that the server reads as one. Returns `None`
/// where there is none for it; the driver then takes it, or says what is wrong with it.
pub(crate) fn text_of(kind: &Type, parameter: &(dyn ToSql + Sync)) -> Option<Option<String>> {
    let mut binary = BytesMut::new();
    if let IsNull::Yes = parameter.to_sql_checked(kind, &mut binary).ok()? {
        return Some(None);
    }
    if binary.len() > MAX_BYTES {
        return None;
    }
    read(kind, &binary).map(Some)
}

/// Reads the binary form of a type.
fn read(kind: &Type, binary: &[u8]) -> Option<String> {
    Some(match *kind {
        Type::BOOL => if binary == [0] { "f" } else { "t" }.to_owned(),
        Type::INT2 => i16::from_be_bytes(binary.try_into().ok()?).to_string(),
        Type::INT4 => i32::from_be_bytes(binary.try_into().ok()?).to_string(),
        Type::INT8 => i64::from_be_bytes(binary.try_into().ok()?).to_string(),
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::JSON => text(binary)?,
        // Its binary form begins with a version, of which there is one.
        Type::JSONB => text(binary.strip_prefix(&[1])?)?,
        Type::UUID => Uuid::from_slice(binary).ok()?.to_string(),
        Type::BYTEA => {
            let mut hex = "\\x".to_owned();
            for byte in binary {
                write!(hex, "{byte:02x}").expect("writing to a string cannot fail");
            }
            hex
        }
        _ => return None,
    })
}

/// A text query ends at a NUL; the driver's way gets the server's error for it.
fn text(binary: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(binary).ok()?;
    (!text.contains('\0')).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    #[track_caller]
    fn check(kind: Type, parameter: &(dyn ToSql + Sync), expected: Option<&str>) {
        let text = text_of(&kind, parameter).map(|text| text.expect("a value"));
        assert_eq!(text.as_deref(), expected);
    }

    #[test]
    fn plain_types_become_texts() {
        check(Type::BOOL, &true, Some("t"));
        check(Type::BOOL, &false, Some("f"));
        check(Type::INT2, &i16::MIN, Some("-32768"));
        check(Type::INT4, &i32::MIN, Some("-2147483648"));
        check(Type::INT8, &i64::MIN, Some("-9223372036854775808"));
        check(Type::TEXT, &r"it's a \", Some(r"it's a \"));
        check(Type::VARCHAR, &"", Some(""));
        check(
            Type::UUID,
            &Uuid::nil(),
            Some("00000000-0000-0000-0000-000000000000"),
        );
        check(Type::BYTEA, &[0_u8, 92].as_slice(), Some(r"\x005c"));
        assert_eq!(text_of(&Type::TEXT, &None::<String>), Some(None));
    }

    #[test]
    fn the_version_of_binary_json_is_left_out() {
        assert_eq!(read(&Type::JSONB, b"\x01{}").as_deref(), Some("{}"));
        assert_eq!(read(&Type::JSONB, b"\x02{}"), None);
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
