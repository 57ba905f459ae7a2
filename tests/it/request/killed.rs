//! Who asks, who answers, and the server's processes for both may die at any step.

use super::QUOTES;
use crate::support::{
    Child, HOUR, Ledger, PATIENCE, Place, aside, eventually, next, pass_time, process, test_name,
};
use crossbeam_channel::unbounded;
use outtray::{ErrorKind, Message, Messaging, NewMessage};
use std::time::{Duration, Instant};

const REPLIER: &str = test_name!(a_child_stops_in_its_handler_until_it_is_killed);
const ANY_REPLIER: &str = test_name!(what_repliers_do_until_they_are_killed);
const ASKER: &str = test_name!(what_askers_do_until_they_are_killed);

/// How much later than its timeout a request may end: it looks once more, on a busy machine.
const LATER: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_millis(500);

#[test]
fn a_request_is_answered_by_another_replier_when_the_first_is_killed() {
    for step in ["before", "after"] {
        let ledger = Ledger::open();
        let place = Place::over(ledger.url(), process(ledger.url(), PATIENCE));
        let mut child = ledger.child(REPLIER, step);
        child.listen();
        let asking = place.messaging.clone();
        let told = aside(move || asking.request::<i64>(QUOTES, &21, HOUR));
        assert_eq!(child.listen(), "in hand");

        child.kill();
        let receiver = super::doubling(&place.messaging);

        let answered = told.recv_timeout(PATIENCE).unwrap();
        assert_eq!(answered.unwrap(), 42, "killed {step} its reply");
        receiver.stop(PATIENCE);
    }
}

#[test]
fn a_child_stops_in_its_handler_until_it_is_killed() {
    let Some(step) = Child::role() else {
        return;
    };
    let messaging: Messaging = Ledger::messaging_of_parent();
    let receiver = messaging.start_receiving_messages(QUOTES, move |session, ask: Message<i64>| {
        session.query_one("SELECT 1", &[])?;
        if step == "after" {
            session.reply(&ask, &0)?;
        }
        Child::tell("in hand");
        Child::await_parent();
        Ok(())
    });
    Child::tell("receiving");
    let _receiver = receiver.unwrap();
    loop {
        pass_time(HOUR);
    }
}

#[test]
fn every_answer_is_right_and_every_wait_ends_whoever_is_killed() {
    let ledger = Ledger::open();
    let (tell, told) = unbounded();
    let start = |test: &str, role: &str| {
        let mut child = ledger.child(test, role);
        child.listen();
        child.pass_on(tell.clone());
        child
    };
    for round in 0..4 {
        let mut askers = vec![start(ASKER, "1"), start(ASKER, "2")];
        let repliers = vec![start(ANY_REPLIER, ""), start(ANY_REPLIER, "")];
        next(&told, 20);
        match round % 2 {
            0 => {
                // Whatever they were just doing, on either side.
                let sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                    WHERE datname = current_database() AND application_name = 'outtray'";
                for _ in 0..10 {
                    ledger.number(sql, &[]);
                    next(&told, 3);
                }
            }
            _ => {
                repliers.into_iter().for_each(Child::kill);
                next(&told, 4);
                let repliers = vec![start(ANY_REPLIER, ""), start(ANY_REPLIER, "")];
                askers.remove(0).kill();
                next(&told, 20);
                repliers.into_iter().for_each(Child::kill);
            }
        }
        askers.into_iter().for_each(Child::kill);
    }
    let outcomes: Vec<String> = told.try_iter().collect();
    assert!(outcomes.iter().all(|told| told != "wrong"), "{outcomes:?}");

    // What was answered was handled once. Nothing is left when the inboxes' time is over.
    let twice =
        "SELECT count(*) FROM (SELECT FROM effect GROUP BY id HAVING count(*) > 1) AS twice";
    assert_eq!(ledger.number(twice, &[]), 0);
    let mut place = Place::over(
        ledger.url(),
        process(ledger.url(), Duration::from_millis(50)),
    );
    let receiver = super::doubling(&place.messaging);
    place.sql("UPDATE outtray.subscription SET grace_us = 1000000, expires_at = now()");
    eventually("nothing is left", || {
        let sent_on = place.count("outtray.message WHERE topic = 'next'");
        super::left(&mut place) == sent_on
    });
    receiver.stop(PATIENCE);
}

#[test]
fn what_repliers_do_until_they_are_killed() {
    if Child::role().is_none() {
        return;
    }
    let messaging: Messaging = Ledger::messaging_of_parent();
    let receiver = messaging.receiver(QUOTES).max_attempts(1_000);
    let receiver = receiver.start(|session, ask: Message<i64>| {
        Ledger::enter(session, &ask)?;
        session.reply(&ask, &(ask.id, ask.payload * 2))?;
        Ok(())
    });
    let _receiver = receiver.unwrap();
    Child::tell("begun");
    loop {
        pass_time(HOUR);
    }
}

#[test]
fn what_askers_do_until_they_are_killed() {
    if Child::role().is_none() {
        return;
    }
    let messaging: Messaging = Ledger::messaging_of_parent();
    Child::tell("begun");
    for number in 0_i64.. {
        let began = Instant::now();
        let question = NewMessage::json(QUOTES, &number).unwrap();
        let pending = messaging.begin_request(question, TIMEOUT);
        let told = match pending {
            Ok(mut pending) => pending
                .wait::<(outtray::MessageId, i64)>(HOUR)
                .map(|reply| match reply.payload == (pending.id(), number * 2) {
                    true => "right",
                    false => "wrong",
                }),
            Err(error) => Err(error),
        };
        let told = match told {
            _ if began.elapsed() > TIMEOUT + LATER => "wrong",
            Ok(told) => told,
            Err(error) => match error.kind() {
                ErrorKind::Timeout
                | ErrorKind::Unavailable
                | ErrorKind::OutcomeUnknown
                | ErrorKind::PoolExhausted
                | ErrorKind::Conflict => "failed",
                other => {
                    eprintln!("{other:?}: {error:?}");
                    "wrong"
                }
            },
        };
        Child::tell(told);
    }
}
