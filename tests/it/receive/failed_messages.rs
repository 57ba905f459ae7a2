//! A message that fails is tried again when it was asked for, up to a limit, and then kept with its
//! error.

use crate::support::{PATIENCE, Place, eventually, next};
use crossbeam_channel::unbounded;
use outtray::{Backoff, DeadLetter, DeadReason, HandlerError, Message, NewMessage, Payload};
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;

/// Lets a handler fail each message of a topic in the given way, with a limit, and returns its dead
/// letter.
fn dead_letter<T, F>(message: NewMessage, limit: u32, handler: F) -> DeadLetter
where
    T: serde::de::DeserializeOwned,
    F: Fn(Message<T>) -> Result<(), HandlerError> + Send + Sync + 'static,
{
    let mut place = Place::watchful();
    let id = place.send_new(message);
    let receiver = place
        .messaging
        .receiver("jobs")
        .workers(1)
        .max_attempts(limit)
        .backoff(Backoff::fixed(Duration::ZERO))
        .start(move |_, message: Message<T>| handler(message))
        .unwrap();
    eventually("a dead letter", || place.count("outtray.dead_letter") == 1);
    receiver.stop(PATIENCE);
    assert!(place.is_empty("jobs"));
    let letter = place.dead_letters("jobs").remove(0);
    assert_eq!(letter.id, id);
    letter
}

fn job() -> NewMessage {
    NewMessage::json("jobs", &json!({"n": 1})).unwrap()
}

#[test]
fn a_limit_of_one_makes_a_failed_message_a_dead_letter_at_once_with_its_error() {
    let letter = dead_letter(job(), 1, |_: Message| {
        Err(HandlerError::failed("no such customer"))
    });

    assert_eq!((letter.attempts, letter.reason), (1, DeadReason::Exhausted));
    assert_eq!(letter.error, "no such customer");
}

#[test]
fn a_dead_letter_keeps_all_that_was_sent_and_when() {
    let message = job().priority(3).header("source", "web");
    let letter = dead_letter(message, 3, |message: Message| {
        Err(HandlerError::failed(format!("attempt {}", message.attempt)))
    });

    assert_eq!((letter.attempts, letter.error.as_str()), (3, "attempt 3"));
    assert_eq!(
        (letter.priority, letter.headers["source"].as_str()),
        (3, "web")
    );
    assert_eq!(letter.payload.to_string(), r#"{"n":1}"#);
    assert!(letter.died_at > letter.sent_at);
}

#[derive(Debug, thiserror::Error)]
#[error("the order could not be billed")]
struct Unbilled(#[source] NoAnswer);

#[derive(Debug, thiserror::Error)]
#[error("the bank did not answer")]
struct NoAnswer(#[source] std::io::Error);

#[test]
fn an_error_is_kept_with_its_whole_chain_of_causes() {
    let letter = dead_letter(job(), 1, |_: Message| {
        Err(Unbilled(NoAnswer(std::io::Error::other("line 7 is \0 cut 🪓"))).into())
    });

    assert_eq!(
        letter.error,
        "the order could not be billed: the bank did not answer: line 7 is \u{FFFD} cut 🪓"
    );
}

#[test]
fn an_error_text_of_a_megabyte_is_kept_in_part() {
    let letter = dead_letter(job(), 1, |_: Message| {
        Err(HandlerError::failed("é".repeat(1 << 20)))
    });

    assert!(letter.error.starts_with("éé") && letter.error.len() < 20_000);
}

#[test]
fn a_database_error_is_kept_with_what_the_server_said() {
    let mut place = Place::new();
    place.send("jobs", &1);

    let receiver = place
        .messaging
        .receiver("jobs")
        .max_attempts(1)
        .start(|session, _: Message<i32>| {
            session.execute("INSERT INTO nowhere VALUES (1)", &[])?;
            Ok(())
        })
        .unwrap();
    eventually("a dead letter", || place.count("outtray.dead_letter") == 1);
    receiver.stop(PATIENCE);

    let error = place.dead_letters("jobs").remove(0).error;
    assert!(
        error.contains("relation \"nowhere\" does not exist"),
        "{error}"
    );
}

#[test]
fn a_panic_is_a_failure_whose_text_is_kept_and_the_worker_lives() {
    let mut place = Place::new();
    place.sql("CREATE TABLE effect (n integer)");
    place.send_all("jobs", 0..10);

    let receiver = place
        .messaging
        .receiver("jobs")
        .workers(1)
        .max_attempts(1)
        .start(|session, message: Message<i32>| {
            session.execute("INSERT INTO effect VALUES ($1)", &[&message.payload])?;
            // Unwinds through an open nested transaction, too.
            let mut nested = session.transaction()?;
            nested.execute("INSERT INTO effect VALUES ($1)", &[&message.payload])?;
            assert!(
                message.payload % 4 != 1,
                "number {} is odd",
                message.payload
            );
            Ok(nested.commit()?)
        })
        .unwrap();
    eventually("all settled", || place.is_empty("jobs"));
    receiver.stop(PATIENCE);

    let dead = place.dead_letters("jobs");
    let texts: Vec<&str> = dead.iter().map(|letter| letter.error.as_str()).collect();
    assert_eq!(
        texts,
        [1, 5, 9].map(|n| format!("handler panicked: number {n} is odd"))
    );
    assert_eq!(place.count("effect"), 14);
}

/// An error that cannot be printed.
#[derive(Debug)]
struct Unprintable;

impl std::fmt::Display for Unprintable {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        panic!("no words")
    }
}

impl std::error::Error for Unprintable {}

/// A payload that cannot be decoded without a panic.
#[derive(Debug)]
struct Undecodable;

impl<'de> Deserialize<'de> for Undecodable {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        panic!("cannot read")
    }
}

#[test]
fn a_panic_in_an_error_or_in_decoding_is_a_failure_like_any_other() {
    let letter = dead_letter(job(), 2, |_: Message| Err(Unprintable.into()));
    assert_eq!((letter.attempts, letter.reason), (2, DeadReason::Exhausted));
    assert!(letter.error.contains("no words"), "{}", letter.error);

    let letter = dead_letter(job(), 2, |_: Message<Undecodable>| Ok(()));
    assert_eq!((letter.attempts, letter.reason), (2, DeadReason::Exhausted));
    assert!(letter.error.contains("cannot read"), "{}", letter.error);
}

#[test]
fn retry_after_waits_as_long_as_it_says_and_counts() {
    let mut place = Place::watchful();
    place.send("jobs", &1);
    let (tell, told) = unbounded();

    let _receiver = place
        .messaging
        .receiver("jobs")
        .start(move |_, message: Message<i32>| {
            tell.send(message.attempt)?;
            match message.attempt {
                1 => Err(HandlerError::retry_after(Duration::from_secs(7200))
                    .because(std::io::Error::other("busy"))),
                _ => Ok(()),
            }
        })
        .unwrap();
    assert_eq!(next(&told, 1), [1]);
    eventually("it waits", || place.count("outtray.scheduled") == 1);
    let due_in = place.due_in();

    assert!((7100.0..=7200.0).contains(&due_in), "{due_in}");
    assert_eq!(place.count("outtray.scheduled WHERE error = 'busy'"), 1);
    place.make_due();
    assert_eq!(next(&told, 1), [2]);
}

#[test]
fn a_snooze_waits_as_long_as_it_says_and_spends_no_attempt() {
    let mut place = Place::watchful();
    place.send("jobs", &1);
    let (tell, told) = unbounded();
    let snoozes = std::sync::atomic::AtomicUsize::new(0);

    let receiver = place
        .messaging
        .receiver("jobs")
        .max_attempts(1)
        .start(move |_, message: Message<i32>| {
            tell.send(message.attempt)?;
            match snoozes.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
                0..3 => Err(HandlerError::snooze(Duration::from_secs(7200))),
                _ => Ok(()),
            }
        })
        .unwrap();
    for _ in 0..3 {
        assert_eq!(next(&told, 1), [1]);
        eventually("it waits", || place.count("outtray.scheduled") == 1);
        let due_in = place.due_in();
        assert!((7100.0..=7200.0).contains(&due_in), "{due_in}");
        place.make_due();
    }
    assert_eq!(next(&told, 1), [1]);
    eventually("it is handled", || place.is_empty("jobs"));
    receiver.stop(PATIENCE);

    assert!(place.dead_letters("jobs").is_empty());
}

#[test]
fn a_rejected_message_is_a_dead_letter_at_once_with_the_reason() {
    let letter = dead_letter(job(), 10, |_: Message| {
        Err(HandlerError::reject("no such customer").because(std::io::Error::other("404")))
    });

    assert_eq!((letter.attempts, letter.reason), (1, DeadReason::Rejected));
    assert_eq!(letter.error, "no such customer: 404");
}

#[derive(Debug, Deserialize)]
struct Order {
    lines: Vec<Line>,
}

#[derive(Debug, Deserialize)]
struct Line {
    amount: u32,
}

#[test]
fn an_undecodable_payload_is_a_dead_letter_at_once_with_the_path_and_the_worker_lives() {
    let place = Place::new();
    let amounts = |last: serde_json::Value| json!({"lines": [{"amount": 1}, {"amount": last}]});
    let bad = place.send("orders", &amounts(json!("two")));
    place.send("orders", &amounts(json!(2)));
    place.send_new(NewMessage::bytes("orders", [0, 255]));
    place.send("orders", &amounts(json!(3)));
    let (tell, told) = unbounded();

    let receiver = place
        .messaging
        .receiver("orders")
        .workers(1)
        .start(move |_, message: Message<Order>| {
            let amounts = message.payload.lines.iter().map(|line| line.amount);
            Ok(tell.send(amounts.sum::<u32>())?)
        })
        .unwrap();
    assert_eq!(next(&told, 2), [3, 4]);
    eventually("all settled", || place.is_empty("orders"));
    receiver.stop(PATIENCE);

    let dead = place.dead_letters("orders");
    assert_eq!(dead.len(), 2);
    assert_eq!((dead[0].id, dead[0].attempts), (bad, 1));
    assert_eq!(dead[0].reason, DeadReason::Undecodable);
    assert!(
        dead[0].error.contains("lines[1].amount"),
        "{}",
        dead[0].error
    );
    assert_eq!(dead[1].payload, Payload::Bytes(vec![0, 255]));
    assert!(dead[1].error.contains("bytes"), "{}", dead[1].error);
}
