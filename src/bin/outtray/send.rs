//! `outtray send`: one message from the command line, or many from standard input.
//!
//! Many are sent in batches, each in a transaction of its own: a batch is stored whole or not at
//! all, and when one fails, what was sent before it stays sent and is told.

use crate::failure::CommandFailure;
use crate::global::Global;
use crate::lines::{Lines, Next};
use crate::output::{Output, counted};
use crate::progress::{Meter, Watched};
use crate::shape::Shape;
use crate::signals::Alarm;
use clap::Args;
use outtray::{ErrorKind, Messaging, NewMessage};
use serde_json::json;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;

/// A batch that is this long in bytes is sent before it is full, so that memory stays bounded.
const MOST_BYTES: usize = 32 << 20;

const EXAMPLES: &str = "\
Each line of standard input is one JSON value; blank lines are skipped. Input that pauses is sent \
without waiting for a full batch. A line that is not JSON ends it: nothing of its batch is stored, \
and the error says which lines were sent. So does Ctrl-C.

Examples:
  outtray send mail '{\"to\": \"ann\"}'
  outtray send mail '{\"to\": \"ann\"}' --delay 5m --priority 3 --header source=shell
  outtray send orders --key-field customer < orders.ndjson
  outtray send hooks --type-field event --payload-field body < hooks.ndjson
  outtray send orders --dedupe-field id --dedupe-window 1day < orders.ndjson
  outtray send feeds '\"feed-7\"' --dedupe feed-7 --dedupe-until-end
  psql -AtXc 'SELECT to_json(customer) FROM customer' | outtray send welcome --batch 100";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SendOptions {
    /// The topic to send to; it is made when first used
    topic: String,

    /// The payload; without it, each line of standard input is one
    #[arg(value_name = "JSON", allow_negative_numbers = true)]
    payload: Option<String>,

    /// Most messages of standard input in one transaction
    #[arg(long, value_name = "N", default_value_t = 1000)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100_000))]
    batch: u32,

    #[command(flatten)]
    shape: Shape,
}

pub(crate) fn run(
    options: &SendOptions,
    global: &Global,
    output: &mut Output,
) -> Result<(), CommandFailure> {
    match &options.payload {
        Some(json) => send_one(options, json, global, output),
        None => send_lines(options, global, output),
    }
}

fn send_one(
    options: &SendOptions,
    json: &str,
    global: &Global,
    output: &mut Output,
) -> Result<(), CommandFailure> {
    let message = options.shape.message(&options.topic, json).map_err(|why| {
        CommandFailure::usage(format!("the payload {why}"))
            .hint("a payload is JSON; a text has quotes of its own: '\"hello\"'")
    })?;
    let sender = Sender::connect(&options.topic, global)?;
    let is_deduping = options.shape.is_deduping();
    let stored = sender.store(vec![message], is_deduping);
    for sent in stored.map_err(|unsent| unsent.failure)? {
        let id = sent.id();
        let mut object = json!({ "id": id });
        if is_deduping {
            object["duplicate"] = sent.is_duplicate().into();
        }
        output.say(&id.to_string(), &object)?;
        if sent.is_duplicate() && !output.is_json() {
            // The id is that of the earlier message, for whoever reads it.
            let _ = writeln!(io::stderr(), "a duplicate, nothing was sent");
        }
    }
    Ok(())
}

fn send_lines(
    options: &SendOptions,
    global: &Global,
    output: &mut Output,
) -> Result<(), CommandFailure> {
    let input = standard_input()?;
    if input.is_terminal() {
        let _ = writeln!(io::stderr(), "type one JSON value a line; Ctrl-D ends it");
    }
    let sender = Sender::connect(&options.topic, global)?;
    let progress = Meter::of(&input);
    let mut batches = Batches {
        options,
        lines: Lines::new(progress.watch(input)),
        alarm: Alarm::set()?,
        is_at_end: false,
    };
    let mut sent = SentSoFar::default();
    let result = sent.send_all(&sender, &mut batches, &progress);
    drop(progress);
    let mut object = json!({ "sent": sent.messages });
    let mut text = format!("sent {}", counted(sent.messages, "message"));
    if options.shape.is_deduping() {
        object["duplicates"] = sent.duplicates.into();
        let dropped = counted(sent.duplicates, "duplicate");
        text = format!("{text}, dropped {dropped}");
    }
    if let Err(failure) = result {
        if output.is_json() {
            output.object(&object)?;
        }
        return Err(sent.complete(failure, &options.topic));
    }
    Ok(output.say(&text, &object)?)
}

/// Returns standard input without a buffer that hides how much of it has come.
fn standard_input() -> Result<File, CommandFailure> {
    let input = io::stdin().as_fd().try_clone_to_owned();
    input.map(File::from).map_err(cannot_read)
}

fn cannot_read(error: io::Error) -> CommandFailure {
    CommandFailure::failed(format!("cannot read standard input: {error}"))
}

/// Why messages were not stored.
#[derive(Debug)]
struct Unsent {
    /// The index of the message at fault, if it is one of them.
    at: Option<usize>,
    /// Whether they may have been stored all the same.
    is_unknown: bool,
    failure: CommandFailure,
}

/// Stores messages of one topic.
struct Sender {
    messaging: Messaging,
}

impl Sender {
    /// Connects, and sees that the topic's name and the schema are right before anything is read.
    fn connect(topic: &str, global: &Global) -> Result<Self, CommandFailure> {
        let messaging = global.connect()?;
        messaging.topic(topic).is_empty()?;
        Ok(Sender { messaging })
    }

    /// Stores all messages or none.
    fn store(
        &self,
        messages: Vec<NewMessage>,
        is_deduping: bool,
    ) -> Result<Vec<outtray::Sent>, Unsent> {
        let mut at = None;
        let stored = self.messaging.session(|session| {
            for (index, message) in messages.iter().enumerate() {
                session.check(message).inspect_err(|_| at = Some(index))?;
            }
            if is_deduping {
                // Together: one by one each would cost a round trip.
                return Ok(session.send_all(messages)?);
            }
            let sent = messages.into_iter().map(|message| session.send(message));
            Ok(sent.collect::<outtray::Result<_>>()?)
        });
        stored.map_err(|error| {
            let is_unknown = error.kind() == ErrorKind::OutcomeUnknown;
            let failure = match error.kind() {
                // What it comes after is not as it has to be, which nobody can see by what was
                // typed.
                ErrorKind::Invalid if at.is_none() => CommandFailure::failed(error.to_string()),
                _ => CommandFailure::from(error),
            };
            Unsent {
                at,
                is_unknown,
                failure,
            }
        })
    }
}

/// What was sent so far.
#[derive(Debug, Default)]
struct SentSoFar {
    messages: u64,
    duplicates: u64,
    /// The last line that was.
    line: u64,
    /// The first and the last line of a batch of which nobody knows whether it was.
    unsure: Option<(u64, u64)>,
}

impl SentSoFar {
    fn send_all(
        &mut self,
        sender: &Sender,
        batches: &mut Batches<'_>,
        progress: &Meter,
    ) -> Result<(), CommandFailure> {
        while !batches.is_at_end {
            let (numbers, messages): (Vec<u64>, Vec<NewMessage>) =
                batches.next()?.into_iter().unzip();
            let (Some(&first), Some(&last)) = (numbers.first(), numbers.last()) else {
                continue;
            };
            let is_deduping = batches.options.shape.is_deduping();
            let stored = sender.store(messages, is_deduping).map_err(|unsent| {
                self.unsure = unsent.is_unknown.then_some((first, last));
                match unsent.at {
                    Some(index) => unsent.failure.at(&format!("line {}", numbers[index])),
                    None => unsent.failure,
                }
            })?;
            let duplicates = stored.iter().filter(|sent| sent.is_duplicate()).count() as u64;
            self.duplicates += duplicates;
            self.messages += numbers.len() as u64 - duplicates;
            self.line = last;
            progress.sent(self.messages);
        }
        Ok(())
    }

    /// Adds to a failure what had been done before it.
    fn complete(&self, failure: CommandFailure, topic: &str) -> CommandFailure {
        let next = 1 + self.unsure.map_or(self.line, |(_, last)| last);
        let mut so_far = Vec::new();
        if self.messages > 0 {
            so_far.push(format!("{} sent before", counted(self.messages, "message")));
        }
        match self.unsure {
            Some((first, last)) if first == last => {
                so_far.push(format!("line {first} may have been sent or not"));
            }
            Some((first, last)) => {
                so_far.push(format!("lines {first} to {last} may have been sent or not"));
            }
            None => {}
        }
        if so_far.is_empty() {
            return failure.and("nothing was sent");
        }
        so_far.push(format!("nothing from line {next} on"));
        let failure = failure.and(&so_far.join(", "));
        let rest = format!(
            "send the rest with the same options: tail -n +{next} FILE | outtray send {topic} …"
        );
        match self.unsure {
            Some(_) => failure.hint(format!("look which of those lines are there, and {rest}")),
            None => failure.or_hint(rest),
        }
    }
}

/// The messages of an input, some at a time.
struct Batches<'o> {
    options: &'o SendOptions,
    lines: Lines<Watched>,
    alarm: Alarm,
    is_at_end: bool,
}

impl Batches<'_> {
    /// Reads the next batch, with the numbers of its lines. It is full, or the input pauses or
    /// ends.
    fn next(&mut self) -> Result<Vec<(u64, NewMessage)>, CommandFailure> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        while batch.len() < self.options.batch as usize && bytes < MOST_BYTES {
            let line = match self.lines.next(!batch.is_empty(), self.alarm.as_fd()) {
                Ok(Next::Line(line)) => line,
                Ok(Next::Pause) => break,
                // What was read and not sent is in the input still.
                Ok(Next::Alarm) => {
                    return Err(CommandFailure::interrupted(
                        self.alarm.signal().unwrap_or_default(),
                    ));
                }
                Ok(Next::End) => {
                    self.is_at_end = true;
                    break;
                }
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    return Err(self.bad_line(&error.to_string()));
                }
                Err(error) => return Err(cannot_read(error)),
            };
            if line.is_empty() {
                continue;
            }
            let message = self.options.shape.message(&self.options.topic, &line);
            bytes += line.len();
            batch.push((
                self.lines.number(),
                message.map_err(|why| self.bad_line(&why))?,
            ));
        }
        Ok(batch)
    }

    fn bad_line(&self, why: &str) -> CommandFailure {
        CommandFailure::failed(format!("line {} {why}", self.lines.number()))
    }
}
