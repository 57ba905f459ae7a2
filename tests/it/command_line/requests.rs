//! `outtray request`.

use super::{Desk, check};
use crate::support::PATIENCE;
use outtray::{Message, NewMessage};
use serde_json::{Value, json};

/// A desk at whose topic `quotes` questions are answered by what they are; others are refused.
fn answering() -> (Desk, outtray::Receiver) {
    let desk = Desk::new();
    let receiver = desk
        .messaging
        .start_receiving_messages("quotes", |session, ask: Message<Value>| {
            match ask.payload.as_str() {
                Some("bytes") => session.reply_message(&ask, NewMessage::bytes("", [0, 255]))?,
                Some("no") => session.reply_error(&ask, "not\ntoday")?,
                _ => {
                    let text = format!("{{\"asked\":\n {}}}", ask.payload);
                    let answer = NewMessage::json_text("", text)?;
                    let region = ask.headers.get("region").cloned().unwrap_or_default();
                    session.reply_message(&ask, answer.header("region", region))?
                }
            };
            Ok(())
        })
        .unwrap();
    (desk, receiver)
}

#[test]
fn a_question_is_answered_in_json_on_one_line() {
    let (desk, receiver) = answering();
    let ask = ["request", "quotes", "{\"n\": 1}", "--header", "region=eu"];
    assert_eq!(desk.done(&ask), "{\"asked\":  {\"n\":1}}\n");

    let printed = desk.done(&[&ask[..], &["--json", "--key", "k", "--priority", "-3"]].concat());
    let object: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(object["payload"], json!({ "asked": { "n": 1 } }));
    assert_eq!(object["headers"]["region"], "eu");
    let printed = desk.done(&["request", "quotes", "\"bytes\"", "--json"]);
    let object: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(object["bytes_hex"], "00ff");
    assert_eq!(
        desk.done(&["request", "quotes", "\"bytes\""]),
        "(2 bytes)\n"
    );
    receiver.stop(PATIENCE);
}

#[test]
fn no_answer_and_an_error_are_failures_in_one_line() {
    let (desk, receiver) = answering();
    let silence = desk.run(&["request", "nobody", "1", "--timeout", "50ms"]);
    check(&silence, 1, "no reply to request");
    for part in ["nobody", "50ms", "hint: a handler"] {
        assert!(silence.stderr.contains(part), "{silence:?}");
    }
    let refused = desk.run(&["request", "quotes", "\"no\""]);
    check(&refused, 1, "not today");
    assert_eq!(refused.stderr.lines().count(), 1, "{refused:?}");

    check(&desk.run(&["request", "quotes", "{"]), 2, "the question");
    check(&desk.run(&["request", "quotes"]), 2, "JSON");
    check(&desk.run(&["request", "no topic", "1"]), 2, "topic name");
    assert_eq!(desk.numbers("nobody"), [0, 0, 0]);
    receiver.stop(PATIENCE);
}

#[test]
fn the_help_says_how_to_ask_and_how_to_answer() {
    let helped = super::run(super::outtray(&["request", "--help"]), "");
    for part in [
        "Usage: outtray request [OPTIONS] <TOPIC> <JSON>",
        "--timeout <DURATION>",
        "[default: 30s]",
        "--header <NAME=VALUE>",
        "--key <KEY>",
        "--priority <N>",
        "session.reply",
        "reply-to",
        "correlation-id",
        "outtray request quotes '{\"item\": \"apples\"}' --timeout 2s --header region=eu",
    ] {
        assert!(helped.stdout.contains(part), "{part}: {}", helped.stdout);
    }
    assert_eq!((helped.code, helped.stderr.as_str()), (0, ""));
}
