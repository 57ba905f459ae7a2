//! What a batch that fails means for its messages.

use super::{EFFECT, check_effects, enter};
use crate::support::{Child, Ledger, PATIENCE, Place, eventually, test_name};
use crossbeam_channel::{never, unbounded};
use outtray::{
    Backoff, BatchMessage, DeadReason, DrainReport, ErrorKind, HandlerError, MessagingSession,
    ReceiverBuilder,
};
use std::time::Duration;

const POISON: i32 = 13;
const CHILD: &str = test_name!(what_child_processes_run);

/// A hundred messages, one of which is poison, and no time between attempts.
fn poisoned() -> Place {
    let mut place = Place::new();
    place.sql(EFFECT);
    place.send_all("numbers", 0..100);
    place
}

fn receiver(place: &Place, max_attempts: u32) -> ReceiverBuilder<'_> {
    let at_once = Backoff::fixed(Duration::ZERO).without_jitter();
    place
        .messaging
        .receiver("numbers")
        .workers(1)
        .max_attempts(max_attempts)
        .backoff(at_once)
}

#[track_caller]
fn check_one_dead(place: &mut Place, report: DrainReport, attempts: u32, error: &str) {
    assert_eq!((report.handled, report.dead), (99, 1));
    check_effects(place, (0..100).filter(|n| *n != POISON));
    let dead = place.dead_letters("numbers").remove(0);
    assert_eq!(dead.payload.to_string(), POISON.to_string());
    assert_eq!(
        (dead.attempts, dead.reason),
        (attempts, DeadReason::Exhausted)
    );
    assert!(dead.error.contains(error), "{}", dead.error);
}

fn has_poison(batch: &[BatchMessage<i32>]) -> bool {
    batch.iter().any(|message| message.payload == POISON)
}

#[test]
fn a_poison_message_among_a_hundred_ends_as_one_dead_letter_and_the_others_are_acked() {
    for limit in [1, 2, 5] {
        let mut place = poisoned();
        let (tell, told) = unbounded();

        let report = receiver(&place, limit)
            .drain_batches(100, move |session, batch: &[BatchMessage<i32>]| {
                tell.send((batch.len(), batch[0].attempt))?;
                // Undone, whenever it fails.
                enter(session, batch)?;
                match has_poison(batch) {
                    true => Err(HandlerError::failed("poison")),
                    false => Ok(()),
                }
            })
            .unwrap();

        check_one_dead(&mut place, report, limit, "poison");
        let calls: Vec<_> = told.try_iter().collect();
        match limit {
            // None may fail even once.
            1 => assert!(calls.iter().all(|call| *call == (1, 1)), "{calls:?}"),
            _ => {
                assert_eq!(calls[0], (100, 1));
                assert!(calls[1..].iter().all(|(size, _)| *size == 1), "{calls:?}");
                assert_eq!(calls.len(), 101 + limit as usize - 2);
            }
        }
    }
}

#[test]
fn a_panic_fails_the_batch_like_an_error() {
    let mut place = poisoned();

    let report = receiver(&place, 3)
        .drain_batches(100, |session, batch: &[BatchMessage<i32>]| {
            enter(session, batch)?;
            assert!(!has_poison(batch), "cannot digest");
            Ok(())
        })
        .unwrap();

    check_one_dead(&mut place, report, 3, "handler panicked: cannot digest");
}

#[test]
fn a_failed_batch_is_undone_and_each_of_its_messages_keeps_the_error_and_waits() {
    let mut place = poisoned();

    let report = place
        .messaging
        .receiver("numbers")
        .drain_batches(100, |session, batch: &[BatchMessage<i32>]| {
            enter(session, batch)?;
            batch[0].reject("forgotten");
            Err(HandlerError::retry_after(Duration::from_secs(500)))
        })
        .unwrap();

    assert_eq!((report.handled, report.retried, report.dead), (0, 100, 0));
    check_effects(&mut place, []);
    let waiting = "outtray.scheduled WHERE attempts = 1 AND error = 'retry after 500s' \
        AND due_at - clock_timestamp() BETWEEN interval '400 s' AND interval '500 s'";
    assert_eq!(place.count(waiting), 100);
}

#[test]
fn a_swallowed_sql_error_fails_the_batch() {
    let mut place = poisoned();

    let report = receiver(&place, 2)
        .drain_batches(100, |session, batch: &[BatchMessage<i32>]| {
            enter(session, batch)?;
            if has_poison(batch) {
                let _ = session.execute("SELECT 1 / 0", &[]);
                batch[0].snooze(Duration::from_secs(500));
            }
            Ok(())
        })
        .unwrap();

    check_one_dead(&mut place, report, 2, "swallowed its error");
}

#[test]
fn a_conflict_said_of_one_message_runs_the_batch_again_however_the_handler_then_ends() {
    for ending in [
        "error of the next statement",
        "own error",
        "panic",
        "nothing",
    ] {
        let mut place = Place::new();
        place.sql(EFFECT);
        place.send_all("numbers", 0..10);
        let mut calls = Vec::new();

        let report = receiver(&place, 2)
            .drain_batches(10, |session, batch: &[BatchMessage<i32>]| {
                calls.push((batch.len(), batch[0].attempt));
                enter(session, batch)?;
                if calls.len() > 1 {
                    return Ok(());
                }
                let conflict = session.batch_execute("DO $$ BEGIN RAISE SQLSTATE '40001'; END $$");
                batch[3].fail(conflict.unwrap_err());
                match ending {
                    "error of the next statement" => Ok(session.batch_execute("SELECT 1")?),
                    "own error" => Err(HandlerError::failed("it cannot go on")),
                    "panic" => panic!("it cannot go on"),
                    _ => Ok(()),
                }
            })
            .unwrap();

        assert_eq!(report.handled, 10, "{ending}");
        check_effects(&mut place, 0..10);
        assert_eq!(calls, [(10, 1), (10, 1)], "{ending}");
    }
}

#[test]
fn a_batch_that_is_rejected_is_rejected_although_one_of_its_messages_met_a_conflict() {
    let mut place = Place::new();
    place.sql(EFFECT);
    place.send_all("numbers", 0..3);

    let report = receiver(&place, 5)
        .drain_batches(3, |session, batch: &[BatchMessage<i32>]| {
            let mut detour = session.transaction()?;
            let conflict = detour.batch_execute("DO $$ BEGIN RAISE SQLSTATE '40001'; END $$");
            detour.rollback()?;
            batch[0].fail(conflict.unwrap_err());
            Err(HandlerError::reject("no such account"))
        })
        .unwrap();

    assert_eq!((report.handled, report.dead), (0, 3));
}

#[test]
fn a_failure_at_commit_ends_with_the_message_that_makes_it() {
    let mut place = poisoned();
    place.sql(
        "CREATE TABLE taken (n integer CONSTRAINT once UNIQUE DEFERRABLE INITIALLY DEFERRED);
         INSERT INTO taken VALUES (13)",
    );

    let report = receiver(&place, 2)
        .drain_batches(30, |session, batch: &[BatchMessage<i32>]| {
            let numbers: Vec<i32> = batch.iter().map(|message| message.payload).collect();
            session.execute(
                "INSERT INTO taken SELECT unnest($1::integer[])",
                &[&numbers],
            )?;
            enter(session, batch)
        })
        .unwrap();

    check_one_dead(&mut place, report, 2, "constraint \"once\"");
}

#[test]
fn a_message_that_breaks_the_connection_is_found_among_its_batch() {
    let mut place = poisoned();
    let (tell, told) = unbounded();

    let started = receiver(&place, 1).max_attempts(2).start_batches(
        100,
        move |session: &mut MessagingSession<'_>, batch: &[BatchMessage<i32>]| {
            enter(session, batch)?;
            if has_poison(batch) {
                tell.send(batch.len())?;
                session.execute("SELECT pg_terminate_backend(pg_backend_pid())", &[])?;
            }
            Ok(())
        },
    );
    let receiver = started.unwrap();
    eventually("one is dead", || place.count("outtray.dead_letter") == 1);
    eventually("all others are handled", || place.is_empty("numbers"));
    receiver.stop(PATIENCE);

    check_effects(&mut place, (0..100).filter(|n| *n != POISON));
    let dead = place.dead_letters("numbers").remove(0);
    assert_eq!(
        (dead.payload.to_string().as_str(), dead.attempts),
        ("13", 2)
    );
    let calls: Vec<_> = told.try_iter().collect();
    // Three times are the database's fault; and so for each attempt, of which there are two.
    assert_eq!(calls[0], 100);
    assert!(calls[1..].iter().all(|size| *size == 1), "{calls:?}");
}

#[test]
fn messages_that_failed_before_go_alone_and_the_fresh_ones_beside_them_in_a_batch() {
    let mut place = Place::new();
    place.sql(EFFECT);
    place.send_all("numbers", 0..50);
    place.sql("UPDATE outtray.message SET attempts = 1 WHERE (payload #>> '{}')::integer % 10 = 0");
    let (tell, told) = unbounded();

    receiver(&place, 3)
        .drain_batches(50, move |session, batch: &[BatchMessage<i32>]| {
            tell.send((batch.len(), batch[0].attempt))?;
            enter(session, batch)
        })
        .unwrap();

    let mut calls: Vec<_> = told.try_iter().collect();
    // On a slow machine some of them wait for the next transaction.
    calls.sort_unstable();
    assert_eq!(calls, [(1, 2), (1, 2), (1, 2), (1, 2), (1, 2), (45, 1)]);
    check_effects(&mut place, 0..50);
}

#[test]
fn a_result_is_refused_in_a_batch_and_for_one_that_goes_alone() {
    let mut place = Place::new();
    place.send_all("numbers", 0..5);
    place.sql("UPDATE outtray.message SET attempts = 1 WHERE payload #>> '{}' = '0'");
    let (tell, told) = unbounded();

    receiver(&place, 3)
        .drain_batches(5, move |session, batch: &[BatchMessage<i32>]| {
            let refused = session.record_result(&1).unwrap_err();
            Ok(tell.send((batch.len(), refused.kind()))?)
        })
        .unwrap();

    let told: Vec<_> = told.try_iter().collect();
    assert_eq!(told, [(1, ErrorKind::Invalid), (4, ErrorKind::Invalid)]);
}

#[test]
fn a_backlog_of_messages_that_go_alone_takes_no_more_than_64_savepoints_to_a_transaction() {
    let mut place = Place::new();
    place.sql(EFFECT);
    place.send_all("numbers", 0..1000);
    place.sql("UPDATE outtray.message SET attempts = 1 WHERE topic = 'numbers'");

    let report = receiver(&place, 3).drain_batches(1000, enter).unwrap();

    assert_eq!(report.handled, 1000);
    check_effects(&mut place, 0..1000);
    let largest = "SELECT max(messages) FROM \
        (SELECT count(*) AS messages FROM effect GROUP BY transaction) AS t";
    let largest = place.number(largest);
    assert!(largest <= 64.0, "{largest}");
}

#[test]
fn a_process_that_is_killed_in_a_batch_gives_all_of_it_back_at_once() {
    let ledger = Ledger::open();
    let sent = ledger.send(0..100);
    let mut victim = ledger.child(CHILD, "die");
    assert_eq!(victim.listen(), "100");
    victim.kill();

    ledger.handle_the_rest::<i32>();

    assert_eq!(ledger.check(&sent, &[]), 0);
}

#[test]
fn what_child_processes_run() {
    let Some(_) = Child::role() else { return };
    let messaging = Ledger::messaging_of_parent();
    // Of two that claim at once each may get a part.
    let _receiver = messaging
        .receiver("work")
        .workers(1)
        .start_batches(100, |session, batch: &[BatchMessage<i32>]| {
            for message in batch {
                Ledger::enter(session, message)?;
            }
            Child::tell(&batch.len().to_string());
            Child::await_parent();
            Ok(())
        })
        .unwrap();
    let _ = never::<()>().recv();
}
