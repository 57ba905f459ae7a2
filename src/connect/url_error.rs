//! How a connection string is refused, by whichever part of it. No text shows more of the string
//! than keywords.

use crate::words::{Error, ErrorKind, Result};

/// Says that the settings allow no connection, and why.
pub(crate) fn configuration(text: impl Into<String>) -> Error {
    Error::new(ErrorKind::Configuration, text)
}

/// Says that a string cannot be read, and why.
pub(crate) fn malformed(why: &str) -> Error {
    configuration(format!(
        "the database URL is malformed, write postgresql://user@host:port/database: {why}"
    ))
}

/// Returns what a word stands for.
pub(crate) fn choice<T: Copy>(keyword: &str, value: &str, choices: &[(&str, T)]) -> Result<T> {
    let chosen = choices.iter().find(|(word, _)| *word == value);
    let words = || choices.iter().map(|(word, _)| *word).collect::<Vec<_>>();
    chosen
        .map(|(_, chosen)| *chosen)
        .ok_or_else(|| not_offered(keyword, &words()))
}

/// Refuses a value of a keyword of which only these words are taken.
pub(crate) fn not_offered(keyword: &str, words: &[&str]) -> Error {
    let words = words.join(" or ");
    configuration(format!(
        "{keyword} in the database URL may be {words} here, and nothing else"
    ))
}
