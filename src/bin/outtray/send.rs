//! `outtray send`, and `outtray publish` as far as it is the same: one message from the command
//! line, or many from standard input.
//!
//! Many are sent in batches, each in a transaction of its own: a batch is stored whole or not at
//! all, and when one fails, what was sent before it stays sent and is told.

use crate::failure::CommandFailure;
use crate::global::Global;
use crate::lines::{Lines, NextLine};
use crate::output::{Output, counted};
use crate::progress::{Meter, Watched};
use crate::sender::{Destination, Sender};
use crate::shape::Shape;
use crate::signals::Alarm;
use clap::Args;
use outtray::NewMessage;
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

/// What is to be sent, and where it goes.
pub(crate) struct Sending<'o> {
    pub(crate) destination: Destination<'o>,
    pub(crate) payload: Option<&'o str>,
    pub(crate) batch: u32,
    pub(crate) shape: &'o Shape,
}

pub(crate) fn run(
    options: &SendOptions,
    global: &Global,
    output: &mut Output,
) -> Result<(), CommandFailure> {
    let sending = Sending {
        destination: Destination::Topic(&options.topic),
        payload: options.payload.as_deref(),
        batch: options.batch,
        shape: &options.shape,
    };
    send(&sending, global, output)
}

pub(crate) fn send(
    sending: &Sending<'_>,
    global: &Global,
    output: &mut Output,
) -> Result<(), CommandFailure> {
    match sending.payload {
        Some(json) => send_one(sending, json, global, output),
        None => send_lines(sending, global, output),
    }
}

fn send_one(
    options: &Sending<'_>,
    json: &str,
    global: &Global,
    output: &mut Output,
) -> Result<(), CommandFailure> {
    let message = options
        .shape
        .message(options.destination.name(), json)
        .map_err(|why| {
            CommandFailure::usage(format!("the payload {why}"))
                .hint("a payload is JSON; a text has quotes of its own: '\"hello\"'")
        })?;
    let sender = Sender::connect(options.destination, global)?;
    let is_deduping = options.shape.is_deduping();
    let stored = sender.store(vec![message], is_deduping);
    let stored = stored.map_err(|unsent| unsent.failure)?;
    if let Some(copies) = stored.copies {
        let mut object = json!({ "copies": copies, "ids": stored.ids });
        let mut text = copies_of(copies);
        if is_deduping {
            object["duplicates"] = stored.duplicates.into();
            text = format!("{text}, {}", counted(stored.duplicates, "duplicate"));
        }
        return Ok(output.say(&text, &object)?);
    }
    for id in stored.ids.iter().chain(&stored.earlier) {
        let mut object = json!({ "id": id });
        if is_deduping {
            object["duplicate"] = (stored.duplicates > 0).into();
        }
        output.say(&id.to_string(), &object)?;
    }
    if stored.duplicates > 0 && !output.is_json() {
        // The id is that of the earlier message, for whoever reads it.
        let _ = writeln!(io::stderr(), "a duplicate, nothing was sent");
    }
    Ok(())
}

fn copies_of(copies: u64) -> String {
    match copies {
        1 => "1 copy".to_owned(),
        _ => format!("{copies} copies"),
    }
}

fn send_lines(
    options: &Sending<'_>,
    global: &Global,
    output: &mut Output,
) -> Result<(), CommandFailure> {
    let input = standard_input()?;
    if input.is_terminal() {
        let _ = writeln!(io::stderr(), "type one JSON value a line; Ctrl-D ends it");
    }
    let sender = Sender::connect(options.destination, global)?;
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
    let [done, _] = options.destination.words();
    let mut object = json!({ done: sent.messages });
    let mut text = format!("{done} {}", counted(sent.messages, "message"));
    if matches!(options.destination, Destination::Subscribers { .. }) {
        object["copies"] = sent.copies.into();
        text = format!("{text}, {}", copies_of(sent.copies));
    }
    if options.shape.is_deduping() {
        object["duplicates"] = sent.duplicates.into();
        let dropped = counted(sent.duplicates, "duplicate");
        text = format!("{text}, dropped {dropped}");
    }
    if let Err(failure) = result {
        if output.is_json() {
            output.object(&object)?;
        }
        return Err(sent.complete(failure, options.destination));
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

/// What was sent so far.
#[derive(Debug, Default)]
struct SentSoFar {
    messages: u64,
    copies: u64,
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
            self.duplicates += stored.duplicates;
            self.copies += stored.copies.unwrap_or_default();
            self.messages += match stored.copies {
                // Some of its topics may have had one before.
                Some(_) => numbers.len() as u64,
                None => numbers.len() as u64 - stored.duplicates,
            };
            self.line = last;
            progress.sent(self.messages);
        }
        Ok(())
    }

    /// Adds to a failure what had been done before it.
    fn complete(&self, failure: CommandFailure, destination: Destination<'_>) -> CommandFailure {
        let ([done, verb], name) = (destination.words(), destination.name());
        let next = 1 + self.unsure.map_or(self.line, |(_, last)| last);
        let mut so_far = Vec::new();
        if self.messages > 0 {
            so_far.push(format!(
                "{} {done} before",
                counted(self.messages, "message")
            ));
        }
        match self.unsure {
            Some((first, last)) if first == last => {
                so_far.push(format!("line {first} may have been {done} or not"));
            }
            Some((first, last)) => {
                so_far.push(format!(
                    "lines {first} to {last} may have been {done} or not"
                ));
            }
            None => {}
        }
        if so_far.is_empty() {
            return failure.and(&format!("nothing was {done}"));
        }
        so_far.push(format!("nothing from line {next} on"));
        let failure = failure.and(&so_far.join(", "));
        let rest = format!(
            "{verb} the rest with the same options: tail -n +{next} FILE | outtray {verb} {name} …"
        );
        match self.unsure {
            Some(_) => failure.hint(format!("look which of those lines are there, and {rest}")),
            None => failure.or_hint(rest),
        }
    }
}

/// The messages of an input, some at a time.
struct Batches<'o> {
    options: &'o Sending<'o>,
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
                Ok(NextLine::Line(line)) => line,
                Ok(NextLine::Pause) => break,
                // What was read and not sent is in the input still.
                Ok(NextLine::Alarm) => {
                    return Err(CommandFailure::interrupted(
                        self.alarm.signal().unwrap_or_default(),
                    ));
                }
                Ok(NextLine::End) => {
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
            let message = self
                .options
                .shape
                .message(self.options.destination.name(), &line);
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
