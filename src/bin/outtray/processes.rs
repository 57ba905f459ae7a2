//! `outtray processes`: who receives, on which hosts, and what is in work for long.

use crate::failure::CommandFailure;
use crate::global::Global;
use crate::output::Output;
use crate::table::{self, Side, age, glance};
use outtray::{RunningHandler, RunningProcess, RunningReceiver};
use std::io;

pub(crate) fn run(global: &Global, output: &mut Output) -> Result<(), CommandFailure> {
    let processes = global.connect()?.processes()?;
    if output.is_json() {
        return Ok(output.objects(&processes)?);
    }
    if processes.is_empty() {
        output.line("no process receives")?;
    }
    print_receivers(&processes, output)?;
    Ok(print_handlers(&processes, output)?)
}

fn print_receivers(processes: &[RunningProcess], output: &mut Output) -> io::Result<()> {
    let columns = [
        ("HOST", Side::Left),
        ("PID", Side::Right),
        ("PROGRAM", Side::Left),
        ("VERSION", Side::Left),
        ("SEEN", Side::Right),
        ("TOPIC", Side::Left),
        ("BUSY", Side::Right),
        ("IN HAND", Side::Right),
        ("HOLDS BY", Side::Left),
        ("WANTS", Side::Left),
        ("STATE", Side::Left),
    ];
    let mut rows = Vec::new();
    for process in processes {
        rows.extend(
            process
                .receivers
                .iter()
                .map(|receiver| row(process, receiver)),
        );
    }
    table::print(output, columns, &rows)
}

fn row(process: &RunningProcess, receiver: &RunningReceiver) -> [String; 11] {
    [
        host(process),
        pid(process),
        text(process.program.as_deref()),
        text(process.version.as_deref()),
        age(process.seen_ago),
        receiver.topic.clone(),
        format!("{}/{}", receiver.busy, receiver.workers),
        receiver.in_hand.to_string(),
        holds_by(receiver),
        receiver.filter.as_deref().map_or("all".to_owned(), glance),
        state(process, receiver),
    ]
}

/// Returns how a receiver holds its messages.
pub(crate) fn holds_by(receiver: &RunningReceiver) -> String {
    match receiver.lease {
        Some(lease) => format!("lease {}", age(lease)),
        None => "transaction".to_owned(),
    }
}

/// Says what is not as usual with a receiver.
pub(crate) fn state(process: &RunningProcess, receiver: &RunningReceiver) -> String {
    let words = [
        process.is_silent.then_some("silent"),
        receiver.is_paused.then_some("paused"),
    ];
    words.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

pub(crate) fn host(process: &RunningProcess) -> String {
    text(process.host.as_deref())
}

pub(crate) fn pid(process: &RunningProcess) -> String {
    process.pid.map_or("-".to_owned(), |pid| pid.to_string())
}

pub(crate) fn text(text: Option<&str>) -> String {
    text.map_or("-".to_owned(), glance)
}

fn print_handlers(processes: &[RunningProcess], output: &mut Output) -> io::Result<()> {
    let columns = [
        ("MESSAGE", Side::Left),
        ("TOPIC", Side::Left),
        ("ATTEMPT", Side::Right),
        ("RUNNING", Side::Right),
        ("HOST", Side::Left),
        ("PID", Side::Right),
        ("WORKER", Side::Right),
    ];
    let mut rows = Vec::new();
    for process in processes {
        for receiver in &process.receivers {
            for handler in &receiver.handlers {
                rows.push([
                    messages(handler),
                    receiver.topic.clone(),
                    handler.attempt.to_string(),
                    age(handler.running_for),
                    host(process),
                    pid(process),
                    handler.worker.to_string(),
                ]);
            }
        }
    }
    if !rows.is_empty() {
        output.line("")?;
    }
    table::print(output, columns, &rows)
}

/// Returns the messages of a handler: one by its id, of several the first and how many.
pub(crate) fn messages(handler: &RunningHandler) -> String {
    let first = handler.ids.first().map(ToString::to_string);
    match (first, handler.messages) {
        (Some(id), ..=1) => id,
        (Some(id), messages) => format!("{id} and {} more", messages - 1),
        (None, messages) => format!("{messages} messages"),
    }
}
