//! Named readers that are handled by threads.

mod committing;
mod deaths;
mod failing;
mod hostile;
mod in_lanes;
mod in_order;
mod read_again;
mod read_once;
mod stress;
mod taken_over;
mod together;

use crate::log::place;
use crate::support::{PATIENCE, Place, eventually};
use crossbeam_channel::{Receiver as Told, unbounded};
use outtray::{HandlerError, Message, Messaging, MessagingSession, ReaderBuilder, Receiver};
use std::time::Duration;

/// The topic for what reader `one` puts aside.
const ASIDE: &str = "ledger@one";

/// What handlers write: the entry's payload, its key, and who read it.
const EFFECT: &str = "CREATE TABLE effect (
        at bigserial, n integer NOT NULL, key text, reader text NOT NULL, tx xid8 DEFAULT pg_current_xact_id()
    )";

/// Returns a place with a log named `ledger`, and a table for effects.
fn books() -> Place {
    let mut place = place();
    place.sql(EFFECT);
    place
}

/// Writes the effect of each entry.
fn enter(
    session: &mut MessagingSession<'_>,
    reader: &str,
    entries: &[Message<i32>],
) -> Result<(), HandlerError> {
    let numbers: Vec<i32> = entries.iter().map(|entry| entry.payload).collect();
    let keys: Vec<Option<&str>> = entries.iter().map(|entry| entry.key.as_deref()).collect();
    session.execute(
        "INSERT INTO effect (n, key, reader)
            SELECT n, key, $3 FROM unnest($1::integer[], $2::text[]) AS entry (n, key)",
        &[&numbers, &keys, &reader],
    )?;
    Ok(())
}

/// Starts a reader that writes effects.
fn entering(reader: ReaderBuilder<'_>) -> Receiver {
    let started = reader.start(|session, entries: &[Message<i32>]| enter(session, "one", entries));
    started.unwrap()
}

/// Starts a reader that tells the payloads of each batch.
pub(super) fn telling(reader: ReaderBuilder<'_>) -> (Receiver, Told<Vec<i32>>) {
    let (tell, told) = unbounded();
    let started = reader.start(move |_, entries: &[Message<i32>]| {
        Ok(tell.send(entries.iter().map(|entry| entry.payload).collect())?)
    });
    (started.unwrap(), told)
}

/// Returns the next `count` payloads that are told.
#[track_caller]
pub(super) fn told(batches: &Told<Vec<i32>>, count: usize) -> Vec<i32> {
    let mut seen = Vec::new();
    while seen.len() < count {
        let batch = batches.recv_timeout(PATIENCE);
        seen.extend(batch.unwrap_or_else(|_| panic!("only {} of {count}: {seen:?}", seen.len())));
    }
    seen
}

/// Returns the numbers in `effect`, in the order in which they were written.
fn effects(place: &mut Place) -> Vec<i32> {
    let rows = place
        .client
        .query("SELECT n FROM effect ORDER BY at", &[])
        .unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[track_caller]
fn await_effects(place: &mut Place, count: usize) {
    let count = i64::try_from(count).unwrap();
    eventually(&format!("{count} effects"), || {
        place.count("effect") >= count
    });
}

/// A reader for tests that count attempts.
fn reader<'m>(messaging: &'m Messaging, name: &str) -> ReaderBuilder<'m> {
    let backoff = outtray::Backoff::fixed(Duration::from_millis(20));
    messaging.reader("ledger", name).backoff(backoff)
}
