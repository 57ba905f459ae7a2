//! What commands print to standard output: text for people, or JSON for machines.
//!
//! Payloads and errors come from anywhere, so that no control character of theirs reaches a
//! terminal, which would take it for a command. Colours are for terminals, and for those who force
//! them (`NO_COLOR`, `CLICOLOR_FORCE`).

use anstream::{AutoStream, ColorChoice};
use anstyle::Style;
use serde::Serialize;
use std::io::{self, Write};

/// Standard output, and what its reader wants to see.
#[derive(Debug)]
pub(crate) struct Output {
    is_json: bool,
    is_coloured: bool,
    /// Whether whoever read it has seen enough, as `head` does. Then the rest stays unsaid, which
    /// is no failure, and hides none: how a command ended is in its exit code.
    is_unread: bool,
}

impl Output {
    pub(crate) fn new(is_json: bool) -> Self {
        let choice = AutoStream::choice(&io::stdout());
        Output {
            is_json,
            is_coloured: !is_json && choice != ColorChoice::Never,
            is_unread: false,
        }
    }

    pub(crate) fn is_json(&self) -> bool {
        self.is_json
    }

    /// Returns a text of our own, or one that is escaped, as it is to stand out.
    pub(crate) fn styled(&self, text: &str, style: Style) -> String {
        match self.is_coloured {
            true => format!("{style}{text}{style:#}"),
            false => text.to_owned(),
        }
    }

    /// Returns whether nobody reads any more, so that to go on would be in vain.
    pub(crate) fn is_unread(&self) -> bool {
        self.is_unread
    }

    /// Prints `text` for people or `object` for machines, on one line.
    pub(crate) fn say(&mut self, text: &str, object: &impl Serialize) -> io::Result<()> {
        match self.is_json {
            true => self.object(object),
            false => self.line(text),
        }
    }

    /// Prints a line for people, with control characters escaped.
    pub(crate) fn line(&mut self, text: &str) -> io::Result<()> {
        self.print(&format!("{}\n", escaped(text)))
    }

    /// Prints a line for machines.
    pub(crate) fn object(&mut self, object: &impl Serialize) -> io::Result<()> {
        let text = serde_json::to_string(object)?;
        self.print(&format!("{}\n", on_one_line(&text)))
    }

    /// Prints a line for machines for each of several.
    pub(crate) fn objects(&mut self, objects: &[impl Serialize]) -> io::Result<()> {
        objects.iter().try_for_each(|object| self.object(object))
    }

    /// Prints text of our own as it is.
    pub(crate) fn verbatim(&mut self, text: &str) -> io::Result<()> {
        self.print(text)
    }

    fn print(&mut self, text: &str) -> io::Result<()> {
        if self.is_unread {
            return Ok(());
        }
        match io::stdout().write_all(text.as_bytes()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => self.is_unread = true,
            written => written?,
        }
        Ok(())
    }
}

/// Escapes what a terminal would act on: control characters, and those that change the direction of
/// what follows.
pub(crate) fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match acts_on_terminals(c) {
            true => shown.extend(c.escape_default()),
            false => shown.push(c),
        }
    }
    shown
}

/// Returns a number with what it counts: `1 message`, `2 messages`.
pub(crate) fn counted(count: u64, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

/// Returns a number as it is, or an estimate to two digits: `~120 k`, `~1.2 M`.
pub(crate) fn number(count: u64, is_estimate: bool) -> String {
    if !is_estimate {
        return count.to_string();
    }
    let digits = count.max(1).ilog10();
    let unit = 10_u64.pow(digits.saturating_sub(1));
    let rounded = count.saturating_add(unit / 2) / unit * unit;
    let (size, sign) = match rounded {
        1_000_000_000.. => (1_000_000_000, " G"),
        1_000_000.. => (1_000_000, " M"),
        1_000.. => (1_000, " k"),
        _ => (1, ""),
    };
    match rounded < size * 10 && size > 1 {
        true => format!("~{}.{}{sign}", rounded / size, rounded % size * 10 / size),
        false => format!("~{}{sign}", rounded / size),
    }
}

/// Cuts a text after `width` characters.
pub(crate) fn cut(text: &str, width: usize) -> String {
    match text.char_indices().nth(width) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}…", &text[..at]),
    }
}

fn acts_on_terminals(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Puts JSON on one line, and its control characters into escapes. What it means stays the same:
/// only between its tokens may JSON have line breaks, and only in strings the other ones.
fn on_one_line(json: &str) -> String {
    let mut line = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '\n' | '\r' | '\t' => line.push(' '),
            c if acts_on_terminals(c) => line.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => line.push(c),
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_text_reaches_the_terminal_as_a_command() {
        assert_eq!(escaped("größe 注文 🦀"), "größe 注文 🦀");
        assert_eq!(escaped("a\x1b[2Jb\n\u{9b}c"), r"a\u{1b}[2Jb\n\u{9b}c");
        assert_eq!(escaped("a\u{202e}b"), r"a\u{202e}b");
    }

    #[test]
    fn json_is_put_on_one_line_without_a_change() {
        let json = "{\n\t\"a\": \"x\u{9b}\u{7f}\"\r\n}";

        let line = on_one_line(json);

        assert_eq!(line, "{  \"a\": \"x\\u009b\\u007f\"  }");
        let read = |text| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(read(&line), read(json));
    }

    #[test]
    fn an_estimate_has_two_digits_and_says_so() {
        assert_eq!(number(123_456, false), "123456");
        for (count, expected) in [
            (0, "~0"),
            (7, "~7"),
            (101, "~100"),
            (1_249, "~1.2 k"),
            (100_001, "~100 k"),
            (123_456, "~120 k"),
            (999_999, "~1.0 M"),
            (1_250_000, "~1.3 M"),
            (5_012_345, "~5.0 M"),
            (48_700_000, "~49 M"),
            (2_345_678_901, "~2.3 G"),
            (u64::MAX, "~18000000000 G"),
        ] {
            assert_eq!(number(count, true), expected);
        }
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(cut("größe", 5), "größe");
        assert_eq!(cut("größe", 3), "grö…");
    }
}
