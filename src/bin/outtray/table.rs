//! Tables for people: columns as wide as they have to be.

use crate::output::{Output, cut, escaped};
use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Characters of a payload or error that a table shows.
const SHOWN: usize = 80;

/// To which side a column is flush.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// For words.
    Left,
    /// For numbers.
    Right,
}

/// Prints rows below a line of titles. Nothing at all without rows.
pub(crate) fn print<const N: usize>(
    output: &mut Output,
    columns: [(&str, Side); N],
    rows: &[[String; N]],
) -> io::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut widths = columns.map(|(title, _)| title.len());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let sides = columns.map(|(_, side)| side);
    let titles = columns.map(|(title, _)| title.to_owned());
    for row in std::iter::once(&titles).chain(rows) {
        output.line(&aligned(row, &widths, &sides))?;
    }
    Ok(())
}

fn aligned(row: &[String], widths: &[usize], sides: &[Side]) -> String {
    let cells: Vec<String> = row
        .iter()
        .zip(widths)
        .zip(sides)
        .map(|((cell, &width), side)| match side {
            Side::Left => format!("{cell:<width$}"),
            Side::Right => format!("{cell:>width$}"),
        })
        .collect();
    cells.join("  ").trim_end().to_owned()
}

/// Returns a moment as RFC 3339, in UTC, to the millisecond. The years are 1970 to 9999: a hand may
/// have written others.
pub(crate) fn moment(time: SystemTime) -> String {
    let last = UNIX_EPOCH + Duration::from_secs(253_402_214_400);
    humantime::format_rfc3339_millis(time.clamp(UNIX_EPOCH, last)).to_string()
}

/// Returns a duration in its two largest units, or in milliseconds below a second.
pub(crate) fn age(duration: Duration) -> String {
    if duration < Duration::from_secs(1) {
        return format!("{}ms", duration.as_millis());
    }
    let whole = Duration::from_secs(duration.as_secs());
    let text = humantime::format_duration(whole).to_string();
    let units: Vec<&str> = text.split(' ').take(2).collect();
    units.join(" ")
}

/// Returns a key, fit for a table.
pub(crate) fn key(key: Option<&str>) -> String {
    key.map_or("-".to_owned(), glance)
}

/// Returns the beginning of a text, fit for a table.
pub(crate) fn glance(text: &str) -> String {
    cut(&escaped(&cut(text, SHOWN)), SHOWN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_flush_left_and_numbers_right() {
        let row = ["größe".to_owned(), "7".to_owned(), "x".to_owned()];
        let sides = [Side::Left, Side::Right, Side::Left];

        assert_eq!(aligned(&row, &[7, 3, 9], &sides), "größe      7  x");
    }

    #[test]
    fn a_moment_is_shown_whatever_year_it_is_in() {
        let long = Duration::from_secs(300_000_000_000);

        assert_eq!(moment(UNIX_EPOCH - long), "1970-01-01T00:00:00.000Z");
        assert_eq!(moment(UNIX_EPOCH + long), "9999-12-31T00:00:00.000Z");
    }

    #[test]
    fn an_age_has_two_units_at_most() {
        assert_eq!(age(Duration::from_millis(12)), "12ms");
        assert_eq!(age(Duration::from_millis(61_500)), "1m 1s");
        assert_eq!(age(Duration::from_secs(90_061)), "1day 1h");
    }
}
