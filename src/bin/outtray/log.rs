//! `outtray log`: reading a log, and its named readers.

use crate::failure::{CommandFailure, is_passing};
use crate::global::Global;
use crate::known::looked_at;
use crate::output::{Output, counted};
use crate::table::{self, Side, age, glance, key, moment};
use clap::{Args, Subcommand};
use crossbeam_channel::after;
use outtray::{Error, ErrorKind, LogPosition, LogReader, Message, Payload, Position, Tail};
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::time::Duration;

const EXAMPLES: &str = "\
A position is start, now, the time of a day as 2026-11-29T12:00:00Z, or one that was printed, \
as 7-1234: it goes on after that.

Examples:
  outtray config ledger --set kind=log --set keep_for=7d
  outtray log read ledger --from now --follow
  outtray log seek ledger billing start";

/// How long a follower waits at a time: whoever reads what it prints may have gone.
const WAIT: Duration = Duration::from_secs(1);
/// How long a follower pauses when the database does not answer.
const PAUSE: Duration = Duration::from_millis(500);
/// Messages that are read at a time.
const BATCH: usize = 500;

#[derive(Debug, Subcommand)]
pub(crate) enum LogVerb {
    /// Prints the messages of a log, and takes none
    Read(ReadOptions),
    /// Lists the named readers of a log, and how far they are
    Readers(ReadersOptions),
    /// Moves a named reader, forward or back
    Seek(SeekOptions),
    /// Removes a named reader with its position
    Forget(ForgetOptions),
}

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ReadOptions {
    /// The log's topic
    topic: String,

    /// Where to begin
    #[arg(long, value_name = "POSITION", default_value = "start", value_parser = position)]
    from: Position,

    /// Prints so many at most
    #[arg(long, value_name = "N")]
    limit: Option<u64>,

    /// Goes on with what is sent from now on, until it is told to stop
    #[arg(long)]
    follow: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ReadersOptions {
    /// The log's topic
    topic: String,
}

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SeekOptions {
    /// The log's topic
    topic: String,

    /// The reader's name
    reader: String,

    /// Where it is to go on
    #[arg(value_parser = position)]
    position: Position,
}

#[derive(Debug, Args)]
pub(crate) struct ForgetOptions {
    /// The log's topic
    topic: String,

    /// The reader's name
    reader: String,
}

fn position(text: &str) -> Result<Position, String> {
    match text {
        "start" => Ok(Position::Start),
        "now" => Ok(Position::Now),
        _ => match humantime::parse_rfc3339_weak(text) {
            Ok(time) => Ok(Position::Time(time)),
            Err(_) => text.parse().map(Position::At).map_err(|_| {
                "it is start, now, a time as 2026-11-29T12:00:00Z, or a position as 7-1234"
                    .to_owned()
            }),
        },
    }
}

pub(crate) fn run(
    verb: &LogVerb,
    global: &Global,
    output: &mut Output,
) -> Result<(), CommandFailure> {
    let messaging = global.connect()?;
    match verb {
        LogVerb::Read(options) => {
            looked_at(&messaging, &options.topic)?;
            let mut tail = messaging.tail(&options.topic, options.from)?;
            read(&mut tail, options, output)
        }
        LogVerb::Readers(ReadersOptions { topic }) => {
            let readers = looked_at(&messaging, topic)?.readers()?;
            list(&readers, output)
        }
        LogVerb::Seek(SeekOptions {
            topic,
            reader,
            position,
        }) => {
            let place = messaging.topic(topic).seek(reader, *position)?;
            let text = format!("reader {reader} of {topic} goes on after {place}");
            Ok(output.say(&text, &json!({ "reader": reader, "position": place }))?)
        }
        LogVerb::Forget(ForgetOptions { topic, reader }) => {
            messaging.topic(topic).remove_reader(reader)?;
            let text = format!("forgot reader {reader} of {topic}");
            Ok(output.say(&text, &json!({ "forgotten": reader }))?)
        }
    }
}

/// Prints what there is, and with `--follow` what comes.
fn read(tail: &mut Tail, options: &ReadOptions, output: &mut Output) -> Result<(), CommandFailure> {
    let mut left = options.limit.unwrap_or(u64::MAX);
    let mut unreadable = 0;
    let wait = if options.follow { WAIT } else { Duration::ZERO };
    while left > 0 && !output.is_unread() {
        let size = usize::try_from(left).unwrap_or(BATCH).min(BATCH);
        let before = tail.position();
        let batch: Vec<Message<Payload>> = match tail.next_batch(size, wait) {
            Ok(batch) => batch,
            Err(error) if is_passed_over(&error, tail, before) => {
                tracing::error!("{}: {error}", tail.position());
                unreadable += 1;
                continue;
            }
            Err(error) if options.follow && is_passing(error.kind()) => {
                tracing::warn!("cannot read the log, and tries again: {error}");
                let _ = after(PAUSE).recv();
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        if batch.is_empty() && !options.follow {
            break;
        }
        for message in &batch {
            print(message, output)?;
        }
        left -= batch.len() as u64;
    }
    match unreadable {
        0 => Ok(()),
        _ => Err(CommandFailure::failed(format!(
            "{} could not be read",
            counted(unreadable, "message")
        ))),
    }
}

/// Returns whether a tail that was at `before` met an entry that cannot be read, since somebody
/// wrote it by hand: it counts as read.
pub(crate) fn is_passed_over(error: &Error, tail: &Tail, before: LogPosition) -> bool {
    let is_of_entry = matches!(error.kind(), ErrorKind::Payload | ErrorKind::Database);
    is_of_entry && tail.position() > before
}

/// A message of a log for machines.
#[derive(Serialize)]
struct Line<'m> {
    position: Option<LogPosition>,
    id: String,
    sent_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'m str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    headers: &'m BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<&'m RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_hex: Option<String>,
}

fn print(message: &Message<Payload>, output: &mut Output) -> Result<(), CommandFailure> {
    let position = message.log_position();
    let shown = position.map_or_else(String::new, |position| position.to_string());
    if !output.is_json() {
        let payload = glance(&message.payload.to_string());
        let line = format!(
            "{shown}  {}  {}  {payload}",
            moment(message.sent_at),
            key(message.key.as_deref())
        );
        return Ok(output.line(&line)?);
    }
    let (payload, bytes_hex) = match &message.payload {
        Payload::Json(text) => (serde_json::from_str(text.get()).ok(), None),
        Payload::Bytes(bytes) => {
            let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
            (None, Some(digits.collect()))
        }
    };
    Ok(output.object(&Line {
        position,
        id: message.id.to_string(),
        sent_at: moment(message.sent_at),
        key: message.key.as_deref(),
        headers: &message.headers,
        payload,
        bytes_hex,
    })?)
}

fn list(readers: &[LogReader], output: &mut Output) -> Result<(), CommandFailure> {
    if output.is_json() {
        return Ok(output.objects(readers)?);
    }
    if readers.is_empty() {
        output.line("no named reader")?;
    }
    let columns = [
        ("READER", Side::Left),
        ("LANES", Side::Right),
        ("POSITION", Side::Left),
        ("TO READ", Side::Right),
        ("BEHIND", Side::Right),
    ];
    let row = |reader: &LogReader| {
        [
            reader.reader.clone(),
            reader.lanes.to_string(),
            reader.position.to_string(),
            reader.lag.to_string(),
            reader.behind.map_or("-".to_owned(), age),
        ]
    };
    let rows: Vec<[String; 5]> = readers.iter().map(row).collect();
    Ok(table::print(output, columns, &rows)?)
}
