//! A failure at COMMIT, or a conflict, is charged to whom it belongs and to nobody else.

use crate::support::{Gate, HOUR, PATIENCE, Place, eventually, next};
use crossbeam_channel::unbounded;
use outtray::{Backoff, DeadReason, HandlerError, Message, MessagingSession, NewMessage};
use std::sync::Mutex;
use std::time::Duration;

/// The number 7 is there already, which shows at COMMIT.
const ONCE: &str = "CREATE TABLE effect (
        n integer CONSTRAINT once UNIQUE DEFERRABLE INITIALLY DEFERRED,
        transaction text
    );
    INSERT INTO effect VALUES (7, '')";

fn insert(session: &mut MessagingSession<'_>, n: i32) -> Result<(), HandlerError> {
    let sql = "INSERT INTO effect VALUES ($1, pg_current_xact_id()::text)";
    session.execute(sql, &[&n])?;
    session.send_message("sent", &n)?;
    Ok(())
}

#[test]
fn a_failure_at_commit_backs_off_counts_and_ends_with_the_constraints_text() {
    let mut place = Place::watchful();
    place.sql(ONCE);
    place.send("numbers", &7);
    let (tell, told) = unbounded();

    let receiver = place
        .messaging
        .receiver("numbers")
        .workers(1)
        .messages_per_transaction(1)
        .max_attempts(2)
        .backoff(Backoff::fixed(Duration::from_secs(100)).without_jitter())
        .start(move |session, message: Message<i32>| {
            tell.send(message.attempt)?;
            insert(session, message.payload)
        })
        .unwrap();
    eventually("it waits", || place.count("outtray.scheduled") == 1);
    let due_in = place.due_in();
    assert!((80.0..=100.0).contains(&due_in), "{due_in}");
    assert_eq!(place.number("SELECT attempts FROM outtray.scheduled"), 1.0);
    place.make_due();
    eventually("it is dead", || place.count("outtray.dead_letter") == 1);
    receiver.stop(PATIENCE);

    assert_eq!(told.try_iter().collect::<Vec<_>>(), [1, 2]);
    let dead = place.dead_letters("numbers").remove(0);
    assert_eq!((dead.attempts, dead.reason), (2, DeadReason::Exhausted));
    assert!(dead.error.contains("constraint \"once\""), "{}", dead.error);
    assert_eq!(
        (place.count("effect"), place.count("outtray.message")),
        (1, 0)
    );
}

#[test]
fn one_that_fails_at_commit_is_charged_with_the_burial_of_what_was_beside_it() {
    let mut place = Place::watchful();
    place.sql(ONCE);
    place.send_new(NewMessage::json("numbers", &1).unwrap().expires_in(HOUR));
    place.send("numbers", &7);
    place.make_expired();

    let receiver = place.messaging.receiver("numbers");
    let receiver = receiver.messages_per_transaction(2).max_attempts(2);
    let receiver = receiver.backoff(Backoff::fixed(HOUR));
    let report = receiver.drain(|session, message: Message<i32>| insert(session, message.payload));

    let report = report.unwrap();
    assert_eq!((report.retried, report.dead), (1, 1));
    // Nobody could have it before it was charged.
    let together = "outtray.dead_letter JOIN outtray.scheduled
        ON scheduled.xmin::text = dead_letter.xmin::text AND scheduled.attempts = 1";
    assert_eq!(place.count(together), 1);
    assert_eq!(place.count("effect"), 1);
}

#[test]
fn failures_at_commit_hold_up_nobody() {
    let mut place = Place::new();
    place.sql(ONCE);
    place.send_all("numbers", [7; 100]);

    let receiver = place
        .messaging
        .receiver("numbers")
        .workers(1)
        .max_attempts(1)
        .start(|session, message: Message<i32>| insert(session, message.payload))
        .unwrap();
    // Pausing after each, as after trouble with the database, would take more than a minute.
    eventually("all dead", || place.count("outtray.dead_letter") == 100);
    receiver.stop(PATIENCE);
}

#[test]
fn draining_charges_failures_at_commit_too() {
    let mut place = Place::new();
    place.sql(ONCE);
    place.send_all("numbers", (1000..1020).chain([7; 20]));

    let report = place
        .messaging
        .drain("numbers", |session, message: Message<i32>| {
            insert(session, message.payload)
        })
        .unwrap();

    assert_eq!((report.handled, report.dead), (20, 0));
    // Those of which a second is over meanwhile are tried again.
    assert!(report.retried >= 20, "{report:?}");
    assert_eq!(place.count("outtray.scheduled WHERE attempts > 0"), 20);
}

/// Lets one message of many fail at COMMIT, and checks that its batch-mates do not suffer.
#[track_caller]
fn check_batch(per_transaction: Option<usize>, workers: usize) {
    let mut place = Place::new();
    place.sql(ONCE);
    // The offender comes when batches are large.
    place.send_all("numbers", (1000..1100).chain([7]).chain(1100..1200));
    let mut builder = place
        .messaging
        .receiver("numbers")
        .workers(workers)
        .max_attempts(3)
        .backoff(Backoff::fixed(Duration::from_millis(10)));
    if let Some(count) = per_transaction {
        builder = builder.messages_per_transaction(count);
    }

    let receiver = builder
        .start(|session, message: Message<i32>| insert(session, message.payload))
        .unwrap();
    eventually("all settled", || place.is_empty("numbers"));
    receiver.stop(PATIENCE);

    let dead = place.dead_letters("numbers");
    assert_eq!(dead.len(), 1);
    assert_eq!(
        (dead[0].payload.to_string().as_str(), dead[0].attempts),
        ("7", 3)
    );
    assert!(
        dead[0].error.contains("constraint \"once\""),
        "{}",
        dead[0].error
    );
    assert_eq!(place.count("effect"), 201, "each of the others once");
    assert_eq!(place.count("outtray.message WHERE topic = 'sent'"), 200);
    let transactions = place.number("SELECT count(DISTINCT transaction) FROM effect");
    // On a busy machine handlers are slow, and adaptive batches small.
    assert!(transactions < 200.0, "there were batches: {transactions}");
}

#[test]
fn a_failure_at_commit_in_an_adaptive_batch_is_charged_to_the_offender_only() {
    check_batch(None, 1);
}

#[test]
fn a_failure_at_commit_in_a_fixed_batch_is_charged_to_the_offender_only() {
    check_batch(Some(10), 1);
}

#[test]
fn a_failure_at_commit_among_several_workers_is_charged_to_the_offender_only() {
    check_batch(Some(10), 3);
}

#[test]
fn two_handlers_that_deadlock_are_both_handled_and_neither_is_charged() {
    let mut place = Place::new();
    place.sql("CREATE TABLE account (id integer PRIMARY KEY, balance integer); INSERT INTO account VALUES (0, 0), (1, 0)");
    place.send_all("transfers", [0, 1]);
    let gate = Gate::new();
    let meeting = Mutex::new(vec![gate.clone(), gate.clone()]);
    let (tell, told) = unbounded();

    let receiver = place
        .messaging
        .receiver("transfers")
        .workers(2)
        .max_attempts(1)
        .start(move |session, message: Message<i32>| {
            tell.send((message.payload, message.attempt))?;
            let add = "UPDATE account SET balance = balance + 1 WHERE id = $1";
            session.execute(add, &[&message.payload])?;
            // Only the first two runs meet.
            let gate = meeting.lock().unwrap().pop();
            if let Some(gate) = gate {
                gate.pass();
            }
            session.execute(add, &[&(1 - message.payload)])?;
            Ok(())
        })
        .unwrap();
    gate.await_arrivals(2);
    gate.open_for(2);
    eventually("both handled", || place.is_empty("transfers"));
    receiver.stop(PATIENCE);

    let mut runs = told.try_iter().collect::<Vec<_>>();
    runs.sort_unstable();
    assert_eq!(runs.len(), 3, "one of them ran twice: {runs:?}");
    assert!(runs.iter().all(|(_, attempt)| *attempt == 1), "{runs:?}");
    assert_eq!(place.count("account WHERE balance = 2"), 2);
    assert_eq!(place.count("outtray.dead_letter"), 0);
}

const CONFLICT: &str = "DO $$ BEGIN RAISE EXCEPTION 'not now' USING ERRCODE = '40001'; END $$";

#[test]
fn a_serialization_failure_runs_the_message_again_and_is_not_charged() {
    let place = Place::new();
    place.send("numbers", &1);
    let conflicts = Mutex::new(3);
    let (tell, told) = unbounded();

    let _receiver = place
        .messaging
        .receiver("numbers")
        .workers(1)
        .max_attempts(1)
        .start(move |session, message: Message<i32>| {
            tell.send(message.attempt)?;
            let mut conflicts = conflicts.lock().unwrap();
            if *conflicts > 0 {
                *conflicts -= 1;
                session.batch_execute(CONFLICT)?;
            }
            Ok(())
        })
        .unwrap();

    assert_eq!(next(&told, 4), [1, 1, 1, 1]);
    eventually("handled", || place.is_empty("numbers"));
    assert!(place.dead_letters("numbers").is_empty());
}

#[test]
fn a_message_that_always_conflicts_is_charged_in_the_end() {
    let mut place = Place::new();
    place.send("numbers", &1);

    let _receiver = place
        .messaging
        .receiver("numbers")
        .workers(1)
        .max_attempts(1)
        .start(|session, _: Message<i32>| Ok(session.batch_execute(CONFLICT)?))
        .unwrap();

    eventually("it is dead", || place.count("outtray.dead_letter") == 1);
    let dead = place.dead_letters("numbers").remove(0);
    assert!(dead.error.contains("not now"), "{}", dead.error);
}

#[test]
fn a_message_that_breaks_its_connection_every_time_is_charged_in_the_end_and_no_other() {
    let mut place = Place::new();
    place.sql(ONCE);
    place.send_all("numbers", 100..105);

    let receiver = place
        .messaging
        .receiver("numbers")
        .workers(1)
        .max_attempts(1)
        .messages_per_transaction(5)
        .start(|session, message: Message<i32>| {
            insert(session, message.payload)?;
            if message.payload == 102 {
                session.execute("SELECT pg_terminate_backend(pg_backend_pid())", &[])?;
            }
            Ok(())
        })
        .unwrap();
    eventually("all settled", || place.is_empty("numbers"));
    receiver.stop(PATIENCE);

    let dead = place.dead_letters("numbers");
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].payload.to_string(), "102");
    assert_eq!(place.count("effect WHERE n >= 100"), 4);
    assert_eq!(place.count("outtray.message WHERE topic = 'sent'"), 4);
}

#[test]
fn what_one_left_on_the_connection_when_it_ran_again_is_gone_before_the_next() {
    let mut place = Place::watchful();
    place.sql(ONCE);
    place.send_all("numbers", [1, 7, 2]);
    let mut runs = [0; 8];
    let mut locks = Vec::new();

    let receiver = place.messaging.receiver("numbers");
    let receiver = receiver.messages_per_transaction(3);
    let receiver = receiver.backoff(Backoff::fixed(HOUR));
    let drained = receiver.drain(|session, message: Message<i32>| {
        let run = &mut runs[usize::try_from(message.payload)?];
        *run += 1;
        if (message.payload, *run) == (1, 2) {
            session.execute("SELECT pg_advisory_lock(7)", &[])?;
            return Err(HandlerError::failed("not now"));
        }
        let held = "SELECT count(*) FROM pg_locks
            WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND objid = 7";
        locks.push(session.query(held, &[])?[0].get::<_, i64>(0));
        insert(session, message.payload)
    });

    assert_eq!(drained.unwrap().handled, 1);
    assert_eq!(locks, [0; 5]);
}
