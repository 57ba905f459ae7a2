//! `outtray topics`, `stats`, `peek` and `purge`: what is there, and how to get rid of it.

use crate::confirm::confirm;
use crate::failure::Failure;
use crate::global::Global;
use crate::known::{known, looked_at};
use crate::output::{Output, cut, escaped, number};
use crate::progress::Progress;
use crate::scheduled;
use crate::table::{self, Side, age, moment};
use clap::Args;
use clap::builder::RangedU64ValueParser;
use outtray::{Headers, MessageId, MessageState, Payload, TopicStats};
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;

/// Characters of a payload or error that a table shows.
pub(crate) const SHOWN: usize = 80;

#[derive(Debug, Args)]
pub(crate) struct StatsOptions {
    /// The topic to count
    topic: String,
}

#[derive(Debug, Args)]
pub(crate) struct PeekOptions {
    /// The topic to look at
    topic: String,

    /// How many messages
    #[arg(short = 'n', long = "limit", value_name = "N", default_value_t = 10)]
    #[arg(value_parser = at_least_one())]
    limit: usize,

    /// Shows those that are not ready instead, by when they are due: delays, retries, what is in
    /// work under a lease, and what comes after others
    #[arg(long)]
    scheduled: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PurgeOptions {
    /// The topic to empty; dead letters stay, and so do messages in work
    topic: String,

    /// Does not ask
    #[arg(short, long)]
    yes: bool,
}

/// Reads how many messages are to be shown.
pub(crate) fn at_least_one() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..)
}

/// A payload for machines: JSON as it is, or bytes as hexadecimal digits.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Content<'p> {
    /// JSON, within which the white space around it means nothing.
    Payload(&'p RawValue),
    BytesHex(String),
}

impl<'p> From<&'p Payload> for Content<'p> {
    fn from(payload: &'p Payload) -> Self {
        match payload {
            Payload::Json(text) => match serde_json::from_str(text.get()) {
                Ok(json) => Content::Payload(json),
                // Never: a payload is JSON.
                Err(_) => Content::BytesHex(String::new()),
            },
            Payload::Bytes(bytes) => {
                Content::BytesHex(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
            }
        }
    }
}

/// A waiting message for machines.
#[derive(Serialize)]
struct Waiting<'m> {
    id: MessageId,
    #[serde(flatten)]
    state: State<'m>,
    key: Option<&'m str>,
    priority: i16,
    attempts: u32,
    sent_at: String,
    headers: &'m Headers,
    #[serde(flatten)]
    content: Content<'m>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unreadable: Option<&'m str>,
}

/// Whether a message is in work, and in whose hands, for machines.
#[derive(Serialize)]
struct State<'m> {
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_process: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    program: Option<&'m str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    left_ms: Option<u64>,
}

impl<'m> From<&'m MessageState> for State<'m> {
    fn from(state: &'m MessageState) -> Self {
        let (server_process, program, left) = match state {
            MessageState::InWork {
                server_process,
                program,
            } => (*server_process, program.as_deref(), None),
            MessageState::Leased { left } | MessageState::Retrying { left } => {
                (None, None, Some(*left))
            }
            _ => (None, None, None),
        };
        State {
            state: state.as_str(),
            server_process,
            program,
            left_ms: left.map(|left| left.as_millis() as u64),
        }
    }
}

/// The same for people.
fn in_words(state: &MessageState) -> String {
    match state {
        MessageState::InWork {
            server_process: Some(process),
            program,
        } => match program {
            Some(program) => format!("in work, {} {process}", glance(program)),
            None => format!("in work, {process}"),
        },
        MessageState::InWork { .. } => "in work".to_owned(),
        MessageState::Leased { left } => format!("leased, {} left", age(*left)),
        MessageState::Retrying { left } => format!("retrying in {}", age(*left)),
        state => state.to_string(),
    }
}

pub(crate) fn list(global: &Global, output: &mut Output) -> Result<(), Failure> {
    let topics = global.connect()?.topics()?;
    if output.is_json() {
        for stats in &topics {
            output.object(&numbers(stats))?;
        }
        return Ok(());
    }
    if topics.is_empty() {
        output.line("no topics yet")?;
    }
    let columns = [
        ("TOPIC", Side::Left),
        ("READY", Side::Right),
        ("SCHEDULED", Side::Right),
        ("LEASED", Side::Right),
        ("BEHIND", Side::Right),
        ("DEAD", Side::Right),
        ("RECEIVERS", Side::Right),
        ("OLDEST", Side::Right),
        ("STATE", Side::Left),
    ];
    let rows: Vec<[String; 9]> = topics.iter().map(row).collect();
    Ok(table::print(output, columns, &rows)?)
}

pub(crate) fn stats(
    options: &StatsOptions,
    global: &Global,
    output: &mut Output,
) -> Result<(), Failure> {
    let messaging = global.connect()?;
    let stats = looked_at(&messaging, &options.topic)?.stats()?;
    if output.is_json() {
        return Ok(output.object(&numbers(&stats))?);
    }
    let titles = [
        "topic",
        "ready",
        "scheduled",
        "leased",
        "behind",
        "dead",
        "receivers",
        "oldest ready",
        "state",
    ];
    for (title, value) in titles.iter().zip(row(&stats)) {
        output.line(format!("{title:<12}  {value}").trim_end())?;
    }
    if let Some(kept) = stats.dead_letter_retention {
        output.line(&format!("dead kept     {}", age(kept)))?;
    }
    Ok(())
}

/// Returns a topic's numbers for people.
fn row(stats: &TopicStats) -> [String; 9] {
    let estimated = &stats.estimated;
    [
        stats.topic.clone(),
        number(stats.ready, estimated.ready),
        number(stats.scheduled, estimated.scheduled),
        number(stats.leased, estimated.leased),
        number(stats.behind, estimated.behind),
        number(stats.dead, estimated.dead),
        stats.receivers.to_string(),
        stats.oldest_ready_age.map_or("-".to_owned(), age),
        state(stats).to_owned(),
    ]
}

fn state(stats: &TopicStats) -> &'static str {
    match (stats.is_paused, stats.is_suspect) {
        (true, true) => "paused, suspect",
        (true, false) => "paused",
        (false, true) => "suspect",
        (false, false) => "",
    }
}

fn numbers(stats: &TopicStats) -> impl Serialize {
    let oldest_ms = stats.oldest_ready_age.map(|age| age.as_millis() as u64);
    let named = [
        ("ready", stats.estimated.ready),
        ("scheduled", stats.estimated.scheduled),
        ("leased", stats.estimated.leased),
        ("behind", stats.estimated.behind),
        ("dead", stats.estimated.dead),
    ];
    let estimated = named.iter().filter(|(_, is_one)| *is_one);
    let estimated: Vec<&str> = estimated.map(|(name, _)| *name).collect();
    json!({
        "topic": stats.topic, "ready": stats.ready, "scheduled": stats.scheduled,
        "leased": stats.leased, "behind": stats.behind, "dead": stats.dead, "paused": stats.is_paused,
        "suspect": stats.is_suspect,
        "receivers": stats.receivers, "oldest_ready_ms": oldest_ms,
        "estimated": estimated,
        "dead_letter_retention_ms": stats.dead_letter_retention.map(|kept| kept.as_millis() as u64),
    })
}

pub(crate) fn peek(
    options: &PeekOptions,
    global: &Global,
    output: &mut Output,
) -> Result<(), Failure> {
    if options.scheduled {
        return scheduled::peek(&options.topic, options.limit, global, output);
    }
    let messaging = global.connect()?;
    let messages = looked_at(&messaging, &options.topic)?.peek(options.limit)?;
    if output.is_json() {
        for message in &messages {
            output.object(&Waiting {
                id: message.id,
                state: State::from(&message.state),
                key: message.key.as_deref(),
                priority: message.priority,
                attempts: message.attempts,
                sent_at: moment(message.sent_at),
                headers: &message.headers,
                content: Content::from(&message.payload),
                unreadable: message.unreadable.as_deref(),
            })?;
        }
        return Ok(());
    }
    if messages.is_empty() {
        output.line("no message is ready or in work")?;
    }
    let columns = [
        ("ID", Side::Left),
        ("STATE", Side::Left),
        ("KEY", Side::Left),
        ("PRIORITY", Side::Right),
        ("ATTEMPTS", Side::Right),
        ("SENT", Side::Left),
        ("PAYLOAD", Side::Left),
    ];
    let rows: Vec<[String; 7]> = messages
        .iter()
        .map(|message| {
            [
                message.id.to_string(),
                in_words(&message.state),
                key(message.key.as_deref()),
                message.priority.to_string(),
                message.attempts.to_string(),
                moment(message.sent_at),
                glance(&message.payload.to_string()),
            ]
        })
        .collect();
    Ok(table::print(output, columns, &rows)?)
}

/// Returns a key, fit for a table.
pub(crate) fn key(key: Option<&str>) -> String {
    key.map_or("-".to_owned(), glance)
}

/// Returns the beginning of a text, fit for a table.
pub(crate) fn glance(text: &str) -> String {
    cut(&escaped(&cut(text, SHOWN)), SHOWN)
}

pub(crate) fn purge(
    options: &PurgeOptions,
    global: &Global,
    output: &mut Output,
) -> Result<(), Failure> {
    let messaging = global.connect()?;
    let topic = known(&messaging, &options.topic)?;
    let [_, ready, scheduled, _, behind, ..] = row(&topic.stats()?);
    confirm(
        options.yes,
        &format!(
            "remove the messages of {} for good ({ready} ready, {scheduled} scheduled, {behind} behind others of their key)",
            topic.name()
        ),
    )?;
    let progress = Progress::counting();
    let purged = topic.purge_with_progress(|so_far| progress.counted(so_far, "purged"))?;
    drop(progress);
    Ok(output.say(&format!("purged {purged}"), &json!({ "purged": purged }))?)
}
