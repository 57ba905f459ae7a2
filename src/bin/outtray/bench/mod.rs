//! `outtray bench`: what outtray does in a second here, beside the same work in plain SQL.
//!
//! `cases` lists what is measured, `bed` is the server that it is measured on and both sides of the
//! work.

mod bed;
mod cases;
mod counters;
mod delivery;
mod fan_out;
mod latency;
mod leases;
mod life;
mod logs;
mod many;
mod options;
mod plan;
mod plot;
mod pressure;
mod report;
mod request;
mod throughput;

use self::bed::Bed;
use self::cases::{CASES, Case, case};
use self::latency::answer_pings;
use self::plan::Effort;
use self::plot::svg;
use self::report::Report;
use crate::failure::CommandFailure;
use crate::output::Output;
use clap::Args;
use log::LevelFilter;
use serde_json::json;
use std::path::PathBuf;

/// What to measure
#[derive(Debug, Args)]
#[command(
    after_help = "A throwaway server with fsync on is started for it; nothing else should run \
    meanwhile. The ratio to the other side in the same run means more than any absolute figure."
)]
pub(crate) struct BenchOptions {
    /// The cases to run, by name; all of them without one
    cases: Vec<String>,
    /// Lists the cases and runs none
    #[arg(long)]
    list: bool,
    /// Multiplies messages and durations; 1 takes about a quarter of an hour for all cases
    #[arg(long, default_value_t = 1.0, value_parser = positive)]
    scale: f64,
    /// How often each side of a throughput case runs; medians count
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Writes a plot, CASE.svg, of each case that has a course over time into this folder
    #[arg(long, value_name = "FOLDER")]
    plots: Option<PathBuf>,
    /// Answers pings on the database whose URL it reads: what the second process of a case does
    #[arg(long, hide = true)]
    answer: bool,
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number > 0.0 && number <= 100.0 => Ok(number),
        _ => Err("a number above 0, at most 100".to_owned()),
    }
}

pub(crate) fn run(options: &BenchOptions, output: &mut Output) -> Result<(), CommandFailure> {
    if options.answer {
        return Ok(answer_pings()?);
    }
    if options.list {
        for case in CASES {
            let text = format!("{:<17} {}", case.name, case.about);
            output.say(&text, &json!({ "case": case.name, "about": case.about }))?;
        }
        return Ok(());
    }
    let cases: Vec<&Case> = match options.cases.is_empty() {
        true => CASES.iter().collect(),
        false => options
            .cases
            .iter()
            .map(|name| case(name).ok_or_else(|| unknown(name)))
            .collect::<Result<_, _>>()?,
    };
    if log::max_level() == LevelFilter::Warn {
        // Cases cut connections on purpose; -v shows what that looks like.
        log::set_max_level(LevelFilter::Error);
    }
    let plan = Effort {
        scale: options.scale,
        rounds: options.rounds,
        program: std::env::current_exe()?,
    };
    let bed = Bed::new()?;
    if !output.is_json() {
        output.line(&format!("PostgreSQL {}", bed.server_version()?))?;
        output.line(&row(&[
            "case", "messages", "per s", "other", "ratio", "p50 µs", "p99 µs", "WAL B", "commits",
            "note",
        ]))?;
    }
    for case in cases {
        let report = case.run(&bed, &plan)?;
        match output.is_json() {
            true => output.object(&report)?,
            false => output.line(&shown(&report))?,
        }
        if let (Some(folder), Some(plot)) = (&options.plots, svg(&report)) {
            std::fs::write(folder.join(report.case).with_extension("svg"), plot)?;
        }
        if output.is_unread() {
            break;
        }
    }
    Ok(())
}

fn unknown(name: &str) -> CommandFailure {
    let names: Vec<&str> = CASES.iter().map(|case| case.name).collect();
    CommandFailure::usage(format!("no case {name}, there are {}", names.join(", ")))
}

fn shown(report: &Report) -> String {
    let number = |value: Option<f64>, digits: usize| {
        value.map_or("-".to_owned(), |value| format!("{value:.digits$}"))
    };
    let note = [report.raw, report.note.as_deref()];
    row(&[
        report.case,
        &report.messages.to_string(),
        &number(report.per_second, 0),
        &number(report.raw_per_second, 0),
        &number(report.ratio, 2),
        &number(report.p50_us, 0),
        &number(report.p99_us, 0),
        &number(report.wal_bytes_per_message, 0),
        &number(report.commits_per_message, 3),
        &note.into_iter().flatten().collect::<Vec<_>>().join("; "),
    ])
}

/// Lines up the columns; the widths fit the largest figures that make sense.
fn row(columns: &[&str; 10]) -> String {
    let [
        case,
        messages,
        ours,
        other,
        ratio,
        p50,
        p99,
        wal,
        commits,
        note,
    ] = columns;
    format!(
        "{case:<17} {messages:>9} {ours:>9} {other:>9} {ratio:>6} {p50:>8} {p99:>9} {wal:>6} {commits:>7}  {note}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_is_a_positive_number() {
        assert_eq!(positive("0.5"), Ok(0.5));
        for bad in ["0", "-1", "NaN", "inf", "1000", "x"] {
            assert!(positive(bad).is_err(), "{bad}");
        }
    }
}
