//! The table: a row for each system.

use crate::figures::{Figure, Figures, Measured};
use crate::system::System;
use peer_protocol::Case;

/// Names of the columns.
pub const COLUMNS: [&str; 11] = [
    "system",
    "send one",
    "send bulk",
    "no-op, tuned",
    "no-op, default",
    "crud",
    "idle p50",
    "idle p99",
    "atomic",
    "WAL",
    "commits",
];

/// A row, cell by cell.
pub type Row = [String; COLUMNS.len()];

/// Returns the rows of these systems.
pub fn rows(systems: &[System], versions: &[String], figures: &Figures) -> Vec<Row> {
    let row = |(system, version): (&System, &String)| {
        let rate = |case| cell(figures.get(system, case), |figure| count(figure.per_second));
        let wait = |percent| {
            let milliseconds = |figure: &Measured| duration(figure.wait_us(percent));
            cell(figures.get(system, Case::Latency), milliseconds)
        };
        let crud = figures.get(system, Case::Crud);
        [
            format!("{} {version}", system.title).trim().to_owned(),
            rate(Case::SendOne),
            rate(Case::SendBulk),
            rate(Case::Drain),
            rate(Case::DrainDefault),
            rate(Case::Crud),
            wait(50),
            wait(99),
            system.atomic.word().to_owned(),
            cell(crud, |figure| count(figure.wal)),
            cell(crud, |figure| format!("{:.2}", figure.commits)),
        ]
    };
    systems.iter().zip(versions).map(row).collect()
}

/// Returns the table with columns of even width.
pub fn for_terminal(rows: &[Row]) -> String {
    let header = COLUMNS.map(str::to_owned);
    let all: Vec<&Row> = std::iter::once(&header).chain(rows).collect();
    let width = |column: usize| {
        let cells = all.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..COLUMNS.len()).map(width).collect();
    let lines = all.iter().map(|row| {
        let cells = row.iter().zip(&widths).enumerate();
        let padded = cells.map(|(column, (cell, width))| match column {
            0 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        padded.collect::<Vec<String>>().join("  ")
    });
    lines.collect::<Vec<String>>().join("\n")
}

fn cell(figure: Option<&Figure>, text: impl Fn(&Measured) -> String) -> String {
    match figure {
        Some(Figure::Measured(measured)) => text(measured),
        Some(Figure::Failed(_)) => "failed".to_owned(),
        None => "–".to_owned(),
    }
}

/// Writes a number with separators, as precisely as three digits are.
fn count(number: f64) -> String {
    let digits = number.max(1.0).log10().floor() as i32;
    let unit = 10_f64.powi((digits - 2).max(0));
    let rounded = (number / unit).round() * unit;
    let plain = format!("{rounded:.0}");
    let mut text = String::new();
    for (position, digit) in plain.chars().enumerate() {
        if position > 0 && (plain.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn duration(microseconds: f64) -> String {
    let milliseconds = microseconds / 1000.0;
    match milliseconds {
        ..10.0 => format!("{milliseconds:.2} ms"),
        ..100.0 => format!("{milliseconds:.1} ms"),
        _ => format!("{milliseconds:.0} ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_and_separators() {
        let cases = [
            (7.0, "7"),
            (998.6, "999"),
            (1234.0, "1,230"),
            (119_486.0, "119,000"),
        ];
        for (number, text) in cases {
            assert_eq!(count(number), text);
        }
    }
}
