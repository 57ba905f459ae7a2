//! Tells the code of a Rust file from its comments and its string literals.

/// A Rust text taken apart.
pub(super) struct RustText {
    /// The text with blanks in place of comments and of what string literals hold; lines keep their
    /// numbers.
    pub(super) code: String,
    /// The line of each string literal, from 1, and what it holds, as written.
    pub(super) strings: Vec<(usize, String)>,
}

/// Returns the line, from 1, of a byte of the text.
pub(super) fn line_at(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

pub(super) fn take_apart(text: &str) -> RustText {
    let mut code = String::with_capacity(text.len());
    let mut strings = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let after_word = code.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if let Some(quotes) = quotes(rest, after_word) {
            let inside = string_end(&rest[quotes.open..], &quotes);
            let end = quotes.open + inside;
            strings.push((line_at(text, at), rest[quotes.open..end].to_owned()));
            (end + quotes.close.len()).min(rest.len())
        } else if let Some(length) = char_literal(rest) {
            length
        } else {
            let c = rest.chars().next().expect("there is a rest");
            code.push(c);
            at += c.len_utf8();
            continue;
        };
        code.extend(
            rest[..length]
                .chars()
                .map(|c| if c == '\n' { c } else { ' ' }),
        );
        at += length;
    }
    RustText { code, strings }
}

fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if text[at..].starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// Finds a string literal at the start of the text: the length of what opens it, and what closes
/// it. Only a raw string has no escapes, and says so by its prefix.
fn quotes(text: &str, after_word: bool) -> Option<Quotes> {
    let prefix = match after_word {
        true => "",
        false => ["br", "cr", "r", "b", "c", ""]
            .into_iter()
            .find(|prefix| text.starts_with(prefix))?,
    };
    let is_raw = prefix.ends_with('r');
    let rest = &text[prefix.len()..];
    let hashes = match is_raw {
        true => rest.len() - rest.trim_start_matches('#').len(),
        false => 0,
    };
    rest[hashes..].starts_with('"').then(|| Quotes {
        open: prefix.len() + hashes + 1,
        close: format!("\"{}", "#".repeat(hashes)),
        is_raw,
    })
}

struct Quotes {
    open: usize,
    close: String,
    is_raw: bool,
}

/// Returns how long a string literal goes on after what opens it.
fn string_end(text: &str, quotes: &Quotes) -> usize {
    let mut at = 0;
    while at < text.len() && !text[at..].starts_with(&quotes.close) {
        if !quotes.is_raw && text[at..].starts_with('\\') {
            at += 1;
        }
        at += text[at..].chars().next().map_or(1, char::len_utf8);
    }
    at.min(text.len())
}

/// Returns the length of a character literal, and nothing for a lifetime.
fn char_literal(text: &str) -> Option<usize> {
    let inside = text.strip_prefix('\'')?;
    let end = match inside.strip_prefix('\\') {
        Some(escaped) => 1 + escaped.char_indices().skip(1).find(|(_, c)| *c == '\'')?.0,
        None => inside.chars().next()?.len_utf8(),
    };
    inside[end..].starts_with('\'').then_some(end + 2)
}

#[test]
fn comments_and_strings_are_told_from_code() {
    let text = concat!(
        "let a = \"x // \\\" y\"; // why \"not\"\n",
        "/* b /* c */ \" */ let d = '\"'; let e: &'a str = r#\"SELECT \"1\" \"#;\n",
        "let f = b\"g\"; let bar = '\\''; let h = \"two\nlines\"; r\"\\\"; i"
    );

    let apart = take_apart(text);

    let strings: Vec<(usize, &str)> = apart
        .strings
        .iter()
        .map(|(line, text)| (*line, text.as_str()))
        .collect();
    assert_eq!(
        strings,
        [
            (1, "x // \\\" y"),
            (2, "SELECT \"1\" "),
            (3, "g"),
            (3, "two\nlines"),
            (4, "\\")
        ]
    );
    let words: Vec<&str> = apart.code.split_whitespace().collect();
    let expected = "let a = ; let d = ; let e: &'a str = ; let f = ; let bar = ; let h = ; ; i";
    assert_eq!(words, expected.split(' ').collect::<Vec<_>>());
    assert_eq!(apart.code.lines().count(), 4);
}
