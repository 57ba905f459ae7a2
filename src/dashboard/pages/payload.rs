//! How payloads are shown: JSON with its parts on lines of their own, bytes in hexadecimal digits;
//! never more of them than a page can bear.

use crate::dashboard::frame::parts::{number, text};
use crate::dashboard::frame::view::View;
use crate::words::Payload;
use maud::{Markup, html};
use std::fmt::Write;

/// How much of a payload a page shows, in bytes: a browser lays it out at once.
const SHOWN: usize = 32 << 10;
/// How many bytes are shown in hexadecimal digits.
const SHOWN_HEX: usize = 2 << 10;
/// Bytes on a line.
const LINE: usize = 16;

/// Returns the beginning of a payload, and how to get all of it.
pub(crate) fn shown(view: &View<'_>, id: &str, topic: &str, payload: &Payload) -> Markup {
    if view.hides_payloads() {
        return html! { p.empty { "This dashboard hides payloads." } };
    }
    let length = payload.as_bytes().len();
    let (body, is_cut) = match payload {
        Payload::Json(json) => spread(json.get()),
        Payload::Bytes(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) if !bytes.is_empty() => beginning(text),
            _ => hex(bytes),
        },
    };
    let whole = view.href("/message/payload", &[("id", id), ("topic", topic)]);
    let kind = match payload {
        Payload::Json(_) => "JSON",
        Payload::Bytes(_) => "bytes",
    };
    html! {
        p.dim {
            (kind) ", " (number(length as u64)) " bytes. "
            @if is_cut { "This is the beginning. " }
            a href=(whole) download { "Download" }
        }
        pre tabindex="0" role="region" aria-label="Payload" { (text(&body)) }
    }
}

fn beginning(text: &str) -> (String, bool) {
    let end = text.floor_char_boundary(SHOWN);
    (text[..end].to_owned(), end < text.len())
}

/// Returns JSON with each element on a line of its own, digit for digit as it was sent, and whether
/// that is not all of it.
fn spread(json: &str) -> (String, bool) {
    let mut spread = String::new();
    let (mut depth, mut is_text, mut is_escaped) = (0_usize, false, false);
    let mut signs = json.trim().chars().peekable();
    while let Some(sign) = signs.next() {
        if spread.len() >= SHOWN {
            return (spread, true);
        }
        if is_text {
            spread.push(sign);
            is_text = is_escaped || sign != '"';
            is_escaped = sign == '\\' && !is_escaped;
            continue;
        }
        match sign {
            ' ' | '\t' | '\n' | '\r' => {}
            '{' | '[' => {
                spread.push(sign);
                while signs.peek().is_some_and(|next| next.is_ascii_whitespace()) {
                    signs.next();
                }
                match signs.next_if(|next| "}]".contains(*next)) {
                    Some(end) => spread.push(end),
                    None => {
                        depth += 1;
                        line(&mut spread, depth);
                    }
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut spread, depth);
                spread.push(sign);
            }
            ',' => {
                spread.push(sign);
                line(&mut spread, depth);
            }
            ':' => spread.push_str(": "),
            sign => {
                is_text = sign == '"';
                spread.push(sign);
            }
        }
    }
    (spread, false)
}

fn line(spread: &mut String, depth: usize) {
    spread.push('\n');
    spread.extend(std::iter::repeat_n("  ", depth));
}

/// Returns bytes as their places, their digits, and the signs that they stand for.
fn hex(bytes: &[u8]) -> (String, bool) {
    let shown = &bytes[..bytes.len().min(SHOWN_HEX)];
    let mut dump = String::new();
    for (at, some) in shown.chunks(LINE).enumerate() {
        let _ = write!(dump, "{:08x} ", at * LINE);
        for byte in some {
            let _ = write!(dump, " {byte:02x}");
        }
        dump.extend(std::iter::repeat_n("   ", LINE - some.len()));
        dump.push_str("  ");
        let sign = |byte: &u8| match byte {
            b' '..=b'~' => char::from(*byte),
            _ => '.',
        };
        dump.extend(some.iter().map(sign));
        dump.push('\n');
    }
    (dump, shown.len() < bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(json: &str, expected: &str) {
        assert_eq!(spread(json), (expected.to_owned(), false));
    }

    #[test]
    fn json_is_spread_over_lines_and_stays_the_same_otherwise() {
        check("1e400", "1e400");
        check(" {} ", "{}");
        check("[ [], { } ]", "[\n  [],\n  {}\n]");
        check(
            r#"{"a":[1,2.50],"b":"x, {y}: \"z\\"}"#,
            "{\n  \"a\": [\n    1,\n    2.50\n  ],\n  \"b\": \"x, {y}: \\\"z\\\\\"\n}",
        );
        let long = format!("\"{}\"", "é".repeat(100_000));
        let (shown, is_cut) = spread(&long);
        assert!(is_cut && shown.len() < SHOWN + 4);
    }

    #[test]
    fn bytes_are_shown_with_the_signs_that_they_stand_for() {
        let (dump, is_cut) = hex(b"<script>\0\xff0123456");
        assert!(!is_cut);
        assert_eq!(
            dump,
            "00000000  3c 73 63 72 69 70 74 3e 00 ff 30 31 32 33 34 35  <script>..012345\n\
             00000010  36                                               6\n"
        );
        assert!(hex(&vec![0; 1 << 20]).1);
    }
}
