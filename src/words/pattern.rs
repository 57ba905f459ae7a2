//! Routing keys, and the patterns that match them.
//!
//! Both are segments between dots. In a pattern, `*` stands for exactly one segment and `#` for any
//! number of them, also none, anywhere.

use crate::words::error::{Error, Result};
use crate::words::topic;

/// The segment that stands for exactly one.
pub(crate) const ONE: &str = "*";
/// The segment that stands for any number.
pub(crate) const MANY: &str = "#";

/// Returns whether a pattern has neither `*` nor `#`, so that it matches nothing but itself.
pub(crate) fn is_plain(pattern: &str) -> bool {
    !pattern
        .split('.')
        .any(|segment| [ONE, MANY].contains(&segment))
}

/// Checks a routing key: what a topic may be called, without empty segments. So a key can be shown
/// and logged as a topic can.
pub(crate) fn check_key(key: &str) -> Result<()> {
    topic::check(key).map_err(|error| flawed("routing key", key, &reason(key, &error)))?;
    check_segments("routing key", key)
}

/// Checks a pattern: a routing key in which segments may be `*` or `#`.
pub(crate) fn check_pattern(pattern: &str) -> Result<()> {
    let is_wild = |segment: &&str| [ONE, MANY].contains(segment);
    // As long as it is, with a letter in the place of each of those.
    let plain: Vec<&str> = pattern
        .split('.')
        .map(|segment| if is_wild(&segment) { "x" } else { segment })
        .collect();
    let plain = plain.join(".");
    topic::check(&plain).map_err(|error| {
        let is_part = pattern
            .split('.')
            .any(|segment| segment.len() > 1 && (segment.contains(ONE) || segment.contains(MANY)));
        let reason = match is_part {
            true => "`*` and `#` stand for whole segments".to_owned(),
            false => reason(pattern, &error),
        };
        flawed("pattern", pattern, &reason)
    })?;
    check_segments("pattern", pattern)
}

fn check_segments(what: &str, text: &str) -> Result<()> {
    match text.split('.').any(str::is_empty) {
        true => Err(flawed(
            what,
            text,
            "has an empty segment: there is one before, between and after its dots",
        )),
        false => Ok(()),
    }
}

/// Says what is wrong with a name that is no topic's.
fn reason(text: &str, error: &Error) -> String {
    match text.is_empty() {
        true => "must not be empty".to_owned(),
        false => format!("is not made as a topic's name is: {error}"),
    }
}

fn flawed(what: &str, text: &str, reason: &str) -> Error {
    let shown: String = text.chars().take(64).collect();
    Error::invalid(format!("{what} \"{}\" {reason}", shown.escape_debug()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::error::ErrorKind;

    #[track_caller]
    fn check_refused(result: Result<()>, part: &str) {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains(part), "{error}");
    }

    #[test]
    fn keys_and_patterns_are_segments_between_dots() {
        for key in [
            "a",
            "One.Two.Three",
            "a-b_c:d/e@f+g.1",
            "größe.注文",
            "outtray.x",
        ] {
            assert!(check_key(key).is_ok(), "{key}");
            assert!(check_pattern(key).is_ok(), "{key}");
        }
        for pattern in ["*", "#", "a.*", "#.a.#", "*.*", "#.#", "a.#.b.*.c"] {
            assert!(check_pattern(pattern).is_ok(), "{pattern}");
            assert!(check_key(pattern).is_err(), "{pattern}");
        }
        let longest = vec!["x"; 99].join(".") + ".yy";
        assert!(check_key(&longest).is_ok());
        assert!(check_pattern(&longest.replace('x', "*")).is_ok());
    }

    #[test]
    fn others_are_refused() {
        for check in [check_key, check_pattern] {
            check_refused(check(""), "must not be empty");
            check_refused(check("a..b"), "empty segment");
            check_refused(check(".a"), "empty segment");
            check_refused(check("a."), "empty segment");
            check_refused(check("."), "empty segment");
            check_refused(check("a b"), "' '");
            check_refused(check("a\0"), r"\0");
            check_refused(check("a'; DROP TABLE x"), "letters, digits");
            check_refused(check(&"x".repeat(201)), "201 bytes");
            check_refused(check(&"a.".repeat(101)), "202 bytes");
        }
        check_refused(check_pattern("order*"), "whole segments");
        check_refused(check_pattern("a.##"), "whole segments");
        check_refused(check_pattern("a.*b.c"), "whole segments");
        check_refused(check_key("a.*"), "'*'");
    }
}
