//! Payloads that do not fit the type that a handler asks for.

use super::Ground;
use outtray::{DeadReason, Message, NewMessage};
use serde::Deserialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Deserialize)]
struct Order {
    id: i64,
    #[serde(default)]
    lines: Vec<Line>,
}

#[derive(Deserialize)]
struct Line {
    amount: u32,
}

/// Checks that a payload becomes a dead letter at once, that its error says where it does not fit,
/// and that the next message is handled.
#[track_caller]
fn check(payload: NewMessage, says: &str) {
    let ground = Ground::new();
    let sum = Arc::new(AtomicUsize::new(0));
    let total = Arc::clone(&sum);
    let id = ground
        .messaging
        .session(|session| {
            let id = session.send(payload)?.id();
            session.send(NewMessage::json_text(
                "orders",
                r#"{"id": 1, "lines": [{"amount": 41}]}"#,
            )?)?;
            Ok(id)
        })
        .unwrap();

    let report = ground
        .messaging
        .drain("orders", move |_, message: Message<Order>| {
            let amounts = message
                .payload
                .lines
                .iter()
                .map(|line| line.amount as usize);
            let id = usize::try_from(message.payload.id)?;
            total.fetch_add(id + amounts.sum::<usize>(), Ordering::SeqCst);
            Ok(())
        })
        .unwrap();

    assert_eq!((report.handled, report.retried, report.dead), (1, 0, 1));
    assert_eq!(sum.load(Ordering::SeqCst), 42);
    let letter = ground
        .messaging
        .topic("orders")
        .dead_letter(id)
        .unwrap()
        .unwrap();
    assert_eq!(letter.reason, DeadReason::Undecodable);
    assert!(letter.error.contains(says), "{}", letter.error);
    assert!(letter.error.contains("topic orders"), "{}", letter.error);
}

fn text(text: &str) -> NewMessage {
    NewMessage::json_text("orders", text).unwrap()
}

#[test]
fn a_payload_that_does_not_fit_is_a_dead_letter_that_says_where() {
    check(
        text(r#"{"id": "x"}"#),
        "at id: invalid type: string \"…\", expected i64",
    );
    check(
        text(r#"{"id": 1, "lines": [{"amount": 1}, {"amount": -1}]}"#),
        "at lines[1].amount: invalid value",
    );
    check(text(r#"{"lines": []}"#), "missing field `id`");
    check(text("null"), "invalid type: null");
    check(text(r#"{"id": 99999999999999999999}"#), "at id: ");
    check(
        NewMessage::bytes("orders", *b"{\"id\": 1}"),
        "bytes where another type is wanted",
    );
}
