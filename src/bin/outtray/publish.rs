//! `outtray publish`, `subscribe`, `unsubscribe` and `subscriptions`: one message for many topics.

use crate::failure::CommandFailure;
use crate::filters::{FilterOption, together, wanted};
use crate::global::Global;
use crate::output::Output;
use crate::send::{Sending, send};
use crate::sender::Destination;
use crate::shape::{Shape, header};
use crate::table::{self, Side};
use clap::Args;
use outtray::Headers;
use serde_json::json;

const PUBLISHING: &str = "\
Each topic with a subscription that matches the routing key gets a copy, which has the key as its \
header outtray-routing-key. Standard input is read as `outtray send` reads it. Where nobody \
subscribed, there are 0 copies, and nothing is stored.

Examples:
  outtray publish orders.created '{\"order\": 42}'
  outtray publish orders.created --mandatory < orders.ndjson";

const SUBSCRIBING: &str = "\
In a pattern, * stands for exactly one segment between dots, and # for any number of them, also \
none, anywhere.

Examples:
  outtray subscribe 'orders.*' billing
  outtray subscribe '#' audit
  outtray subscribe 'orders.#' reviews --filter 'region = eu and amount >= 1000'";

#[derive(Debug, Args)]
#[command(after_help = PUBLISHING)]
pub(crate) struct PublishOptions {
    /// The routing key, such as orders.created
    #[arg(value_name = "KEY")]
    routing_key: String,

    /// The payload; without it, each line of standard input is one
    #[arg(value_name = "JSON", allow_negative_numbers = true)]
    payload: Option<String>,

    /// Fails where nobody subscribed
    #[arg(long)]
    mandatory: bool,

    /// Most messages of standard input in one transaction
    #[arg(long, value_name = "N", default_value_t = 1000)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100_000))]
    batch: u32,

    #[command(flatten)]
    shape: Shape,
}

#[derive(Debug, Args)]
#[command(after_help = SUBSCRIBING)]
pub(crate) struct SubscribeOptions {
    /// The pattern of routing keys
    pattern: String,

    /// The topic that gets the copies
    topic: String,

    /// Only messages whose headers match; several all have to
    #[arg(long = "filter", value_name = "FILTER", value_parser = wanted)]
    filters: Vec<FilterOption>,
}

#[derive(Debug, Args)]
pub(crate) struct UnsubscribeOptions {
    /// The pattern, as it was subscribed to
    pattern: String,

    /// The topic
    topic: String,
}

#[derive(Debug, Args)]
pub(crate) struct SubscriptionsOptions {
    /// Lists the topics that would get a copy of a message with this routing key instead
    #[arg(long, value_name = "KEY")]
    dry_run: Option<String>,

    /// A header of that message; may be given several times
    #[arg(long = "header", value_name = "NAME=VALUE", value_parser = header)]
    #[arg(requires = "dry_run")]
    headers: Vec<(String, String)>,
}

pub(crate) fn publish(
    options: &PublishOptions,
    global: &Global,
    output: &mut Output,
) -> Result<(), CommandFailure> {
    let sending = Sending {
        destination: Destination::Subscribers {
            key: &options.routing_key,
            is_mandatory: options.mandatory,
        },
        payload: options.payload.as_deref(),
        batch: options.batch,
        shape: &options.shape,
    };
    send(&sending, global, output)
}

pub(crate) fn subscribe(
    options: &SubscribeOptions,
    global: &Global,
    output: &mut Output,
) -> Result<(), CommandFailure> {
    let SubscribeOptions { pattern, topic, .. } = options;
    let messaging = global.connect()?;
    let is_new = match together(&options.filters) {
        Some(filter) => messaging.subscribe_matching(pattern, topic, &filter)?,
        None => messaging.subscribe(pattern, topic)?,
    };
    let text = match is_new {
        true => format!("{topic} gets what matches {pattern}"),
        false => format!("{topic} already gets what matches {pattern}"),
    };
    let object = json!({ "pattern": pattern, "topic": topic, "new": is_new });
    Ok(output.say(&text, &object)?)
}

pub(crate) fn unsubscribe(
    options: &UnsubscribeOptions,
    global: &Global,
    output: &mut Output,
) -> Result<(), CommandFailure> {
    let UnsubscribeOptions { pattern, topic } = options;
    if !global.connect()?.unsubscribe(pattern, topic)? {
        return Err(
            CommandFailure::failed(format!("{topic} did not subscribe to {pattern}"))
                .hint("`outtray subscriptions` lists those that there are"),
        );
    }
    let object = json!({ "removed": { "pattern": pattern, "topic": topic } });
    Ok(output.say(
        &format!("{topic} no longer gets what matches {pattern}"),
        &object,
    )?)
}

pub(crate) fn subscriptions(
    options: &SubscriptionsOptions,
    global: &Global,
    output: &mut Output,
) -> Result<(), CommandFailure> {
    let messaging = global.connect()?;
    if let Some(key) = &options.dry_run {
        let headers: Headers = options.headers.iter().cloned().collect();
        let topics = messaging.publish_dry_run(key, &headers)?;
        if output.is_json() {
            return Ok(output.object(&json!({ "key": key, "topics": topics }))?);
        }
        if topics.is_empty() {
            output.line("nobody")?;
        }
        return Ok(topics.iter().try_for_each(|topic| output.line(topic))?);
    }
    let found = messaging.subscriptions()?;
    if output.is_json() {
        return Ok(output.objects(&found)?);
    }
    if found.is_empty() {
        output.line("no subscription")?;
    }
    let columns = [
        ("TOPIC", Side::Left),
        ("PATTERN", Side::Left),
        ("FILTER", Side::Left),
    ];
    let rows: Vec<[String; 3]> = found
        .into_iter()
        .map(|one| {
            let filter = match (one.filter, one.flaw) {
                (_, Some(flaw)) => format!("cannot be read: {flaw}"),
                (Some(filter), None) => filter.to_string(),
                (None, None) => String::new(),
            };
            [one.topic, one.pattern, filter]
        })
        .collect();
    Ok(table::print(output, columns, &rows)?)
}
