//! `outtray cancel`: gives messages up, one by its id, many by their headers, or a group.

use crate::confirm::confirm;
use crate::failure::Failure;
use crate::global::Global;
use crate::known::known;
use crate::output::Output;
use crate::shape::header;
use clap::Args;
use outtray::{Cancelled, MessageId};
use serde_json::json;

const EXAMPLES: &str = "\
A message that waits is removed. The handler of one that is in work is asked to give up; if it fails \
then, the message is not tried again. Dead letters stay.

Examples:
  outtray cancel 0199a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b --yes
  outtray cancel --topic mail --header campaign=spring --header country=ch";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// The id of the message
    #[arg(required_unless_present = "topic", conflicts_with_all = ["topic", "headers"])]
    id: Option<MessageId>,

    /// Takes the id for that of a group, and cancels all its members too
    #[arg(long, requires = "id", conflicts_with = "topic")]
    group: bool,

    /// Cancels messages of this topic by their headers
    #[arg(long, value_name = "TOPIC", requires = "headers")]
    topic: Option<String>,

    /// Only messages with this header; with several, those that have all of them
    #[arg(long = "header", value_name = "NAME=VALUE", value_parser = header, requires = "topic")]
    headers: Vec<(String, String)>,

    /// Does not ask
    #[arg(short, long)]
    yes: bool,
}

pub(crate) fn run(options: &Options, global: &Global, output: &mut Output) -> Result<(), Failure> {
    let messaging = global.connect()?;
    if let Some(topic) = &options.topic {
        let known = known(&messaging, topic)?;
        let which = format!("cancel the messages of {topic} with these headers");
        confirm(options.yes, &which)?;
        let headers = options.headers.iter().cloned();
        return said(output, known.cancel_where(headers)?);
    }
    let Some(id) = options.id else {
        return Err(Failure::usage("which message? name its id".to_owned()));
    };
    if options.group {
        confirm(options.yes, &format!("cancel group {id} and its members"))?;
        return match messaging.cancel_group(id)? {
            0 => Err(Failure::failed(format!(
                "nothing of a group {id} waits or is in work"
            ))),
            cancelled => said(output, cancelled),
        };
    }
    confirm(options.yes, &format!("cancel message {id}"))?;
    let (word, text) = match messaging.cancel(id)? {
        Cancelled::Removed => ("removed", format!("cancelled {id}")),
        Cancelled::Asked => (
            "asked",
            format!("{id} is in work: its handler is asked to give up"),
        ),
        _ => {
            return Err(
                Failure::failed(format!("no message {id} waits or is in work"))
                    .hint("it may have ended: outtray wait tells of a tracked one"),
            );
        }
    };
    Ok(output.say(&text, &json!({ "id": id, "cancelled": word }))?)
}

fn said(output: &mut Output, cancelled: u64) -> Result<(), Failure> {
    let object = json!({ "cancelled": cancelled });
    Ok(output.say(&format!("cancelled {cancelled}"), &object)?)
}
