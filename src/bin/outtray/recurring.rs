//! `outtray recurring`: messages that are sent again and again.

use crate::failure::CommandFailure;
use crate::global::Global;
use crate::known::looked_at;
use crate::output::Output;
use crate::shape::header;
use crate::table::{self, Side, glance, moment};
use clap::{Args, Subcommand, ValueEnum};
use outtray::{Missed, NewMessage, Recurrence};
use serde_json::json;
use std::time::Duration;

const EXAMPLES: &str = "\
An expression is minute, hour, day of the month, month, day of the week; six fields begin with the \
second. @hourly, @daily, @weekly, @monthly and @yearly are names for the usual ones. Whichever \
process receives messages sends them, each run once.

Examples:
  outtray recurring set reports nightly '0 3 * * *' '{\"kind\": \"sales\"}' --time-zone Europe/Berlin
  outtray recurring set pings pulse '*/10 * * * * *' 1 --missed skip";

#[derive(Debug, Subcommand)]
pub(crate) enum RecurringVerb {
    /// Lists recurring messages and when they are sent next
    List(ListRecurringOptions),
    /// Has a message sent again and again, or changes it
    Set(SetOptions),
    /// Sends a message now, besides its runs
    Run(NamedOptions),
    /// Stops a message from being sent until it is resumed
    Pause(NamedOptions),
    /// Has a paused message sent again, from its next run on
    Resume(NamedOptions),
    /// Ends the repetition of a message
    Remove(NamedOptions),
}

#[derive(Debug, Args)]
pub(crate) struct ListRecurringOptions {
    /// Only those of this topic
    topic: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SetOptions {
    /// The topic to send to
    topic: String,

    /// The name of the recurring message, of which there is one in the topic
    name: String,

    /// When it is sent
    cron: String,

    /// The payload
    #[arg(value_name = "JSON", allow_negative_numbers = true)]
    payload: String,

    /// The time zone whose clocks the expression is about
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    time_zone: String,

    /// What happens to runs that no process was there for
    #[arg(long, value_enum, default_value_t = MissedRuns::Once)]
    missed: MissedRuns,

    /// Higher ones are claimed first
    #[arg(
        long,
        value_name = "N",
        default_value_t = 0,
        allow_negative_numbers = true
    )]
    priority: i16,

    /// Messages with the same key are handled one at a time
    #[arg(long, value_name = "KEY")]
    key: Option<String>,

    /// For how long each message is worth handling
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    expires_in: Option<Duration>,

    /// Sends nothing while a message with this dedupe key, that of the run before for one, waits or
    /// is in work
    #[arg(long, value_name = "KEY")]
    dedupe_until_end: Option<String>,

    /// Adds a header; may be given several times
    #[arg(long = "header", value_name = "NAME=VALUE", value_parser = header)]
    headers: Vec<(String, String)>,
}

#[derive(Debug, Args)]
pub(crate) struct NamedOptions {
    /// The topic
    topic: String,

    /// The name of the recurring message
    name: String,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum MissedRuns {
    /// Those that are more than half a minute late are left out
    Skip,
    /// One message stands for all that are due together
    Once,
    /// Each is made up for, 1000 at most
    All,
}

impl From<MissedRuns> for Missed {
    fn from(missed: MissedRuns) -> Self {
        match missed {
            MissedRuns::Skip => Missed::Skip,
            MissedRuns::Once => Missed::Once,
            MissedRuns::All => Missed::All,
        }
    }
}

pub(crate) fn run(
    verb: &RecurringVerb,
    global: &Global,
    output: &mut Output,
) -> Result<(), CommandFailure> {
    match verb {
        RecurringVerb::List(options) => list(options, global, output),
        RecurringVerb::Set(options) => set(options, global, output),
        RecurringVerb::Run(options) => send_now(options, global, output),
        RecurringVerb::Pause(options) => pause(options, global, output),
        RecurringVerb::Resume(options) => resume(options, global, output),
        RecurringVerb::Remove(options) => remove(options, global, output),
    }
}

fn list(
    options: &ListRecurringOptions,
    global: &Global,
    output: &mut Output,
) -> Result<(), CommandFailure> {
    let messaging = global.connect()?;
    let found = match &options.topic {
        Some(topic) => looked_at(&messaging, topic)?.recurring()?,
        None => messaging.recurring()?,
    };
    if output.is_json() {
        return Ok(output.objects(&found)?);
    }
    if found.is_empty() {
        output.line("no recurring message")?;
    }
    let columns = [
        ("TOPIC", Side::Left),
        ("NAME", Side::Left),
        ("CRON", Side::Left),
        ("ZONE", Side::Left),
        ("MISSED", Side::Left),
        ("NEXT", Side::Left),
        ("PAYLOAD", Side::Left),
    ];
    let rows: Vec<[String; 7]> = found
        .iter()
        .map(|recurring| {
            [
                recurring.topic.clone(),
                recurring.name.clone(),
                recurring.cron.clone(),
                recurring.time_zone.clone(),
                recurring.missed.as_str().to_owned(),
                match recurring.is_paused {
                    true => "paused".to_owned(),
                    false => moment(recurring.next_at),
                },
                glance(&recurring.payload.to_string()),
            ]
        })
        .collect();
    Ok(table::print(output, columns, &rows)?)
}

fn set(options: &SetOptions, global: &Global, output: &mut Output) -> Result<(), CommandFailure> {
    let recurrence = Recurrence::cron(&options.cron)?
        .time_zone(&options.time_zone)?
        .missed(options.missed.into());
    let mut message = NewMessage::json_text(&options.topic, &options.payload)
        .map_err(|error| CommandFailure::usage(crate::failure::chain(&error)))?
        .priority(options.priority);
    for (name, value) in &options.headers {
        message = message.header(name, value);
    }
    if let Some(key) = &options.key {
        message = message.key(key);
    }
    if let Some(duration) = options.expires_in {
        message = message.expires_in(duration);
    }
    if let Some(key) = &options.dedupe_until_end {
        message = message.dedupe_until_end(key);
    }
    let next = global
        .connect()?
        .repeat(&options.name, &recurrence, message)?;
    let next = moment(next);
    let object = json!({ "topic": options.topic, "name": options.name, "next_at": next });
    Ok(output.say(&format!("next at {next}"), &object)?)
}

fn send_now(
    options: &NamedOptions,
    global: &Global,
    output: &mut Output,
) -> Result<(), CommandFailure> {
    let NamedOptions { topic, name } = options;
    let Some(sent) = global.connect()?.topic(topic).run_recurring_now(name)? else {
        return Err(none(topic, name));
    };
    let object = json!({ "id": sent.id(), "duplicate": sent.is_duplicate() });
    Ok(output.say(
        &match sent.is_duplicate() {
            true => format!(
                "not sent: the message {} before it has not ended",
                sent.id()
            ),
            false => format!("sent {}", sent.id()),
        },
        &object,
    )?)
}

fn none(topic: &str, name: &str) -> CommandFailure {
    CommandFailure::failed(format!("{name} is no recurring message of {topic}"))
        .hint("`outtray recurring list` shows those that there are")
}

fn pause(
    options: &NamedOptions,
    global: &Global,
    output: &mut Output,
) -> Result<(), CommandFailure> {
    let NamedOptions { topic, name } = options;
    if !global.connect()?.topic(topic).pause_recurring(name)? {
        return Err(none(topic, name));
    }
    let object = json!({ "paused": name });
    Ok(output.say(&format!("paused {name}"), &object)?)
}

fn resume(
    options: &NamedOptions,
    global: &Global,
    output: &mut Output,
) -> Result<(), CommandFailure> {
    let NamedOptions { topic, name } = options;
    let messaging = global.connect()?;
    let of_topic = messaging.topic(topic);
    let resumed = of_topic.resume_recurring(name)?;
    let found = of_topic.recurring()?;
    let Some(found) = found.iter().find(|one| one.name == *name) else {
        return Err(none(topic, name));
    };
    let next = moment(found.next_at);
    let object = json!({ "resumed": resumed, "name": name, "next_at": next });
    let text = match resumed {
        true => format!("resumed {name}, next at {next}"),
        false => format!("{name} was not paused, next at {next}"),
    };
    Ok(output.say(&text, &object)?)
}

fn remove(
    options: &NamedOptions,
    global: &Global,
    output: &mut Output,
) -> Result<(), CommandFailure> {
    let NamedOptions { topic, name } = options;
    if !global.connect()?.topic(topic).unrepeat(name)? {
        return Err(none(topic, name));
    }
    let object = json!({ "removed": name });
    Ok(output.say(&format!("removed {name}"), &object)?)
}
