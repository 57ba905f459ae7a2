//! What is kept with messages that fail, and what is logged about them.

use super::{AVIARY, CANARY, REFUSED, check_silent};
use crate::support::{PATIENCE, Place, eventually, keep_log, logged};
use outtray::{Backoff, BatchMessage, HandlerError, Message, MessagingSession, NewMessage};
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;

fn message(topic: &str) -> NewMessage {
    NewMessage::json(topic, &json!({ "name": CANARY }))
        .unwrap()
        .key(CANARY)
        .header("by", CANARY)
}

/// Runs a handler over messages of its own: by itself, in a batch, and under a lease.
fn fail(
    place: &Place,
    topic: &str,
    handler: impl Fn(&mut MessagingSession<'_>) -> Result<(), HandlerError>
    + Clone
    + Send
    + Sync
    + 'static,
) {
    let [alone, together, leased] =
        ["alone", "together", "leased"].map(|way| format!("{topic}-{way}"));
    for topic in [&alone, &together, &leased] {
        // From the second use on a statement travels with others.
        for _ in 0..3 {
            place.send_new(message(topic));
        }
    }
    let run = handler.clone();
    let receiver = |topic: &str| {
        place
            .messaging
            .receiver(topic)
            .workers(1)
            .max_attempts(2)
            .backoff(Backoff::fixed(Duration::ZERO))
    };
    let mut receivers = vec![
        receiver(&alone)
            .start(move |session, _: Message<serde_json::Value>| run(session))
            .unwrap(),
    ];
    let run = handler.clone();
    receivers.push(
        receiver(&together)
            .start_batches(3, move |session, _: &[BatchMessage<serde_json::Value>]| {
                run(session)
            })
            .unwrap(),
    );
    receivers.push(
        receiver(&leased)
            .lease(Duration::from_secs(60))
            .start(move |session, _: Message<serde_json::Value>| handler(session))
            .unwrap(),
    );
    for topic in [&alone, &together, &leased] {
        eventually(topic, || place.dead_letters(topic).len() == 3);
    }
    for receiver in receivers {
        receiver.stop(PATIENCE);
    }
}

/// Checks what was kept and logged of the messages of [`fail`].
#[track_caller]
fn check(place: &Place, topic: &str, part: &str) {
    for way in ["alone", "together", "leased"] {
        let topic = format!("{topic}-{way}");
        for dead in place.dead_letters(&topic) {
            check_silent(&topic, &dead.error);
            assert!(dead.error.contains(part), "{topic}: {}", dead.error);
        }
        let lines = logged(&format!("topic {topic}"));
        assert!(lines.len() >= 6, "{topic}: {lines:?}");
        for (_, line) in lines {
            check_silent(&topic, &line);
        }
    }
}

#[test]
fn what_is_kept_and_logged_of_a_refused_statement_has_no_value_in_it() {
    keep_log();
    let mut place = Place::watchful();
    place.sql(AVIARY);

    for (number, (sql, code, _)) in REFUSED.iter().enumerate() {
        let topic = format!("refused-{number}");
        fail(&place, &topic, |session| {
            session.execute(sql, &[&CANARY])?;
            Ok(())
        });
        check(&place, &topic, code);
    }
}

#[test]
fn what_is_kept_and_logged_of_a_refused_commit_has_no_value_in_it() {
    keep_log();
    let mut place = Place::watchful();
    place.sql(AVIARY);
    place.sql("ALTER TABLE egg ALTER CONSTRAINT of_bird DEFERRABLE INITIALLY DEFERRED");

    fail(&place, "committed", |session| {
        let sql = "INSERT INTO egg VALUES ($1 || ' of nobody')";
        session.execute(sql, &[&CANARY])?;
        session.send(message("sent"))?;
        Ok(())
    });

    check(&place, "committed", "23503");
}

#[test]
fn what_is_kept_and_logged_of_a_drivers_error_has_no_value_in_it() {
    keep_log();
    let mut place = Place::watchful();
    place.sql(AVIARY);

    fail(&place, "driven", |session| {
        session.with_transaction(|transaction| {
            transaction.execute("INSERT INTO bird VALUES ($1 || ' loud')", &[&CANARY])
        })??;
        Ok(())
    });

    check(&place, "driven", "silent");
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase")]
#[allow(dead_code, reason = "nothing fits it")]
enum Wanted {
    Age(u32),
    Cage { number: u32 },
}

#[test]
fn what_is_kept_and_logged_of_an_undecodable_message_has_no_value_in_it() {
    keep_log();
    let place = Place::new();
    let payloads = [
        json!(CANARY),
        json!({ CANARY: 1 }),
        json!({ "age": CANARY }),
        json!({ "cage": { "number": format!("{CANARY}, expected `{CANARY}`") } }),
        json!({ "cage": { CANARY: 1 } }),
    ];
    for payload in &payloads {
        place.send("unfit", payload);
    }
    place.send_new(NewMessage::bytes("unfit", CANARY));

    place
        .messaging
        .receiver("unfit")
        .drain(|_, _: Message<Wanted>| Ok(()))
        .unwrap();

    let dead = place.dead_letters("unfit");
    assert_eq!(dead.len(), payloads.len() + 1);
    for dead in dead {
        check_silent("unfit", &dead.error);
    }
    let lines = logged("topic unfit");
    assert!(lines.len() > payloads.len(), "{lines:?}");
    for (_, line) in lines {
        check_silent("unfit", &line);
    }
}
