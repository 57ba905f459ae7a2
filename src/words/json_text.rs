//! Checks JSON text for what a receiver, or `jsonb`, could not read back.
//!
//! The payload column is `json`, which keeps the text and checks its syntax only. `\u0000`, lone
//! surrogates and very deep nesting would be stored and then fail where they are read: in the
//! receiver's decoder, or in an operator's `payload::jsonb`. So the sender is told, before SQL.

use crate::words::error::{Error, ErrorKind, Result};
use crate::words::finite::to_json;
use serde::Serialize;
use serde::de::{Error as _, IgnoredAny};

/// Deepest nesting of arrays and objects; `serde_json` refuses to read deeper ones.
const MAX_DEPTH: usize = 127;

/// Returns what is wrong with the text, or `None`. The text must be what a JSON serializer made.
///
/// One pass over the bytes; a payload without a backslash costs a scan for quotes and brackets.
pub(crate) fn flaw(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut depth = 0_usize;
    let mut in_string = false;
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => in_string = !in_string,
            b'\\' if in_string => match escape(bytes, at) {
                Ok(length) => {
                    at += length;
                    continue;
                }
                Err(flaw) => return Some(format!("{flaw} at byte {at}")),
            },
            b'[' | b'{' if !in_string => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Some(format!(
                        "it is nested deeper than {MAX_DEPTH} levels at byte {at}"
                    ));
                }
            }
            b'0'..=b'9' | b'-' if !in_string => {
                let length = number(&bytes[at..]);
                if is_out_of_range(&text[at..at + length]) {
                    return Some(format!("it has a number that is too large at byte {at}"));
                }
                at += length;
                continue;
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    None
}

/// Writes what came of a message as JSON that can be stored.
///
/// # Errors
/// `Payload` when it cannot become JSON or not be read back, `TooLarge` over so many bytes.
pub(crate) fn of_result<T: Serialize + ?Sized>(result: &T, limit: usize) -> Result<String> {
    let text = to_json(result).map_err(|error| {
        let text = format!("the result cannot become JSON: {error}");
        Error::new(ErrorKind::Payload, text).because(error)
    })?;
    let length = text.len();
    if length > limit {
        let text = format!("a result of {length} bytes is over the limit of {limit} bytes");
        return Err(Error::new(ErrorKind::TooLarge, text));
    }
    match flaw(&text) {
        None => Ok(text),
        Some(flaw) => {
            let text = format!("the result cannot be stored: {flaw}");
            Err(Error::new(ErrorKind::Payload, text))
        }
    }
}

/// Returns the length of the number that begins here.
fn number(bytes: &[u8]) -> usize {
    let is_over = |byte: &u8| !matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
    bytes.iter().position(is_over).unwrap_or(bytes.len())
}

/// Returns whether no `f64` can hold the number, which every decoder then refuses. Only with an
/// exponent, or hundreds of digits.
fn is_out_of_range(number: &str) -> bool {
    (number.len() > 300 || number.contains(['e', 'E']))
        && number.parse().is_ok_and(|number: f64| number.is_infinite())
}

/// Returns the length of the escape sequence at `at`; a surrogate pair counts as one.
fn escape(bytes: &[u8], at: usize) -> Result<usize, &'static str> {
    match code_unit(bytes, at) {
        None => Ok(2),
        Some(0) => Err("it has a NUL character (\\u0000): send it as bytes"),
        Some(0xD800..=0xDBFF) => match code_unit(bytes, at + 6) {
            Some(0xDC00..=0xDFFF) => Ok(12),
            _ => Err("it has half a surrogate pair"),
        },
        Some(0xDC00..=0xDFFF) => Err("it has half a surrogate pair"),
        Some(_) => Ok(6),
    }
}

/// Reads `\uXXXX` at `at`, if that is what stands there.
fn code_unit(bytes: &[u8], at: usize) -> Option<u16> {
    let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// Checks text that somebody else calls JSON: a line of a file, an argument of a command.
pub(crate) fn check_syntax(text: &str) -> Result<(), serde_json::Error> {
    serde_json::from_str::<IgnoredAny>(text)?;
    match flaw(text) {
        None => Ok(()),
        Some(flaw) => Err(serde_json::Error::custom(flaw)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        let found = flaw(text);
        match (&found, expected) {
            (None, None) => {}
            (Some(text), Some(part)) if text.contains(part) => {}
            _ => panic!("{found:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn flaws_are_found_where_they_are() {
        check(r#"{"a":[1,2,{"b":"[[[{{{\"]"}]}"#, None);
        check(r#""\\u0000""#, None);
        check(r#""\u00e9\ud83e\udd80""#, None);
        check(
            r#"["x","\u0000"]"#,
            Some("NUL character (\\u0000): send it as bytes at byte 6"),
        );
        check(r#""\ud83e""#, Some("half a surrogate pair at byte 1"));
        check(r#""\udd80\ud83e""#, Some("half a surrogate pair"));
        check(r#""\ud83e\u0041""#, Some("half a surrogate pair"));
        check(
            r#"[1e308,-0.5E+10,0e999,1e-999,"1e999",18446744073709551616]"#,
            None,
        );
        check("[1,2e999999]", Some("too large at byte 3"));
        check(r#"{"a":-1e400}"#, Some("too large at byte 5"));
        check(&"9".repeat(400), Some("too large at byte 0"));
        check(&"[".repeat(127), None);
        check(&"[".repeat(128), Some("deeper than 127 levels at byte 127"));
    }

    #[test]
    fn foreign_text_must_be_json() {
        assert!(check_syntax(r#"{"a":1}"#).is_ok());
        assert!(check_syntax("{'a':1}").is_err());
        assert!(check_syntax(r#"{"a":1} x"#).is_err());
        assert!(check_syntax("").is_err());
    }
}
