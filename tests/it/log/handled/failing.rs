//! A batch that fails is narrowed down to the entry at fault, which is tried again by itself, and
//! is a dead letter of its reader in the end. The others go on.

use super::{ASIDE, await_effects, books, effects, enter, reader};
use crate::support::{PATIENCE, Place, eventually};
use crossbeam_channel::{Receiver as Told, unbounded};
use outtray::{
    DeadLetter, DeadReason, HandlerError, Message, MessagingSession, NewMessage, PoisonedKey,
    ReaderBuilder, Receiver, TopicConfig,
};
use std::collections::BTreeSet;

/// Sends numbers, each with the key that `key` says.
fn send_keyed(place: &Place, numbers: impl Iterator<Item = i32>, key: impl Fn(i32) -> String) {
    place
        .messaging
        .session(|session| {
            for n in numbers {
                session.send(NewMessage::json("ledger", &n)?.key(key(n)))?;
            }
            Ok(())
        })
        .unwrap();
}

/// Starts a reader that fails as `fail` says for the entries in `bad`, once the effects of all are
/// written; tells the batches that it gets, by their payloads and attempts.
fn failing(
    reader: ReaderBuilder<'_>,
    bad: &[i32],
    fail: impl Fn(&mut MessagingSession<'_>) -> Result<(), HandlerError> + Send + Sync + 'static,
) -> (Receiver, Told<Vec<(i32, u32)>>) {
    let bad: BTreeSet<i32> = bad.iter().copied().collect();
    let (tell, told) = unbounded();
    let started = reader.start(move |session, entries: &[Message<i32>]| {
        enter(session, "one", entries)?;
        let calls = entries.iter().map(|entry| (entry.payload, entry.attempt));
        let _ = tell.send(calls.collect());
        match entries.iter().any(|entry| bad.contains(&entry.payload)) {
            true => fail(session),
            false => Ok(()),
        }
    });
    (started.unwrap(), told)
}

fn no(_: &mut MessagingSession<'_>) -> Result<(), HandlerError> {
    Err(HandlerError::failed("no"))
}

#[track_caller]
fn await_dead(place: &Place, count: usize) -> Vec<DeadLetter> {
    let mut dead = Vec::new();
    eventually(&format!("{count} dead letters"), || {
        dead = place.dead_letters(ASIDE);
        dead.len() >= count
    });
    dead
}

fn payloads(dead: &[DeadLetter]) -> BTreeSet<i32> {
    let payload = |letter: &DeadLetter| letter.payload.to_string().parse().unwrap();
    dead.iter().map(payload).collect()
}

/// Checks that what is in `bad` ends as dead letters after two attempts, and all else once, in
/// order.
#[track_caller]
fn check_narrowing(
    count: i32,
    bad: &[i32],
    fail: impl Fn(&mut MessagingSession<'_>) -> Result<(), HandlerError> + Send + Sync + 'static,
) -> (Vec<DeadLetter>, Vec<Vec<(i32, u32)>>) {
    let mut place = books();
    place.send_all("ledger", 0..count);

    let (receiver, calls) = failing(reader(&place.messaging, "one").max_attempts(2), bad, fail);
    let good: Vec<i32> = (0..count).filter(|n| !bad.contains(n)).collect();
    let dead = await_dead(&place, bad.len());
    await_effects(&mut place, good.len());
    receiver.stop(PATIENCE);

    assert_eq!(effects(&mut place), good);
    assert_eq!(payloads(&dead), bad.iter().copied().collect());
    for letter in &dead {
        assert_eq!((letter.attempts, letter.reason), (2, DeadReason::Exhausted));
    }
    (dead, calls.try_iter().collect())
}

#[test]
fn a_batch_that_fails_narrows_down_to_the_entry_at_fault() {
    let (dead, calls) = check_narrowing(500, &[321], no);

    assert_eq!(dead[0].error, "no");
    let attempts: Vec<u32> = calls
        .iter()
        .filter_map(|call| match call.as_slice() {
            [(321, attempt)] => Some(*attempt),
            _ => None,
        })
        .collect();
    assert_eq!(attempts, [1, 2], "alone");
    assert!(calls.len() < 25, "{} calls", calls.len());
}

#[test]
fn several_entries_at_fault_are_found_and_the_others_go_on() {
    check_narrowing(300, &[0, 1, 2, 150, 298, 299], no);
}

#[test]
fn a_log_of_which_every_entry_fails_is_put_aside_whole() {
    let all: Vec<i32> = (0..90).collect();
    check_narrowing(90, &all, no);
}

#[test]
fn a_panic_narrows_down_as_an_error_does() {
    let (dead, _) = check_narrowing(100, &[70], |_| panic!("it is on fire"));
    assert!(dead[0].error.contains("it is on fire"), "{}", dead[0].error);
}

#[test]
fn a_statement_that_fails_narrows_down_also_if_nobody_says_so() {
    let (dead, _) = check_narrowing(100, &[70], |session| {
        let _ = session.execute("SELECT 1 / 0", &[]);
        Ok(())
    });
    assert!(dead[0].error.contains("swallowed"), "{}", dead[0].error);
}

#[test]
fn a_handler_that_sets_something_narrows_down_and_leaves_nothing_set() {
    check_narrowing(60, &[33], |session| {
        session.execute("SET application_name = 'mine'", &[])?;
        Err(HandlerError::failed("no"))
    });
}

#[test]
fn a_handler_whose_connection_breaks_each_time_narrows_down() {
    let (dead, _) = check_narrowing(12, &[7], |session| {
        session.execute("SELECT pg_terminate_backend(pg_backend_pid())", &[])?;
        Ok(())
    });
    assert!(dead[0].error.contains("connection"), "{}", dead[0].error);
}

/// What the database refuses at COMMIT, when the check is deferred.
const ONCE: &str = "CREATE TABLE once (n integer UNIQUE DEFERRABLE INITIALLY DEFERRED);
    INSERT INTO once VALUES (7)";

#[test]
fn a_commit_that_is_refused_narrows_down() {
    let mut place = books();
    place.sql(ONCE);
    place.send_all("ledger", 0..100);
    let receiver = reader(&place.messaging, "one")
        .max_attempts(2)
        .start(|session, entries: &[Message<i32>]| {
            enter(session, "one", entries)?;
            let numbers: Vec<i32> = entries.iter().map(|entry| entry.payload).collect();
            session.execute("INSERT INTO once SELECT unnest($1::integer[])", &[&numbers])?;
            Ok(())
        })
        .unwrap();
    let dead = await_dead(&place, 1);
    await_effects(&mut place, 99);
    receiver.stop(PATIENCE);

    assert_eq!(
        effects(&mut place),
        (0..100).filter(|n| *n != 7).collect::<Vec<_>>()
    );
    assert_eq!(payloads(&dead), BTreeSet::from([7]));
    assert!(dead[0].error.contains("once_n_key"), "{}", dead[0].error);
    assert_eq!(place.count("once"), 100);
}

#[test]
fn entries_of_the_key_that_fails_follow_it_and_others_do_not_wait() {
    let mut place = books();
    let key = |n: i32| {
        if n % 10 == 3 {
            "three".to_owned()
        } else {
            format!("{n}")
        }
    };
    send_keyed(&place, 0..50, key);
    let (tell, failed) = unbounded();
    let receiver = reader(&place.messaging, "one")
        .backoff(outtray::Backoff::fixed(std::time::Duration::from_secs(
            3600,
        )))
        .start(move |session, entries: &[Message<i32>]| {
            enter(session, "one", entries)?;
            let is_first = |entry: &Message<i32>| entry.payload == 3 && entry.attempt < 2;
            if entries.iter().any(is_first) {
                tell.send(())?;
                return Err(HandlerError::failed("not yet"));
            }
            Ok(())
        })
        .unwrap();
    await_effects(&mut place, 45);
    failed.recv_timeout(PATIENCE).unwrap();
    // Sent later, in a batch of its own.
    send_keyed(&place, 50..100, key);
    await_effects(&mut place, 90);
    assert_eq!(place.count("effect WHERE key = 'three'"), 0);

    place.make_due();
    await_effects(&mut place, 100);
    receiver.stop(PATIENCE);

    let of = |place: &mut Place, filter: &str| -> Vec<i32> {
        let query = format!("SELECT n FROM effect WHERE {filter} ORDER BY at");
        let rows = place.client.query(&query, &[]).unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    };
    let expected: Vec<i32> = (0..100).filter(|n| n % 10 == 3).collect();
    assert_eq!(of(&mut place, "key = 'three'"), expected);
    let expected: Vec<i32> = (0..100).filter(|n| n % 10 != 3).collect();
    assert_eq!(of(&mut place, "key <> 'three'"), expected);
}

#[test]
fn a_dead_letter_of_a_reader_can_be_redriven_to_it_alone() {
    let mut place = books();
    place.send_all("ledger", 0..10);
    let (other, _) = failing(place.messaging.reader("ledger", "other"), &[], no);
    let (receiver, _) = failing(reader(&place.messaging, "one").max_attempts(1), &[4], no);
    let dead = await_dead(&place, 1);
    await_effects(&mut place, 19);
    receiver.stop(PATIENCE);
    assert_eq!(dead[0].attempts, 1);

    let topic = place.messaging.topic(ASIDE);
    assert_eq!(topic.redrive(..).unwrap(), 1);
    let (tell, told) = unbounded();
    let receiver = reader(&place.messaging, "one")
        .start(move |_, entries: &[Message<i32>]| {
            let seen = entries
                .iter()
                .map(|entry| (entry.payload, entry.topic.clone()));
            Ok(tell.send(seen.collect::<Vec<_>>())?)
        })
        .unwrap();
    assert_eq!(
        told.recv_timeout(PATIENCE).unwrap(),
        [(4, "ledger".to_owned())]
    );
    receiver.stop(PATIENCE);
    other.stop(PATIENCE);
}

#[test]
fn a_payload_that_does_not_fit_is_a_dead_letter_at_once_and_the_batch_goes_on() {
    let mut place = books();
    place.send_all(
        "ledger",
        ["1", "two"]
            .map(|text| serde_json::from_str::<serde_json::Value>(text).unwrap_or(text.into())),
    );
    place.send_all("ledger", 2..10);
    let (receiver, calls) = failing(reader(&place.messaging, "one"), &[], no);
    let dead = await_dead(&place, 1);
    await_effects(&mut place, 9);
    receiver.stop(PATIENCE);

    assert_eq!(
        (dead[0].reason, dead[0].attempts),
        (DeadReason::Undecodable, 1)
    );
    assert_eq!(dead[0].payload.to_string(), "\"two\"");
    assert_eq!(calls.len(), 1);
}

#[test]
fn what_a_handler_asks_for_an_entry_is_done() {
    let mut place = books();
    place.send_all("ledger", 0..20);
    let receiver = reader(&place.messaging, "one")
        .start(|session, entries: &[Message<i32>]| {
            enter(session, "one", entries)?;
            let has = |n: i32| entries.iter().any(|entry| entry.payload == n);
            match () {
                () if has(5) => Err(HandlerError::reject("never")),
                () if has(9) => Err(HandlerError::snooze(std::time::Duration::from_secs(3600))),
                () => Ok(()),
            }
        })
        .unwrap();
    let dead = await_dead(&place, 1);
    await_effects(&mut place, 18);
    receiver.stop(PATIENCE);

    assert_eq!(
        (dead[0].reason, dead[0].error.as_str()),
        (DeadReason::Rejected, "never")
    );
    let scheduled = place.messaging.topic(ASIDE).scheduled(10).unwrap();
    assert_eq!((scheduled.len(), scheduled[0].attempts), (1, 0));
    assert!(place.due_in() > 3000.0);
}

#[test]
fn a_key_that_a_dead_letter_holds_is_put_aside_from_then_on() {
    let mut place = books();
    let held = TopicConfig {
        poisoned_key: Some(PoisonedKey::Block),
        ..TopicConfig::default()
    };
    place.messaging.topic(ASIDE).configure(held).unwrap();
    send_keyed(&place, 0..20, |n| format!("{}", n % 2));
    let (receiver, _) = failing(reader(&place.messaging, "one").max_attempts(1), &[7], no);
    await_dead(&place, 1);
    await_effects(&mut place, 13);
    send_keyed(&place, 20..30, |n| format!("{}", n % 2));
    await_effects(&mut place, 18);
    receiver.stop(PATIENCE);

    let read = effects(&mut place);
    let expected: Vec<i32> = (0..30).filter(|n| n % 2 == 0 || *n < 7).collect();
    assert_eq!(read, expected);
    assert_eq!(place.count("outtray.follower"), 11);
}
