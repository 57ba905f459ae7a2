//! `outtray why`: why messages are not handled now, or what became of them.

use crate::failure::CommandFailure;
use crate::global::Global;
use crate::output::{Output, escaped};
use clap::Args;
use outtray::{MessageId, Remedy, Why, WhyState};
use std::process::ExitCode;

const AFTER_HELP: &str = "\
Says for each message in one sentence where it is, what it waits for, and what else keeps it; then what could not be \
found out, and what would change it, as SQL, as a command after `$`, or in words. Locks and changes nothing.

Exit codes: 0 all were found, or how they ended, 1 one is not there, 2 bad usage.

Examples:
  outtray why 0199a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b
  outtray why 0199a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b --json | jq -r '.state, .obstacles[].obstacle'";

#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct WhyOptions {
    /// The ids of the messages
    #[arg(value_name = "ID", required = true)]
    ids: Vec<MessageId>,
}

pub(crate) fn run(
    options: &WhyOptions,
    global: &Global,
    output: &mut Output,
) -> Result<ExitCode, CommandFailure> {
    let messaging = global.connect()?;
    let mut are_there = true;
    for id in &options.ids {
        let why = messaging.why(*id)?;
        are_there &= !matches!(why.state, WhyState::NotThere { .. });
        match output.is_json() {
            true => output.object(&why)?,
            false => output.verbatim(&described(&why))?,
        }
    }
    Ok(match are_there {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// Returns an answer for people, a line for each part of it.
fn described(why: &Why) -> String {
    let mut text = format!("{}\n", escaped(&why.to_string()));
    for unknown in &why.not_known {
        text.push_str(&format!("      not known: {}\n", escaped(unknown)));
    }
    for remedy in &why.remedies {
        let sign = match remedy {
            Remedy::Command(_) => "$ ",
            _ => "",
        };
        let remedy = escaped(&remedy.to_string());
        text.push_str(&format!("      -> {sign}{remedy}\n"));
    }
    text
}
