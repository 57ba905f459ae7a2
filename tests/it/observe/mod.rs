//! Observers are told what happened, once it is committed, and nothing of what was rolled back.

mod ends;
mod leases;
mod listening;
mod sends;
mod troubles;

use crate::support::{Place, database};
use outtray::{Event, Messaging};
use std::sync::{Arc, Mutex};

/// What was told, a line for each event.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<String>>>);

impl Told {
    fn connect(&self, url: &str) -> Messaging {
        let told = self.clone();
        let noting = move |event: &Event<'_>| told.0.lock().unwrap().push(line(event));
        let builder = Messaging::builder().url(url).on_event(noting);
        builder.connect().unwrap()
    }

    /// Returns what was told since the last time.
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    fn has(&self, line: &str) -> bool {
        self.0.lock().unwrap().iter().any(|told| told == line)
    }
}

/// Returns a database of the test's own, and what the process there tells.
fn observed() -> (Place, Told) {
    let (url, told) = (database(), Told::default());
    let messaging = told.connect(&url);
    (Place::over(&url, messaging), told)
}

/// Returns what an event says, but for ids and durations.
fn line(event: &Event<'_>) -> String {
    match event {
        Event::Sent {
            topic,
            ids,
            is_scheduled,
            is_entry,
            ..
        } => {
            let later = if *is_scheduled { " for later" } else { "" };
            let entries = if *is_entry { " of a log" } else { "" };
            format!("{} sent to {topic}{later}{entries}", ids.len())
        }
        Event::Started {
            topic,
            attempt,
            batch,
            ..
        } => format!("{topic} started {attempt} of {batch}"),
        Event::Undone { topic, ids, .. } => format!("{} of {topic} undone", ids.len()),
        Event::CommitUnknown {
            topic,
            handled,
            sent,
            ..
        } => format!(
            "unknown of {topic:?}: {} handled, {} sent",
            handled.len(),
            sent.len()
        ),
        Event::Redriven {
            topic, messages, ..
        } => format!("{messages} of {topic} redriven"),
        Event::Purged {
            topic,
            messages,
            were_dead,
            ..
        } => format!("{messages} of {topic} purged, dead: {were_dead}"),
        Event::ConnectionLost { of, .. } => format!("{of:?} lost"),
        Event::Reconnected { of, .. } => format!("{of:?} reconnected"),
        of_one => line_of_one(of_one),
    }
}

/// The same of an event that is about what became of one message.
fn line_of_one(event: &Event<'_>) -> String {
    match event {
        Event::Done { topic, attempt, .. } => format!("{topic} done {attempt}"),
        Event::Failed {
            topic,
            attempt,
            error,
            retry_in,
            ..
        } => {
            let again = if retry_in.is_some() { ", again" } else { "" };
            format!("{topic} failed {attempt}: {error}{again}")
        }
        Event::Snoozed { topic, .. } => format!("{topic} snoozed"),
        Event::PutOff { topic, .. } => format!("{topic} put off"),
        Event::Released { topic, .. } => format!("{topic} released"),
        Event::Dead {
            topic,
            attempts,
            reason,
            ..
        } => format!("{topic} dead {attempts:?}: {reason}"),
        Event::Expired { topic, .. } => format!("{topic} expired"),
        Event::Cancelled { topic, .. } => format!("{topic} cancelled"),
        other => format!("{other:?}"),
    }
}
