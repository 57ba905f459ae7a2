//! `outtray search`: the messages of a topic, or of all, that have something in common.

use crate::failure::CommandFailure;
use crate::filters::{FilterOption, together, wanted};
use crate::global::Global;
use crate::known::looked_at;
use crate::output::{Output, counted};
use crate::shape::{header, moment as time};
use crate::table::{self, Side, glance, key, moment};
use crate::topics::{at_least_one, in_words};
use clap::Args;
use outtray::{FoundMessage, MessagePlace, Search, SearchCursor, SearchPage};
use serde_json::json;
use std::io;
use std::time::SystemTime;

const EXAMPLES: &str = "\
It looks at no more messages than --look-at says, one by one, and prints where to go on: --after takes it. \
All topics are searched for two seconds at most.

Examples:
  outtray search orders --key customer-7
  outtray search --key customer-7
  outtray search orders --place dead --error 'timed out'
  outtray search orders --filter 'amount >= 1000 and country in (ch, de)' --limit 10";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SearchOptions {
    /// The topic to search; all if none is named
    topic: Option<String>,

    /// Looks only there: ready, behind, scheduled, dead or kept; may be given several times
    #[arg(long = "place", value_name = "PLACE")]
    places: Vec<MessagePlace>,

    /// Only those that were sent with this key
    #[arg(long, value_name = "KEY")]
    key: Option<String>,

    /// Only those with this header; may be given several times
    #[arg(long = "header", value_name = "NAME=VALUE", value_parser = header)]
    headers: Vec<(String, String)>,

    /// Only those whose headers match: NAME=VALUE, or 'size >= 10 or kind in (a, b)'; may be given
    /// several times
    #[arg(long = "filter", value_name = "FILTER", value_parser = wanted)]
    filters: Vec<FilterOption>,

    /// Only those with this header "message-type"
    #[arg(long = "type", value_name = "TYPE")]
    message_type: Option<String>,

    /// Only those whose error has this text in it: dead letters, and what waits for a retry
    #[arg(long, value_name = "TEXT")]
    error: Option<String>,

    /// Only those that were sent then or later: 2030-01-31T18:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Option<SystemTime>,

    /// Only those that were sent earlier
    #[arg(long, value_name = "TIME", value_parser = time)]
    before: Option<SystemTime>,

    /// How many, 1000 at most
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
    #[arg(value_parser = at_least_one())]
    limit: usize,

    /// How many messages are looked at, 100000 at most
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    #[arg(value_parser = at_least_one())]
    look_at: usize,

    /// Goes on where a search before ended
    #[arg(long, value_name = "CURSOR")]
    after: Option<SearchCursor>,
}

impl SearchOptions {
    fn search(&self) -> Search {
        let mut search = Search::new().limit(self.limit).look_at(self.look_at);
        for place in &self.places {
            search = search.place(*place);
        }
        for (name, value) in &self.headers {
            search = search.header(name, value);
        }
        if let Some(filter) = together(&self.filters) {
            search = search.filter(&filter);
        }
        if let Some(key) = &self.key {
            search = search.key(key);
        }
        if let Some(message_type) = &self.message_type {
            search = search.message_type(message_type);
        }
        if let Some(error) = &self.error {
            search = search.error(error);
        }
        if let Some(from) = self.from {
            search = search.sent_from(from);
        }
        if let Some(before) = self.before {
            search = search.sent_before(before);
        }
        if let Some(after) = &self.after {
            search = search.after(after.clone());
        }
        search
    }
}

pub(crate) fn run(
    options: &SearchOptions,
    global: &Global,
    output: &mut Output,
) -> Result<(), CommandFailure> {
    let messaging = global.connect()?;
    let page = match &options.topic {
        Some(topic) => looked_at(&messaging, topic)?.search(&options.search())?,
        None => messaging.search(&options.search())?,
    };
    if output.is_json() {
        output.objects(&page.messages)?;
        return Ok(output.object(&json!({
            "looked_at": page.looked_at, "topics": page.topics, "next": page.next,
            "stopped_early": page.is_stopped_early
        }))?);
    }
    if options.topic.is_none() {
        print_all(&page, output)?;
        return Ok(output.line(&summary(&page))?);
    }
    let columns = [
        ("ID", Side::Left),
        ("STATE", Side::Left),
        ("KEY", Side::Left),
        ("ATTEMPTS", Side::Right),
        ("SENT", Side::Left),
        ("PAYLOAD", Side::Left),
        ("ERROR", Side::Left),
    ];
    let rows: Vec<[String; 7]> = page.messages.iter().map(row).collect();
    table::print(output, columns, &rows)?;
    Ok(output.line(&summary(&page))?)
}

fn print_all(page: &SearchPage, output: &mut Output) -> io::Result<()> {
    let columns = [
        ("TOPIC", Side::Left),
        ("ID", Side::Left),
        ("STATE", Side::Left),
        ("KEY", Side::Left),
        ("SENT", Side::Left),
        ("PAYLOAD", Side::Left),
        ("ERROR", Side::Left),
    ];
    let rows = page.messages.iter().map(|message| {
        let [id, state, key, _, sent, payload, error] = row(message);
        [message.topic.clone(), id, state, key, sent, payload, error]
    });
    table::print(output, columns, &rows.collect::<Vec<_>>())
}

fn row(message: &FoundMessage) -> [String; 7] {
    [
        message.id.to_string(),
        in_words(&message.state),
        key(message.key.as_deref()),
        message.attempts.to_string(),
        moment(message.sent_at),
        glance(&message.payload.to_string()),
        message.error.as_deref().map(glance).unwrap_or_default(),
    ]
}

/// Says how far the search came, and how to go on.
fn summary(page: &SearchPage) -> String {
    let found = counted(page.messages.len() as u64, "message");
    let of = match page.topics {
        1 => String::new(),
        topics => format!(" of {topics} topics"),
    };
    let looked_at = format!("{found} found, {} looked at{of}", page.looked_at);
    match (&page.next, page.is_stopped_early) {
        (None, _) => format!("{looked_at}: no more"),
        (Some(next), false) => format!("{looked_at}; more: --after {next}"),
        (Some(next), true) => format!("{looked_at}, not all; go on: --after {next}"),
    }
}
