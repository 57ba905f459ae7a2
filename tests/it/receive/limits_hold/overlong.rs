//! A handler that takes longer than the server allows is an attempt, and so the limit of attempts
//! holds.

use super::POLL;
use crate::support::{Gate, HOUR, PATIENCE, Place, database, eventually, pass_time, process};
use crossbeam_channel::unbounded;
use outtray::{Backoff, HandlerError, Message, Messaging, MessagingSession, Receiver};
use std::time::Duration;

/// Connects with a setting that the server ends long transactions or statements by.
fn limited(place: &Place, setting: &str) -> Messaging {
    let url = format!("{}?options=-c%20{setting}", place.url);
    process(&url, POLL)
}

/// What a handler does that takes too long.
type Overlong = fn(&mut MessagingSession<'_>) -> Result<(), HandlerError>;

fn idle(session: &mut MessagingSession<'_>) -> Result<(), HandlerError> {
    session.execute("INSERT INTO effect VALUES (1)", &[])?;
    pass_time(Duration::from_millis(1500));
    Ok(())
}

fn idle_and_go_on(session: &mut MessagingSession<'_>) -> Result<(), HandlerError> {
    idle(session)?;
    session.execute("INSERT INTO effect VALUES (2)", &[])?;
    Ok(())
}

fn idle_first(session: &mut MessagingSession<'_>) -> Result<(), HandlerError> {
    pass_time(Duration::from_millis(1500));
    session.execute("INSERT INTO effect VALUES (2)", &[])?;
    Ok(())
}

fn be_slow(session: &mut MessagingSession<'_>) -> Result<(), HandlerError> {
    session.query("SELECT pg_sleep(10)", &[])?;
    Ok(())
}

#[track_caller]
fn check_overlong(setting: &str, work: Overlong, processes: usize, most: usize, is_leasing: bool) {
    let mut place = Place::polling(POLL);
    place.sql("CREATE TABLE effect (n integer)");
    let all: Vec<Messaging> = (0..processes).map(|_| limited(&place, setting)).collect();
    let (tell, told) = unbounded();
    let receivers: Vec<Receiver> = all
        .iter()
        .map(|messaging| {
            let tell = tell.clone();
            let receiver = messaging
                .receiver("slow")
                .workers(4 / processes)
                .max_attempts(3)
                .backoff(Backoff::fixed(Duration::from_millis(50)));
            let receiver = match is_leasing {
                true => receiver.lease(Duration::from_secs(60)),
                false => receiver,
            };
            receiver
                .start(move |session, _: Message<i32>| {
                    tell.send(())?;
                    work(session)
                })
                .unwrap()
        })
        .collect();

    place.send("slow", &1);
    eventually("it is dead", || place.count("outtray.dead_letter") == 1);
    eventually("nothing is left", || place.is_empty("slow"));
    for receiver in receivers {
        receiver.stop(PATIENCE);
    }

    // Each run counts.
    let runs = told.try_iter().count();
    assert!((3..=most).contains(&runs), "{runs}");
    assert_eq!(place.count("effect"), 0);
    assert_eq!(place.count("outtray.dead_letter WHERE attempts = 3"), 1);
}

const IDLE: &str = "idle_in_transaction_session_timeout%3D300";

#[test]
fn a_handler_that_does_nothing_for_longer_than_the_server_allows_runs_as_often_as_it_may() {
    for work in [idle, idle_and_go_on, idle_first] {
        check_overlong(IDLE, work, 1, 3, false);
    }
}

#[test]
fn with_two_processes_it_runs_as_often_as_it_may_but_for_those_that_run_when_it_is_cut() {
    check_overlong(IDLE, idle_and_go_on, 2, 4, false);
}

/// Takes the row of the only message away once it is free, and puts it elsewhere.
const MOVE_IT: &str = "
    WITH taken AS (DELETE FROM outtray.message RETURNING topic, rank, id, payload, headers, sent_at)
    INSERT INTO outtray.";

#[test]
fn an_attempt_is_counted_although_its_message_moves_while_that_waits_for_others() {
    let mut place = Place::polling(POLL);
    let gate = Gate::new();
    let at_the_gate = gate.clone();
    let limited = limited(&place, IDLE);
    let receiver = limited
        .receiver("slow")
        .workers(1)
        .backoff(Backoff::fixed(HOUR))
        .start(move |session, _: Message<i32>| {
            session.execute("SELECT 1", &[])?;
            at_the_gate.pass();
            session.execute("SELECT 2", &[])?;
            Ok(())
        })
        .unwrap();
    place.send("slow", &1);
    gate.await_arrivals(1);
    // Waits until the server has ended the handler's transaction. As a worker of another process
    // that failed, too, and whose retry is due.
    let columns = "message (topic, rank, id, payload, headers, sent_at) TABLE taken";
    place.sql(&format!("{MOVE_IT}{columns}"));
    // As another one that has it by now.
    let mut other = crate::support::client(&place.url);
    let mut holding = other.transaction().unwrap();
    let columns = "scheduled (topic, rank, id, payload, headers, sent_at, due_at)
        SELECT taken.*, now() + interval '1 hour' FROM taken";
    holding
        .batch_execute(&format!("{MOVE_IT}{columns}"))
        .unwrap();

    gate.open_for(1);
    place.await_lock_waits(1);
    holding.commit().unwrap();

    eventually("it is counted", || {
        place.count("outtray.scheduled WHERE attempts = 1") == 1
    });
    receiver.stop(PATIENCE);
}

#[test]
fn a_handler_under_a_lease_that_does_nothing_for_too_long_runs_as_often_as_it_may() {
    for work in [idle, idle_and_go_on] {
        check_overlong(IDLE, work, 1, 3, true);
    }
}

#[test]
fn a_statement_that_takes_longer_than_the_server_allows_is_an_attempt() {
    for is_leasing in [false, true] {
        check_overlong("statement_timeout%3D300", be_slow, 1, 3, is_leasing);
    }
}

#[test]
fn a_transaction_that_takes_longer_than_the_server_allows_is_an_attempt() {
    let mut place = Place::new();
    // PostgreSQL 17 and later.
    if place.count("pg_settings WHERE name = 'transaction_timeout'") == 0 {
        return;
    }
    for work in [idle, idle_and_go_on, be_slow] {
        check_overlong("transaction_timeout%3D300", work, 1, 3, false);
    }
}

#[test]
fn a_lock_that_others_hold_is_no_attempt_and_holds_up_no_other() {
    for is_leasing in [false, true] {
        let mut place = Place::polling(POLL);
        place.sql("CREATE TABLE account (n integer); INSERT INTO account VALUES (1), (2)");
        let mut holder = crate::support::client(&place.url);
        holder
            .batch_execute("BEGIN; UPDATE account SET n = n WHERE n = 1")
            .unwrap();
        let (tell, told) = unbounded();
        let receiver = place
            .messaging
            .receiver("accounts")
            .workers(1)
            .max_attempts(1);
        let receiver = match is_leasing {
            true => receiver.lease(Duration::from_secs(60)),
            false => receiver,
        };
        let receiver = receiver
            .start(move |session, message: Message<i32>| {
                tell.send(message.payload)?;
                session.batch_execute("SET LOCAL lock_timeout = 20")?;
                let sql = "UPDATE account SET n = n + 10 WHERE n = $1";
                session.execute(sql, &[&message.payload])?;
                Ok(())
            })
            .unwrap();

        place.send_all("accounts", [1, 2]);
        eventually("the other is done", || {
            place.count("account WHERE n = 12") == 1
        });
        let mut runs = 0;
        eventually("it is tried again and again", || {
            runs += told.try_iter().filter(|n| *n == 1).count();
            runs >= 4
        });
        assert_eq!(place.count("outtray.dead_letter"), 0);
        holder.batch_execute("COMMIT").unwrap();
        eventually("both are done", || place.is_empty("accounts"));
        receiver.stop(PATIENCE);

        assert_eq!(place.count("account WHERE n > 10"), 2);
        assert_eq!(place.count("outtray.dead_letter"), 0);
    }
}

#[test]
fn settings_of_the_database_are_obeyed_or_do_not_matter() {
    let url = database();
    let mut place = Place::over(&url, process(&url, POLL));
    place.sql("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET statement_timeout = 300', current_database()); END $$");
    let limited = process(&url, POLL);
    let receiver = limited
        .receiver("slow")
        .workers(2)
        .max_attempts(2)
        .backoff(Backoff::fixed(Duration::from_millis(20)))
        .start(|session, _: Message<i32>| be_slow(session))
        .unwrap();

    place.send("slow", &1);

    eventually("it is dead", || place.count("outtray.dead_letter") == 1);
    receiver.stop(PATIENCE);
    assert_eq!(place.dead_letters("slow")[0].attempts, 2);
}

#[test]
fn a_drain_that_is_cut_counts_the_attempt() {
    let mut place = Place::polling(POLL);
    place.sql("CREATE TABLE effect (n integer)");
    place.send_all("slow", 1..=2);
    let (tell, told) = unbounded();
    let drain = || {
        let job = limited(&place, IDLE);
        let receiver = job.receiver("slow").max_attempts(2);
        let receiver = receiver.backoff(Backoff::fixed(Duration::ZERO).without_jitter());
        receiver.drain(|session, message: Message<i32>| {
            tell.send(message.payload)?;
            match message.payload == 1 {
                true => idle(session),
                false => Ok(()),
            }
        })
    };

    // As a job that is run again and again.
    let ended: Vec<bool> = (0..3).map(|_| drain().is_ok()).collect();

    assert_eq!(ended.last(), Some(&true));
    let mut runs: Vec<i32> = told.try_iter().collect();
    runs.sort_unstable();
    assert_eq!(runs, [1, 1, 2]);
    assert_eq!(place.count("outtray.dead_letter WHERE attempts = 2"), 1);
    assert!(place.is_empty("slow"));
}
