//! Filters as text: writing and parsing.
//!
//! `not` binds more tightly than `and`, and `and` more tightly than `or`. A bare word is a name or
//! a value. Anything else, and anything that could be a keyword, is quoted: a name as `"…"`, a
//! value as `'…'`, with the quote doubled inside.

use crate::words::error::{Error, Result};
use crate::words::filter::{Comparison, Condition, Filter, MAX_DEPTH, Test};
use std::fmt::{self, Display, Write};
use std::str::FromStr;

/// Words that mean something, so that a name like one of them is quoted.
const WORDS: [&str; 9] = [
    "and", "or", "not", "in", "is", "null", "exists", "starts", "with",
];

impl Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, condition) in self.conditions.iter().enumerate() {
            f.write_str(if index > 0 { " and " } else { "" })?;
            condition.fmt(f)?;
        }
        Ok(())
    }
}

impl Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Condition::Header(name, test) => {
                match is_bare(name) && !is_word(name) {
                    true => f.write_str(name)?,
                    false => push_quoted(f, '"', name)?,
                }
                test.fmt(f)
            }
            Condition::Not(filter) => write!(f, "not ({filter})"),
            Condition::Any(filters) => {
                f.write_char('(')?;
                for (index, filter) in filters.iter().enumerate() {
                    f.write_str(if index > 0 { " or " } else { "" })?;
                    // One that is itself a choice, or several conditions, stays one.
                    match filter.conditions.as_slice() {
                        [Condition::Header(..) | Condition::Not(_)] => filter.fmt(f)?,
                        _ => write!(f, "({filter})")?,
                    }
                }
                f.write_char(')')
            }
        }
    }
}

impl Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Test::OneOf(values) if values.len() == 1 => {
                f.write_str(" = ")?;
                push_quoted(f, '\'', &values[0])
            }
            Test::OneOf(values) => {
                f.write_str(" in (")?;
                for (index, value) in values.iter().enumerate() {
                    f.write_str(if index > 0 { ", " } else { "" })?;
                    push_quoted(f, '\'', value)?;
                }
                f.write_char(')')
            }
            Test::Prefix(prefix) => {
                f.write_str(" starts with ")?;
                push_quoted(f, '\'', prefix)
            }
            Test::Exists => f.write_str(" exists"),
            Test::Null => f.write_str(" is null"),
            Test::Number(how, number) => write!(f, " {} {number}", how.sign()),
        }
    }
}

fn push_quoted(f: &mut fmt::Formatter<'_>, quote: char, text: &str) -> fmt::Result {
    f.write_char(quote)?;
    for char in text.chars() {
        if char == quote {
            f.write_char(quote)?;
        }
        f.write_char(char)?;
    }
    f.write_char(quote)
}

fn is_bare(text: &str) -> bool {
    !text.is_empty() && text.chars().all(is_of_word)
}

fn is_of_word(char: char) -> bool {
    char.is_alphanumeric() || "_-.:/@+%#$&*~".contains(char)
}

fn is_word(text: &str) -> bool {
    WORDS.iter().any(|word| text.eq_ignore_ascii_case(word))
}

impl FromStr for Filter {
    type Err = Error;

    /// Reads a filter.
    ///
    /// # Errors
    /// `Invalid` for what is no filter, with the place. What no header can be is refused where the
    /// filter is used.
    fn from_str(text: &str) -> Result<Self> {
        let mut reader = Reader {
            text,
            at: 0,
            depth: 0,
        };
        let filter = reader.choice()?;
        let end = reader.at;
        if reader.next_token()?.is_some() {
            reader.at = end;
            return Err(reader.expected("\"and\", \"or\" or the end"));
        }
        Ok(filter)
    }
}

/// A part of the text of a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
enum FilterToken {
    /// A bare word, or one in quotes, which is never a word of the language.
    Word {
        text: String,
        quote: Option<char>,
    },
    Sign(&'static str),
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
}

impl Reader<'_> {
    /// Reads filters that are joined by `or`.
    fn choice(&mut self) -> Result<Filter> {
        self.depth += 1;
        // A parenthesis and a `not` are a level each.
        if self.depth > 2 * MAX_DEPTH {
            return Err(self.error(&format!("it is more than {MAX_DEPTH} filters deep")));
        }
        let mut filters = vec![self.conjunction()?];
        while self.takes_word("or")? {
            filters.push(self.conjunction()?);
        }
        self.depth -= 1;
        Ok(Filter::any(filters))
    }

    fn conjunction(&mut self) -> Result<Filter> {
        let mut filter = self.opposite()?;
        while self.takes_word("and")? {
            filter = filter.and(self.opposite()?);
        }
        Ok(filter)
    }

    fn opposite(&mut self) -> Result<Filter> {
        let mut is_not = false;
        while self.takes_word("not")? {
            is_not = !is_not;
        }
        let filter = match self.takes_sign("(")? {
            true => {
                let filter = self.choice()?;
                self.sign(")")?;
                filter
            }
            false => self.condition()?,
        };
        Ok(match is_not {
            true => Filter::not(filter),
            false => filter,
        })
    }

    fn condition(&mut self) -> Result<Filter> {
        let name = self.name()?;
        let filter = Filter::new();
        for how in Comparison::ALL {
            if self.takes_sign(how.sign())? {
                let number = self.value()?;
                let test = Test::Number(how, number);
                return Ok(Filter {
                    conditions: vec![Condition::Header(name, test)],
                });
            }
        }
        if self.takes_sign("=")? {
            return Ok(filter.equals(name, self.value()?));
        }
        if self.takes_sign("!=")? {
            return Ok(Filter::not(filter.equals(name, self.value()?)));
        }
        if self.takes_word("in")? {
            return Ok(filter.one_of(name, self.values()?));
        }
        if self.takes_word("exists")? {
            return Ok(filter.exists(name));
        }
        if self.takes_word("starts")? {
            self.word("with")?;
            return Ok(filter.prefix(name, self.value()?));
        }
        if self.takes_word("is")? {
            let is_not = self.takes_word("not")?;
            self.word("null")?;
            return Ok(match is_not {
                true => filter.exists(&name).and_not(Filter::new().null(name)),
                false => filter.null(name),
            });
        }
        Err(self.expected("one of = != == < <= > >= in, starts with, exists, is null"))
    }

    fn values(&mut self) -> Result<Vec<String>> {
        self.sign("(")?;
        let mut values = vec![self.value()?];
        while self.takes_sign(",")? {
            values.push(self.value()?);
        }
        self.sign(")")?;
        Ok(values)
    }

    fn name(&mut self) -> Result<String> {
        let start = self.at;
        if let Some(FilterToken::Word { text, quote }) = self.next_token()?
            && quote != Some('\'')
            && (quote.is_some() || !is_word(&text))
        {
            return Ok(text);
        }
        self.at = start;
        Err(self.expected("the name of a header, one like a word of the language in \"quotes\""))
    }

    fn value(&mut self) -> Result<String> {
        let start = self.at;
        if let Some(FilterToken::Word { text, quote }) = self.next_token()?
            && quote != Some('"')
        {
            return Ok(text);
        }
        self.at = start;
        Err(self.expected("a value, one that is no bare word in 'quotes'"))
    }

    fn word(&mut self, word: &str) -> Result<()> {
        match self.takes_word(word)? {
            true => Ok(()),
            false => Err(self.expected(&format!("\"{word}\""))),
        }
    }

    fn sign(&mut self, sign: &str) -> Result<()> {
        match self.takes_sign(sign)? {
            true => Ok(()),
            false => Err(self.expected(&format!("\"{sign}\""))),
        }
    }

    fn takes_word(&mut self, word: &str) -> Result<bool> {
        self.takes(|token| match token {
            FilterToken::Word { text, quote: None } => text.eq_ignore_ascii_case(word),
            _ => false,
        })
    }

    fn takes_sign(&mut self, sign: &str) -> Result<bool> {
        self.takes(|token| matches!(token, FilterToken::Sign(found) if *found == sign))
    }

    fn takes(&mut self, is_it: impl Fn(&FilterToken) -> bool) -> Result<bool> {
        let start = self.at;
        let is_taken = self.next_token()?.is_some_and(|token| is_it(&token));
        if !is_taken {
            self.at = start;
        }
        Ok(is_taken)
    }

    /// Reads the next part; `None` at the end.
    fn next_token(&mut self) -> Result<Option<FilterToken>> {
        const SIGNS: [&str; 10] = ["==", "!=", "<=", ">=", "=", "<", ">", "(", ")", ","];
        let rest = self.text[self.at..].trim_start();
        self.at = self.text.len() - rest.len();
        let Some(first) = rest.chars().next() else {
            return Ok(None);
        };
        if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            self.at += sign.len();
            return Ok(Some(FilterToken::Sign(sign)));
        }
        if first == '\'' || first == '"' {
            return self.quoted(first).map(Some);
        }
        let end = rest.find(|char| !is_of_word(char)).unwrap_or(rest.len());
        if end == 0 {
            return Err(self.error(&format!("{first:?} has to be in quotes")));
        }
        self.at += end;
        let text = rest[..end].to_owned();
        Ok(Some(FilterToken::Word { text, quote: None }))
    }

    fn quoted(&mut self, quote: char) -> Result<FilterToken> {
        let start = self.at;
        let mut text = String::new();
        let mut chars = self.text[start + 1..].char_indices().peekable();
        while let Some((at, char)) = chars.next() {
            if char != quote {
                text.push(char);
            } else if chars.next_if(|(_, next)| *next == quote).is_some() {
                text.push(quote);
            } else {
                self.at = start + 1 + at + 1;
                let quote = Some(quote);
                return Ok(FilterToken::Word { text, quote });
            }
        }
        Err(self.error(&format!("the quote {quote} is not closed")))
    }

    fn expected(&self, what: &str) -> Error {
        let rest = self.text[self.at..].trim_start();
        let found = match rest.is_empty() {
            true => "the end".to_owned(),
            false => format!(
                "\"{}\"",
                rest.chars().take(20).collect::<String>().escape_debug()
            ),
        };
        self.error(&format!("expected {what}, found {found}"))
    }

    fn error(&self, what: &str) -> Error {
        let place = self.text[..self.at].chars().count() + 1;
        Error::invalid(format!(
            "the filter cannot be read at character {place}: {what}"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Filter, written: &str) {
        let read: Filter = text.parse().unwrap();
        assert_eq!(read, expected, "{text}");
        assert_eq!(read.to_string(), written, "{text}");
        assert_eq!(written.parse::<Filter>().unwrap(), expected, "{written}");
    }

    #[track_caller]
    fn check_refused(text: &str, part: &str) {
        let error = text.parse::<Filter>().unwrap_err().to_string();
        assert!(error.contains(part), "{text}: {error}");
    }

    fn new() -> Filter {
        Filter::new()
    }

    #[test]
    fn a_filter_is_read_as_it_is_written() {
        check("a=x", new().equals("a", "x"), "a = 'x'");
        check(" a = 'it''s' ", new().equals("a", "it's"), "a = 'it''s'");
        check(
            "a != x",
            Filter::not(new().equals("a", "x")),
            "not (a = 'x')",
        );
        check(
            "a IN (x, 'y z')",
            new().one_of("a", ["x", "y z"]),
            "a in ('x', 'y z')",
        );
        check(
            "a Starts With ord",
            new().prefix("a", "ord"),
            "a starts with 'ord'",
        );
        check("a is null", new().null("a"), "a is null");
        let not_null = new().exists("a").and_not(new().null("a"));
        check("a is not null", not_null, "a exists and not (a is null)");
        check("\"and\" exists", new().exists("and"), "\"and\" exists");
        check(
            "\"a \"\"b\"\"\" exists",
            new().exists("a \"b\""),
            "\"a \"\"b\"\"\" exists",
        );
        check("a = and", new().equals("a", "and"), "a = 'and'");
        check("a == 1e3", new().number("a", "1e3"), "a == 1e3");
        check(
            "a>=-1.5 and a<2",
            new().at_least("a", -1.5).below("a", 2),
            "a >= -1.5 and a < 2",
        );
        check("żółw = '🐢'", new().equals("żółw", "🐢"), "żółw = '🐢'");
    }

    #[test]
    fn not_binds_closer_than_and_and_that_closer_than_or() {
        let [a, b, c] = ["a", "b", "c"].map(|name| new().exists(name));
        check(
            "a exists or b exists and not c exists",
            Filter::any([a.clone(), b.clone().and_not(c.clone())]),
            "(a exists or (b exists and not (c exists)))",
        );
        check(
            "(a exists or b exists) and c exists",
            a.clone().or(b.clone()).and(c.clone()),
            "(a exists or b exists) and c exists",
        );
        check(
            "not (a exists and (b exists or not not c exists))",
            Filter::not(a.and(b.or(c))),
            "not (a exists and (b exists or c exists))",
        );
    }

    #[test]
    fn what_is_no_filter_is_refused_with_the_place() {
        check_refused("", "character 1: expected the name of a header");
        check_refused("a", "character 2: expected one of =");
        check_refused("a =", "expected a value");
        check_refused("a = b c", "character 6: expected \"and\"");
        check_refused("a = 'b", "is not closed");
        check_refused("a in ()", "expected a value");
        check_refused("a in (b", "expected \")\", found the end");
        check_refused("(a exists", "expected \")\"");
        check_refused("and exists", "expected the name");
        check_refused("a is x", "expected \"null\"");
        check_refused("a starts x", "expected \"with\"");
        check_refused("a = [x]", "has to be in quotes");
        check_refused("'a' exists", "expected the name");
        check_refused(&"(".repeat(100_000), "filters deep");
        assert!("not ".repeat(100_000).parse::<Filter>().is_err());
    }
}
