//! `outtray wait`: waits until a tracked message has ended, and says how.

use crate::failure::CommandFailure;
use crate::global::Global;
use crate::output::Output;
use clap::Args;
use outtray::{Completion, ErrorKind, How, MessageId};
use serde_json::json;
use std::process::ExitCode;
use std::time::Duration;

const EXAMPLES: &str = "\
Ends with 0 when the message is done, else with 1: also when it is a dead letter, was cancelled, or has not \
ended in time.

Example:
  outtray wait $(outtray send jobs '{\"n\": 1}' --tracked) --timeout 5m";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct WaitOptions {
    /// The id of the message, which was sent as tracked
    id: MessageId,

    /// How long to wait at most; 0s looks only once
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = humantime::parse_duration)]
    timeout: Duration,
}

pub(crate) fn run(
    options: &WaitOptions,
    global: &Global,
    output: &mut Output,
) -> Result<ExitCode, CommandFailure> {
    let messaging = global.connect()?;
    let waited = messaging.wait_for_completion(options.id, options.timeout);
    let Some(end) = waited.map_err(explained)? else {
        let timeout = humantime::format_duration(options.timeout);
        if output.is_json() {
            output.object(&json!({ "id": options.id, "how": "pending" }))?;
        }
        return Err(CommandFailure::failed(format!(
            "message {} has not ended within {timeout}",
            options.id
        )));
    };
    let mut object = json!(end);
    object["id"] = json!(options.id);
    output.say(&text(&end), &object)?;
    Ok(match end.how {
        How::Done => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

fn text(end: &Completion) -> String {
    match &end.result {
        Some(result) => format!("{} {result}", end.how),
        None => end.how.to_string(),
    }
}

fn explained(error: outtray::Error) -> CommandFailure {
    let is_untracked = error.kind() == ErrorKind::NotTracked;
    let failure = CommandFailure::from(error);
    match is_untracked {
        true => failure.hint("outtray send --tracked records how a message ends"),
        false => failure,
    }
}
