//! Messages that fail, or kill their process, under a lease.

use crate::support::{
    Child, Gate, Ledger, MINUTE, NO_POLLING, PATIENCE, Place, WORK, eventually, next, telling,
    test_name,
};
use crossbeam_channel::unbounded;
use outtray::{DeadReason, HandlerError, Message};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

#[test]
fn failures_are_retried_up_to_the_limit_and_a_snooze_spends_no_attempt() {
    let mut place = Place::watchful();
    let snoozes = AtomicU32::new(0);
    let (tell, told) = unbounded();
    let receiver = place
        .leasing(MINUTE)
        .max_attempts(3)
        .start(move |_, message: Message<i32>| {
            tell.send(message.attempt)?;
            match message.attempt {
                2 if snoozes.fetch_add(1, Ordering::Relaxed) < 2 => {
                    Err(HandlerError::snooze(Duration::from_millis(10)))
                }
                _ => Err(HandlerError::failed("never")),
            }
        })
        .unwrap();
    place.send("jobs", &1);

    eventually("it is given up", || place.numbers()[3] == 1);
    receiver.stop(PATIENCE);

    assert_eq!(next(&told, 5), [1, 2, 2, 2, 3]);
    let letter = &place.dead_letters("jobs")[0];
    assert_eq!((letter.reason, letter.attempts), (DeadReason::Exhausted, 3));
    assert_eq!(letter.error, "never");
    place.sql("SELECT 1");
}

#[test]
fn a_refused_commit_and_a_swallowed_error_fail_the_message_alone() {
    let mut place = Place::watchful();
    place.sql(
        "CREATE TABLE parent (id integer PRIMARY KEY);
        CREATE TABLE effect (n integer REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
        INSERT INTO parent VALUES (3)",
    );
    let receiver = place
        .leasing(MINUTE)
        .max_attempts(2)
        .start(|session, message: Message<i32>| {
            if message.payload == 2 {
                let _ = session.execute("SELECT 1 / 0", &[]);
            } else {
                session.execute("INSERT INTO effect VALUES ($1)", &[&message.payload])?;
            }
            Ok(())
        })
        .unwrap();
    place.send_all("jobs", 1..=3);

    eventually("all have ended", || place.is_empty("jobs"));
    receiver.stop(PATIENCE);

    assert_eq!(place.count("effect WHERE n = 3"), 1);
    let mut errors: Vec<String> = place
        .dead_letters("jobs")
        .into_iter()
        .map(|letter| {
            assert_eq!((letter.reason, letter.attempts), (DeadReason::Exhausted, 2));
            letter.error
        })
        .collect();
    errors.sort();
    assert!(
        errors.iter().any(|error| error.contains("foreign key")),
        "{errors:?}"
    );
    assert!(
        errors.iter().any(|error| error.contains("swallowed")),
        "{errors:?}"
    );
}

#[test]
fn a_connection_that_breaks_in_a_handler_is_not_charged_and_the_message_comes_back() {
    let mut place = Place::watchful();
    place.sql("CREATE TABLE effect (attempt integer)");
    let broken = AtomicU32::new(0);
    let receiver = place
        .leasing(MINUTE)
        .start(move |session, message: Message<i32>| {
            if broken.fetch_add(1, Ordering::Relaxed) == 0 {
                session.execute("SELECT pg_terminate_backend(pg_backend_pid())", &[])?;
            }
            let attempt = i32::try_from(message.attempt)?;
            session.execute("INSERT INTO effect VALUES ($1)", &[&attempt])?;
            Ok(())
        })
        .unwrap();
    place.send("jobs", &1);

    eventually("it is handled", || place.is_empty("jobs"));
    receiver.stop(PATIENCE);

    assert_eq!(place.number("SELECT sum(attempt) FROM effect"), 1.0);
}

#[test]
fn an_undecodable_message_is_a_dead_letter_and_the_worker_lives() {
    let place = Place::new();
    let (_receiver, told) = telling::<i32>(place.leasing(MINUTE));

    place.send("jobs", &"x");
    place.send("jobs", &1);

    assert_eq!(next(&told, 1), [1]);
    eventually("the other is dead", || place.numbers()[3] == 1);
    assert_eq!(
        place.dead_letters("jobs")[0].reason,
        DeadReason::Undecodable
    );
}

const CHILD: &str = test_name!(what_a_child_process_runs);

/// The payload of the message with which the child dies.
const POISON: i32 = 8;

#[test]
fn what_a_child_process_runs() {
    if Child::role().is_none() {
        return;
    }
    let messaging = Ledger::messaging_of_parent();
    let _receiver = messaging
        .receiver(WORK)
        .workers(1)
        .messages_per_transaction(5)
        .lease(MINUTE)
        .start(|session, message: Message<i32>| {
            Ledger::enter(session, &message)?;
            if message.payload == POISON {
                Child::tell("in hand");
                Child::await_parent();
            }
            Ok(())
        })
        .unwrap();
    Child::await_parent();
}

#[test]
fn a_message_that_kills_its_process_is_a_dead_letter_after_the_limit_and_takes_none_with_it() {
    let ledger = Ledger::open();
    let messaging = ledger.messaging();
    let config = outtray::TopicConfig {
        max_attempts: Some(2),
        ..outtray::TopicConfig::default()
    };
    messaging.topic(WORK).configure(config).unwrap();
    // Behind it are messages that are leased together with it, and never begun.
    let ids = ledger.send([POISON, 1, 2, 3, 4]);
    for _ in 0..2 {
        let mut child = ledger.child(CHILD, "victim");
        assert_eq!(child.listen(), "in hand");
        child.kill();
        ledger.execute("UPDATE outtray.scheduled SET due_at = now()");
    }

    ledger.handle_the_rest::<i32>();

    assert_eq!(ledger.check(&ids, &[]), 1);
    let letter = &messaging.topic(WORK).dead_letters(1).unwrap()[0];
    assert_eq!(letter.id, ids[0]);
    assert_eq!((letter.reason, letter.attempts), (DeadReason::Crashed, 2));
}

#[test]
fn a_message_whose_first_attempt_is_its_last_is_leased_alone() {
    let place = Place::polling(NO_POLLING);
    let gate = Gate::new();
    place.send_all("jobs", 0..5);
    let _receiver = gate.holding(
        place
            .leasing(MINUTE)
            .workers(1)
            .max_attempts(1)
            .messages_per_transaction(5),
    );

    gate.await_arrivals(1);

    assert_eq!(place.numbers(), [4, 0, 1, 0]);
    gate.open_for(5);
}

#[test]
fn conflicts_of_many_messages_are_charged_to_none_of_them() {
    let place = Place::watchful();
    place.send_all("jobs", 0..12);
    let conflicts = AtomicU32::new(0);
    let receiver = place.leasing(MINUTE).workers(1).max_attempts(1);
    let receiver = receiver.start(move |session, _: Message<i32>| {
        if conflicts.fetch_add(1, Ordering::Relaxed) < 12 {
            session.batch_execute("DO $$ BEGIN RAISE serialization_failure; END $$")?;
        }
        Ok(())
    });

    eventually("all are handled or dead", || {
        place.numbers()[..3].iter().all(|some| *some == 0)
    });
    receiver.unwrap().stop(PATIENCE);
    assert_eq!(place.dead_letters("jobs").len(), 0);
}
