//! The grammar of W3C Trace Context (<https://www.w3.org/TR/trace-context/>): what `traceparent`
//! and `tracestate` may say.

use std::collections::BTreeSet;

/// The length of version 00, and of the part of later versions that version 00 can read.
const LENGTH: usize = 55;
/// The most entries of a `tracestate`.
const MAX_MEMBERS: usize = 32;
/// The longest key, and the longest value, of an entry of a `tracestate`.
const MAX_MEMBER_BYTES: usize = 256;

/// Returns what is wrong with a `traceparent`. Of versions after 00 only the part is read that 00
/// has, as the specification asks for.
pub(crate) fn traceparent_flaw(text: &str) -> Option<&'static str> {
    let bytes = text.as_bytes();
    let Some((start, rest)) = bytes.split_at_checked(LENGTH) else {
        return Some("is shorter than a W3C traceparent, which has 55 characters");
    };
    let parts: Vec<&[u8]> = start.split(|byte| *byte == b'-').collect();
    let [version, trace_id, parent_id, flags] = parts.as_slice() else {
        return Some("is not made of version, trace id, parent id and flags between dashes");
    };
    let has_lengths = [version.len(), trace_id.len(), parent_id.len(), flags.len()];
    if has_lengths != [2, 32, 16, 2] {
        return Some("is not made of 2, 32, 16 and 2 characters between dashes");
    }
    let is_hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if !parts.iter().all(|part| part.iter().all(is_hex)) {
        return Some("has other characters than lower-case hexadecimal digits between dashes");
    }
    let is_zero = |part: &[u8]| part.iter().all(|byte| *byte == b'0');
    let is_longer_than_known = match *version {
        b"ff" => return Some("has the version ff, which is not allowed"),
        b"00" => !rest.is_empty(),
        _ => rest.first().is_some_and(|byte| *byte != b'-'),
    };
    if is_longer_than_known {
        return Some("is longer than its version allows");
    }
    match (is_zero(trace_id), is_zero(parent_id)) {
        (true, _) => Some("has a trace id of zeros, which is not allowed"),
        (_, true) => Some("has a parent id of zeros, which is not allowed"),
        _ => None,
    }
}

/// Returns what is wrong with a `tracestate`.
pub(crate) fn tracestate_flaw(text: &str) -> Option<&'static str> {
    let members = text
        .split(',')
        .map(|member| member.trim_matches([' ', '\t']));
    let (mut keys, mut count) = (BTreeSet::new(), 0);
    for member in members.filter(|member| !member.is_empty()) {
        count += 1;
        let Some((key, value)) = member.split_once('=') else {
            return Some("has an entry that is not a key and a value with = between them");
        };
        if !is_key(key) {
            return Some("has an entry whose key is not allowed");
        }
        if !is_value(value) {
            return Some("has an entry whose value is not allowed");
        }
        if !keys.insert(key) {
            return Some("has two entries of the same key");
        }
    }
    match count {
        0 => Some("has no entry"),
        1..=MAX_MEMBERS => None,
        _ => Some("has more than 32 entries"),
    }
}

fn is_key(key: &str) -> bool {
    let is_first = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    let mut bytes = key.bytes();
    key.len() <= MAX_MEMBER_BYTES
        && bytes.next().is_some_and(is_first)
        && bytes.all(|c| is_first(c) || b"_-*/@".contains(&c))
}

fn is_value(value: &str) -> bool {
    let is_allowed = |c: u8| matches!(c, b' '..=b'~') && c != b'=';
    (1..=MAX_MEMBER_BYTES).contains(&value.len()) && value.bytes().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(flaw: Option<&str>, expected: Option<&str>) {
        match (flaw, expected) {
            (None, None) => {}
            (Some(flaw), Some(part)) if flaw.contains(part) => {}
            (found, _) => panic!("{found:?} instead of {expected:?}"),
        }
    }

    /// The cases are those of the specification and of its own test suite.
    #[test]
    fn a_traceparent_is_what_the_specification_says() {
        const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let with = |from: &str, to: &str| GOOD.replacen(from, to, 1);
        check(traceparent_flaw(GOOD), None);
        check(traceparent_flaw(&with("-01", "-00")), None);
        check(traceparent_flaw(&with("-01", "-ff")), None);
        check(traceparent_flaw(&with("00-", "cc-")), None);
        let future = with("00-", "cc-") + "-what-the-future-will-be-like";
        check(traceparent_flaw(&future), None);
        check(
            traceparent_flaw(&(with("00-", "cc-") + ".x")),
            Some("longer"),
        );
        check(traceparent_flaw(&(GOOD.to_owned() + "-x")), Some("longer"));
        check(traceparent_flaw(&with("00-", "ff-")), Some("version ff"));
        check(traceparent_flaw(""), Some("shorter"));
        check(traceparent_flaw(&GOOD[..54]), Some("shorter"));
        check(traceparent_flaw(&with("4bf9", "4BF9")), Some("lower-case"));
        check(traceparent_flaw(&with("4bf9", "4bfg")), Some("lower-case"));
        check(traceparent_flaw(&with("-01", "-0x")), Some("lower-case"));
        check(traceparent_flaw(&with("4b", "-b")), Some("between dashes"));
        check(traceparent_flaw(&with("36-00", "3600-")), Some("2, 32, 16"));
        check(
            traceparent_flaw(&format!(" {}", &GOOD[..54])),
            Some("2, 32"),
        );
        let zero_trace = format!("00-{:032}-00f067aa0ba902b7-01", 0);
        check(traceparent_flaw(&zero_trace), Some("trace id of zeros"));
        let zero_parent = with("00f067aa0ba902b7", "0000000000000000");
        check(traceparent_flaw(&zero_parent), Some("parent id of zeros"));
        check(traceparent_flaw(&"é".repeat(40)), Some("between dashes"));
        check(
            traceparent_flaw(&(GOOD[..54].to_owned() + "é")),
            Some("lower-case"),
        );
    }

    #[test]
    fn a_tracestate_is_what_the_specification_says() {
        check(
            tracestate_flaw("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"),
            None,
        );
        check(tracestate_flaw("foo=1 , bar=2,,\t"), None);
        check(tracestate_flaw("fw529a3039@dt=FfAAA;x 1,0a*/_-=~"), None);
        check(tracestate_flaw(""), Some("no entry"));
        check(tracestate_flaw("foo"), Some("="));
        check(tracestate_flaw("foo="), Some("value"));
        check(tracestate_flaw("foo=1=2"), Some("value"));
        check(tracestate_flaw("foo=\u{e9}"), Some("value"));
        check(tracestate_flaw("Foo=1"), Some("key"));
        check(tracestate_flaw("foo =1"), Some("key"));
        check(tracestate_flaw("@foo=1"), Some("key"));
        check(tracestate_flaw("=1"), Some("key"));
        check(tracestate_flaw("foo=1,foo=1"), Some("same key"));
        check(tracestate_flaw(&format!("{}=1", "k".repeat(256))), None);
        check(
            tracestate_flaw(&format!("{}=1", "k".repeat(257))),
            Some("key"),
        );
        check(
            tracestate_flaw(&format!("k={}", "v".repeat(257))),
            Some("value"),
        );
        let many = |n: usize| (0..n).map(|n| format!("k{n}=1")).collect::<Vec<_>>();
        check(tracestate_flaw(&many(32).join(",")), None);
        check(tracestate_flaw(&many(33).join(",")), Some("32"));
    }
}
