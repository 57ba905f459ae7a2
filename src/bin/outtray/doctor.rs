//! `outtray doctor`: examines the server and the schema, and says what to change.

use crate::failure::CommandFailure;
use crate::global::Global;
use crate::output::{Output, counted, escaped};
use anstyle::{AnsiColor, Color, Style};
use clap::Args;
use outtray::{Diagnosis, Finding, Remedy, Severity};
use std::io;
use std::process::ExitCode;
use std::time::Duration;

const AFTER_HELP: &str = "\
Changes nothing. What is not as it should be comes worst first: what was seen, what it means, and what to do, as SQL, \
as a command after `$`, or in words.

Exit codes: 0 nothing is unsafe, 1 something is, 2 bad usage, 3 nothing could be asked.

Examples:
  outtray doctor
  outtray doctor --json | jq -r 'select(.severity == \"unsafe\").check'";

#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct DoctorOptions {
    /// Also prints what is as it should be
    #[arg(long)]
    all: bool,

    /// How long a transaction, a ready message or a cancellation may last before it is worth a
    /// warning
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = humantime::parse_duration)]
    patience: Duration,

    /// A table that handlers write, as in SQL: public.ledger; matters where tables are distributed
    #[arg(long = "table", value_name = "TABLE")]
    tables: Vec<String>,
}

pub(crate) fn run(
    options: DoctorOptions,
    global: &Global,
    output: &mut Output,
) -> Result<ExitCode, CommandFailure> {
    let doctor = global.builder()?.doctor().patience(options.patience);
    let named = options.tables.into_iter();
    let doctor = named.fold(doctor, |doctor, table| doctor.table(table));
    let diagnosis = doctor
        .examine()
        .map_err(|error| CommandFailure::from(error).unasked())?;
    match output.is_json() {
        true => output.objects(&diagnosis.findings)?,
        false => print(&diagnosis, options.all, output)?,
    }
    Ok(match diagnosis.worst() {
        Severity::Unsafe => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    })
}

fn print(diagnosis: &Diagnosis, all: bool, output: &mut Output) -> io::Result<()> {
    let mut shown: Vec<&Finding> = diagnosis.findings.iter().collect();
    shown.retain(|finding| all || finding.severity > Severity::Ok);
    shown.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    for finding in shown {
        let text = described(finding, output);
        output.verbatim(&text)?;
    }
    let count = |severity| {
        let findings = diagnosis.findings.iter();
        findings.filter(|one| one.severity == severity).count() as u64
    };
    output.line(&format!(
        "{} unsafe, {}, {}, {} ok",
        count(Severity::Unsafe),
        counted(count(Severity::Warning), "warning"),
        counted(count(Severity::Note), "note"),
        count(Severity::Ok)
    ))
}

/// Returns a finding for people, a line for each part of it.
fn described(finding: &Finding, output: &Output) -> String {
    let word = format!("{:<8}", finding.severity.to_string());
    let colour = colour(finding.severity).map(Color::from);
    let word = output.styled(&word, Style::new().fg_color(colour));
    let mut text = format!("{word} {}: {}\n", finding.check, escaped(&finding.seen));
    if !finding.means.is_empty() {
        text.push_str(&format!("         {}\n", escaped(&finding.means)));
    }
    for remedy in &finding.remedies {
        let sign = match remedy {
            Remedy::Command(_) => "$ ",
            _ => "",
        };
        let remedy = escaped(&remedy.to_string());
        text.push_str(&format!("      -> {sign}{remedy}\n"));
    }
    text
}

/// Returns in which colour a terminal shows it.
fn colour(severity: Severity) -> Option<AnsiColor> {
    match severity {
        Severity::Unsafe => Some(AnsiColor::Red),
        Severity::Warning => Some(AnsiColor::Yellow),
        Severity::Note => Some(AnsiColor::Cyan),
        _ => None,
    }
}
