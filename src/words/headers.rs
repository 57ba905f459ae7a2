//! Headers: small texts that travel with a message, outside its payload.

use crate::words::error::{Error, Result};
use serde_json::value::RawValue;
use std::collections::{BTreeMap, BTreeSet};

/// Headers by name.
pub type Headers = BTreeMap<String, String>;

/// Longest header name in bytes, as in HTTP servers' customs; names are identifiers, not data.
const MAX_NAME_BYTES: usize = 128;
/// All names and values of one message together. Headers are read with every claim; large data
/// belongs into the payload. SQS and AMQP clients keep to the same order of size.
pub(crate) const MAX_TOTAL_BYTES: usize = 16 * 1024;

/// Reads stored headers: an object of texts. One that is null is only there for filters.
pub(crate) fn read(json: &str) -> Result<Headers, serde_json::Error> {
    serde_json::from_str(json).or_else(|_| {
        let all: BTreeMap<String, Option<String>> = serde_json::from_str(json)?;
        let texts = all.into_iter();
        Ok(texts
            .filter_map(|(name, value)| Some((name, value?)))
            .collect())
    })
}

/// Writes headers as they are stored; `None` where there are none.
pub(crate) fn written(headers: &Headers, nulls: &BTreeSet<String>) -> Option<String> {
    if headers.is_empty() && nulls.is_empty() {
        return None;
    }
    let written = match nulls.is_empty() {
        true => serde_json::to_string(headers),
        false => {
            let texts = headers.iter().map(|(name, value)| (name, Some(value)));
            let all = texts.chain(nulls.iter().map(|name| (name, None)));
            serde_json::to_string(&all.collect::<BTreeMap<_, _>>())
        }
    };
    Some(written.expect("a map of texts is JSON"))
}

/// Returns what can be shown of stored headers that cannot be read: of an object what its values
/// are in JSON, of anything else nothing.
pub(crate) fn shown(json: &str) -> Headers {
    let values: BTreeMap<String, Box<RawValue>> = serde_json::from_str(json).unwrap_or_default();
    let text = |value: &RawValue| {
        let text = serde_json::from_str(value.get());
        text.unwrap_or_else(|_| value.get().to_owned())
    };
    values
        .into_iter()
        .map(|(name, value)| (name, text(&value)))
        .collect()
}

/// Returns how many bytes names and values have together.
pub(crate) fn total_bytes(headers: &Headers, nulls: &BTreeSet<String>) -> usize {
    let texts = headers.iter().map(|(name, value)| name.len() + value.len());
    texts.chain(nulls.iter().map(String::len)).sum()
}

/// Checks names and sizes before any SQL.
pub(crate) fn check(topic: &str, headers: &Headers, nulls: &BTreeSet<String>) -> Result<()> {
    let none = String::new();
    let without_value = nulls.iter().map(|name| (name, &none));
    for (name, value) in headers.iter().chain(without_value) {
        if name.is_empty() || name.len() > MAX_NAME_BYTES {
            return Err(Error::invalid(format!(
                "header name of {} bytes for topic {topic}, use 1 to {MAX_NAME_BYTES}",
                name.len()
            )));
        }
        if let Some(bad) = name.chars().find(|c| c.is_control()) {
            return Err(Error::invalid(format!(
                "header name \"{}\" for topic {topic} has the control character {bad:?}",
                name.escape_debug()
            )));
        }
        if value.contains('\0') {
            return Err(Error::invalid(format!(
                "header \"{name}\" for topic {topic} has a NUL character, which PostgreSQL cannot \
                 store in text"
            )));
        }
    }
    let total = total_bytes(headers, nulls);
    if total > MAX_TOTAL_BYTES {
        return Err(Error::invalid(format!(
            "headers of {total} bytes for topic {topic}, the limit is {MAX_TOTAL_BYTES}: put data \
             into the payload"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_one(name: &str, value: &str, expected: Option<&str>) {
        let headers = Headers::from([(name.to_owned(), value.to_owned())]);
        match (check("t", &headers, &BTreeSet::new()), expected) {
            (Ok(()), None) => {}
            (Err(error), Some(part)) if error.to_string().contains(part) => {}
            (found, _) => panic!("{found:?} instead of {expected:?}"),
        }
    }

    #[track_caller]
    fn check_shown(json: &str, expected: &[(&str, &str)]) {
        let shown = shown(json);
        let shown: Vec<(&str, &str)> = shown
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(shown, expected, "{json}");
        assert!(read(json).is_err(), "{json}");
    }

    #[test]
    fn of_headers_that_cannot_be_read_is_shown_what_can_be() {
        check_shown(
            r#"{"retry": 3, "source": "web", "by": {"a": [1]}}"#,
            &[("by", r#"{"a": [1]}"#), ("retry", "3"), ("source", "web")],
        );
        check_shown(
            r#"{"retry": 1e400, "half": "\ud800"}"#,
            &[("half", r#""\ud800""#), ("retry", "1e400")],
        );
        for json in ["null", "7", "[1]", "\"text\"", "true"] {
            check_shown(json, &[]);
        }
        let deep = "[".repeat(500) + &"]".repeat(500);
        check_shown(&format!("{{\"deep\": {deep}}}"), &[("deep", &deep)]);
    }

    #[test]
    fn a_header_that_is_null_is_stored_and_not_read() {
        let headers = Headers::from([("a".to_owned(), "null".to_owned())]);
        let nulls = BTreeSet::from(["b".to_owned()]);
        let json = written(&headers, &nulls).unwrap();
        assert_eq!(json, r#"{"a":"null","b":null}"#);
        assert_eq!(read(&json).unwrap(), headers);
        assert_eq!(written(&Headers::new(), &BTreeSet::new()), None);
        assert!(check("t", &Headers::new(), &BTreeSet::from([String::new()])).is_err());
    }

    #[test]
    fn headers_are_checked_before_they_reach_the_database() {
        check_one("source", "web", None);
        check_one("empty value", "", None);
        check_one("emoji", "🦀", None);
        check_one("", "x", Some("0 bytes"));
        check_one(&"n".repeat(129), "x", Some("129 bytes"));
        check_one("line\nbreak", "x", Some(r"line\nbreak"));
        check_one("nul", "a\0b", Some("NUL"));
        check_one("big", &"v".repeat(17_000), Some("the limit is 16384"));
    }
}
