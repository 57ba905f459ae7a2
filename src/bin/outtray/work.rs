//! `outtray work`: a receiver whose handler is a command.
//!
//! The message is held by an open transaction while its command runs, so a `work` that is killed
//! gives it back at once; with `--lease` no transaction is open, and it is back when the lease
//! ends. A command's own effects are outside of that transaction: one that is interrupted runs
//! again, and has to cope with it.

use crate::child::Children;
use crate::conversation::MOST_RESULT_BYTES;
use crate::failure::{CommandFailure, is_passing};
use crate::filters::{FilterOption, together, wanted};
use crate::global::Global;
use crate::output::{Output, counted};
use crate::program::Invocation;
use crate::reaper::Reaper;
use crate::serve::http::beside::Beside;
use crate::signals::Interrupts;
use crate::verdict::{Codes, NotDone};
use clap::Args;
use crossbeam_channel::{never, select, tick};
use outtray::{
    Backoff, HandlerError, Message, Messaging, MessagingSession, Payload, Receiver, StopReport,
    Topic,
};
use rustix::process::Signal;
use serde_json::json;
use serde_json::value::RawValue;
use signal_hook::consts::SIGCHLD;
use std::ffi::OsString;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// How long a stop waits for the commands in hand.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);
/// How long it then waits for those that were killed: only their transactions have to end.
const KILL_TIMEOUT: Duration = Duration::from_secs(5);
/// How often `--until-empty` asks: ten small queries a second are nothing to a database that is
/// worked on.
const LOOK: Duration = Duration::from_millis(100);
/// How often it looks whether the rest is stuck, which counts messages.
const LONG_LOOK: Duration = Duration::from_secs(1);
/// How often in a row before that is believed: the next of a key takes a moment to become ready.
const STUCK_LOOKS: u32 = 2;
/// The backoff's longest wait, the library's own default.
const LONGEST_BACKOFF: Duration = Duration::from_secs(900);

const EXAMPLES: &str = "\
The command gets the payload on standard input, and in its environment OUTTRAY_ID, OUTTRAY_TOPIC, \
OUTTRAY_ATTEMPT (from 1), OUTTRAY_MAX_ATTEMPTS and OUTTRAY_HEADER_… for each header. Exit code 0 \
acknowledges the message; any other one has it tried again later, and after the last attempt it \
becomes a dead letter, with the exit code and the end of standard error. --reject-code and \
--snooze-code give other exit codes a meaning. A message can be delivered more than once: the command \
has to cope with it.

With --result, standard output becomes the result of a tracked message, which `outtray wait` prints: \
JSON as it is, other text as a JSON string, nothing for nothing. The attempt fails if it cannot be \
stored: if it is longer than 1 MiB, or no text.

A command whose message is cancelled, or whose lease is lost, gets SIGTERM, and is killed 10 s later.

A filter in words: NAME = VALUE, != , NAME in (VALUE, VALUE), NAME starts with VALUE, NAME exists, NAME is null, NAME is not null, \
and numbers by ==, <, <=, > and >=; joined by and, or, not and parentheses. A value with spaces is 'in quotes'.

Ctrl-C, SIGTERM and a terminal that is closed let the commands that run finish, for 30 s; a second signal is passed on \
to them.

Examples:
  outtray work mail -- ./deliver --verbose
  outtray work mail --workers 8 --max-attempts 3 --backoff 10s -- sh -c 'curl -sf --json @- \"$API\"'
  outtray work videos --lease 60s -- ./convert
  outtray work sums --result -- jq 'add'
  outtray work orders --filter 'amount >= 10000 and not test exists' -- ./check
  outtray work feeds --reject-code 65 --snooze-code 75 --snooze 5m -- ./fetch
  outtray work mail --until-empty -- cat";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct WorkOptions {
    /// The topic to work on
    topic: String,

    /// How many commands run at a time
    #[arg(long, value_name = "N", default_value_t = 4)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1024))]
    workers: u32,

    /// Ends when no message is ready, in work or scheduled, also not for a retry; or with an error
    /// when the rest is not going to be handled, since the topic is paused, or all wait behind dead
    /// letters of their keys
    #[arg(long, conflicts_with = "filters")]
    until_empty: bool,

    /// After how many failures a message becomes a dead letter
    #[arg(long, value_name = "N", default_value_t = 10)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=32_767))]
    max_attempts: u32,

    /// How long the first retry waits; each further one twice as long, at most 15 minutes
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = humantime::parse_duration)]
    backoff: Duration,

    /// Takes only messages with this header, or those that a filter in words wants, as below; may
    /// be given several times, with one of the values for each name
    #[arg(long = "filter", value_name = "NAME=VALUE", value_parser = wanted)]
    filters: Vec<FilterOption>,

    /// Lease messages for this long instead of holding each by an open transaction: for commands
    /// that take long; "topic": for as long as is set for the topic, else 30 s. Prolonged while the
    /// command runs; when this process is killed, the message is free when it ends
    #[arg(long, value_name = "DURATION", value_parser = lease)]
    lease: Option<Lease>,

    #[command(flatten)]
    codes: Codes,

    /// Takes the command's standard output for the result of its message
    #[arg(long)]
    result: bool,

    #[command(flatten)]
    http: Beside,

    /// What to run for each message
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// What became of messages here.
#[derive(Debug, Default)]
struct WorkTally {
    handled: AtomicU64,
    failed: AtomicU64,
    dead: AtomicU64,
}

impl WorkTally {
    fn count(&self, message: &Message<Payload>, ended: &Result<(), NotDone>) {
        let counters = match ended {
            Ok(()) => [Some(&self.handled), None],
            Err(NotDone::Snoozed(_)) => [None, None],
            Err(NotDone::Rejected(_)) => [Some(&self.failed), Some(&self.dead)],
            Err(NotDone::Failed(_)) => {
                // One that was cancelled is not kept.
                let is_last = message.attempt >= message.max_attempts && !message.is_cancelled();
                [Some(&self.failed), is_last.then_some(&self.dead)]
            }
        };
        for counter in counters.into_iter().flatten() {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// For how long messages are leased; nothing: as the topic says.
#[derive(Debug, Clone, Copy)]
struct Lease(Option<Duration>);

fn lease(text: &str) -> Result<Lease, humantime::DurationError> {
    match text {
        "topic" => Ok(Lease(None)),
        text => humantime::parse_duration(text).map(|lease| Lease(Some(lease))),
    }
}

pub(crate) fn run(
    options: WorkOptions,
    global: &Global,
    output: &mut Output,
) -> Result<(), CommandFailure> {
    options.codes.check()?;
    let program = Invocation::new(&options.command)?;
    let http = options.http.bind(&options.topic)?;
    let interrupts = Interrupts::catch()?;
    let messaging = http.record(global.builder()?).connect()?;
    let http = http.start(&messaging)?;
    let tally = Arc::new(WorkTally::default());
    let children = Arc::new(Children::of(program, options.codes.clone(), options.result));
    // Where a parent had it ignored, the system would not say how commands end.
    let caught = signal_hook::flag::register(SIGCHLD, Arc::default());
    caught.map_err(|error| CommandFailure::failed(format!("cannot catch SIGCHLD: {error}")))?;
    let _reaper = Reaper::start(&children)?;
    let receiver = start(&options, &messaging, &children, &tally)?;
    let waited = wait(&options, &messaging, &interrupts);
    if let Ok(EndOfWork::BySignal) = waited {
        receiver.request_stop();
        let _ = writeln!(
            io::stderr(),
            "stopping when the running commands have finished; a second signal is for them"
        );
    }
    http.announce_stop();
    let report = stop(&receiver, &children, &interrupts);
    http.stop();
    match waited? {
        EndOfWork::BySignal => summarize(output, &tally, Some(report)),
        // Then nothing was in hand.
        EndOfWork::Empty => summarize(output, &tally, None),
        EndOfWork::Stuck(failure) => {
            summarize(output, &tally, Some(report))?;
            Err(failure)
        }
    }
}

fn start(
    options: &WorkOptions,
    messaging: &Messaging,
    children: &Arc<Children>,
    tally: &Arc<WorkTally>,
) -> Result<Receiver, CommandFailure> {
    let (children, tally) = (Arc::clone(children), Arc::clone(tally));
    let longest = LONGEST_BACKOFF.max(options.backoff);
    let mut builder = messaging.receiver(&options.topic);
    if let Some(filter) = together(&options.filters) {
        builder = builder.filter(filter);
    }
    let mut receiver = builder
        .workers(options.workers as usize)
        .max_attempts(options.max_attempts)
        .backoff(Backoff::exponential(options.backoff, 2.0, longest))
        // What a command did cannot be rolled back, so that a failure must concern it alone.
        .messages_per_transaction(1);
    if let Some(Lease(lease)) = options.lease {
        receiver = receiver.lease(lease);
    }
    Ok(receiver.start(move |session, message: Message<Payload>| {
        let ended = children.run(&message);
        let ended = ended.and_then(|result| record(session, &result).map_err(NotDone::Failed));
        tally.count(&message, &ended);
        ended.map_err(NotDone::into_error)
    })?)
}

/// Records what a command wrote as the result of its message, if it wrote anything.
fn record(session: &mut MessagingSession<'_>, result: &[u8]) -> Result<(), HandlerError> {
    if result.len() > MOST_RESULT_BYTES {
        return Err(HandlerError::failed(format!(
            "the result on standard output is longer than {MOST_RESULT_BYTES} bytes"
        )));
    }
    let text = std::str::from_utf8(result).map_err(|error| {
        HandlerError::failed("the result on standard output is no text").because(error)
    })?;
    let text = text.trim();
    if text.is_empty() {
        return Ok(());
    }
    match serde_json::from_str::<&RawValue>(text) {
        Ok(json) => session.record_result(json)?,
        Err(_) => session.record_result(text)?,
    }
    Ok(())
}

/// Why no further message is wanted.
#[derive(Debug)]
enum EndOfWork {
    BySignal,
    Empty,
    /// The rest is not going to be handled.
    Stuck(CommandFailure),
}

/// Waits for a signal, or until the topic is empty if that is wanted.
fn wait(
    options: &WorkOptions,
    messaging: &Messaging,
    interrupts: &Interrupts,
) -> Result<EndOfWork, CommandFailure> {
    let [looks, long_looks] = match options.until_empty {
        true => [tick(LOOK), tick(LONG_LOOK)],
        false => [never(), never()],
    };
    let topic = messaging.topic(&options.topic);
    let mut stuck = 0;
    loop {
        select! {
            recv(interrupts.received()) -> _ => return Ok(EndOfWork::BySignal),
            recv(looks) -> _ => if looked(topic.is_empty())? == Some(true) {
                return Ok(EndOfWork::Empty);
            },
            recv(long_looks) -> _ => match looked(why_stuck(&topic))?.flatten() {
                Some(failure) if stuck == STUCK_LOOKS => return Ok(EndOfWork::Stuck(failure)),
                Some(_) => stuck += 1,
                None => stuck = 0,
            },
        }
    }
}

/// Returns what a look found, or nothing in a trouble that passes: the workers connect again, and
/// so do we.
fn looked<T>(found: outtray::Result<T>) -> Result<Option<T>, CommandFailure> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if is_passing(error.kind()) => {
            tracing::warn!("{error}");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// Returns why what is left of a topic is not going to be handled, if that is so.
fn why_stuck(topic: &Topic<'_>) -> outtray::Result<Option<CommandFailure>> {
    let name = topic.name();
    if topic.is_paused()? {
        let failure = CommandFailure::failed(format!("topic {name} is paused, and not empty"));
        return Ok(Some(failure.hint(format!("outtray resume {name}"))));
    }
    let stats = topic.stats()?;
    if stats.behind == 0 || stats.ready + stats.scheduled + stats.leased > 0 {
        return Ok(None);
    }
    let left = counted(stats.behind, "message");
    let failure = CommandFailure::failed(format!(
        "{left} of topic {name} left, behind dead letters of their keys"
    ));
    Ok(Some(failure.hint(format!(
        "outtray dead list {name}; redrive or purge those, and the others go on"
    ))))
}

/// Lets the commands in hand finish. Signals of this time are for them; at its end they are killed,
/// since their messages will be delivered again.
fn stop(receiver: &Receiver, children: &Children, interrupts: &Interrupts) -> StopReport {
    let (sender, stopped) = crossbeam_channel::bounded(1);
    let report = thread::scope(|scope| {
        scope.spawn(|| sender.send(receiver.stop(STOP_TIMEOUT)));
        loop {
            select! {
                recv(interrupts.received()) -> signal => children.signal(signal.unwrap_or(Signal::TERM)),
                recv(stopped) -> report => return report.unwrap_or_default(),
            }
        }
    });
    if report.abandoned > 0 {
        children.kill();
        receiver.stop(KILL_TIMEOUT);
    }
    report
}

fn summarize(
    output: &mut Output,
    tally: &WorkTally,
    at_stop: Option<StopReport>,
) -> Result<(), CommandFailure> {
    let [handled, failed, dead] =
        [&tally.handled, &tally.failed, &tally.dead].map(|counter| counter.load(Ordering::Relaxed));
    let mut object = json!({ "handled": handled, "failed": failed, "dead": dead });
    let mut text = format!("handled {handled}, failed attempts {failed}, dead letters {dead}");
    if let Some(StopReport {
        finished,
        abandoned,
        ..
    }) = at_stop
    {
        object["finished"] = finished.into();
        object["abandoned"] = abandoned.into();
        text.push_str(&format!(
            "; at the stop finished {finished}, abandoned {abandoned}"
        ));
    }
    if output.is_json() {
        return Ok(output.object(&object)?);
    }
    // Standard output belongs to the commands.
    let _ = writeln!(io::stderr(), "{text}");
    Ok(())
}
