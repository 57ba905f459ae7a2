//! Commands in a caller's SQL that would end its transaction, as far as the text shows.
//!
//! This is only the first check, which refuses such commands before anything runs. Where quotes can
//! be read in two ways it stops looking, so that it never refuses a text without such a command.
//! What counts in the end is what the server reports (`side_effects`).

/// Why a text is not for a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It would end the transaction, or begin one.
    Control(&'static str),
    /// It names a savepoint of ours.
    Savepoint,
}

/// Returns why a text is not for a session, if it can be read from it. Of one that is a single
/// command by itself, only the first is looked at.
pub(crate) fn refusal(sql: &[u8], is_single: bool) -> Option<Refusal> {
    let mut found = None;
    each_command(sql, |command| {
        found = command.refusal();
        found.is_none() && !is_single
    });
    found
}

/// The most words of a command that are kept: ROLLBACK TRANSACTION TO SAVEPOINT name.
const MOST_WORDS: usize = 5;

/// The first words of a command.
#[derive(Default)]
pub(crate) struct Command<'a> {
    words: [&'a [u8]; MOST_WORDS],
    count: usize,
    /// How deep in what only psql and the server see as one command:
    /// `CREATE FUNCTION … BEGIN ATOMIC …; END`.
    depth: usize,
}

impl<'a> Command<'a> {
    /// Returns a word, or `None` where there are not so many.
    pub(crate) fn word(&self, at: usize) -> &'a [u8] {
        self.words[at]
    }

    fn is(&self, at: usize, word: &str) -> bool {
        self.words[at].eq_ignore_ascii_case(word.as_bytes())
    }

    fn push(&mut self, word: &'a [u8]) {
        if self.count < MOST_WORDS {
            self.words[self.count] = word;
            self.count += 1;
        }
    }

    /// Notes a word that may open or close a body.
    fn note_body(&mut self, word: &[u8]) {
        let at = if self.is(1, "OR") { 3 } else { 1 };
        let may_have_body =
            self.is(0, "CREATE") && (self.is(at, "FUNCTION") || self.is(at, "PROCEDURE"));
        if !may_have_body {
        } else if word.eq_ignore_ascii_case(b"BEGIN")
            || (self.depth > 0 && word.eq_ignore_ascii_case(b"CASE"))
        {
            self.depth += 1;
        } else if word.eq_ignore_ascii_case(b"END") {
            self.depth = self.depth.saturating_sub(1);
        }
    }

    fn refusal(&self) -> Option<Refusal> {
        const CONTROL: [&str; 5] = ["COMMIT", "END", "ABORT", "BEGIN", "START"];
        let is_rollback = self.is(0, "ROLLBACK");
        let to = usize::from(self.is(1, "WORK") || self.is(1, "TRANSACTION")) + 1;
        if let Some(word) = CONTROL.iter().find(|word| self.is(0, word)) {
            return Some(Refusal::Control(word));
        }
        if self.is(0, "PREPARE") && self.is(1, "TRANSACTION") {
            return Some(Refusal::Control("PREPARE TRANSACTION"));
        }
        if is_rollback && !self.is(to, "TO") {
            return Some(Refusal::Control("ROLLBACK"));
        }
        let name = match (is_rollback, self.is(0, "SAVEPOINT"), self.is(0, "RELEASE")) {
            (true, ..) => to + 1,
            (_, true, _) | (.., true) => 1,
            _ => return None,
        };
        let name = name + usize::from(self.is(name, "SAVEPOINT"));
        let name = if name < MOST_WORDS {
            self.word(name)
        } else {
            b""
        };
        let is_ours = name
            .get(..OURS.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(OURS));
        is_ours.then_some(Refusal::Savepoint)
    }
}

/// How the names of savepoints of ours begin.
const OURS: &[u8] = b"outtray_";

/// Tells of each command of a text, until told to stop, or the text can be read in two ways.
pub(crate) fn each_command(sql: &[u8], mut tell: impl FnMut(&Command<'_>) -> bool) {
    let mut tokens = SqlTokens { rest: sql };
    let mut command = Command::default();
    let mut parentheses = 0_usize;
    let mut is_told = false;
    loop {
        let token = tokens.next();
        match token {
            Some(SqlToken::Word(word)) => {
                command.push(word);
                if parentheses == 0 {
                    command.note_body(word);
                }
            }
            Some(SqlToken::Quoted(name)) => command.push(name),
            Some(SqlToken::Sign(b'(')) => parentheses += 1,
            Some(SqlToken::Sign(b')')) => parentheses = parentheses.saturating_sub(1),
            _ => {}
        }
        let is_over = match token {
            Some(SqlToken::Sign(b';')) => parentheses == 0 && command.depth == 0,
            Some(_) => false,
            None => true,
        };
        let is_read = command.count == MOST_WORDS || is_over;
        if command.count > 0 && is_read && !is_told {
            is_told = true;
            if !tell(&command) {
                return;
            }
        }
        if is_over {
            command = Command::default();
            is_told = false;
        }
        if token.is_none() {
            return;
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum SqlToken<'a> {
    Word(&'a [u8]),
    /// A name in quotes.
    Quoted(&'a [u8]),
    Sign(u8),
    /// A text, or a number.
    Other,
}

struct SqlTokens<'a> {
    rest: &'a [u8],
}

impl<'a> SqlTokens<'a> {
    /// Returns the next token; `None` at the end, or where the text cannot be told apart.
    fn next(&mut self) -> Option<SqlToken<'a>> {
        self.skip_space()?;
        let &first = self.rest.first()?;
        match first {
            b'\'' => self.text(false),
            b'"' => {
                let end = self.rest[1..].iter().position(|byte| *byte == b'"')? + 1;
                Some(SqlToken::Quoted(&self.take(end + 1)[1..end]))
            }
            b'$' => self.dollars(),
            _ if is_first_of_word(&first) => {
                let length = self.rest.iter().take_while(|byte| is_in_word(byte)).count();
                let word = self.take(length);
                if word.eq_ignore_ascii_case(b"E") && self.rest.first() == Some(&b'\'') {
                    return self.text(true);
                }
                Some(SqlToken::Word(word))
            }
            _ => {
                self.take(1);
                Some(if first.is_ascii_digit() {
                    SqlToken::Other
                } else {
                    SqlToken::Sign(first)
                })
            }
        }
    }

    fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        taken
    }

    fn skip_space(&mut self) -> Option<()> {
        loop {
            let space = self.rest.iter().take_while(|byte| is_space(byte)).count();
            self.take(space);
            if self.rest.starts_with(b"--") {
                let mut bytes = self.rest.iter();
                let end = bytes.position(|byte| matches!(byte, b'\n' | b'\r'));
                self.take(end.unwrap_or(self.rest.len()));
            } else if self.rest.starts_with(b"/*") {
                self.skip_comment()?;
            } else {
                return Some(());
            }
        }
    }

    /// They nest.
    fn skip_comment(&mut self) -> Option<()> {
        let mut depth = 0;
        loop {
            let step = match self.rest {
                [b'/', b'*', ..] => {
                    depth += 1;
                    2
                }
                [b'*', b'/', ..] => {
                    depth -= 1;
                    2
                }
                [] => return None,
                _ => 1,
            };
            self.take(step);
            if depth == 0 {
                return Some(());
            }
        }
    }

    /// A text in quotes. Whether a backslash stands for itself in one without an E is a setting.
    fn text(&mut self, has_escapes: bool) -> Option<SqlToken<'a>> {
        self.take(1);
        loop {
            let at = self
                .rest
                .iter()
                .position(|byte| matches!(byte, b'\'' | b'\\'))?;
            let sign = self.take(at + 1)[at];
            match (sign, has_escapes) {
                (b'\'', _) => return Some(SqlToken::Other),
                (_, true) => {
                    if self.rest.is_empty() {
                        return None;
                    }
                    self.take(1);
                }
                (_, false) if self.rest.first() == Some(&b'\'') => return None,
                _ => {}
            }
        }
    }

    /// A text in dollars, or a parameter.
    fn dollars(&mut self) -> Option<SqlToken<'a>> {
        let tag = self.rest[1..].iter().position(|byte| *byte == b'$');
        let tag = tag.map(|end| &self.rest[..end + 2]).filter(|tag| {
            let name = &tag[1..tag.len() - 1];
            name.is_empty() || (is_first_of_word(&name[0]) && name.iter().all(is_in_word))
        });
        let Some(tag) = tag else {
            self.take(1);
            return Some(SqlToken::Other);
        };
        self.take(tag.len());
        let end = self
            .rest
            .windows(tag.len())
            .position(|window| window == tag)?;
        self.take(end + tag.len());
        Some(SqlToken::Other)
    }
}

fn is_space(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0B | 0x0C)
}

fn is_first_of_word(byte: &u8) -> bool {
    byte.is_ascii_alphabetic() || *byte == b'_' || *byte >= 0x80
}

fn is_in_word(byte: &u8) -> bool {
    is_first_of_word(byte) || byte.is_ascii_digit() || *byte == b'$'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(sql: &str, expected: Option<Refusal>) {
        assert_eq!(refusal(sql.as_bytes(), false), expected, "{sql}");
    }

    #[test]
    fn commands_that_end_the_transaction_are_found_wherever_they_are() {
        for (sql, word) in [
            ("COMMIT", "COMMIT"),
            (" commit;", "COMMIT"),
            (";;\n;COMMIT", "COMMIT"),
            ("/* x /* y */ */ COMMIT", "COMMIT"),
            ("-- x\nCOMMIT", "COMMIT"),
            ("-- x\r\u{c}COMMIT AND CHAIN", "COMMIT"),
            ("END", "END"),
            ("end work", "END"),
            ("ABORT", "ABORT"),
            ("ROLLBACK", "ROLLBACK"),
            ("rollback and chain", "ROLLBACK"),
            ("ROLLBACK/**/WORK", "ROLLBACK"),
            ("begin", "BEGIN"),
            ("START TRANSACTION", "START"),
            ("PREPARE/**/TRANSACTION 'x'", "PREPARE TRANSACTION"),
            ("SELECT 1; COMMIT; BEGIN", "COMMIT"),
            ("SELECT ';', E'\\';', \";\", $a$;'$a$, $1;COMMIT", "COMMIT"),
            ("DO $$ BEGIN END $$; ROLLBACK", "ROLLBACK"),
            (
                "CREATE OR REPLACE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; END; COMMIT",
                "COMMIT",
            ),
        ] {
            check(sql, Some(Refusal::Control(word)));
        }
    }

    #[test]
    fn what_is_no_such_command_is_left_alone() {
        for sql in [
            "SELECT 1",
            "",
            ";",
            "ROLLBACK TO mine",
            "ROLLBACK WORK TO SAVEPOINT mine",
            "SAVEPOINT s; RELEASE s",
            "PREPARE x AS SELECT 1",
            "PREPARE transactions AS SELECT 1",
            "ENDLESS",
            "INSERT INTO t VALUES ('x; COMMIT')",
            "INSERT INTO t VALUES ('it''s; COMMIT')",
            "INSERT INTO t VALUES ($$x; COMMIT; $$)",
            "SELECT 1 -- ; COMMIT",
            "SELECT 1 /* ; COMMIT",
            "SELECT '\\'; COMMIT; --'",
            "SELECT E'\\'; COMMIT; --'",
            "CREATE RULE r AS ON INSERT TO t DO (SELECT 1; END)",
            "CREATE PROCEDURE p() BEGIN ATOMIC INSERT INTO t VALUES (1); END",
            "SELECT U&\"d;commit\"",
            "SELECT $1::int; SELECT $2",
        ] {
            check(sql, None);
        }
        assert_eq!(refusal(b"SELECT 1; COMMIT", true), None);
    }

    #[test]
    fn savepoints_of_ours_are_not_to_be_named() {
        for sql in [
            "RELEASE outtray_a",
            "ROLLBACK TO OUTTRAY_A",
            "ROLLBACK WORK TO SAVEPOINT \"outtray_b\"",
            "SELECT 1; SAVEPOINT outtray_a",
        ] {
            check(sql, Some(Refusal::Savepoint));
        }
    }
}
