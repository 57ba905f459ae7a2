//! The commands of a script, one by one.
//!
//! A text with several commands is one query to the server. Where the schema is distributed, each
//! command is sent on to other servers, which take one at a time.

use postgres::{Error, Transaction};

/// Runs the commands of a script of ours, each in a round trip of its own.
pub(crate) fn run_each(transaction: &mut Transaction<'_>, script: &str) -> Result<(), Error> {
    let mut commands = commands(script).into_iter();
    commands.try_for_each(|command| transaction.batch_execute(command))
}

/// Returns the commands of a script of ours, without what is around them. Comments may stand inside
/// of one; what only comments are in is none.
fn commands(script: &str) -> Vec<&str> {
    let mut commands = Vec::new();
    let (mut start, mut at) = (0, 0);
    let mut is_empty = true;
    while let Some(sign) = script[at..].chars().next() {
        let length = token(&script[at..]);
        match sign {
            ';' => {
                commands.extend((!is_empty).then(|| script[start..at].trim()));
                (start, is_empty) = (at + length, true);
            }
            _ if sign.is_whitespace() || script[at..].starts_with("--") => {}
            _ => is_empty = false,
        }
        at += length;
    }
    commands.extend((!is_empty).then(|| script[start..].trim()));
    commands
}

/// Returns how long the first piece of a script is in which no semicolon ends a command: a comment,
/// something quoted, or one character. What is quoted ends with the script at the latest.
fn token(script: &str) -> usize {
    let upto = |end: &str, from: usize| {
        let rest = script.get(from..).unwrap_or_default();
        rest.find(end)
            .map_or(script.len(), |at| from + at + end.len())
    };
    if script.starts_with("--") {
        return upto("\n", 2);
    }
    match script.chars().next() {
        Some('\'') => upto("'", 1),
        Some('"') => upto("\"", 1),
        Some('$') => match dollar_quote(script) {
            Some(quote) => upto(quote, quote.len()),
            None => 1,
        },
        first => first.map_or(0, char::len_utf8),
    }
}

/// Returns the dollar sign, name and dollar sign that a quoted text begins with.
fn dollar_quote(script: &str) -> Option<&str> {
    let end = 1 + script[1..].find('$')?;
    let is_name = script[1..end]
        .chars()
        .all(|sign| sign.is_ascii_alphabetic() || sign == '_');
    is_name.then(|| &script[..=end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(script: &str, expected: &[&str]) {
        assert_eq!(commands(script), expected, "{script}");
    }

    #[test]
    fn a_script_falls_into_its_commands() {
        check("", &[]);
        check("-- nothing; at all\n;\n ; \n", &[]);
        check("A; B", &["A", "B"]);
        check(
            "-- of A; not of B\nA (\n  -- why; so\n  x\n);\nB;\n",
            &["-- of A; not of B\nA (\n  -- why; so\n  x\n)", "B"],
        );
    }

    #[test]
    fn what_is_quoted_ends_no_command() {
        check("A 'x;''y;' B; C", &["A 'x;''y;' B", "C"]);
        check("A \"x;\"; B", &["A \"x;\"", "B"]);
        check("A $$ x; $ 'y $$ B; C", &["A $$ x; $ 'y $$ B", "C"]);
        check(
            "A $body$ x; $$ ; $body$; C $1",
            &["A $body$ x; $$ ; $body$", "C $1"],
        );
        check("A ü 'x", &["A ü 'x"]);
    }
}
