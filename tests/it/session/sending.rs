//! What is sent is stored as it was sent, in the order in which it was sent.

use super::{place, things_and_messages};
use crate::support::{Place, client};
use outtray::{Message, MessageId, Messaging, NewMessage, Payload};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Returns the ids of a table, in the order in which a receiver would claim them.
fn ids(place: &Place, query: &str) -> Vec<MessageId> {
    let rows = client(&place.url).query(query, &[]).unwrap();
    rows.iter()
        .map(|row| row.get::<_, uuid::Uuid>(0).into())
        .collect()
}

fn ready(place: &Place) -> Vec<MessageId> {
    ids(place, "SELECT id FROM outtray.message ORDER BY rank, seq")
}

/// Takes all messages of a topic, in order.
fn drain<T: serde::de::DeserializeOwned + Send + 'static>(
    messaging: &Messaging,
    topic: &str,
) -> Vec<Message<T>> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let handled = Arc::clone(&seen);
    messaging
        .drain(topic, move |_, message: Message<T>| {
            handled.lock().unwrap().push(message);
            Ok(())
        })
        .unwrap();
    std::mem::take(&mut *seen.lock().unwrap())
}

#[test]
fn ten_thousand_messages_keep_their_order_and_their_ids() {
    let place = place();

    let sent = place
        .messaging
        .session(|session| Ok(session.send_messages("bulk", 0..10_000)?))
        .unwrap();

    assert_eq!(sent.len(), 10_000);
    assert_eq!(sent.iter().collect::<BTreeSet<_>>().len(), 10_000);
    assert_eq!(ready(&place), sent);
    let payloads: Vec<u32> = drain(&place.messaging, "bulk")
        .iter()
        .map(|message| message.payload)
        .collect();
    assert_eq!(payloads, (0..10_000).collect::<Vec<_>>());
}

#[test]
fn ten_thousand_messages_of_a_session_that_fails_are_not_stored() {
    let place = place();

    place
        .messaging
        .session(|session| {
            session.send_messages("bulk", 0..10_000)?;
            Err::<(), _>(std::io::Error::other("changed my mind").into())
        })
        .unwrap_err();

    assert_eq!(things_and_messages(&place), (0, 0));
}

#[test]
fn one_bad_message_among_many_is_an_error_and_none_is_sent() {
    let place = place();

    place
        .messaging
        .session(|session| {
            let payloads = ["good", "bad \0", "good"];
            assert!(session.send_messages("bulk", payloads).is_err());
            Ok(())
        })
        .unwrap();

    assert_eq!(things_and_messages(&place), (0, 0));
}

#[test]
fn the_ids_that_sending_returns_are_those_of_the_rows() {
    let place = place();

    let (one, many, with_options) = place
        .messaging
        .session(|session| {
            let one = session.send_message("a", &1)?;
            let many = session.send_messages("b", [1, 2])?;
            let with_options = session.send(NewMessage::bytes("c", [0]))?.id();
            Ok((one, many, with_options))
        })
        .unwrap();

    assert_eq!(ready(&place), [one, many[0], many[1], with_options]);
}

#[test]
fn messages_to_several_topics_keep_the_order_in_which_they_were_sent() {
    let place = place();

    let sent: Vec<MessageId> = place
        .messaging
        .session(|session| {
            let topics = ["a", "b", "a", "c", "b", "a"];
            Ok(topics
                .iter()
                .map(|topic| session.send_message(topic, &()))
                .collect::<Result<_, _>>()?)
        })
        .unwrap();

    assert_eq!(
        ids(&place, "SELECT id FROM outtray.message ORDER BY seq"),
        sent
    );
}

#[test]
fn a_message_with_a_delay_waits_until_it_is_due() {
    let mut place = place();
    let hour = Duration::from_secs(3600);

    let (later, now) = place
        .messaging
        .session(|session| {
            let later = session.send(
                NewMessage::json("jobs", "later")?
                    .delay(hour)
                    .header("a", "b"),
            )?;
            let now = session.send(NewMessage::json("jobs", "now")?)?;
            Ok((later.id(), now.id()))
        })
        .unwrap();

    assert_eq!(ready(&place), [now]);
    assert_eq!(ids(&place, "SELECT id FROM outtray.scheduled"), [later]);
    let wait = "SELECT extract(epoch FROM due_at - sent_at)::bigint FROM outtray.scheduled";
    assert_eq!(place.number(wait), 3600.0);
    assert_eq!(drain::<String>(&place.messaging, "jobs").len(), 1);

    place.make_due();
    let due = drain::<String>(&place.messaging, "jobs");
    assert_eq!(
        (due[0].id, due[0].payload.as_str(), due[0].attempt),
        (later, "later", 1)
    );
    assert_eq!(due[0].headers["a"], "b");
}

#[test]
fn headers_and_priority_travel_with_a_message() {
    let place = place();
    let headers = [
        ("source", "web"),
        ("empty", ""),
        ("crab", "🦀 'quoted' \"twice\" \\ \u{1}"),
    ];

    place
        .messaging
        .session(|session| {
            let mut message = NewMessage::json("orders", &json!({"id": 42}))?.priority(-3);
            for (name, value) in headers {
                message = message.header(name, value);
            }
            session.send(message)?;
            Ok(())
        })
        .unwrap();

    let orders = drain::<Value>(&place.messaging, "orders");
    assert_eq!(orders[0].payload, json!({"id": 42}));
    assert_eq!(orders[0].priority, -3);
    let seen: Vec<(&str, &str)> = orders[0]
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let mut expected = headers.to_vec();
    expected.sort_unstable();
    assert_eq!(seen, expected);
}

#[test]
fn a_higher_priority_is_handled_first_and_equal_ones_in_order() {
    let place = place();

    place
        .messaging
        .session(|session| {
            for priority in [0, 5, -5, i16::MAX, -i16::MAX, 5] {
                session.send(NewMessage::json("p", &priority)?.priority(priority))?;
            }
            Ok(())
        })
        .unwrap();

    let seen: Vec<i16> = drain(&place.messaging, "p")
        .iter()
        .map(|message: &Message<i16>| message.payload)
        .collect();
    assert_eq!(seen, [i16::MAX, 5, 5, 0, -5, -i16::MAX]);
}

#[test]
fn bytes_arrive_as_they_were_sent() {
    let place = place();
    let every_byte: Vec<u8> = (0..=255).collect();

    place
        .messaging
        .session(|session| {
            session.send(NewMessage::bytes("raw", every_byte.clone()))?;
            Ok(session.send(NewMessage::bytes("raw", []))?)
        })
        .unwrap();

    let raw: Vec<Vec<u8>> = drain(&place.messaging, "raw")
        .into_iter()
        .map(|message| message.payload)
        .collect();
    assert_eq!(raw, [every_byte, vec![]]);
}

#[test]
fn json_text_is_kept_to_the_letter() {
    let place = place();
    let text = "{ \"b\": 1.50,\n  \"a\": 12345678901234567890123, \"b\": null }";

    place
        .messaging
        .session(|session| Ok(session.send(NewMessage::json_text("lines", text)?)?))
        .unwrap();

    let lines = drain::<Payload>(&place.messaging, "lines");
    assert_eq!(lines[0].payload.to_string(), text);
}

#[test]
fn a_received_payload_can_be_sent_on_as_it_is() {
    let place = place();
    place
        .messaging
        .session(|session| {
            session.send(NewMessage::json_text("in", "[1.0 , 2]")?)?;
            Ok(session.send(NewMessage::bytes("in", [0, 255]))?)
        })
        .unwrap();

    place
        .messaging
        .drain("in", |session, message: Message<Payload>| {
            session.send(NewMessage::payload("out", &message.payload))?;
            Ok(())
        })
        .unwrap();

    let out: Vec<Payload> = drain(&place.messaging, "out")
        .into_iter()
        .map(|message| message.payload)
        .collect();
    assert_eq!(out[0].as_bytes(), b"[1.0 , 2]");
    assert_eq!(out[1], Payload::Bytes(vec![0, 255]));
}

#[test]
fn any_value_that_serde_can_write_is_a_payload() {
    let place = place();
    let values = [
        json!(null),
        json!(true),
        json!(-0.0),
        json!(u64::MAX),
        json!(""),
        json!("quotes \" and \\ and 🦀 and \u{7f}"),
        json!({"": [{}, []]}),
    ];

    place
        .messaging
        .session(|session| Ok(session.send_messages("values", &values)?))
        .unwrap();

    let seen: Vec<Value> = drain(&place.messaging, "values")
        .into_iter()
        .map(|message| message.payload)
        .collect();
    assert_eq!(seen, values);
}

#[test]
fn a_payload_of_the_whole_limit_is_stored() {
    let place = place();
    let text = "x".repeat((1 << 20) - 2);

    place
        .messaging
        .session(|session| {
            session.send_message("big", &text)?;
            Ok(session.send(NewMessage::bytes("big", vec![7; 1 << 20]))?)
        })
        .unwrap();

    let big: Vec<Payload> = drain(&place.messaging, "big")
        .into_iter()
        .map(|message| message.payload)
        .collect();
    assert!(
        big.iter()
            .all(|payload| payload.as_bytes().len() == 1 << 20)
    );
}
