//! `outtray config`, `pause` and `resume`: what is set for a topic, for every process.

use crate::failure::{Failure, chain};
use crate::global::Global;
use crate::known::{known, looked_at, nearest, unknown};
use crate::output::{Output, escaped};
use clap::Args;
use humantime::{format_duration, parse_duration};
use outtray::{Backoff, Expired, PoisonedKey, Rate, TopicConfig};
use serde_json::{Value, json};
use std::fmt::Display;
use std::io::{self, Write};
use std::str::FromStr;
use std::time::Duration;

const EXAMPLES: &str = "\
Without --set and --unset it shows what is set. Every process obeys: those that receive at once, \
others within a second.

Settings:
  max_attempts         5
  backoff              exponential:1s,2,15m (first, factor, longest), fixed:5s, linear:1s,1m
  lease, delay, expires_in    90s, 1h 30m
  expired              dead_letter, drop
  dead_letter_retention    30d: how long dead letters are kept, for ever if it is not set
  max_in_work, max_in_work_per_key, max_length    100
  poisoned_key         block, park, skip
  rate, rate_per_key   100/1s, or with a burst 100/1s,500

Examples:
  outtray config mail
  outtray config mail --set max_attempts=5 --set expires_in=1h --unset delay";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// The topic
    topic: String,

    /// Sets this; may be given several times
    #[arg(long = "set", value_name = "NAME=VALUE")]
    sets: Vec<String>,

    /// Leaves this to the default; may be given several times
    #[arg(long = "unset", value_name = "NAME")]
    unsets: Vec<String>,
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

pub(crate) fn run(options: &Options, global: &Global, output: &mut Output) -> Result<(), Failure> {
    // Read before anything is asked of the database.
    let changes = changes(options)?;
    let messaging = global.connect()?;
    // Who sets something may do so before the first message.
    let topic = match (options.sets.is_empty(), options.unsets.is_empty()) {
        (true, true) => looked_at(&messaging, &options.topic)?,
        (true, false) => known(&messaging, &options.topic)?,
        (false, _) => messaging.topic(&options.topic),
    };
    let is_new = !options.sets.is_empty() && !topic.is_known()?;
    let config = match changes.is_empty() {
        true => topic.config()?,
        false => {
            topic.reconfigure(|config| changes.into_iter().for_each(|change| change(config)))?
        }
    };
    // Also where what is set there could not be read.
    let unsets: Vec<&str> = options.unsets.iter().map(String::as_str).collect();
    let config = match unsets.is_empty() {
        true => config,
        false => topic.unset(&unsets)?,
    };
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
) -> Result<(), Failure> {
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
) -> Result<(), Failure> {
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
) -> Result<(), Failure> {
    let settings = serde_json::to_value(config)
        .map_err(|error| Failure::failed(format!("cannot show the settings: {error}")))?;
    if output.is_json() {
        let object = json!({ "topic": topic, "paused": is_paused, "settings": settings });
        return Ok(output.object(&object)?);
    }
    let empty = serde_json::Map::new();
    let settings = settings.as_object().unwrap_or(&empty);
    if is_paused {
        output.line("paused               yes")?;
    } else if settings.is_empty() {
        output.line("nothing is set")?;
    }
    for (name, value) in settings {
        let name = name.strip_suffix("_ms").unwrap_or(name);
        output.line(&format!("{name:<19}  {}", shown(name, value)))?;
    }
    Ok(())
}

/// Returns a setting as it is written after `--set NAME=`.
fn shown(name: &str, value: &Value) -> String {
    let duration = |value: &Value| {
        let ms = value.as_u64().unwrap_or_default();
        format_duration(Duration::from_millis(ms)).to_string()
    };
    match name {
        "lease" | "delay" | "expires_in" | "dead_letter_retention" => duration(value),
        "rate" | "rate_per_key" => {
            let [messages, burst] = ["messages", "burst"].map(|part| &value[part]);
            format!("{messages}/{},{burst}", duration(&value["per_ms"]))
        }
        "backoff" => {
            let (fixed, linear) = (&value["fixed"], &value["linear"]);
            let exponential = &value["exponential"];
            if fixed.is_object() {
                format!("fixed:{}", duration(&fixed["delay_ms"]))
            } else if linear.is_object() {
                let [step, cap] = ["step_ms", "cap_ms"].map(|part| duration(&linear[part]));
                format!("linear:{step},{cap}")
            } else {
                let [first, cap] = ["first_ms", "cap_ms"].map(|part| duration(&exponential[part]));
                format!("exponential:{first},{},{cap}", exponential["factor"])
            }
        }
        _ => match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        },
    }
}

type Change = Box<dyn FnOnce(&mut TopicConfig)>;

fn changes(options: &Options) -> Result<Vec<Change>, Failure> {
    let mut changes = Vec::new();
    for set in &options.sets {
        let Some((name, value)) = set.split_once('=') else {
            return Err(Failure::usage(format!(
                "--set {set}: write it as NAME=VALUE"
            )));
        };
        changes.push(
            change(name, Some(value))
                .map_err(|why| Failure::usage(format!("--set {name}={value}: {why}")))?,
        );
    }
    for name in &options.unsets {
        changes.push(
            change(name, None).map_err(|why| Failure::usage(format!("--unset {name}: {why}")))?,
        );
    }
    Ok(changes)
}

/// Returns the change of one setting; no value: to the default.
fn change(name: &str, value: Option<&str>) -> Result<Change, String> {
    /// Makes a change that puts what is read into one field.
    macro_rules! field {
        ($field:ident, $read:expr) => {{
            let read = value.map($read).transpose()?;
            Ok(Box::new(move |config: &mut TopicConfig| {
                config.$field = read
            }))
        }};
    }
    match name {
        "max_attempts" => field!(max_attempts, number),
        "backoff" => field!(backoff, backoff),
        "lease" => field!(lease, duration),
        "delay" => field!(delay, duration),
        "expires_in" => field!(expires_in, duration),
        "dead_letter_retention" => field!(dead_letter_retention, duration),
        "expired" => field!(expired, |text| one_of(
            text,
            &[
                ("dead_letter", Expired::DeadLetter),
                ("drop", Expired::Drop)
            ]
        )),
        "max_in_work" => field!(max_in_work, number),
        "max_in_work_per_key" => field!(max_in_work_per_key, number),
        "poisoned_key" => field!(poisoned_key, |text| one_of(
            text,
            &[
                ("block", PoisonedKey::Block),
                ("park", PoisonedKey::Park),
                ("skip", PoisonedKey::Skip)
            ]
        )),
        "max_length" => field!(max_length, number),
        "rate" => field!(rate, rate),
        "rate_per_key" => field!(rate_per_key, rate),
        _ => Err("there is no such setting, --help lists them".to_owned()),
    }
}

fn number<N: FromStr<Err: Display>>(text: &str) -> Result<N, String> {
    text.parse()
        .map_err(|error| format!("\"{text}\" is not such a number: {error}"))
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|error| format!("\"{text}\" is not a duration: {}", chain(&error)))
}

fn one_of<T: Copy>(text: &str, values: &[(&str, T)]) -> Result<T, String> {
    let found = values.iter().find(|(name, _)| *name == text);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<&str> = values.iter().map(|(name, _)| *name).collect();
        format!("it is one of {}", names.join(", "))
    })
}

fn backoff(text: &str) -> Result<Backoff, String> {
    let (curve, rest) = text.split_once(':').unwrap_or((text, ""));
    let parts: Vec<&str> = rest
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect();
    match (curve, parts.as_slice()) {
        ("fixed", [delay]) => Ok(Backoff::fixed(duration(delay)?)),
        ("linear", [step, cap]) => Ok(Backoff::linear(duration(step)?, duration(cap)?)),
        ("exponential", [first, factor, cap]) => {
            let factor: f64 = number(factor)?;
            if !factor.is_finite() || factor < 1.0 {
                return Err(format!("the factor {factor} must be at least 1"));
            }
            Ok(Backoff::exponential(
                duration(first)?,
                factor,
                duration(cap)?,
            ))
        }
        _ => Err("write it as exponential:1s,2,15m or fixed:5s or linear:1s,1m".to_owned()),
    }
}

/// Reads `100/1s` or `100/1s,500`; without a burst, it is what one time allows.
fn rate(text: &str) -> Result<Rate, String> {
    let written = || "write it as 100/1s or, with a burst, 100/1s,500".to_owned();
    let (messages, rest) = text.split_once('/').ok_or_else(written)?;
    let (per, burst) = match rest.split_once(',') {
        Some((per, burst)) => (per, Some(burst)),
        None => (rest, None),
    };
    let messages = number(messages)?;
    Ok(Rate {
        messages,
        per: duration(per)?,
        burst: burst.map_or(Ok(messages), number)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks that what is set reads back as it is shown.
    #[track_caller]
    fn check(name: &str, value: &str, expected: &str) {
        let mut config = TopicConfig::default();
        change(name, Some(value)).unwrap()(&mut config);
        let settings = serde_json::to_value(&config).unwrap();
        let (_, stored) = settings.as_object().unwrap().iter().next().unwrap();
        assert_eq!(shown(name, stored), expected);
        let mut again = TopicConfig::default();
        change(name, Some(expected)).unwrap()(&mut again);
        assert_eq!(again, config);
        change(name, None).unwrap()(&mut config);
        assert_eq!(config, TopicConfig::default());
    }

    #[test]
    fn a_setting_is_shown_as_it_is_written() {
        check("max_attempts", "5", "5");
        check("backoff", "exponential:1s,2,15m", "exponential:1s,2.0,15m");
        check("backoff", "fixed:5s", "fixed:5s");
        check("backoff", "linear:500ms, 1m", "linear:500ms,1m");
        check("lease", "90s", "1m 30s");
        check("delay", "90s", "1m 30s");
        check("expires_in", "1h 30m", "1h 30m");
        check("dead_letter_retention", "30d", "30days");
        check("expired", "drop", "drop");
        check("max_in_work", "7", "7");
        check("max_in_work_per_key", "2", "2");
        check("poisoned_key", "park", "park");
        check("max_length", "1000000", "1000000");
        check("rate", "100/1s", "100/1s,100");
        check("rate_per_key", "10/1m,500", "10/1m,500");
    }

    #[track_caller]
    fn check_refused(name: &str, value: &str, part: &str) {
        let why = change(name, Some(value)).err().unwrap();
        assert!(why.contains(part), "{why}");
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_the_reason() {
        check_refused("colour", "red", "no such setting");
        check_refused("max_attempts", "many", "\"many\"");
        check_refused("max_attempts", "-1", "\"-1\"");
        check_refused("delay", "5 parsecs", "parsecs");
        check_refused("expired", "burn", "dead_letter, drop");
        check_refused("backoff", "fixed", "exponential:1s,2,15m");
        check_refused("backoff", "fixed:x", "\"x\" is not a duration");
        check_refused("backoff", "exponential:1s,0.5,1m", "at least 1");
        check_refused("rate", "100", "100/1s");
        check_refused("rate", "100/1s,x", "\"x\"");
    }
}
