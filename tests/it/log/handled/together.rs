//! Batches of handlers that leave their sessions alone share transactions; whatever fails among
//! them is the matter of its own batch.

use super::{ASIDE, books, effects, enter, reader};
use crate::support::{PATIENCE, Place, eventually, pass_time};
use outtray::{HandlerError, Message, MessagingSession};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const BATCH: usize = 10;
const ENTRIES: i32 = 400;
/// The batch of which something fails, far behind the first.
const FAILING: std::ops::Range<i32> = 290..300;
const BAD: i32 = 297;

/// Returns how often the place of the reader was moved.
fn moves(place: &mut Place) -> u64 {
    let query = "SELECT coalesce(max(moved), 0) FROM outtray.log_place WHERE reader = 'one'";
    let moved: i64 = place.client.query_one(query, &[]).unwrap().get(0);
    moved.unsigned_abs()
}

/// How often the handler got each entry.
#[derive(Clone, Default)]
struct Calls(Arc<Mutex<BTreeMap<i32, u32>>>);

impl Calls {
    fn count(&self, entries: &[Message<i32>]) {
        let mut calls = self.0.lock().unwrap();
        for entry in entries {
            *calls.entry(entry.payload).or_default() += 1;
        }
    }

    fn are_all(&self) -> bool {
        self.0.lock().unwrap().len() == ENTRIES as usize
    }

    /// Returns the entries that it got several times.
    fn repeated(&self) -> Vec<i32> {
        let calls = self.0.lock().unwrap();
        let repeated = calls.iter().filter(|(_, calls)| **calls > 1);
        repeated.map(|(n, _)| *n).collect()
    }
}

#[test]
fn batches_of_a_handler_that_leaves_its_session_alone_share_commits() {
    let mut place = books();
    place.send_all("ledger", 0..ENTRIES);
    let calls = Calls::default();
    let (seen, runs) = (calls.clone(), Arc::new(AtomicU64::new(0)));
    let counted = Arc::clone(&runs);
    let one = reader(&place.messaging, "one").batch_size(BATCH);
    let started = one.start(move |_, entries: &[Message<i32>]| {
        counted.fetch_add(1, Relaxed);
        seen.count(entries);
        Ok(())
    });
    eventually("all is read", || calls.are_all());
    started.unwrap().stop(PATIENCE);

    assert!(calls.repeated().is_empty());
    let (runs, moves) = (runs.load(Relaxed), moves(&mut place));
    assert!(moves < runs * 3 / 4, "{moves} moves for {runs} batches");
}

#[test]
fn batches_of_a_handler_that_takes_its_time_are_committed_one_by_one() {
    let mut place = books();
    place.send_all("ledger", 0..ENTRIES / 4);
    let runs = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&runs);
    let one = reader(&place.messaging, "one").batch_size(BATCH);
    let started = one.start(move |_, _: &[Message<i32>]| {
        pass_time(Duration::from_millis(20));
        counted.fetch_add(1, Relaxed);
        Ok(())
    });
    eventually("all is read", || runs.load(Relaxed) >= 10);
    started.unwrap().stop(PATIENCE);

    let (runs, moves) = (runs.load(Relaxed), moves(&mut place));
    assert!(moves >= runs, "{moves} moves for {runs} batches");
}

/// Checks that a batch which fails behind others is narrowed down alone.
#[track_caller]
fn check_failing(
    fail: impl Fn(&mut MessagingSession<'_>, &[Message<i32>]) -> Result<(), HandlerError>
    + Send
    + Sync
    + 'static,
) {
    let mut place = books();
    place.sql("CREATE TABLE other (n integer PRIMARY KEY)");
    place.sql("CREATE TABLE late (n integer REFERENCES other (n) DEFERRABLE INITIALLY DEFERRED)");
    place.send_all("ledger", 0..ENTRIES);
    let calls = Calls::default();
    let seen = calls.clone();
    let one = reader(&place.messaging, "one")
        .batch_size(BATCH)
        .max_attempts(1);
    let started = one.start(move |session, entries: &[Message<i32>]| {
        seen.count(entries);
        if !FAILING.contains(&entries[0].payload) {
            return Ok(());
        }
        enter(session, "one", entries)?;
        match entries.iter().any(|entry| entry.payload == BAD) {
            true => fail(session, entries),
            false => Ok(()),
        }
    });
    eventually("all is read, and what failed is a dead letter", || {
        calls.are_all() && !place.dead_letters(ASIDE).is_empty()
    });
    started.unwrap().stop(PATIENCE);

    let mut repeated = calls.repeated();
    repeated.retain(|n| !FAILING.contains(n));
    assert!(repeated.is_empty(), "handled again: {repeated:?}");
    let good: Vec<i32> = FAILING.filter(|n| *n != BAD).collect();
    assert_eq!(effects(&mut place), good);
    let dead = place.dead_letters(ASIDE);
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].payload.to_string(), BAD.to_string());
}

#[test]
fn a_batch_that_fails_behind_others_is_narrowed_down_alone() {
    check_failing(|_, _| Err(HandlerError::failed("no")));
}

#[test]
fn a_batch_that_panics_behind_others_is_narrowed_down_alone() {
    check_failing(|_, _| panic!("it is on fire"));
}

#[test]
fn a_batch_whose_statement_fails_behind_others_is_narrowed_down_alone() {
    check_failing(|session, _| {
        session.execute("SELECT 1 / 0", &[])?;
        Ok(())
    });
}

#[test]
fn a_batch_that_the_database_refuses_behind_others_is_narrowed_down_alone() {
    check_failing(|session, _| {
        session.execute("INSERT INTO late (n) VALUES ($1)", &[&BAD])?;
        Ok(())
    });
}

#[test]
fn what_a_lost_transaction_held_is_written_once_all_the_same() {
    let mut place = books();
    place.send_all("ledger", 0..ENTRIES);
    let calls = Calls::default();
    let (seen, was_lost) = (calls.clone(), AtomicBool::new(false));
    let one = reader(&place.messaging, "one").batch_size(BATCH);
    let started = one.start(move |session, entries: &[Message<i32>]| {
        seen.count(entries);
        let number = entries[0].payload / BATCH as i32;
        if number % 5 == 4 {
            enter(session, "one", entries)?;
        }
        if FAILING.contains(&entries[0].payload) && !was_lost.swap(true, Relaxed) {
            session.execute("SELECT pg_terminate_backend(pg_backend_pid())", &[])?;
        }
        Ok(())
    });
    eventually("all is read", || calls.are_all());
    started.unwrap().stop(PATIENCE);

    let written = (0..ENTRIES).filter(|n| n / BATCH as i32 % 5 == 4);
    assert_eq!(effects(&mut place), written.collect::<Vec<_>>());
}

#[test]
fn a_batch_that_ends_the_transaction_repeats_those_before_it_once() {
    let place = books();
    place.send_all("ledger", 0..ENTRIES);
    let calls = Calls::default();
    let seen = calls.clone();
    let one = reader(&place.messaging, "one").batch_size(BATCH);
    let started = one.start(move |session, entries: &[Message<i32>]| {
        seen.count(entries);
        if entries.iter().any(|entry| entry.payload == BAD) {
            session.batch_execute("ROLLBACK")?;
        }
        Ok(())
    });
    eventually("all is read, and what failed is a dead letter", || {
        calls.are_all() && !place.dead_letters(ASIDE).is_empty()
    });
    started.unwrap().stop(PATIENCE);

    let calls = calls.0.lock().unwrap();
    let often = calls
        .iter()
        .filter(|(n, calls)| !FAILING.contains(n) && **calls > 2);
    let often: Vec<_> = often.collect();
    assert!(often.is_empty(), "{often:?}");
    assert_eq!(
        place.dead_letters(ASIDE)[0].payload.to_string(),
        BAD.to_string()
    );
}

#[test]
fn an_entry_that_ended_a_transaction_is_put_aside_though_others_come_before_it() {
    let mut place = books();
    place.send_all("ledger", 0..20);
    let calls = Calls::default();
    let seen = calls.clone();
    let one = reader(&place.messaging, "one")
        .batch_size(1)
        .max_attempts(1);
    let started = one.start(move |session, entries: &[Message<i32>]| {
        seen.count(entries);
        let n = entries[0].payload;
        let is_repeated = seen.0.lock().unwrap()[&n] > 1;
        match n {
            // Its transaction ends with it.
            n if n > 5 && n < 10 && is_repeated => enter(session, "one", entries)?,
            10 => session.batch_execute("ROLLBACK")?,
            _ => {}
        }
        Ok(())
    });
    eventually("all is read, and what failed is a dead letter", || {
        calls.0.lock().unwrap().len() == 20 && !place.dead_letters(ASIDE).is_empty()
    });
    started.unwrap().stop(PATIENCE);

    let often = calls.0.lock().unwrap()[&10];
    assert_eq!(often, 1, "its only attempt");
    let effects = effects(&mut place);
    assert!(effects.iter().all(|n| (6..10).contains(n)), "{effects:?}");
}
