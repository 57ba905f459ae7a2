//! Whether a filter matches headers, here in the process: what `outtray.matches` says in the
//! database.

use crate::words::filter::{Comparison, Condition, Filter, Test, is_number};
use crate::words::headers::Headers;
use std::cmp::Ordering;
use std::collections::BTreeSet;

impl Filter {
    /// Returns whether headers match, some of which may be null.
    pub(crate) fn matches(&self, headers: &Headers, nulls: &BTreeSet<String>) -> bool {
        self.conditions.iter().all(|condition| match condition {
            Condition::Header(name, test) => test.holds(name, headers, nulls),
            Condition::Any(filters) => filters.iter().any(|one| one.matches(headers, nulls)),
            Condition::Not(filter) => !filter.matches(headers, nulls),
        })
    }
}

impl Test {
    fn holds(&self, name: &str, headers: &Headers, nulls: &BTreeSet<String>) -> bool {
        let value = headers.get(name);
        match self {
            Test::OneOf(wanted) => value.is_some_and(|value| wanted.contains(value)),
            Test::Prefix(prefix) => value.is_some_and(|value| value.starts_with(prefix)),
            Test::Exists => value.is_some() || nulls.contains(name),
            Test::Null => nulls.contains(name),
            Test::Number(how, number) => {
                value.is_some_and(|value| is_number(value) && how.holds(compare(value, number)))
            }
        }
    }
}

impl Comparison {
    fn holds(self, found: Ordering) -> bool {
        match self {
            Comparison::Equal => found.is_eq(),
            Comparison::Below => found.is_lt(),
            Comparison::AtMost => found.is_le(),
            Comparison::Above => found.is_gt(),
            Comparison::AtLeast => found.is_ge(),
        }
    }
}

/// A number as its first digit that is not 0 and those after it stand behind the point, without
/// zeros at the end: 0.DIGITS × 10^EXPONENT.
struct Decimal {
    is_negative: bool,
    exponent: i64,
    digits: Vec<u8>,
}

impl Decimal {
    /// Reads what [`is_number`] takes for one.
    fn read(text: &str) -> Self {
        let (is_negative, unsigned) = match text.strip_prefix('-') {
            Some(unsigned) => (true, unsigned),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
        let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let mut digits: Vec<u8> = whole.bytes().chain(part.bytes()).collect();
        let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
        digits.drain(..zeros);
        while digits.last() == Some(&b'0') {
            digits.pop();
        }
        // Of four digits at most, and texts of a thousand characters.
        let exponent: i64 = exponent.parse().unwrap_or_default();
        let is_zero = digits.is_empty();
        Decimal {
            is_negative: is_negative && !is_zero,
            exponent: match is_zero {
                true => i64::MIN,
                false => exponent + whole.len() as i64 - zeros as i64,
            },
            digits,
        }
    }
}

/// Compares two numbers exactly, however large or small.
fn compare(one: &str, other: &str) -> Ordering {
    let (one, other) = (Decimal::read(one), Decimal::read(other));
    let magnitudes = || (one.exponent, &one.digits).cmp(&(other.exponent, &other.digits));
    match (one.is_negative, other.is_negative) {
        (false, false) => magnitudes(),
        (true, true) => magnitudes().reverse(),
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_compare_by_their_exact_values() {
        let sorted = [
            "-1e9999",
            "-10",
            "-9.99",
            "-1",
            "-0.5",
            "-1e-9999",
            "0",
            "1e-9999",
            ".001",
            "0.01",
            "0.0100000000000000000001",
            "1",
            "1.5",
            "9",
            "10",
            "99.9999",
            "1e2",
            "1e400",
            "1e9999",
        ];
        for (at, one) in sorted.iter().enumerate() {
            for (other_at, other) in sorted.iter().enumerate() {
                assert_eq!(compare(one, other), at.cmp(&other_at), "{one} {other}");
            }
        }
        for same in [
            "100", "1e2", "+100.00", "0100", "100.", "1000e-1", ".1E3", "0.001e+5",
        ] {
            assert_eq!(compare(same, "100"), Ordering::Equal, "{same}");
        }
        for zero in ["0", "-0", "+0.000", "0e9999", ".0"] {
            assert_eq!(compare(zero, "-0.0"), Ordering::Equal, "{zero}");
        }
    }

    #[test]
    fn a_condition_about_a_missing_header_does_not_hold() {
        let headers = Headers::from([("a".to_owned(), "7".to_owned())]);
        let nulls = BTreeSet::from(["n".to_owned()]);
        let check = |filter: &str, expected: bool| {
            let filter: Filter = filter.parse().unwrap();
            assert_eq!(filter.matches(&headers, &nulls), expected, "{filter}");
        };
        check("a = 7 and a exists and a >= 7 and a < 7.5", true);
        check("a in (1, 7) and a starts with 7 and a == 7.0", true);
        check("a starts with '' and not a is null", true);
        check("a = x or a > 7", false);
        check("b = 7 or b starts with '' or b < 1 or b is null", false);
        check("not b = 7 and not b exists", true);
        check("n exists and n is null and not n starts with ''", true);
        check("n is not null", false);
        assert!(Filter::new().matches(&headers, &nulls));
    }
}
