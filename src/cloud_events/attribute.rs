//! The rules for the values of attributes: strings, URIs and times.

/// Returns what is wrong with a string: control characters, and code points that are no characters.
pub(super) fn string_flaw(text: &str) -> Option<&'static str> {
    if text.chars().any(char::is_control) {
        return Some("has a control character");
    }
    let is_none = |c: char| {
        let point = u32::from(c);
        (0xfdd0..=0xfdef).contains(&point) || point & 0xfffe == 0xfffe
    };
    let has_none = text.chars().any(is_none);
    has_none.then_some("has a code point that Unicode has set apart as no character")
}

/// Returns what is wrong with a URI, which has a scheme (RFC 3986). A fragment is let through:
/// schemas are often named by one.
pub(super) fn uri_flaw(text: &str) -> Option<&'static str> {
    match scheme(text) {
        Some(scheme) if is_scheme(scheme) => uri_reference_flaw(text),
        _ => Some("is no absolute URI"),
    }
}

/// Returns what is wrong with a URI, or a reference relative to one (RFC 3986, section 4.1).
pub(super) fn uri_reference_flaw(text: &str) -> Option<&'static str> {
    const NO_REFERENCE: Option<&str> = Some("is no URI reference");
    if scheme(text).is_some_and(|scheme| !is_scheme(scheme)) {
        return NO_REFERENCE;
    }
    let mut bytes = text.bytes();
    let mut fragments = 0;
    while let Some(byte) = bytes.next() {
        let is_good = match byte {
            b'%' => {
                let digits = [bytes.next(), bytes.next()];
                digits.map(|digit| digit.is_some_and(|digit| digit.is_ascii_hexdigit()))
                    == [true; 2]
            }
            b'#' => {
                fragments += 1;
                fragments == 1
            }
            byte => byte.is_ascii_alphanumeric() || b"-._~:/?@!$&'()*+,;=[]".contains(&byte),
        };
        if !is_good {
            return NO_REFERENCE;
        }
    }
    // Brackets are around an address, and nowhere else.
    let (outside, authority) = parts(text);
    let is_address = |host: &str| {
        let address = host.strip_prefix('[').and_then(|rest| rest.split_once(']'));
        address.is_some_and(|(address, port)| !format!("{address}{port}").contains(['[', ']']))
    };
    let host = authority.rsplit('@').next().unwrap_or_default();
    let is_good =
        !outside.contains(['[', ']']) && (!authority.contains(['[', ']']) || is_address(host));
    if is_good { None } else { NO_REFERENCE }
}

/// Returns a reference without its authority, and the authority: what is between `//` and the path.
fn parts(text: &str) -> (String, &str) {
    let start = scheme(text).map_or(0, |scheme| scheme.len() + 1);
    let Some(rest) = text[start..].strip_prefix("//") else {
        return (text.to_owned(), "");
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    (format!("{}{}", &text[..start], &rest[end..]), &rest[..end])
}

/// Returns what comes before the first colon, unless a path begins before it.
fn scheme(text: &str) -> Option<&str> {
    let end = text.find([':', '/', '?', '#'])?;
    text[end..].starts_with(':').then(|| &text[..end])
}

fn is_scheme(scheme: &str) -> bool {
    let is_allowed = |c: u8| c.is_ascii_alphanumeric() || b"+-.".contains(&c);
    scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.bytes().all(is_allowed)
}

/// Returns what is wrong with a time (RFC 3339).
pub(super) fn time_flaw(text: &str) -> Option<&'static str> {
    is_time(text)
        .is_none()
        .then_some("is no time as RFC 3339 says, such as 2018-04-05T17:31:00Z")
}

fn is_time(text: &str) -> Option<()> {
    let mut rest = text.as_bytes();
    let year = number(&mut rest, 4, b"-")?;
    let month = number(&mut rest, 2, b"-")?;
    let day = number(&mut rest, 2, b"Tt")?;
    let hour = number(&mut rest, 2, b":")?;
    let minute = number(&mut rest, 2, b":")?;
    let second = number(&mut rest, 2, b"")?;
    if let [b'.', digits @ ..] = rest {
        let length = digits.iter().take_while(|c| c.is_ascii_digit()).count();
        rest = digits.get(length..).filter(|_| length > 0)?;
    }
    let offset = match rest {
        [b'Z' | b'z'] => (0, 0),
        [b'+' | b'-', offset @ ..] => {
            rest = offset;
            let offset = (number(&mut rest, 2, b":")?, number(&mut rest, 2, b"")?);
            rest.is_empty().then_some(offset)?
        }
        _ => return None,
    };
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + u32::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    let is_good = (1..=days).contains(&day)
        && hour < 24
        && minute < 60
        // There are leap seconds.
        && second <= 60
        && offset.0 < 24
        && offset.1 < 60;
    is_good.then_some(())
}

/// Reads so many digits, and one of these characters after them, if any are given.
fn number(rest: &mut &[u8], digits: usize, after: &[u8]) -> Option<u32> {
    let (number, tail) = rest.split_at_checked(digits)?;
    let value = number.iter().try_fold(0, |value, digit| {
        let digit = digit.is_ascii_digit().then(|| u32::from(digit - b'0'))?;
        Some(value * 10 + digit)
    });
    *rest = match (tail, after) {
        (tail, []) => tail,
        ([found, tail @ ..], after) if after.contains(found) => tail,
        _ => return None,
    };
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_has_neither_control_characters_nor_what_is_no_character() {
        for good in ["a", "Żółw 🐢", "\u{a0}", "\u{fdcf}\u{fdf0}\u{fffd}", ""] {
            assert_eq!(string_flaw(good), None, "{good:?}");
        }
        for bad in [
            "\0",
            "a\nb",
            "\u{1f}",
            "\u{7f}",
            "\u{80}",
            "\u{9f}",
            "\u{fdd0}",
            "\u{fdef}",
            "\u{fffe}",
            "\u{ffff}",
            "\u{1fffe}",
            "\u{10ffff}",
        ] {
            assert!(string_flaw(bad).is_some(), "{bad:?}");
        }
    }

    #[test]
    fn sources_are_uri_references() {
        for good in [
            "https://github.com/cloudevents",
            "mailto:cncf-wg-serverless@lists.cncf.io",
            "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66",
            "/cloudevents/spec/pull/123",
            "/sensors/tn-1234567/alerts",
            "1-555-123-4567",
            "//host/path",
            "?query",
            "#fragment",
            "./a:b",
            "a/b:c",
            "http://[2001:db8::1]:80/x",
            "http://user@[::1]/",
            "/per%20cent",
        ] {
            assert_eq!(uri_reference_flaw(good), None, "{good}");
        }
        for bad in [
            "a b",
            "1:2",
            ":a",
            "http://a b",
            "/%zz",
            "/%2",
            "a#b#c",
            "größe",
            "<x>",
            "a\\b",
            "/a[1]",
            "http://[::1",
            "http://a]b/",
            "http://[[::1]]/",
            "^",
            "{x}",
            "\"",
        ] {
            assert!(uri_reference_flaw(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn schemas_are_uris() {
        for good in [
            "http://x/y",
            "urn:a:b",
            "a+b-c.1:x",
            "https://x/s.json#/orders",
        ] {
            assert_eq!(uri_flaw(good), None, "{good}");
        }
        for bad in [
            "/schemas/1",
            "schema",
            "1http://x",
            "//host/x",
            "#x",
            "http://a b",
        ] {
            assert!(uri_flaw(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn times_are_those_of_the_calendar_with_their_distance_from_utc() {
        for good in [
            "2018-04-05T17:31:00Z",
            "1985-04-12T23:20:50.52Z",
            "1996-12-19T16:39:57-08:00",
            "1990-12-31T23:59:60Z",
            "1937-01-01T12:00:27.87+00:20",
            "2000-02-29t00:00:00z",
            "0000-01-01T00:00:00.000000000000Z",
        ] {
            assert_eq!(time_flaw(good), None, "{good}");
        }
        for bad in [
            "2018-04-05",
            "2018-04-05 17:31:00Z",
            "2018-04-05T17:31:00",
            "2018-04-05T17:31Z",
            "2018-04-05T17:31:00.Z",
            "2018-04-05T17:31:00+0100",
            "2018-04-05T17:31:00+24:00",
            "2018-04-05T17:31:00+01:60",
            "2018-04-05T17:31:00Zx",
            "2018-13-05T17:31:00Z",
            "2018-00-05T17:31:00Z",
            "2018-04-31T17:31:00Z",
            "2018-04-00T17:31:00Z",
            "1900-02-29T17:31:00Z",
            "2018-04-05T24:00:00Z",
            "2018-04-05T17:60:00Z",
            "2018-04-05T17:31:61Z",
            "+018-04-05T17:31:00Z",
            "18-04-05T17:31:00Z",
            "yesterday",
            "",
        ] {
            assert!(time_flaw(bad).is_some(), "{bad}");
        }
    }
}
