//! `outtray config`, `pause` and `resume`: what is set for a topic, for every process.

use crate::failure::CommandFailure;
use crate::global::Global;
use crate::known::{known, looked_at, nearest, unknown};
use crate::output::{Output, escaped};
use clap::Args;
use outtray::{TopicConfig, TopicSetting};
use serde_json::json;
use std::io::{self, Write};

const EXAMPLES: &str = "\
Examples:
  outtray config mail
  outtray config mail --set max_attempts=5 --set expires_in=1h --unset delay";

#[derive(Debug, Args)]
#[command(after_help = explained())]
pub(crate) struct ConfigOptions {
    /// The topic
    topic: String,

    /// Sets this; may be given several times
    #[arg(long = "set", value_name = "NAME=VALUE")]
    sets: Vec<String>,

    /// Leaves this to the default; may be given several times
    #[arg(long = "unset", value_name = "NAME")]
    unsets: Vec<String>,
}

/// Returns the help on the settings that there are.
fn explained() -> String {
    let explain = |setting: &TopicSetting| {
        let TopicSetting {
            name, help, values, ..
        } = setting;
        format!("  {name:<21}  {help}\n  {:<21}  {values}\n", "")
    };
    let settings: String = TopicConfig::settings().iter().map(explain).collect();
    format!(
        "Without --set and --unset it shows what is set. Every process obeys: those that receive at once, \
         others within a second.\n\nSettings, each with how its values are written:\n{settings}\n{EXAMPLES}"
    )
}

#[derive(Debug, Args)]
pub(crate) struct PauseOptions {
    /// The topic
    topic: String,

    /// Also a topic of which nothing is known yet
    #[arg(long)]
    new: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ResumeOptions {
    /// The topic
    topic: String,
}

pub(crate) fn run(
    options: &ConfigOptions,
    global: &Global,
    output: &mut Output,
) -> Result<(), CommandFailure> {
    // Read before anything is asked of the database.
    let sets = sets(options)?;
    let unsets: Vec<&str> = options.unsets.iter().map(String::as_str).collect();
    for name in &unsets {
        let known = TopicConfig::default().unset(name);
        known.map_err(|error| CommandFailure::usage(format!("--unset {error}")))?;
    }
    let messaging = global.connect()?;
    // Who sets something may do so before the first message.
    let topic = match (sets.is_empty(), unsets.is_empty()) {
        (true, true) => looked_at(&messaging, &options.topic)?,
        (true, false) => known(&messaging, &options.topic)?,
        (false, _) => messaging.topic(&options.topic),
    };
    let is_new = !sets.is_empty() && !topic.is_known()?;
    let mut config = None;
    if !sets.is_empty() {
        config = Some(topic.reconfigure(|config| {
            for (name, value) in &sets {
                config.set(name, value).expect("it could be read before");
            }
        })?);
    }
    if !unsets.is_empty() {
        // Also where what is set there could not be read.
        config = Some(topic.unset(&unsets)?);
    }
    let config = config.map_or_else(|| topic.config(), Ok)?;
    if is_new && let Some(near) = nearest(&messaging, &options.topic)? {
        let topic = escaped(&options.topic);
        let _ = writeln!(
            io::stderr(),
            "note: nothing was known of {topic} before; there is {near}, too"
        );
    }
    show(&options.topic, &config, topic.is_paused()?, output)
}

pub(crate) fn pause(
    options: &PauseOptions,
    global: &Global,
    output: &mut Output,
) -> Result<(), CommandFailure> {
    let PauseOptions { topic, new } = options;
    let messaging = global.connect()?;
    let paused = messaging.topic(topic);
    if !new && !paused.is_known()? {
        return Err(unknown(&messaging, topic)?.and("--new pauses it all the same"));
    }
    paused.pause()?;
    let object = json!({ "topic": topic, "paused": true });
    Ok(output.say(&format!("paused {topic}"), &object)?)
}

pub(crate) fn resume(
    options: &ResumeOptions,
    global: &Global,
    output: &mut Output,
) -> Result<(), CommandFailure> {
    let ResumeOptions { topic } = options;
    known(&global.connect()?, topic)?.resume()?;
    let object = json!({ "topic": topic, "paused": false });
    Ok(output.say(&format!("resumed {topic}"), &object)?)
}

fn show(
    topic: &str,
    config: &TopicConfig,
    is_paused: bool,
    output: &mut Output,
) -> Result<(), CommandFailure> {
    if output.is_json() {
        let object = json!({ "topic": topic, "paused": is_paused, "settings": config });
        return Ok(output.object(&object)?);
    }
    let settings = TopicConfig::settings().iter();
    let mut set = settings
        .filter_map(|setting| Some((setting.name, config.get(setting.name)?)))
        .peekable();
    if is_paused {
        output.line("paused               yes")?;
    } else if set.peek().is_none() {
        output.line("nothing is set")?;
    }
    for (name, value) in set {
        output.line(&format!("{name:<19}  {value}"))?;
    }
    Ok(())
}

/// Reads what is to be set: names and values.
fn sets(options: &ConfigOptions) -> Result<Vec<(&str, &str)>, CommandFailure> {
    let mut tried = TopicConfig::default();
    let mut sets = Vec::new();
    for set in &options.sets {
        let Some((name, value)) = set.split_once('=') else {
            return Err(CommandFailure::usage(format!(
                "--set {set}: write it as NAME=VALUE"
            )));
        };
        tried
            .set(name, value)
            .map_err(|error| CommandFailure::usage(format!("--set {error}")))?;
        sets.push((name, value));
    }
    Ok(sets)
}
