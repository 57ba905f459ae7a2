//! Around the handler of a reader of a log, a middleware runs for each batch of entries.

use super::{EFFECT, Trace, effects, write};
use crate::log;
use crate::support::{PATIENCE, Place, eventually};
use outtray::{Backoff, HandlerError, Message, MessagingSession};
use std::time::Duration;

fn handle(
    session: &mut MessagingSession<'_>,
    entries: &[Message<i32>],
) -> Result<(), HandlerError> {
    let mut numbers = entries.iter().map(|entry| entry.payload.to_string());
    numbers.try_for_each(|number| write(session, "handler", &number))
}

/// Makes a log with these entries.
fn ledger(entries: &[serde_json::Value]) -> Place {
    let mut place = log::place();
    place.sql(EFFECT);
    place.send_all("ledger", entries);
    place
}

#[test]
fn it_sees_the_entries_and_commits_with_them() {
    let mut place = ledger(&[0.into(), 1.into(), "text".into(), 3.into()]);
    let trace = Trace::default();
    let (batch, after) = (trace.clone(), trace.clone());
    let reader = place
        .messaging
        .reader("ledger", "one")
        .middleware(move |session, entries, next| {
            let positions = entries
                .iter()
                .filter(|entry| entry.log_position().is_some());
            batch.note(&format!("{} of {}", positions.count(), entries[0].topic));
            next.run(session)
        })
        .before(|session, entry| write(session, "before", &entry.payload.to_string()))
        .after(move |_, entry| {
            after.note(&format!("after {}", entry.payload));
            Ok(())
        })
        .start(handle)
        .unwrap();
    eventually("all are handled", || {
        place.count("effect WHERE n = '3'") == 2
    });
    reader.stop(PATIENCE);

    let expected = [
        "4 of ledger",
        "after 0",
        "after 1",
        "after \"text\"",
        "after 3",
    ];
    assert_eq!(trace.take(), expected);
    assert_eq!(place.count("effect WHERE what = 'before'"), 4);
    assert_eq!(place.count("effect WHERE what = 'handler'"), 3);
    assert_eq!(place.dead_letters("ledger@one").len(), 1);
}

#[test]
fn its_failure_is_narrowed_down_to_the_entry_at_fault_which_is_put_aside() {
    let entries: Vec<serde_json::Value> = (0..20).map(Into::into).collect();
    let mut place = ledger(&entries);
    let reader = place
        .messaging
        .reader("ledger", "one")
        .backoff(Backoff::fixed(Duration::ZERO))
        .before(|session, entry| {
            assert_eq!(entry.topic, "ledger");
            write(session, "before", &entry.payload.to_string())?;
            match (entry.payload.to_string().as_str(), entry.log_position()) {
                ("7", Some(_)) => Err(HandlerError::failed("not in its place")),
                _ => Ok(()),
            }
        })
        .start(handle)
        .unwrap();
    eventually("all are handled", || {
        place.count("effect WHERE what = 'handler'") == 20
    });
    reader.stop(PATIENCE);

    assert_eq!(place.count("effect WHERE what = 'before'"), 20);
    assert!(place.dead_letters("ledger@one").is_empty());
}

#[test]
fn entries_that_it_skips_are_passed_over() {
    let mut place = ledger(&[0.into(), 1.into(), 2.into()]);
    let reader = place
        .messaging
        .reader("ledger", "one")
        .batch_size(1)
        .middleware(
            |session, entries, next| match entries[0].payload.to_string().as_str() {
                "1" => next.skip(),
                _ => next.run(session),
            },
        )
        .start(handle)
        .unwrap();
    eventually("the last is handled", || {
        place.count("effect WHERE n = '2'") == 1
    });
    reader.stop(PATIENCE);

    assert_eq!(effects(&mut place), ["handler 0", "handler 2"]);
}
