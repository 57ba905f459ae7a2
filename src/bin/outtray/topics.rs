//! `outtray topics`, `stats`, `peek` and `purge`: what is there, and how to get rid of it.

use crate::confirm::confirm;
use crate::failure::CommandFailure;
use crate::global::Global;
use crate::known::{known, looked_at};
use crate::output::{Output, number};
use crate::progress::Meter;
use crate::scheduled;
use crate::table::{self, Side, age, glance, key, moment};
use clap::Args;
use clap::builder::RangedU64ValueParser;
use outtray::{LogStats, MessageState, TopicStats};
use serde_json::json;

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

/// Says for people whether a message is in work, and in whose hands, or what it waits for.
pub(crate) fn in_words(state: &MessageState) -> String {
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
        MessageState::Delayed { left } => format!("delayed, ready in {}", age(*left)),
        MessageState::AfterOthers => "comes after others".to_owned(),
        MessageState::Dead { reason } => format!("dead, {reason}"),
        MessageState::Ended { how } => format!("ended, {how}"),
        state => state.to_string(),
    }
}

pub(crate) fn list(global: &Global, output: &mut Output) -> Result<(), CommandFailure> {
    let topics = global.connect()?.topics()?;
    if output.is_json() {
        for stats in &topics {
            output.object(&json!(stats))?;
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
) -> Result<(), CommandFailure> {
    let messaging = global.connect()?;
    let stats = looked_at(&messaging, &options.topic)?.stats()?;
    if output.is_json() {
        return Ok(output.object(&json!(stats))?);
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
    if let Some(log) = &stats.log {
        let oldest = log.oldest_age.map_or("-".to_owned(), age);
        output.line(&format!("log           {}", kept(log)))?;
        output.line(&format!("log bytes     {}", log.bytes))?;
        output.line(&format!("log segments  {}", log.segments))?;
        output.line(&format!("log readers   {}", log.readers))?;
        output.line(&format!("log oldest    {oldest}"))?;
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
        state(stats),
    ]
}

/// Returns how many messages a log keeps, for people.
fn kept(log: &LogStats) -> String {
    format!("{} kept", number(log.entries, log.is_estimated))
}

fn state(stats: &TopicStats) -> String {
    let words = [
        stats.log.as_ref().map(|log| format!("log, {}", kept(log))),
        stats.is_paused.then(|| "paused".to_owned()),
        stats.is_suspect.then(|| "suspect".to_owned()),
    ];
    words.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

pub(crate) fn peek(
    options: &PeekOptions,
    global: &Global,
    output: &mut Output,
) -> Result<(), CommandFailure> {
    if options.scheduled {
        return scheduled::peek(&options.topic, options.limit, global, output);
    }
    let messaging = global.connect()?;
    let messages = looked_at(&messaging, &options.topic)?.peek(options.limit)?;
    if output.is_json() {
        return Ok(output.objects(&messages)?);
    }
    if messages.is_empty() {
        output.line("no message is ready, in work or kept")?;
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

pub(crate) fn purge(
    options: &PurgeOptions,
    global: &Global,
    output: &mut Output,
) -> Result<(), CommandFailure> {
    let messaging = global.connect()?;
    let topic = known(&messaging, &options.topic)?;
    let stats = topic.stats()?;
    let [_, ready, scheduled, _, behind, ..] = row(&stats);
    // A log is refused, whatever the answer is.
    if stats.log.is_none() {
        confirm(
            options.yes,
            &format!(
                "remove the messages of {} for good ({ready} ready, {scheduled} scheduled, {behind} behind others of their key)",
                topic.name()
            ),
        )?;
    }
    let progress = Meter::counting();
    let purged = topic.purge_with_progress(|so_far| progress.counted(so_far, "purged"))?;
    drop(progress);
    Ok(output.say(&format!("purged {purged}"), &json!({ "purged": purged }))?)
}
