//! Handlers of a log whose SQL would end their transaction, or does: the rules of messages hold.

use super::ASIDE;
use crate::log::place;
use crate::session::ended_transactions::{
    BAD, BY, By, COMMITS, COUNT, READABLE, ROLLS_BACK, handle,
};
use crate::support::{PATIENCE, Place, eventually};
use outtray::{Backoff, DeadReason, Message};
use std::time::Duration;

const ATTEMPTS: u32 = 2;

fn effects() -> Place {
    let mut place = place();
    place.sql("CREATE TABLE effect (n integer NOT NULL)");
    place
}

/// Reads all there is, in batches of a size; the handler runs `sql` for the bad one.
fn play(place: &mut Place, batch: usize, what: (&'static str, By, bool)) {
    // What was played before, so that many ways share a database.
    place.sql("DELETE FROM effect; DELETE FROM outtray.message; DELETE FROM outtray.dead_letter");
    place.send_all("ledger", 0..COUNT);
    let receiver = place
        .messaging
        .reader("ledger", "one")
        .batch_size(batch)
        .max_attempts(ATTEMPTS)
        .backoff(Backoff::fixed(Duration::ZERO).without_jitter())
        .start(move |session, entries: &[Message<i32>]| {
            for entry in entries {
                handle(session, entry.payload, what)?;
            }
            Ok(())
        })
        .unwrap();
    let is_read = "outtray.log_place WHERE holder IS NULL AND NOT outtray.log_has_news('ledger')
        AND tick > (SELECT max(tick) FROM outtray.log_tick WHERE topic = 'ledger')";
    eventually(&format!("all is read and settled: {what:?}"), || {
        place.count(is_read) == 1 && place.is_empty(ASIDE)
    });
    receiver.stop(PATIENCE);
}

/// Checks that all but the bad one did what they do, once, and sent what they send; returns the
/// effects of the bad one.
#[track_caller]
fn check_others(place: &mut Place, what: &str) -> i64 {
    let good = i64::from(COUNT) - 1;
    let effects = format!("effect WHERE n <> {BAD} AND n >= 0");
    assert_eq!(place.count(&effects), good, "{what}");
    let once = format!("(SELECT DISTINCT n FROM {effects}) AS once");
    assert_eq!(place.count(&once), good, "{what}");
    let sent = format!("outtray.message WHERE topic = 'sent' AND payload::text <> '{BAD}'");
    assert_eq!(place.count(&sent), good, "{what}");
    place.count(&format!("effect WHERE n = {BAD}"))
}

#[track_caller]
fn check_dead(place: &mut Place, reason: DeadReason, attempts: u32, what: &str) {
    let dead = place.dead_letters(ASIDE);
    assert_eq!(dead.len(), 1, "{what}");
    assert_eq!(dead[0].payload.to_string(), BAD.to_string(), "{what}");
    let found = (dead[0].reason, dead[0].attempts);
    assert_eq!(found, (reason, attempts), "{what}: {}", dead[0].error);
}

#[test]
fn a_handler_of_a_log_cannot_end_its_transaction_however_it_is_written() {
    let mut place = effects();
    for (index, sql) in READABLE.into_iter().enumerate() {
        let by = BY[index % BY.len()];
        let batch = [1, 5, 500][index % 3];
        let what = format!("{batch}, {by:?}, {sql}");

        play(&mut place, batch, (sql, by, false));

        assert_eq!(check_others(&mut place, &what), 0, "{what}");
        check_dead(&mut place, DeadReason::Exhausted, ATTEMPTS, &what);
    }
}

#[test]
fn a_handler_of_a_log_that_does_not_mind_a_refused_statement_is_done_once() {
    let mut place = effects();
    for sql in ["/* x */ COMMIT", "END", "COMMIT; BEGIN"] {
        play(&mut place, 500, (sql, By::BatchExecute, true));

        assert_eq!(check_others(&mut place, sql), 1, "{sql}");
        assert_eq!(place.dead_letters(ASIDE).len(), 0, "{sql}");
    }
}

#[test]
fn a_handler_of_a_log_that_does_not_mind_that_its_connection_was_cut_has_failed() {
    let mut place = effects();

    play(&mut place, 4, ("COMMIT", By::Borrowed, true));

    assert_eq!(check_others(&mut place, "cut"), 0);
    check_dead(&mut place, DeadReason::Exhausted, ATTEMPTS, "cut");
}

#[test]
fn an_entry_alone_whose_handler_committed_does_not_run_again_and_the_others_are_done_once() {
    let mut place = effects();
    for sql in COMMITS {
        for (by, is_swallowed) in [(By::BatchExecute, false), (By::Borrowed, true)] {
            let what = format!("{by:?}, {sql}");

            play(&mut place, 1, (sql, by, is_swallowed));

            assert_eq!(check_others(&mut place, &what), 1, "{what}");
            check_dead(&mut place, DeadReason::Rejected, 1, &what);
            let error = &place.dead_letters(ASIDE)[0].error;
            assert!(error.contains("is committed"), "{error}");
        }
    }
}

#[test]
fn a_handler_of_a_log_that_rolled_back_is_charged_and_the_others_are_done_once() {
    let mut place = effects();
    for sql in ROLLS_BACK {
        for batch in [1, 5] {
            let what = format!("{batch}, {sql}");

            play(&mut place, batch, (sql, By::BatchExecute, true));

            assert_eq!(check_others(&mut place, &what), 0, "{what}");
            check_dead(&mut place, DeadReason::Exhausted, ATTEMPTS, &what);
        }
    }
}

#[test]
fn a_handler_of_batches_of_a_log_that_ends_its_transaction_leaves_no_effect_twice() {
    let mut place = effects();
    for sql in ["COMMIT", COMMITS[0], COMMITS[1], ROLLS_BACK[1]] {
        for by in [By::Borrowed, By::BatchExecute] {
            let what = format!("{by:?}, {sql}");

            play(&mut place, 4, (sql, by, true));

            let once = "(SELECT DISTINCT n FROM effect) AS once";
            assert_eq!(place.count("effect"), place.count(once), "{what}");
            let dead = place.dead_letters(ASIDE).len() as i64;
            let sent = place.count("outtray.message WHERE topic = 'sent'");
            assert_eq!(sent + dead, i64::from(COUNT), "{what}");
            assert!(dead <= 4, "{what}: {dead}");
        }
    }
}

#[test]
fn a_handler_of_a_log_whose_function_would_commit_has_failed() {
    let mut place = effects();
    place.sql("CREATE PROCEDURE finish() LANGUAGE plpgsql AS $$ BEGIN COMMIT; END $$");
    for sql in ["CALL finish()", "DO $$ BEGIN COMMIT; END $$"] {
        play(&mut place, 500, (sql, By::BatchExecute, false));

        assert_eq!(check_others(&mut place, sql), 0);
        check_dead(&mut place, DeadReason::Exhausted, ATTEMPTS, sql);
    }
}
