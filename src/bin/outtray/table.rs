//! Tables for people: columns as wide as they have to be.

use crate::output::{Output, cut, escaped};
use anstyle::{AnsiColor, Style};
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
    print_rows(output, &columns, rows)
}

/// The same for as many columns as there are.
pub(crate) fn print_rows(
    output: &mut Output,
    columns: &[(&str, Side)],
    rows: &[impl AsRef<[String]>],
) -> io::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let escape = |row: &[String]| row.iter().map(|cell| escaped(cell)).collect();
    let rows: Vec<Vec<String>> = rows.iter().map(|row| escape(row.as_ref())).collect();
    let mut widths: Vec<usize> = columns.iter().map(|(title, _)| title.len()).collect();
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let sides: Vec<Side> = columns.iter().map(|(_, side)| *side).collect();
    let titles: Vec<String> = columns
        .iter()
        .map(|(title, _)| (*title).to_owned())
        .collect();
    let titles = aligned(&titles, &widths, &sides, |_, cell| {
        output.styled(cell, Style::new().bold())
    });
    output.verbatim(&format!("{titles}\n"))?;
    for row in rows {
        let row = aligned(&row, &widths, &sides, |at, cell| {
            match look(columns[at].0, cell.trim()) {
                Some(style) => output.styled(cell, style),
                None => cell.to_owned(),
            }
        });
        output.verbatim(&format!("{row}\n"))?;
    }
    Ok(())
}

/// Returns a row, with each of its cells as `shown` has it. Nothing is behind the last of them.
fn aligned(
    row: &[String],
    widths: &[usize],
    sides: &[Side],
    shown: impl Fn(usize, &str) -> String,
) -> String {
    let last = row.iter().rposition(|cell| !cell.is_empty());
    let cells = row.iter().zip(widths).zip(sides).enumerate();
    let cells = cells.take(last.map_or(0, |last| last + 1));
    let cells = cells.map(|(at, ((cell, &width), side))| {
        let cell = match side {
            Side::Left if Some(at) == last => cell.clone(),
            Side::Left => format!("{cell:<width$}"),
            Side::Right => format!("{cell:>width$}"),
        };
        shown(at, &cell)
    });
    cells.collect::<Vec<_>>().join("  ")
}

/// Returns how a cell stands out, if it does: what somebody may have to see to.
fn look(title: &str, cell: &str) -> Option<Style> {
    let colour = |colour: AnsiColor| Some(Style::new().fg_color(Some(colour.into())));
    match (title, cell) {
        ("DEAD", "0" | "") => None,
        ("DEAD", _) => colour(AnsiColor::Red),
        ("STATE", state) if ODD.iter().any(|odd| state.contains(odd)) => colour(AnsiColor::Yellow),
        _ => None,
    }
}

/// States of topics and processes that are not as usual.
const ODD: [&str; 4] = ["paused", "suspect", "silent", "no receiver"];

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

        let plain = |_, cell: &str| cell.to_owned();
        assert_eq!(aligned(&row, &[7, 3, 9], &sides, plain), "größe      7  x");
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
