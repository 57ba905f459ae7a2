//! `outtray dedupe` and `outtray rate`: dedupe keys and rates by their names.

use crate::failure::CommandFailure;
use crate::global::Global;
use crate::output::Output;
use clap::{Args, Subcommand};
use serde_json::json;
use std::time::Duration;

#[derive(Debug, Subcommand)]
pub(crate) enum DedupeVerb {
    /// Forgets a dedupe key, so that the next message with it is sent
    Forget(KeyOptions),
    /// Remembers a dedupe key that is taken for so long from now on
    Keep(KeepOptions),
}

#[derive(Debug, Args)]
pub(crate) struct KeyOptions {
    /// The topic
    topic: String,

    /// The dedupe key
    key: String,
}

#[derive(Debug, Args)]
pub(crate) struct KeepOptions {
    #[command(flatten)]
    key: KeyOptions,

    /// How long, in place of what was said when its message was sent
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    window: Duration,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RateVerb {
    /// Lets a rate begin anew: a whole burst may be begun at once
    Reset(ResetOptions),
}

#[derive(Debug, Args)]
pub(crate) struct ResetOptions {
    /// The topic
    topic: String,

    /// The rate of this key of messages, where each has one of its own
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
}

pub(crate) fn dedupe(
    verb: &DedupeVerb,
    global: &Global,
    output: &mut Output,
) -> Result<(), CommandFailure> {
    match verb {
        DedupeVerb::Forget(options) => {
            let messaging = global.connect()?;
            let topic = messaging.topic(&options.topic);
            done(
                topic.forget_dedupe_key(&options.key)?,
                "forgotten",
                options,
                output,
            )
        }
        DedupeVerb::Keep(KeepOptions { key, window }) => {
            let messaging = global.connect()?;
            let topic = messaging.topic(&key.topic);
            done(
                topic.set_dedupe_window(&key.key, *window)?,
                "kept",
                key,
                output,
            )
        }
    }
}

fn done(
    was_taken: bool,
    word: &str,
    KeyOptions { topic, key }: &KeyOptions,
    output: &mut Output,
) -> Result<(), CommandFailure> {
    if !was_taken {
        let failure = format!("topic {topic} remembers no dedupe key {key:?}");
        return Err(CommandFailure::failed(failure));
    }
    Ok(output.say(&format!("{word} {key}"), &json!({ word: key }))?)
}

pub(crate) fn rate(
    verb: &RateVerb,
    global: &Global,
    output: &mut Output,
) -> Result<(), CommandFailure> {
    let RateVerb::Reset(ResetOptions { topic, key }) = verb;
    let messaging = global.connect()?;
    let (text, object) = match key {
        None => {
            messaging.topic(topic).reset_rate()?;
            (
                format!("reset the rate of {topic}"),
                json!({ "reset": topic }),
            )
        }
        Some(key) => {
            messaging.topic(topic).reset_rate_of(key)?;
            let text = format!("reset the rate of key {key} of {topic}");
            (text, json!({ "reset": topic, "key": key }))
        }
    };
    Ok(output.say(&text, &object)?)
}
