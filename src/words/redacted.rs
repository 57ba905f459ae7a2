//! What an error of the database reveals: what was refused and where, but no value of a row.
//!
//! Error texts end up in dead letters, logs and terminals, which more people read than may read the
//! data. The server puts values into DETAIL (`Failing row contains (…)`), HINT and CONTEXT, so none
//! of these is ever shown. It puts some into the message itself: `invalid input syntax for type
//! integer: "…"`. The SQLSTATE says which messages do, in whatever language they come: the classes
//! of [`names_only`] hold names of tables, columns, constraints and roles, and are shown unchanged.
//! From all others, including those that functions raise, everything in quotes is left out, and
//! each word with a digit or an `@` in it: what remains is the sentence that somebody wrote.
//!
//! The driver's errors print all fields when a chain of causes is followed to its end, so as causes
//! of ours they are [`Veiled`]. Callers who want the fields ask for them by type, with
//! [`Error::cause`](crate::Error::cause).

use postgres::error::{DbError, ErrorPosition};
use std::error::Error as StdError;
use std::fmt;

/// What stands for a value.
const LEFT_OUT: char = '…';

/// Our own `miscounted`, which counts messages.
pub(crate) const MISCOUNTED: &str = "OT001";
/// Our own `subscriptions_changed`.
pub(crate) const RESUBSCRIBED: &str = "OT002";
/// Our own `log_make_tick`, which finds that the sequence of entries is behind them.
pub(crate) const LOG_BEHIND: &str = "OT003";

/// Returns what may be told of an error of the driver.
pub(crate) fn text_of(error: &postgres::Error) -> String {
    match error.as_db_error() {
        Some(refused) => text_of_refusal(refused),
        None => chain(error),
    }
}

/// Returns what may be told of an error of the server: its message, its SQLSTATE, and the names
/// that the message does not say.
fn text_of_refusal(refused: &DbError) -> String {
    let code = refused.code().code();
    // The one who raised it also chose the code.
    let is_raised = refused.routine() == Some("exec_stmt_raise") && !is_our_own(code);
    let message = match names_only(code) && !is_raised {
        true => refused.message().to_owned(),
        false => without_values(refused.message()),
    };
    let mut text = format!("{message} ({code}");
    let names = [
        ("table", refused.table()),
        ("column", refused.column()),
        ("constraint", refused.constraint()),
    ];
    for (what, name) in names {
        if let Some(name) = name.filter(|name| !message.contains(name)) {
            text.push_str(&format!(", {what} {name}"));
        }
    }
    if let (true, Some(ErrorPosition::Original(at))) = (is_syntax(code), refused.position()) {
        text.push_str(&format!(", at character {at}"));
    }
    text.push(')');
    text
}

/// Returns whether messages of this SQLSTATE hold no values, only names and what was not allowed.
fn names_only(code: &str) -> bool {
    const CLASSES: [&str; 21] = [
        "08", "0A", "21", "23", "24", "25", "26", "28", "2B", "2D", "34", "3B", "3D", "3F", "40",
        "42", "44", "53", "55", "57", "58",
    ];
    let is_known = CLASSES.iter().any(|class| code.starts_with(class)) || is_our_own(code);
    is_known && !is_syntax(code)
}

/// Returns whether it is one that only our own functions raise.
fn is_our_own(code: &str) -> bool {
    [MISCOUNTED, RESUBSCRIBED].contains(&code)
}

/// Returns whether it is about the text of a statement, which may have values in it, or about a
/// text search.
fn is_syntax(code: &str) -> bool {
    matches!(code, "42601" | "42602")
}

/// Leaves out of a sentence what stands in quotes, and words with a digit or an `@` in them.
pub(crate) fn without_values(message: &str) -> String {
    let is_in_word = |c: char| c.is_alphanumeric() || c == LEFT_OUT || "@._-+:/".contains(c);
    let is_value = |c: char| c.is_numeric() || c == '@';
    let mut text = String::with_capacity(message.len());
    let unquoted = unquoted(message);
    let mut rest = unquoted.as_str();
    while !rest.is_empty() {
        let start = rest.find(is_in_word).unwrap_or(rest.len());
        text.push_str(&rest[..start]);
        rest = &rest[start..];
        let end = rest.find(|c| !is_in_word(c)).unwrap_or(rest.len());
        let word = rest[..end].trim_end_matches(['.', ':']);
        match word.contains(is_value) {
            true => text.push(LEFT_OUT),
            false => text.push_str(word),
        }
        text.push_str(&rest[word.len()..end]);
        rest = &rest[end..];
    }
    text
}

/// Leaves out all from a quote to the last one of its kind, in any language: a value may hold
/// quotes itself.
pub(crate) fn unquoted(text: &str) -> String {
    let Some((start, closing)) = opening(text) else {
        return text.to_owned();
    };
    let inside = &text[start..];
    match inside.rfind(|c| closing.contains(c)) {
        // One that is not closed was cut off.
        None => format!("{}{LEFT_OUT}", &text[..start]),
        Some(at) => {
            let after = inside[at..].chars().next().map_or(0, char::len_utf8);
            let (closed, rest) = inside[at..].split_at(after);
            format!("{}{LEFT_OUT}{closed}{}", &text[..start], unquoted(rest))
        }
    }
}

/// Returns where the text in the first quotes begins, and what may close them. An apostrophe in a
/// word opens none.
fn opening(text: &str) -> Option<(usize, &'static str)> {
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        let start = at + c.len_utf8();
        let closing = match c {
            '"' | '＂' => "\"＂",
            '“' | '”' | '„' | '‟' => "“”„‟\"",
            '«' | '»' => "«»",
            '‹' | '›' => "‹›",
            '「' | '」' | '『' | '』' => "「」『』",
            '〝' | '〞' | '〟' => "〝〞〟",
            '`' => "`'’",
            '\'' | '‘' | '’' | '‚' if !before.is_alphanumeric() => "'‘’",
            _ => "",
        };
        if !closing.is_empty() {
            return Some((start, closing));
        }
        before = c;
    }
    None
}

/// Returns what one error says, without its causes.
fn own_text(error: &(dyn StdError + 'static)) -> String {
    if let Some(error) = error.downcast_ref::<postgres::Error>() {
        text_of(error)
    } else if let Some(refused) = error.downcast_ref::<DbError>() {
        text_of_refusal(refused)
    } else {
        error.to_string()
    }
}

/// Returns the error and all its causes in one line: `outer: inner: innermost`.
pub(crate) fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = match error.downcast_ref::<postgres::Error>() {
        Some(error) if error.as_db_error().is_none() => error.to_string(),
        _ => own_text(error),
    };
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = own_text(cause);
        let is_said = match is_of_the_database(cause) {
            // Ours say within a sentence of their own what the database said.
            true => text.contains(&cause_text),
            // Many error types print their source themselves; once is enough.
            false => text.ends_with(&cause_text),
        };
        if !is_said {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}

fn is_of_the_database(error: &(dyn StdError + 'static)) -> bool {
    error.is::<postgres::Error>()
        || error.is::<DbError>()
        || error.is::<Veiled>()
        || error.is::<Rest>()
}

/// A cause behind which the database said something. It and its own causes print what may be told
/// of that.
pub(crate) struct Veiled {
    inner: Box<dyn StdError + Send + Sync>,
    rest: Option<Rest>,
}

/// What an error's causes say.
#[derive(Debug)]
struct Rest(String);

/// Veils a cause, if the driver's error is among its causes or the cause itself.
pub(crate) fn veil(cause: Box<dyn StdError + Send + Sync>) -> Box<dyn StdError + Send + Sync> {
    let is_said =
        |error: &(dyn StdError + 'static)| error.is::<postgres::Error>() || error.is::<DbError>();
    let top: &(dyn StdError + 'static) = cause.as_ref();
    let mut next = Some(top);
    while let Some(error) = next {
        if is_said(error) {
            let is_top = is_said(top);
            let rest = (!is_top)
                .then(|| top.source().map(chain))
                .flatten()
                .map(Rest);
            return Box::new(Veiled { inner: cause, rest });
        }
        next = error.source();
    }
    cause
}

/// Returns the cause of an error, also where it is veiled.
pub(crate) fn behind<'e>(
    error: &'e (dyn StdError + 'static),
) -> Option<&'e (dyn StdError + 'static)> {
    match error.downcast_ref::<Veiled>() {
        Some(veiled) => Some(veiled.inner.as_ref()),
        None => error.source(),
    }
}

impl fmt::Display for Veiled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&own_text(self.inner.as_ref()))
    }
}

impl fmt::Debug for Veiled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&chain(self.inner.as_ref()))
    }
}

impl StdError for Veiled {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.rest
            .as_ref()
            .map(|rest| rest as &(dyn StdError + 'static))
    }
}

impl fmt::Display for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for Rest {}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(message: &str, expected: &str) {
        assert_eq!(without_values(message), expected);
    }

    #[test]
    fn values_are_left_out_in_the_quotes_of_any_language() {
        check(
            "invalid input syntax for type integer: \"sec\"ret\"",
            "invalid input syntax for type integer: \"…\"",
        );
        check(
            "syntaxe en entrée invalide pour le type integer : « secret »",
            "syntaxe en entrée invalide pour le type integer : «…»",
        );
        check("ungültige Eingabe: „secret“", "ungültige Eingabe: „…“");
        check(
            "invalid value \"secret\" for «secret»",
            "invalid value \"…\" for «…»",
        );
        check(
            "型の入力が不正です: 「secret」",
            "型の入力が不正です: 「…」",
        );
        check(
            "l'entier 'secret' n'est pas valide",
            "l'entier '…'est pas valide",
        );
        check(
            "unterminated quoted string at or near \"'secret",
            "unterminated quoted string at or near \"…",
        );
    }

    #[test]
    fn words_with_digits_or_an_at_are_values() {
        check(
            "date field value out of range: 1970-02-31",
            "date field value out of range: …",
        );
        check(
            "account DE89-3704 of bob@example.org is closed.",
            "account … of … is closed.",
        );
        check(
            "value too long for type character varying(10)",
            "value too long for type character varying(…)",
        );
        check(
            "the customers' limit can't be raised",
            "the customers' limit can't be raised",
        );
        check("", "");
    }

    #[test]
    fn names_are_told() {
        for code in ["23505", "23502", "42P01", "42501", "55P03", "OT001"] {
            assert!(names_only(code), "{code}");
        }
        for code in ["22P02", "42601", "P0001", "XX000", "38000", "ZZ999", ""] {
            assert!(!names_only(code), "{code}");
        }
    }
}
