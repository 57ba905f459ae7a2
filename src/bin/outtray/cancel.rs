//! `outtray cancel`: gives messages up, by their ids or headers, or a group.

use crate::confirm::confirm;
use crate::failure::CommandFailure;
use crate::filters::{FilterOption, together, wanted};
use crate::global::Global;
use crate::known::known;
use crate::output::Output;
use crate::shape::header;
use clap::Args;
use outtray::{Cancelled, MessageId, Messaging};
use serde_json::json;

const EXAMPLES: &str = "\
A message that waits is removed. The handler of one that is in work is asked to give up; if it fails \
then, the message is not tried again. Dead letters stay.

Examples:
  outtray cancel 0199a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b --yes
  outtray peek mail --json | jq -r .id | xargs outtray cancel --yes
  outtray cancel --topic mail --header campaign=spring --header country=ch
  outtray cancel --topic mail --filter 'version < 12 or campaign is null'";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CancelOptions {
    /// The ids of the messages
    #[arg(value_name = "ID", required_unless_present = "topic", conflicts_with_all = ["topic", "headers", "filters"])]
    ids: Vec<MessageId>,

    /// Takes the ids for those of groups, and cancels all their members too
    #[arg(long, requires = "ids", conflicts_with = "topic")]
    group: bool,

    /// Cancels messages of this topic by their headers
    #[arg(long, value_name = "TOPIC", requires = "which")]
    topic: Option<String>,

    /// Only messages with this header; with several, those that have all of them
    #[arg(long = "header", value_name = "NAME=VALUE", value_parser = header, requires = "topic", group = "which")]
    headers: Vec<(String, String)>,

    /// Only messages that a filter in words wants, as that of `outtray work`
    #[arg(long = "filter", value_name = "FILTER", value_parser = wanted, requires = "topic", group = "which")]
    #[arg(conflicts_with = "headers")]
    filters: Vec<FilterOption>,

    /// Does not ask
    #[arg(short, long)]
    yes: bool,
}

pub(crate) fn run(
    options: &CancelOptions,
    global: &Global,
    output: &mut Output,
) -> Result<(), CommandFailure> {
    let messaging = global.connect()?;
    if let Some(topic) = &options.topic {
        let known = known(&messaging, topic)?;
        let which = format!("cancel the messages of {topic} with these headers");
        confirm(options.yes, &which)?;
        if let Some(filter) = together(&options.filters) {
            return said(output, known.cancel_matching(&filter)?);
        }
        let headers = options.headers.iter().cloned();
        return said(output, known.cancel_where(headers)?);
    }
    match options.group {
        true => groups(options, &messaging, output),
        false => messages(options, &messaging, output),
    }
}

fn groups(
    options: &CancelOptions,
    messaging: &Messaging,
    output: &mut Output,
) -> Result<(), CommandFailure> {
    let which = named(&options.ids, "group", "groups");
    confirm(options.yes, &format!("cancel {which} and all members"))?;
    for id in &options.ids {
        match messaging.cancel_group(*id)? {
            0 => {
                let text = format!("nothing of a group {id} waits or is in work");
                return Err(CommandFailure::failed(text));
            }
            cancelled => said(output, cancelled)?,
        }
    }
    Ok(())
}

fn messages(
    options: &CancelOptions,
    messaging: &Messaging,
    output: &mut Output,
) -> Result<(), CommandFailure> {
    let which = named(&options.ids, "message", "messages");
    confirm(options.yes, &format!("cancel {which}"))?;
    let mut missing = Vec::new();
    for (id, cancelled) in options.ids.iter().zip(messaging.cancel_all(&options.ids)?) {
        let (word, text) = match cancelled {
            Cancelled::Removed => ("removed", format!("cancelled {id}")),
            Cancelled::Asked => (
                "asked",
                format!("{id} is in work: its handler is asked to give up"),
            ),
            _ => {
                missing.push(*id);
                continue;
            }
        };
        output.say(&text, &json!({ "id": id, "cancelled": word }))?;
    }
    if missing.is_empty() {
        return Ok(());
    }
    let missing: Vec<String> = missing.iter().map(MessageId::to_string).collect();
    let text = format!("no message {} waits or is in work", missing.join(", "));
    Err(CommandFailure::failed(text).hint("it may have ended: outtray wait tells of a tracked one"))
}

/// Says which messages or groups these are.
fn named(ids: &[MessageId], one: &str, several: &str) -> String {
    match ids {
        [only] => format!("{one} {only}"),
        ids => format!("{} {several}", ids.len()),
    }
}

fn said(output: &mut Output, cancelled: u64) -> Result<(), CommandFailure> {
    let object = json!({ "cancelled": cancelled });
    Ok(output.say(&format!("cancelled {cancelled}"), &object)?)
}
