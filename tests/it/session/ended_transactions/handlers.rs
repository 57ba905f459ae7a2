//! Handlers whose SQL would end their transaction, or does.

use super::{
    ATTEMPTS, BY, By, CLEAR, COMMITS, COUNT, READABLE, ROLLS_BACK, WAYS, Way, check_dead,
    check_neighbours, effects, handle, play,
};
use crate::support::{PATIENCE, eventually};
use outtray::{Backoff, BatchMessage, DeadReason, Message};
use std::time::Duration;

#[test]
fn a_handler_cannot_end_its_transaction_however_it_is_written() {
    let mut place = effects();
    for (index, sql) in READABLE.into_iter().enumerate() {
        for turn in 0..3 {
            let by = BY[(index + turn * 2) % BY.len()];
            let way = WAYS[(index + turn * 3) % WAYS.len()];
            let what = format!("{way:?}, {by:?}, {sql}");

            play(&mut place, way, (sql, by, false));

            assert_eq!(check_neighbours(&mut place, &what), 0, "{what}");
            check_dead(&mut place, DeadReason::Exhausted, ATTEMPTS, &what);
        }
    }
}

#[test]
fn a_handler_that_does_not_mind_a_refused_statement_is_done_once() {
    let mut place = effects();
    for sql in ["/* x */ COMMIT", "END", "COMMIT; BEGIN"] {
        for way in WAYS {
            let what = format!("{way:?}, {sql}");

            play(&mut place, way, (sql, By::BatchExecute, true));

            assert_eq!(check_neighbours(&mut place, &what), 1, "{what}");
            assert_eq!(place.dead_letters("numbers").len(), 0, "{what}");
        }
    }
}

#[test]
fn a_handler_that_does_not_mind_that_its_connection_was_cut_has_failed() {
    let mut place = effects();
    for way in WAYS {
        play(&mut place, way, ("COMMIT", By::Borrowed, true));

        let what = format!("{way:?}");
        assert_eq!(check_neighbours(&mut place, &what), 0, "{what}");
        check_dead(&mut place, DeadReason::Exhausted, ATTEMPTS, &what);
    }
}

#[test]
fn a_handler_that_committed_does_not_run_again_and_its_neighbours_are_done_once() {
    let mut place = effects();
    for sql in COMMITS {
        for way in WAYS.into_iter().filter(|way| *way != Way::Several) {
            for (by, is_swallowed) in [(By::BatchExecute, false), (By::Borrowed, true)] {
                let what = format!("{way:?}, {by:?}, {sql}");

                play(&mut place, way, (sql, by, is_swallowed));

                assert_eq!(check_neighbours(&mut place, &what), 1, "{what}");
                check_dead(&mut place, DeadReason::Rejected, 1, &what);
                let error = &place.dead_letters("numbers")[0].error;
                assert!(error.contains("is committed"), "{error}");
            }
        }
    }
}

#[test]
fn a_handler_that_rolled_back_is_charged_and_its_neighbours_are_done_once() {
    let mut place = effects();
    for sql in ROLLS_BACK {
        for way in WAYS {
            // Under a lease no savepoint is there that could be released.
            if matches!(way, Way::Leases | Way::LeasedDrain) && sql.contains("RELEASE") {
                continue;
            }
            let what = format!("{way:?}, {sql}");

            play(&mut place, way, (sql, By::BatchExecute, true));

            assert_eq!(check_neighbours(&mut place, &what), 0, "{what}");
            check_dead(&mut place, DeadReason::Exhausted, ATTEMPTS, &what);
        }
    }
}

#[test]
fn a_handler_of_batches_that_ends_its_transaction_leaves_no_effect_twice() {
    let mut place = effects();
    for sql in ["COMMIT", COMMITS[0], COMMITS[1], ROLLS_BACK[1]] {
        place.sql(CLEAR);
        place.send_all("numbers", 0..COUNT);

        let receiver = place
            .messaging
            .receiver("numbers")
            .workers(1)
            .max_attempts(2)
            .backoff(Backoff::fixed(Duration::ZERO).without_jitter())
            .start_batches(4, move |session, batch: &[BatchMessage<i32>]| {
                for message in batch {
                    handle(session, message.payload, (sql, By::Borrowed, true))?;
                }
                Ok(())
            })
            .unwrap();
        eventually("all are settled", || {
            place.is_empty("numbers") && place.count("outtray.scheduled") == 0
        });
        receiver.stop(PATIENCE);

        let once = "(SELECT DISTINCT n FROM effect) AS once";
        assert_eq!(place.count("effect"), place.count(once), "{sql}");
        let dead = place.dead_letters("numbers").len() as i64;
        let sent = place.count("outtray.message WHERE topic = 'sent'");
        assert_eq!(sent + dead, i64::from(COUNT), "{sql}");
        assert!((1..=4).contains(&dead), "{sql}: {dead}");
    }
}

#[test]
fn a_handler_whose_function_would_commit_has_failed() {
    let mut place = effects();
    place.sql("CREATE PROCEDURE finish() LANGUAGE plpgsql AS $$ BEGIN COMMIT; END $$");
    for sql in ["CALL finish()", "DO $$ BEGIN COMMIT; END $$"] {
        play(&mut place, Way::Fixed, (sql, By::BatchExecute, false));

        assert_eq!(check_neighbours(&mut place, sql), 0);
        check_dead(&mut place, DeadReason::Exhausted, ATTEMPTS, sql);
    }
}

#[test]
fn a_handler_that_commits_when_it_runs_again_leaves_its_neighbours_done_once() {
    let mut place = effects();
    place.sql("CREATE TABLE once (n integer UNIQUE DEFERRABLE INITIALLY DEFERRED)");
    place.send_all("numbers", 0..3);
    let mut runs = [0; 3];

    let receiver = place.messaging.receiver("numbers");
    let receiver = receiver.messages_per_transaction(3).max_attempts(3);
    let drained = receiver.drain(|session, message: Message<i32>| {
        let n = message.payload;
        let run = &mut runs[usize::try_from(n)?];
        *run += 1;
        session.execute("INSERT INTO public.effect VALUES ($1)", &[&n])?;
        match (n, *run) {
            // All three are undone, and run again one by one.
            (2, 1) => session.batch_execute("INSERT INTO once VALUES (1), (1)")?,
            (1, 2) => session.batch_execute(COMMITS[0])?,
            _ => {}
        }
        Ok(())
    });

    assert_eq!(drained.unwrap().handled, 2);
    assert_eq!(runs, [2, 2, 2]);
    let done = place.client.query("SELECT n FROM effect ORDER BY n", &[]);
    let done: Vec<i32> = done.unwrap().iter().map(|row| row.get(0)).collect();
    assert_eq!(done, [0, 1, 2]);
    let dead = place.dead_letters("numbers").remove(0);
    assert_eq!((dead.reason, dead.attempts), (DeadReason::Rejected, 1));
    assert_eq!(dead.payload.to_string(), "1");
}
