//! `outtray dead groups`, `dead edit` and `run-now`: what is wrong with many messages, and one
//! message mended or run before its time.

use crate::failure::CommandFailure;
use crate::global::Global;
use crate::known::{known, looked_at};
use crate::output::Output;
use crate::shape::header;
use crate::table::{self, Side, glance, moment};
use crate::topics::at_least_one;
use clap::{ArgGroup, Args};
use outtray::{Edit, ErrorGroup, MessageId};
use serde_json::json;
use std::collections::BTreeSet;

#[derive(Debug, Args)]
pub(crate) struct GroupsOptions {
    /// The topic they were sent to
    topic: String,

    /// How many groups
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
    #[arg(value_parser = at_least_one())]
    limit: usize,
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("edits").args(["payload", "headers", "without"]).required(true).multiple(true)))]
pub(crate) struct EditOptions {
    /// The topic it was sent to
    topic: String,

    /// Its id
    id: MessageId,

    /// The payload that it gets; without it, it keeps its own
    #[arg(value_name = "JSON", allow_negative_numbers = true)]
    payload: Option<String>,

    /// Sets a header; may be given several times
    #[arg(long = "header", value_name = "NAME=VALUE", value_parser = header)]
    headers: Vec<(String, String)>,

    /// Removes a header; may be given several times
    #[arg(long = "without-header", value_name = "NAME")]
    without: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct RunNowOptions {
    /// The topic they were sent to
    topic: String,

    /// Their ids
    #[arg(value_name = "ID", required = true)]
    ids: Vec<MessageId>,
}

pub(crate) fn groups(
    options: &GroupsOptions,
    global: &Global,
    output: &mut Output,
) -> Result<(), CommandFailure> {
    let messaging = global.connect()?;
    let found = looked_at(&messaging, &options.topic)?.dead_letter_groups(options.limit)?;
    if output.is_json() {
        return Ok(output.objects(&found.groups)?);
    }
    if found.groups.is_empty() {
        output.line("no dead letter")?;
    }
    let columns = [
        ("MESSAGES", Side::Right),
        ("REASON", Side::Left),
        ("FIRST", Side::Left),
        ("LAST", Side::Left),
        ("LAST ID", Side::Left),
        ("ERROR", Side::Left),
    ];
    let rows: Vec<[String; 6]> = found.groups.iter().map(row).collect();
    table::print(output, columns, &rows)?;
    if found.is_partial {
        let looked_at = found.looked_at;
        output.line(&format!(
            "among the {looked_at} that died last; there may be more"
        ))?;
    }
    Ok(())
}

fn row(group: &ErrorGroup) -> [String; 6] {
    [
        group.messages.to_string(),
        group.reason.to_string(),
        moment(group.first_at),
        moment(group.last_at),
        group.last_id.to_string(),
        glance(&group.shape),
    ]
}

pub(crate) fn edit(
    options: &EditOptions,
    global: &Global,
    output: &mut Output,
) -> Result<(), CommandFailure> {
    let EditOptions { topic, id, .. } = options;
    let mut edit = Edit::new();
    if let Some(payload) = &options.payload {
        edit = edit.json_text(payload);
    }
    for (name, value) in &options.headers {
        edit = edit.header(name, value);
    }
    for name in &options.without {
        edit = edit.without_header(name);
    }
    let messaging = global.connect()?;
    if !known(&messaging, topic)?.redrive_edited(*id, &edit)? {
        return Err(
            CommandFailure::failed(format!("{id} is no dead letter of {topic}"))
                .hint(format!("`outtray dead list {topic}` shows what there is")),
        );
    }
    Ok(output.say(
        &format!("redriven {id}"),
        &json!({ "redriven": 1, "id": id }),
    )?)
}

pub(crate) fn run_now(
    options: &RunNowOptions,
    global: &Global,
    output: &mut Output,
) -> Result<(), CommandFailure> {
    let messaging = global.connect()?;
    let topic = known(&messaging, &options.topic)?;
    let moved = topic.run_now(&options.ids)?;
    output.say(&format!("{moved} due now"), &json!({ "due": moved }))?;
    let named = options.ids.iter().collect::<BTreeSet<_>>().len() as u64;
    if moved >= named {
        return Ok(());
    }
    let text = format!(
        "{} of {named} ids named no message that waits for its time",
        named - moved
    );
    Err(CommandFailure::failed(text).hint(format!(
        "`outtray peek --scheduled {}` shows what there is",
        options.topic
    )))
}
