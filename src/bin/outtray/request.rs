//! `outtray request`: asks a question, and prints the answer.

use crate::failure::CommandFailure;
use crate::global::Global;
use crate::output::Output;
use crate::shape::header;
use clap::Args;
use outtray::{ErrorKind, Headers, Message, MessageId, NewMessage, Payload};
use serde::Serialize;
use serde_json::value::RawValue;
use std::time::Duration;

const EXAMPLES: &str = "\
A handler answers by `session.reply`, or in any language by a message to the topic in the header \
reply-to with the same header correlation-id. Ends with 1 when no reply comes in time, or when the \
reply is an error. A question that is not handled in time is dropped.

Examples:
  outtray request quotes '{\"item\": \"apples\"}'
  outtray request quotes '{\"item\": \"apples\"}' --timeout 2s --header region=eu";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct RequestOptions {
    /// The topic whose handler answers
    topic: String,

    /// The question
    #[arg(value_name = "JSON", allow_negative_numbers = true)]
    question: String,

    /// How long to wait for the reply at most
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = humantime::parse_duration)]
    timeout: Duration,

    /// Adds a header; may be given several times
    #[arg(long = "header", value_name = "NAME=VALUE", value_parser = header)]
    headers: Vec<(String, String)>,

    /// Handles questions with the same key one at a time, in the order of sending
    #[arg(long, value_name = "KEY")]
    key: Option<String>,

    /// Higher ones are claimed first
    #[arg(
        long,
        value_name = "N",
        default_value_t = 0,
        allow_negative_numbers = true
    )]
    priority: i16,
}

pub(crate) fn run(
    options: &RequestOptions,
    global: &Global,
    output: &mut Output,
) -> Result<(), CommandFailure> {
    let question = NewMessage::json_text(&options.topic, &options.question);
    let mut question = question
        .map_err(|error| {
            CommandFailure::usage(format!("the question: {error}"))
                .hint("a question is JSON; a text has quotes of its own: '\"hello\"'")
        })?
        .priority(options.priority);
    for (name, value) in &options.headers {
        question = question.header(name, value);
    }
    if let Some(key) = &options.key {
        question = question.key(key);
    }
    let messaging = global.connect()?;
    let reply = messaging
        .request_message::<Payload>(question, options.timeout)
        .map_err(explained)?;
    print(&reply, output)
}

/// A reply for machines.
#[derive(Serialize)]
struct PrintedReply<'r> {
    headers: &'r Headers,
    id: MessageId,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<&'r RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_hex: Option<String>,
}

fn print(reply: &Message<Payload>, output: &mut Output) -> Result<(), CommandFailure> {
    let (payload, bytes_hex) = match &reply.payload {
        Payload::Json(text) => (serde_json::from_str::<&RawValue>(text.get()).ok(), None),
        Payload::Bytes(bytes) => {
            let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
            (None, Some(digits.collect()))
        }
    };
    if output.is_json() {
        return Ok(output.object(&PrintedReply {
            headers: &reply.headers,
            id: reply.id,
            payload,
            bytes_hex,
        })?);
    }
    match payload {
        // JSON for people, too: it stays what it was, on one line.
        Some(json) => Ok(output.object(&json)?),
        None => Ok(output.line(&reply.payload.to_string())?),
    }
}

fn explained(error: outtray::Error) -> CommandFailure {
    let is_over = error.kind() == ErrorKind::Timeout;
    let failure = CommandFailure::from(error);
    match is_over {
        true => failure.hint("a handler of the topic has to run, and to reply"),
        false => failure,
    }
}
