//! `outtray verify`: finds out which of the messages that senders were told of the database lacks.

use crate::failure::CommandFailure;
use crate::global::Global;
use crate::output::{Output, counted};
use crate::progress::Meter;
use clap::Args;
use outtray::{MessageId, Messaging};
use serde_json::json;
use std::collections::BTreeSet;
use std::io;
use std::process::ExitCode;
use uuid::Uuid;

const AFTER_HELP: &str = "\
For after a failover to a standby that may lack the latest commits. Standard input has the ids of messages that \
senders were told had been sent, one on a line: from an application's log, or from the old server. A message is known \
if it waits in any way, is a dead letter or an entry of a log, if it was tracked and its outcome is kept, or if the \
query of --done returns its id.

Prints the ids that are not known, and ends with 1 if there are any.

Examples:
  grep -o 'sent [0-9a-f-]*' app.log | cut -d' ' -f2 | outtray verify --done 'SELECT message_id FROM payment'
  psql -At -c 'SELECT id FROM outtray.message' \"$OLD_SERVER\" | outtray verify --done 'SELECT message_id FROM payment'";

#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct VerifyOptions {
    /// A query that returns ids (uuid) of messages that are done, from tables that handlers write
    #[arg(long, value_name = "SQL")]
    done: Option<String>,
}

pub(crate) fn run(
    options: &VerifyOptions,
    global: &Global,
    output: &mut Output,
) -> Result<ExitCode, CommandFailure> {
    let ids = ids()?;
    let messaging = global.connect()?;
    let total = u64::try_from(ids.len()).unwrap_or(u64::MAX);
    let progress = Meter::doing(format!("looking for {}", counted(total, "message")));
    let mut missing = messaging.missing(&ids)?;
    if let Some(done) = &options.done {
        missing = not_done(&messaging, missing, done)?;
    }
    drop(progress);
    for id in &missing {
        output.say(&id.to_string(), &json!({ "id": id }))?;
    }
    if missing.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    Err(CommandFailure::failed(format!(
        "{} of {} missing",
        missing.len(),
        counted(total, "message")
    )))
}

/// Reads ids, each once, in their order.
fn ids() -> Result<Vec<MessageId>, CommandFailure> {
    let (mut ids, mut seen) = (Vec::new(), BTreeSet::new());
    for (number, line) in (1..).zip(io::stdin().lines()) {
        let line = line.map_err(|error| {
            CommandFailure::failed(format!("cannot read line {number}: {error}"))
        })?;
        if line.trim().is_empty() {
            continue;
        }
        let id: MessageId = line.trim().parse().map_err(|_| {
            CommandFailure::usage(format!("line {number} is not the id of a message"))
        })?;
        if seen.insert(id.as_uuid()) {
            ids.push(id);
        }
    }
    Ok(ids)
}

/// Takes away the messages whose effects are there.
fn not_done(
    messaging: &Messaging,
    mut missing: Vec<MessageId>,
    done: &str,
) -> Result<Vec<MessageId>, CommandFailure> {
    let rows = messaging.session(|session| Ok(session.query(done, &[])?))?;
    let done: Result<BTreeSet<Uuid>, _> = rows.iter().map(|row| row.try_get(0)).collect();
    let done = done.map_err(|error| {
        CommandFailure::usage(format!(
            "the query of --done returns no ids (uuid): {error}"
        ))
    })?;
    missing.retain(|id| !done.contains(&id.as_uuid()));
    Ok(missing)
}
