//! The order of a key outlives processes.

use super::TOPIC;
use crate::support::{Child, Ledger, PATIENCE, eventually, next, test_name};
use crossbeam_channel::{bounded, unbounded};
use outtray::{
    Backoff, DeadReason, HandlerError, Message, MessagingSession, NewMessage, PoisonedKey,
    TopicConfig,
};
use std::process::Command;
use std::time::Duration;

const CHILD: &str = test_name!(what_child_processes_run);
const KEYS: i32 = 5;

const TABLES: &str = "CREATE TABLE step
    (n bigserial, key text NOT NULL, payload integer NOT NULL, attempt integer NOT NULL, pid integer NOT NULL)";

fn record(session: &mut MessagingSession<'_>, message: &Message<i32>) -> Result<(), HandlerError> {
    let key = message.key.as_deref().unwrap_or_default();
    let (attempt, pid) = (message.attempt as i32, std::process::id() as i32);
    session.execute(
        "INSERT INTO step (key, payload, attempt, pid) VALUES ($1, $2, $3, $4)",
        &[&key, &message.payload, &attempt, &pid],
    )?;
    Ok(())
}

#[test]
fn what_child_processes_run() {
    let Some(role) = Child::role() else { return };
    let messaging = Ledger::messaging_of_parent();
    let receiver = messaging
        .receiver(TOPIC)
        .workers(8)
        .backoff(Backoff::fixed(Duration::from_millis(5)))
        .max_attempts(10_000)
        .start(move |session, message: Message<i32>| {
            record(session, &message)?;
            match role.as_str() {
                "hang" => {
                    Child::tell(&message.payload.to_string());
                    let (_keep, never) = bounded::<()>(0);
                    let _ = never.recv_timeout(PATIENCE);
                }
                "poison" if message.payload == 0 => {
                    let me = std::process::id().to_string();
                    let _ = Command::new("kill").args(["-9", &me]).status();
                }
                _ if message.attempt == 1 && message.payload % 7 == 0 => {
                    return Err(HandlerError::failed("again"));
                }
                _ => {}
            }
            Ok(())
        })
        .unwrap();
    Child::tell("ready");
    Child::await_parent();
    receiver.stop(PATIENCE);
}

fn send(ledger: &Ledger, payloads: std::ops::Range<i32>) {
    ledger
        .messaging()
        .session(|session| {
            for n in payloads {
                let message = NewMessage::json(TOPIC, &n)?.key(format!("key-{}", n % KEYS));
                session.send(message)?;
            }
            Ok(())
        })
        .unwrap();
}

/// Checks that each message was handled once, those of a key in order, and that nothing is left.
#[track_caller]
fn check(ledger: &Ledger, sent: i64) {
    eventually("all handled", || {
        ledger.number("SELECT count(*) FROM step", &[]) >= sent
    });
    let wrong = "SELECT count(*) FROM (
            SELECT payload, lag(payload) OVER (PARTITION BY key ORDER BY n) AS before FROM step
        ) AS steps WHERE before >= payload";
    assert_eq!(ledger.number(wrong, &[]), 0, "out of order, or twice");
    assert_eq!(ledger.number("SELECT count(*) FROM step", &[]), sent);
    eventually("no trace", || {
        ledger.number(
            "SELECT (SELECT count(*) FROM outtray.message) + (SELECT count(*) FROM outtray.follower)
                + (SELECT count(*) FROM outtray.lane) + (SELECT count(*) FROM outtray.stalled)
                + (SELECT count(*) FROM outtray.scheduled)",
            &[],
        ) == 0
    });
}

fn open() -> Ledger {
    let ledger = Ledger::open();
    ledger.messaging().migrate().unwrap();
    ledger.execute(TABLES);
    ledger
}

#[test]
fn the_message_of_a_killed_process_comes_again_before_the_next_of_its_key() {
    let ledger = open();
    ledger
        .messaging()
        .session(|session| {
            for n in 0..3 {
                session.send(NewMessage::json(TOPIC, &n)?.key("a"))?;
            }
            Ok(())
        })
        .unwrap();
    let mut victim = ledger.child(CHILD, "hang");
    let told = [victim.listen(), victim.listen()];
    assert!(told.contains(&"0".to_owned()), "{told:?}");
    victim.kill();
    let mut again = ledger.child(CHILD, "hang");
    let told = [again.listen(), again.listen()];
    assert!(told.contains(&"0".to_owned()), "{told:?}");
    again.kill();

    let (tell, told) = unbounded();
    let messaging = ledger.messaging();
    let _receiver = messaging
        .receiver(TOPIC)
        .workers(4)
        .start(move |session, message: Message<i32>| {
            record(session, &message)?;
            Ok(tell.send(message.payload)?)
        })
        .unwrap();

    assert_eq!(next(&told, 3), [0, 1, 2]);
    check(&ledger, 3);
}

#[test]
fn workers_of_several_processes_keep_the_order_through_kills_and_retries() {
    let ledger = open();
    send(&ledger, 0..400);
    let steady = [ledger.child(CHILD, "work"), ledger.child(CHILD, "work")];
    for round in 0..6 {
        let mut victim = ledger.child(CHILD, "work");
        assert_eq!(victim.listen(), "ready");
        send(&ledger, 400 + round * 50..450 + round * 50);
        victim.kill();
    }

    check(&ledger, 700);

    for child in steady {
        child.finish();
    }
}

/// Lets message 0 of a key kill each process that has it, until it is a dead letter; returns why
/// all died that did.
fn poisoned(ledger: &Ledger, policy: PoisonedKey) -> Vec<DeadReason> {
    let messaging = ledger.messaging();
    let topic = messaging.topic(TOPIC);
    let config = TopicConfig {
        max_attempts: Some(2),
        poisoned_key: Some(policy),
        ..TopicConfig::default()
    };
    topic.configure(config).unwrap();
    messaging
        .session(|session| {
            for (n, key) in [(0, "a"), (1, "a"), (2, "a"), (3, "b")] {
                session.send(NewMessage::json(TOPIC, &n)?.key(key))?;
            }
            Ok(())
        })
        .unwrap();

    let mut child = ledger.child(CHILD, "poison");
    let expected = if policy == PoisonedKey::Park { 3 } else { 1 };
    eventually("it is dead, and another key flows", || {
        if child.ended().is_some() {
            child = ledger.child(CHILD, "poison");
        }
        let flowed = ledger.number("SELECT count(*) FROM step WHERE payload = 3", &[]);
        flowed == 1 && topic.stats().unwrap().dead == expected
    });
    child.kill();
    let letters = topic.dead_letters(10).unwrap();
    letters.iter().map(|letter| letter.reason).collect()
}

#[test]
fn what_comes_after_a_message_that_kills_its_processes_is_held_or_parked_and_comes_back_in_order() {
    for (policy, reasons) in [
        (PoisonedKey::Block, &[DeadReason::Crashed][..]),
        (
            PoisonedKey::Park,
            &[DeadReason::Crashed, DeadReason::Parked, DeadReason::Parked],
        ),
    ] {
        let ledger = open();

        assert_eq!(poisoned(&ledger, policy), reasons);

        let held = "SELECT count(*) FROM step WHERE payload < 3";
        assert_eq!(ledger.number(held, &[]), 0, "{policy:?}");
        let messaging = ledger.messaging();
        let redriven = messaging.topic(TOPIC).redrive(..).unwrap();
        assert_eq!(redriven, reasons.len() as u64);
        let _receiver = messaging
            .receiver(TOPIC)
            .workers(4)
            .start(|session, message: Message<i32>| record(session, &message))
            .unwrap();
        check(&ledger, 4);
    }
}
