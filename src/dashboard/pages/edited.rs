//! What is edited in a form, as text: everything in it can be seen, and comes back as it was.

use crate::dashboard::frame::parts::is_hidden;
use crate::dashboard::frame::view::PageTrouble;
use crate::words::Headers;
use std::fmt::Write;

/// Returns JSON that says the same, in which signs that cannot be seen, or that turn the order of
/// others around, are written as escapes.
pub(crate) fn visible_json(json: &str) -> String {
    let mut visible = String::with_capacity(json.len());
    for sign in json.chars() {
        // Outside of texts JSON has none but line breaks.
        match is_hidden(sign) && !sign.is_ascii_whitespace() {
            true => {
                for unit in sign.encode_utf16(&mut [0; 2]) {
                    let _ = write!(visible, "\\u{unit:04x}");
                }
            }
            false => visible.push(sign),
        }
    }
    visible
}

/// Returns headers as lines, NAME=VALUE each.
pub(crate) fn header_lines(headers: &Headers) -> String {
    let lines = headers.iter();
    lines
        .map(|(name, value)| {
            let name = escaped(name).replace('=', "\\u{3d}");
            format!("{name}={}\n", escaped(value))
        })
        .collect()
}

fn escaped(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    for sign in text.chars() {
        match sign {
            '\\' => written.push_str("\\\\"),
            '\n' => written.push_str("\\n"),
            '\t' => written.push_str("\\u{9}"),
            sign if is_hidden(sign) => {
                let _ = write!(written, "\\u{{{:x}}}", u32::from(sign));
            }
            sign => written.push(sign),
        }
    }
    written
}

/// Reads headers from such lines. Empty ones are passed over.
pub(crate) fn read_headers(text: &str) -> Result<Headers, PageTrouble> {
    let lines = text.lines().filter(|line| !line.is_empty());
    let header = |line: &str| {
        let flaw = || PageTrouble::Bad("Each line of headers is NAME=VALUE".to_owned());
        let (name, value) = line.split_once('=').ok_or_else(flaw)?;
        Ok((unescaped(name)?, unescaped(value)?))
    };
    lines.map(header).collect()
}

fn unescaped(text: &str) -> Result<String, PageTrouble> {
    let flaw = || PageTrouble::Bad("A backslash is written as \\\\".to_owned());
    let mut read = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        read.push_str(before);
        rest = match after.chars().next() {
            Some('\\') => {
                read.push('\\');
                &after[1..]
            }
            Some('n') => {
                read.push('\n');
                &after[1..]
            }
            Some('u') => {
                let (digits, rest) = after[1..]
                    .strip_prefix('{')
                    .and_then(|digits| digits.split_once('}'))
                    .ok_or_else(flaw)?;
                let number = u32::from_str_radix(digits, 16).ok();
                read.push(number.and_then(char::from_u32).ok_or_else(flaw)?);
                rest
            }
            _ => return Err(flaw()),
        };
    }
    read.push_str(rest);
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_come_back_as_they_were() {
        let headers = [
            ("a", "1=2"),
            ("b=c", ""),
            ("turned\u{202e}", "x\ny\\n\\\t\u{200b}"),
            ("ö", "🦀 \\u{3d}"),
        ];
        let headers: Headers = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let lines = header_lines(&headers);
        assert!(!lines.contains('\u{202e}'), "{lines}");
        assert_eq!(read_headers(&lines.replace('\n', "\r\n")).unwrap(), headers);
        for bad in ["no", "a=\\", "a=\\x", "a=\\u{d800}", "a=\\u3"] {
            assert!(read_headers(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn json_says_the_same_and_hides_nothing() {
        let json = "{\"a\u{202e}\": \"x\u{e0041}\u{7f}\",\r\n\t\"b\": 1.50}";
        let visible = visible_json(json);
        assert!(
            !visible.contains(['\u{202e}', '\u{e0041}', '\u{7f}']),
            "{visible}"
        );
        assert!(
            visible.contains("\\udb40\\udc41") && visible.contains("1.50"),
            "{visible}"
        );
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(value(&visible), value(json));
    }
}
