//! `outtray dead`: messages that were given up, and what an operator does with them.

use crate::confirm::confirm;
use crate::failure::CommandFailure;
use crate::global::Global;
use crate::known::{known, looked_at};
use crate::mend::{self, EditOptions, GroupsOptions};
use crate::output::{Output, counted, number};
use crate::progress::Meter;
use crate::table::{self, Side, glance, key, moment};
use crate::topics::at_least_one;
use clap::{Args, Subcommand};
use outtray::{DeadLetter, MessageId, Search, Selection};
use serde_json::json;
use std::collections::BTreeSet;

#[derive(Debug, Subcommand)]
pub(crate) enum DeadVerb {
    /// Lists the oldest dead letters of a topic, or of all
    List(ListDeadOptions),
    /// Shows all that is known of a dead letter
    Show(ShowOptions),
    /// Moves dead letters back to their topic, with a clean count of attempts
    Redrive(RedriveOptions),
    /// Groups dead letters by what their errors have in common
    Groups(GroupsOptions),
    /// Changes the payload or headers of a dead letter, and moves it back to its topic
    Edit(EditOptions),
    /// Removes dead letters for good
    Purge(PurgeDeadOptions),
}

#[derive(Debug, Args)]
pub(crate) struct ListDeadOptions {
    /// The topic they were sent to; without it, those of all topics
    topic: Option<String>,

    /// How many
    #[arg(short = 'n', long = "limit", value_name = "N", default_value_t = 20)]
    #[arg(value_parser = at_least_one())]
    limit: usize,

    /// Only those that were sent with this key
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ShowOptions {
    /// The topic it was sent to
    topic: String,
    /// Its id
    id: MessageId,
}

#[derive(Debug, Args)]
#[command(
    override_usage = "outtray dead redrive [OPTIONS] <TOPIC> <ID...|--all|--key <KEY>|--error <TEXT>>"
)]
pub(crate) struct RedriveOptions {
    /// The topic they were sent to
    topic: String,
    #[command(flatten)]
    which: Chosen,
}

#[derive(Debug, Args)]
#[command(
    override_usage = "outtray dead purge [OPTIONS] <TOPIC> <ID...|--all|--key <KEY>|--error <TEXT>>"
)]
pub(crate) struct PurgeDeadOptions {
    /// The topic they were sent to
    topic: String,
    #[command(flatten)]
    which: Chosen,

    /// Does not ask
    #[arg(short, long)]
    yes: bool,
}

/// Some dead letters, or all; never all by forgetting to say which.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Chosen {
    /// Their ids
    #[arg(value_name = "ID")]
    ids: Vec<MessageId>,

    /// All of the topic
    #[arg(long)]
    all: bool,

    /// Those that were sent with this key; a redrive keeps their order
    #[arg(long, value_name = "KEY")]
    key: Option<String>,

    /// Those whose error has this text in it
    #[arg(long, value_name = "TEXT")]
    error: Option<String>,
}

impl Chosen {
    /// Returns the search that chooses them, if one does.
    fn search(&self) -> Option<Search> {
        self.error.as_ref().map(|error| Search::new().error(error))
    }

    fn selection(&self) -> Selection {
        match (self.all, &self.key) {
            (true, _) => Selection::from(..),
            (false, Some(key)) => Selection::key(key),
            (false, None) => Selection::from(&self.ids),
        }
    }

    /// Checks that all that were named were there.
    fn check(&self, found: u64, topic: &str) -> Result<(), CommandFailure> {
        if let (0, Some(key)) = (found, &self.key) {
            return Err(CommandFailure::failed(format!(
                "no dead letter of {topic} has the key \"{key}\""
            ))
            .hint(format!("`outtray dead list {topic}` shows what there is")));
        }
        let named = self.ids.iter().collect::<BTreeSet<_>>().len() as u64;
        if found >= named {
            return Ok(());
        }
        let missing = named - found;
        Err(CommandFailure::failed(format!(
            "{missing} of {named} ids named no dead letter of {topic}"
        ))
        .hint(format!("`outtray dead list {topic}` shows what there is")))
    }
}

pub(crate) fn run(
    verb: &DeadVerb,
    global: &Global,
    output: &mut Output,
) -> Result<(), CommandFailure> {
    match verb {
        DeadVerb::List(options) => list(options, global, output),
        DeadVerb::Show(options) => show(options, global, output),
        DeadVerb::Redrive(options) => redrive(options, global, output),
        DeadVerb::Groups(options) => mend::groups(options, global, output),
        DeadVerb::Edit(options) => mend::edit(options, global, output),
        DeadVerb::Purge(options) => purge(options, global, output),
    }
}

fn list(
    options: &ListDeadOptions,
    global: &Global,
    output: &mut Output,
) -> Result<(), CommandFailure> {
    let messaging = global.connect()?;
    let which = match &options.key {
        Some(key) => Selection::key(key),
        None => Selection::from(..),
    };
    let letters = match &options.topic {
        Some(topic) => looked_at(&messaging, topic)?.dead_letters_of(which, options.limit)?,
        None => messaging.dead_letters_of(which, options.limit)?,
    };
    if output.is_json() {
        return Ok(output.objects(&letters)?);
    }
    if letters.is_empty() {
        output.line("no dead letter")?;
    }
    match options.topic {
        Some(_) => Ok(table::print(output, COLUMNS, &rows(&letters))?),
        None => {
            let [id, key, reason, attempts, died, error] = COLUMNS;
            let topic = ("TOPIC", Side::Left);
            let columns = [topic, id, key, reason, attempts, died, error];
            let rows = letters.iter().zip(rows(&letters));
            let rows: Vec<[String; 7]> = rows
                .map(|(letter, [id, key, reason, attempts, died, error])| {
                    let topic = letter.topic.clone();
                    [topic, id, key, reason, attempts, died, error]
                })
                .collect();
            Ok(table::print(output, columns, &rows)?)
        }
    }
}

const COLUMNS: [(&str, Side); 6] = [
    ("ID", Side::Left),
    ("KEY", Side::Left),
    ("REASON", Side::Left),
    ("ATTEMPTS", Side::Right),
    ("DIED", Side::Left),
    ("ERROR", Side::Left),
];

fn rows(letters: &[DeadLetter]) -> Vec<[String; 6]> {
    let row = |letter: &DeadLetter| {
        [
            letter.id.to_string(),
            key(letter.key.as_deref()),
            letter.reason.to_string(),
            letter.attempts.to_string(),
            moment(letter.died_at),
            glance(&letter.error),
        ]
    };
    letters.iter().map(row).collect()
}

fn show(options: &ShowOptions, global: &Global, output: &mut Output) -> Result<(), CommandFailure> {
    let messaging = global.connect()?;
    let found = known(&messaging, &options.topic)?.dead_letter(options.id)?;
    let letter = found.ok_or_else(|| {
        let ShowOptions { topic, id } = options;
        CommandFailure::failed(format!("{id} is no dead letter of {topic}"))
            .hint(format!("`outtray dead list {topic}` shows what there is"))
    })?;
    if output.is_json() {
        return Ok(output.object(&letter)?);
    }
    let mut lines = vec![
        ("id", letter.id.to_string()),
        ("reason", letter.reason.to_string()),
        ("error", letter.error),
        ("attempts", letter.attempts.to_string()),
        ("priority", letter.priority.to_string()),
        ("sent", moment(letter.sent_at)),
        ("died", moment(letter.died_at)),
    ];
    lines.extend(letter.key.map(|key| ("key", key)));
    lines.extend(letter.dedupe_key.map(|key| ("dedupe", key)));
    let headers = letter.headers.iter();
    lines.extend(headers.map(|(name, value)| ("header", format!("{name}={value}"))));
    lines.push(("payload", letter.payload.to_string()));
    for (title, value) in lines {
        output.line(&format!("{title:<8}  {value}"))?;
    }
    Ok(())
}

fn redrive(
    options: &RedriveOptions,
    global: &Global,
    output: &mut Output,
) -> Result<(), CommandFailure> {
    let messaging = global.connect()?;
    let topic = known(&messaging, &options.topic)?;
    let progress = Meter::counting();
    let count = |so_far| progress.counted(so_far, "redriven");
    let redriven = match options.which.search() {
        Some(search) => topic.redrive_matching(&search, count)?,
        None => topic.redrive_with_progress(options.which.selection(), count)?,
    };
    drop(progress);
    output.say(
        &format!("redriven {redriven}"),
        &json!({ "redriven": redriven }),
    )?;
    let checked = options.which.check(redriven, &options.topic);
    let Err(failure) = checked else {
        return Ok(());
    };
    let left = topic.dead_letters_of(options.which.selection(), 1)?;
    Err(
        match left.iter().any(|letter| letter.dedupe_key.is_some()) {
            true => failure.and("some are there, but other messages have their dedupe keys now"),
            false => failure,
        },
    )
}

fn purge(
    options: &PurgeDeadOptions,
    global: &Global,
    output: &mut Output,
) -> Result<(), CommandFailure> {
    let messaging = global.connect()?;
    let topic = known(&messaging, &options.topic)?;
    let (all, some) = (topic.stats()?, options.which.ids.len() as u64);
    let many = match (&options.which.key, options.which.all) {
        _ if options.which.error.is_some() => "the dead letters with this error".to_owned(),
        (Some(key), _) => format!("the dead letters with the key \"{key}\""),
        (None, false) => counted(some, "dead letter"),
        (None, true) if all.estimated.dead => {
            format!("all {} dead letters", number(all.dead, true))
        }
        (None, true) => counted(all.dead, "dead letter"),
    };
    confirm(
        options.yes,
        &format!("remove {many} of {} for good", topic.name()),
    )?;
    let progress = Meter::counting();
    let count = |so_far| progress.counted(so_far, "purged");
    let purged = match options.which.search() {
        Some(search) => topic.purge_dead_letters_matching(&search, count)?,
        None => topic.purge_dead_letters_with_progress(options.which.selection(), count)?,
    };
    drop(progress);
    output.say(&format!("purged {purged}"), &json!({ "purged": purged }))?;
    options.which.check(purged, &options.topic)
}
