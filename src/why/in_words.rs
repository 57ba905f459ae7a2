//! Numbers and times in sentences.

use crate::doctor::listed::span;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The last time that is written: the year 9999 ends soon after.
const LAST: Duration = Duration::from_secs(253_402_214_400);
/// Of several things so many are named.
pub(crate) const NAMED: usize = 3;

/// Returns a number with what it counts.
pub(crate) fn number(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}

/// Returns the verb for so many.
pub(crate) fn are(count: usize) -> &'static str {
    if count == 1 { "is" } else { "are" }
}

/// Returns a number as people count: 1st, 2nd.
pub(crate) fn ordinal(number: u32) -> String {
    let ending = match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

/// Returns a span of time in its two largest units.
pub(crate) fn of(duration: Duration) -> String {
    span(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
}

/// Returns how far ahead something is.
pub(crate) fn ahead_of(duration: Duration) -> String {
    match duration.is_zero() {
        true => "now".to_owned(),
        false => format!("in {}", of(duration)),
    }
}

/// Returns a time in UTC, to the second.
pub(crate) fn moment(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time.clamp(UNIX_EPOCH, UNIX_EPOCH + LAST)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_are_counted_as_people_count() {
        for (number, expected) in [
            (1, "1st"),
            (2, "2nd"),
            (3, "3rd"),
            (4, "4th"),
            (11, "11th"),
            (22, "22nd"),
            (113, "113th"),
        ] {
            assert_eq!(ordinal(number), expected);
        }
    }
}
