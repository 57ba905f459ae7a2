//! What a message carries arrives as it was sent, and the most urgent first.

use crate::support::{Gate, Place, next, telling};
use crossbeam_channel::unbounded;
use outtray::{Headers, Message, NewMessage, Payload};
use serde_json::{Value, json};
use std::sync::Mutex;

/// Sends one message and returns it as a handler that wants a `T` gets it.
fn delivered<T: serde::de::DeserializeOwned + Send + 'static>(message: NewMessage) -> Message<T> {
    let place = Place::new();
    place.send_new(message);
    let (tell, told) = unbounded();
    let tell = Mutex::new(tell);
    place
        .messaging
        .drain("things", move |_, message: Message<T>| {
            assert!(tell.lock().unwrap().send(message).is_ok());
            Ok(())
        })
        .unwrap();
    next(&told, 1).remove(0)
}

fn text() -> NewMessage {
    NewMessage::json("things", "x").unwrap()
}

#[test]
fn headers_arrive_as_they_were_sent() {
    let pairs = [
        ("source", "web"),
        ("empty", ""),
        ("żółw", "🐢 \"quoted\" \\ and 'single'\nnew line\ttab"),
        ("null", "null"),
        ("{}", "[]"),
    ];
    let sent: Headers = pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();

    let message = sent
        .iter()
        .fold(text(), |message, (name, value)| message.header(name, value));
    let received = delivered::<Value>(message);

    assert_eq!(received.headers, sent);
}

#[test]
fn a_message_without_headers_has_none() {
    assert!(delivered::<Value>(text()).headers.is_empty());
}

#[test]
fn json_arrives_with_every_character_and_number() {
    let payload = json!({
        "text": "żółw 🐢 \u{7f} \u{2028} \\ \" ' \n $1 :name %s",
        "numbers": [0, -1, i64::MAX, u64::MAX, 0.1, 1e300, -0.0],
        "nested": [[[{}]], null, true],
        "": "an empty key",
    });

    let message = NewMessage::json("things", &payload).unwrap();

    assert_eq!(delivered::<Value>(message).payload, payload);
}

#[test]
fn bytes_arrive_as_bytes() {
    let bytes: Vec<u8> = (0..=255).collect();

    let message = NewMessage::bytes("things", bytes.clone());
    assert_eq!(delivered::<Vec<u8>>(message).payload, bytes);

    let message = NewMessage::bytes("things", bytes.clone());
    assert_eq!(delivered::<Payload>(message).payload, Payload::Bytes(bytes));

    let message = NewMessage::bytes("things", Vec::new());
    assert_eq!(delivered::<Vec<u8>>(message).payload, [0_u8; 0]);
}

#[test]
fn a_payload_is_passed_on_as_it_is() {
    let place = Place::new();
    let text = r#"{"b": 1.50, "a": [1e2,  "é"]}"#;
    place.send_new(NewMessage::json_text("in", text).unwrap());
    place.send_new(NewMessage::bytes("in", [0, 159, 146, 150]));

    place
        .messaging
        .drain("in", |session, message: Message<Payload>| {
            session.send(NewMessage::payload("out", &message.payload))?;
            Ok(())
        })
        .unwrap();

    let out = place.messaging.topic("out").peek(10).unwrap();
    assert_eq!(out[0].payload.to_string(), text);
    assert_eq!(out[1].payload, Payload::Bytes(vec![0, 159, 146, 150]));
}

#[test]
fn a_message_says_when_it_was_sent_and_how_urgent_it_is() {
    let place = Place::new();
    let id = place.send_new(text().priority(-3));
    let sent = place.messaging.topic("things").peek(1).unwrap().remove(0);
    let (tell, told) = unbounded();

    place
        .messaging
        .drain("things", move |_, message: Message<String>| {
            Ok(tell.send((
                message.id,
                message.priority,
                message.sent_at,
                message.max_attempts,
            ))?)
        })
        .unwrap();

    assert_eq!(next(&told, 1), [(id, -3, sent.sent_at, 10)]);
}

#[test]
fn higher_priorities_come_first_and_each_in_the_order_of_sending() {
    let place = Place::new();
    for (n, priority) in [
        (1, 0),
        (2, -5),
        (3, 7),
        (4, 0),
        (5, 7),
        (6, i16::MAX),
        (7, i16::MIN + 1),
    ] {
        place.send_new(NewMessage::json("things", &n).unwrap().priority(priority));
    }

    let (_receiver, told) = telling::<i32>(place.messaging.receiver("things").workers(1));

    assert_eq!(next(&told, 7), [6, 3, 5, 1, 4, 2, 7]);
}

#[test]
fn a_more_urgent_message_that_comes_late_is_the_next() {
    let place = Place::new();
    place.send_all("things", 0..5);
    let gate = Gate::new();
    let (_receiver, told) = gate.telling::<i32>(
        place
            .messaging
            .receiver("things")
            .workers(1)
            .messages_per_transaction(1),
    );
    gate.await_arrivals(1);
    place.send_new(NewMessage::json("things", &100).unwrap().priority(1));
    gate.open_for(2);
    gate.await_arrivals(2);
    // The worker stands before the gate with message 1: now there is a floor for both priorities.
    place.send_new(NewMessage::json("things", &200).unwrap().priority(2));
    place.send_new(NewMessage::json("things", &101).unwrap().priority(1));
    gate.open_for(6);

    assert_eq!(next(&told, 8), [0, 100, 1, 200, 101, 2, 3, 4]);
}
