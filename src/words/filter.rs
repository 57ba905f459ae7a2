//! Selects messages by their headers.

use crate::words::error::{Error, Result};
use crate::words::headers::{self, Headers};
use std::collections::BTreeSet;
use std::fmt::Display;

/// Values of all conditions together, and filters within each other: each is compared with each
/// message that is walked over.
const MAX_VALUES: usize = 1000;
/// How deep filters may lie within each other. A hand writes no more, and reading one never runs
/// out of stack.
pub(crate) const MAX_DEPTH: usize = 32;
/// Longest number in characters, and its largest exponent: PostgreSQL holds each of them exactly.
const MAX_NUMBER_LENGTH: usize = 1000;
const MAX_EXPONENT_DIGITS: usize = 4;

/// Selects messages by their headers; all conditions have to hold. For a
/// [receiver](crate::ReceiverBuilder::filter), for messages that are [taken by
/// hand](crate::Topic::matching), and for those that are to be
/// [cancelled](crate::Topic::cancel_matching).
///
/// A condition about a header that a message lacks does not hold, except [`exists`](Self::exists)
/// within [`not`](Self::not). `not` is the plain opposite: `not(equals("region", "eu"))` also
/// matches messages without a region. A message with headers that a receiver could not read matches
/// no filter at all.
///
/// ```
/// use outtray::Filter;
///
/// let europe = Filter::new().equals("region", "eu").one_of("kind", ["order", "refund"]);
/// let large = Filter::new().at_least("amount", 10_000).prefix("kind", "order");
/// let wanted = Filter::any([europe, large]).and_not(Filter::new().exists("test"));
/// # assert_eq!(wanted.to_string().parse::<Filter>()?, wanted);
/// # Ok::<(), outtray::Error>(())
/// ```
///
/// A filter has a text form, which [`to_string`](ToString::to_string) writes, [`parse`](str::parse)
/// reads, and the command's `--filter` takes. Keywords may be in any case, values bare or in quotes
/// (`'it''s'`), names bare or in double quotes:
///
/// ```
/// # use outtray::Filter;
/// let wanted: Filter = "(region = eu and kind in (order, refund)
///         or amount >= 10000 and kind starts with 'order')
///     and not test exists".parse()?;
/// # Ok::<(), outtray::Error>(())
/// ```
///
/// | text | method |
/// |---|---|
/// | `a = x`, `a != x` | [`equals`](Self::equals), and that within [`not`](Self::not) |
/// | `a in (x, y)` | [`one_of`](Self::one_of) |
/// | `a starts with x` | [`prefix`](Self::prefix) |
/// | `a exists` | [`exists`](Self::exists) |
/// | `a is null`, `a is not null` | [`null`](Self::null); there, and not null |
/// | `a == 1`, `a < 1`, `a <= 1`, `a > 1`, `a >= 1` | [`number`](Self::number), [`below`](Self::below), [`at_most`](Self::at_most), [`above`](Self::above), [`at_least`](Self::at_least) |
/// | `… and …`, `… or …`, `not …`, `( … )` | [`and`](Self::and), [`or`](Self::or), [`not`](Self::not) |
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use = "a filter does nothing before a receiver gets it"]
pub struct Filter {
    pub(crate) conditions: Vec<Condition>,
}

/// One condition of a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Condition {
    Header(String, Test),
    /// One of these holds.
    Any(Vec<Filter>),
    Not(Filter),
}

/// What a header has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Test {
    OneOf(Vec<String>),
    Prefix(String),
    Exists,
    Null,
    /// A number that compares so with this one.
    Number(Comparison, String),
}

/// How numbers compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    Below,
    AtMost,
    Above,
    AtLeast,
}

impl Comparison {
    /// All of them, the longer signs first.
    pub(crate) const ALL: [Comparison; 5] = [
        Comparison::Equal,
        Comparison::AtMost,
        Comparison::AtLeast,
        Comparison::Below,
        Comparison::Above,
    ];

    /// Returns how it is written, also for the database.
    pub(crate) fn sign(self) -> &'static str {
        match self {
            Comparison::Equal => "==",
            Comparison::Below => "<",
            Comparison::AtMost => "<=",
            Comparison::Above => ">",
            Comparison::AtLeast => ">=",
        }
    }
}

impl Filter {
    /// Makes a filter without conditions. A receiver needs at least one.
    pub fn new() -> Self {
        Filter::default()
    }

    /// Makes a filter that matches what any of these matches.
    pub fn any(filters: impl IntoIterator<Item = Filter>) -> Self {
        let mut filters: Vec<Filter> = filters.into_iter().collect();
        match filters.len() {
            1 => filters.remove(0),
            _ => Filter::of(Condition::Any(filters)),
        }
    }

    /// Makes a filter that matches what this one does not, including messages without the headers
    /// that it names.
    #[expect(clippy::should_implement_trait, reason = "it is no method")]
    pub fn not(filter: Filter) -> Self {
        Filter::of(Condition::Not(filter))
    }

    /// Requires the other filter to match, too.
    pub fn and(mut self, other: Filter) -> Self {
        self.conditions.extend(other.conditions);
        self
    }

    /// Requires the other filter not to match.
    pub fn and_not(self, other: Filter) -> Self {
        self.and(Filter::not(other))
    }

    /// Matches what this filter or the other one matches.
    pub fn or(self, other: Filter) -> Self {
        Filter::any([self, other])
    }

    /// Requires the header `name` to have this value.
    pub fn equals(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.one_of(name, [value])
    }

    /// Requires the header `name` to have one of these values. A filter may name a header only once
    /// with this and [`equals`](Self::equals), since a header has one value.
    pub fn one_of<V: Into<String>>(
        self,
        name: impl Into<String>,
        values: impl IntoIterator<Item = V>,
    ) -> Self {
        let values = values.into_iter().map(Into::into).collect();
        self.header(name, Test::OneOf(values))
    }

    /// Requires the header `name` to begin with this text. Case matters.
    pub fn prefix(self, name: impl Into<String>, prefix: impl Into<String>) -> Self {
        self.header(name, Test::Prefix(prefix.into()))
    }

    /// Requires the header `name` to be present, with any value or null.
    pub fn exists(self, name: impl Into<String>) -> Self {
        self.header(name, Test::Exists)
    }

    /// Requires the header `name` to be present and [null](crate::NewMessage::null_header), which
    /// is not the same as missing.
    pub fn null(self, name: impl Into<String>) -> Self {
        self.header(name, Test::Null)
    }

    /// Requires the header `name` to be this number, however it is written: `1000`, `1e3`,
    /// `1000.0`.
    ///
    /// Numbers compare by their exact values, however large or small: up to 1,000 characters and
    /// exponents of four digits, here and in the header. A header that is not such a number does
    /// not match. `number` may be any number type of Rust, or a text such as `"0.1"`; anything
    /// else, such as NaN, is refused.
    pub fn number(self, name: impl Into<String>, number: impl Display) -> Self {
        self.compare(name, Comparison::Equal, number)
    }

    /// Requires the header `name` to be a number less than this one; see [`number`](Self::number).
    pub fn below(self, name: impl Into<String>, number: impl Display) -> Self {
        self.compare(name, Comparison::Below, number)
    }

    /// Requires the header `name` to be a number less than or equal to this one; see
    /// [`number`](Self::number).
    pub fn at_most(self, name: impl Into<String>, number: impl Display) -> Self {
        self.compare(name, Comparison::AtMost, number)
    }

    /// Requires the header `name` to be a number greater than this one; see
    /// [`number`](Self::number).
    pub fn above(self, name: impl Into<String>, number: impl Display) -> Self {
        self.compare(name, Comparison::Above, number)
    }

    /// Requires the header `name` to be a number greater than or equal to this one; see
    /// [`number`](Self::number).
    pub fn at_least(self, name: impl Into<String>, number: impl Display) -> Self {
        self.compare(name, Comparison::AtLeast, number)
    }

    fn compare(self, name: impl Into<String>, how: Comparison, number: impl Display) -> Self {
        self.header(name, Test::Number(how, number.to_string()))
    }

    fn header(mut self, name: impl Into<String>, test: Test) -> Self {
        self.conditions.push(Condition::Header(name.into(), test));
        self
    }

    fn of(condition: Condition) -> Self {
        Filter {
            conditions: vec![condition],
        }
    }

    /// Checks all that no header could be.
    pub(crate) fn check(&self, topic: &str) -> Result<()> {
        let mut values = 0;
        let flaw = self.flaw(topic, 1, &mut values)?;
        let too_many = || {
            let is_over = values > MAX_VALUES;
            is_over.then(|| format!("has {values} values, the limit is {MAX_VALUES}"))
        };
        match flaw.or_else(too_many) {
            Some(what) => Err(Error::invalid(format!(
                "the filter for topic {topic} {what}"
            ))),
            None => Ok(()),
        }
    }

    /// Returns what is wrong, and counts the values.
    fn flaw(&self, topic: &str, depth: usize, values: &mut usize) -> Result<Option<String>> {
        if depth > MAX_DEPTH {
            return Ok(Some(format!(
                "has filters more than {MAX_DEPTH} deep within each other"
            )));
        }
        if self.conditions.is_empty() {
            return Ok(Some("has no condition".to_owned()));
        }
        let mut named = Vec::new();
        for condition in &self.conditions {
            let inner = match condition {
                Condition::Header(name, test) => {
                    if let Some(flaw) = test.flaw(topic, name, values, &mut named)? {
                        return Ok(Some(flaw));
                    }
                    continue;
                }
                Condition::Any(filters) if filters.is_empty() => {
                    return Ok(Some(
                        "has no alternative, where it wants one of them".to_owned(),
                    ));
                }
                Condition::Any(filters) => filters.as_slice(),
                Condition::Not(filter) => std::slice::from_ref(filter),
            };
            for filter in inner {
                *values += 1;
                if let Some(flaw) = filter.flaw(topic, depth + 1, values)? {
                    return Ok(Some(flaw));
                }
            }
        }
        Ok(None)
    }
}

impl Test {
    fn flaw<'f>(
        &self,
        topic: &str,
        name: &'f str,
        values: &mut usize,
        named: &mut Vec<&'f str>,
    ) -> Result<Option<String>> {
        let shown = name.escape_debug();
        let wanted = match self {
            Test::OneOf(wanted) if wanted.is_empty() => {
                return Ok(Some(format!("has no value for header \"{shown}\"")));
            }
            Test::OneOf(_) if named.contains(&name) => {
                return Ok(Some(format!(
                    "names header \"{shown}\" twice: give all its values at once"
                )));
            }
            Test::OneOf(wanted) => {
                named.push(name);
                wanted.as_slice()
            }
            Test::Prefix(prefix) => std::slice::from_ref(prefix),
            Test::Number(_, number) if !is_number(number) => {
                let number: String = number.chars().take(64).collect();
                return Ok(Some(format!(
                    "compares header \"{shown}\" with \"{}\", which is no number",
                    number.escape_debug()
                )));
            }
            Test::Number(_, number) => std::slice::from_ref(number),
            Test::Exists | Test::Null => &[],
        };
        let check = |value: &str| {
            let header = Headers::from([(name.to_owned(), value.to_owned())]);
            headers::check(topic, &header, &BTreeSet::new())
        };
        check("")?;
        wanted.iter().try_for_each(|value| check(value))?;
        *values += wanted.len().max(1);
        Ok(None)
    }
}

/// Returns whether a text is a number that headers are compared with; the database reads headers in
/// the same way.
pub(crate) fn is_number(text: &str) -> bool {
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_exponent = |exponent: &str| {
        let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        (1..=MAX_EXPONENT_DIGITS).contains(&digits.len()) && is_digits(digits)
    };
    text.len() <= MAX_NUMBER_LENGTH
        && !(whole.is_empty() && part.is_empty())
        && is_digits(whole)
        && is_digits(part)
        && exponent.is_none_or(is_exponent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_refused(filter: Filter, part: &str) {
        let error = filter.check("jobs").unwrap_err();
        assert_eq!(error.kind(), crate::words::error::ErrorKind::Invalid);
        assert!(error.to_string().contains(part), "{error}");
    }

    #[test]
    fn what_no_header_can_be_is_refused() {
        check_refused(Filter::new(), "has no condition");
        check_refused(Filter::new().equals("", "x"), "0 bytes");
        check_refused(Filter::new().equals("a", "x\0"), "NUL");
        check_refused(Filter::new().prefix("a", "x\0"), "NUL");
        check_refused(Filter::new().exists("a\0"), "control character");
        check_refused(Filter::new().null(""), "0 bytes");
        check_refused(
            Filter::new().one_of("a", Vec::<String>::new()),
            "no value for header \"a\"",
        );
        check_refused(
            Filter::new().equals("a", "x").equals("a", "y"),
            "names header \"a\" twice",
        );
        let many = || (0..1001).map(|number| number.to_string());
        check_refused(Filter::new().one_of("a", many()), "1001 values");
        let each = many().map(|value| Filter::new().equals("a", value));
        check_refused(Filter::any(each), "2002 values");
        assert!(Filter::new().equals("a", "").check("jobs").is_ok());
    }

    #[test]
    fn filters_within_each_other_are_checked_too() {
        check_refused(Filter::any([]), "no alternative");
        check_refused(Filter::any([Filter::new()]), "has no condition");
        check_refused(Filter::not(Filter::new().equals("a", "\0")), "NUL");
        let deep =
            |depth| (1..depth).fold(Filter::new().exists("a"), |inner, _| Filter::not(inner));
        check_refused(deep(33), "more than 32 deep");
        assert!(deep(32).check("jobs").is_ok());
        let range = Filter::new().at_least("a", 1).below("a", 2);
        assert!(range.check("jobs").is_ok());
    }

    #[test]
    fn only_numbers_are_compared_as_such() {
        for number in [
            "0",
            "-1",
            "+1",
            "1.",
            ".5",
            "1e400",
            "-1.5E-9999",
            "00012",
            &"9".repeat(1000),
        ] {
            assert!(is_number(number), "{number}");
            assert!(Filter::new().above("a", number).check("jobs").is_ok());
        }
        for other in [
            "",
            " 1",
            "1 ",
            "NaN",
            "inf",
            "0x10",
            "1e",
            "1e+",
            "1e10000",
            ".",
            "-",
            "1.2.3",
            "١",
            &"9".repeat(1001),
        ] {
            assert!(!is_number(other), "{other}");
            check_refused(Filter::new().above("a", other), "no number");
        }
        check_refused(Filter::new().at_most("a", f64::NAN), "no number");
        check_refused(Filter::new().at_most("a", f64::INFINITY), "no number");
        for number in [f64::MAX, f64::MIN_POSITIVE, -0.0] {
            assert!(Filter::new().number("a", number).check("jobs").is_ok());
        }
    }
}
