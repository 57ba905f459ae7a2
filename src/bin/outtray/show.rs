//! `outtray show`: one message with everything that is known of it, wherever it is.

use crate::failure::CommandFailure;
use crate::global::Global;
use crate::known::known;
use crate::output::Output;
use crate::table::{age, moment};
use crate::topics::in_words;
use clap::Args;
use outtray::{Completion, FailedAttempt, FoundMessage, MessageId, Messaging};

const EXAMPLES: &str = "\
Example:
  outtray show 01981c35-6f2b-7cc0-9a51-3c1e0f6f2d10";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ShowMessageOptions {
    /// The id of the message
    id: MessageId,

    /// Looks at this topic alone
    #[arg(long, value_name = "TOPIC")]
    topic: Option<String>,
}

pub(crate) fn run(
    options: &ShowMessageOptions,
    global: &Global,
    output: &mut Output,
) -> Result<(), CommandFailure> {
    let messaging = global.connect()?;
    let found = match &options.topic {
        Some(topic) => known(&messaging, topic)?.message(options.id)?,
        None => messaging.message(options.id)?,
    };
    let message = found.ok_or_else(|| nowhere(&messaging, options.id))?;
    if output.is_json() {
        return Ok(output.object(&message)?);
    }
    for (title, value) in lines(message) {
        output.line(&format!("{title:<10}  {value}"))?;
    }
    Ok(())
}

/// Says what else may be known of a message that is nowhere.
fn nowhere(messaging: &Messaging, id: MessageId) -> CommandFailure {
    let failure = CommandFailure::failed(format!(
        "no message {id} waits, is in work, is a dead letter, or is kept in a log"
    ));
    match messaging.completion(id) {
        Ok(Some(end)) => failure.hint(format!(
            "it was tracked, and ended at {} as {}",
            moment(end.ended_at),
            end.how
        )),
        _ => failure.hint("it may have ended; `outtray wait` tells of a tracked one"),
    }
}

fn lines(message: FoundMessage) -> Vec<(&'static str, String)> {
    let mut lines = vec![
        ("id", message.id.to_string()),
        ("topic", message.topic),
        ("state", in_words(&message.state)),
    ];
    lines.extend(message.error.map(|error| ("error", error)));
    lines.push(("attempts", message.attempts.to_string()));
    if message.ended.is_none() {
        lines.push(("priority", message.priority.to_string()));
    }
    lines.push(("sent", moment(message.sent_at)));
    if let Some(end) = &message.ended {
        lines.extend(end.started_at.map(|at| ("started", moment(at))));
        lines.push(("ended", moment(end.ended_at)));
        lines.extend(end.process.clone().map(|process| ("process", process)));
        let result = end.result.as_ref().map(ToString::to_string);
        lines.extend(result.map(|result| ("result", result)));
    }
    lines.extend(message.due_at.map(|at| ("due", moment(at))));
    lines.extend(message.expires_at.map(|at| ("expires", moment(at))));
    lines.extend(message.died_at.map(|at| ("died", moment(at))));
    lines.extend(message.key.map(|key| ("key", key)));
    lines.extend(message.dedupe_key.map(|key| ("dedupe", key)));
    lines.extend(message.failures.iter().map(|one| ("failed", failed(one))));
    let after = message.after.iter();
    lines.extend(after.map(|id| ("after", id.to_string())));
    if message.is_cancelled {
        lines.push(("cancelled", "asked".to_owned()));
    }
    if message.is_tracked {
        let ended = message.completion.as_ref().map(ended);
        lines.push((
            "tracked",
            ended.unwrap_or_else(|| "has not ended".to_owned()),
        ));
    }
    let headers = message.headers.iter();
    lines.extend(headers.map(|(name, value)| ("header", format!("{name}={value}"))));
    lines.extend(message.unreadable.map(|why| ("unreadable", why)));
    let is_kept = message.ended.is_none_or(|end| end.payload.is_some());
    lines.push(match is_kept {
        true => ("payload", message.payload.to_string()),
        false => ("payload", "not kept".to_owned()),
    });
    lines
}

fn failed(one: &FailedAttempt) -> String {
    let took = one.took.map(|took| format!(", took {}", age(took)));
    format!(
        "attempt {} at {} in {}{}: {}",
        one.attempt,
        moment(one.failed_at),
        one.process,
        took.unwrap_or_default(),
        one.error
    )
}

fn ended(end: &Completion) -> String {
    match &end.result {
        Some(result) => format!("{} {result}", end.how),
        None => end.how.to_string(),
    }
}
