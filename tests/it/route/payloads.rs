//! Each route has a payload type of its own.

use super::{Seen, TOPIC, reason, routed, typed};
use crate::support::Place;
use outtray::{DeadReason, Message, NewMessage, Payload, Router};
use serde::Deserialize;
use serde_json::json;
use std::sync::{Arc, Mutex};

#[derive(Deserialize)]
struct Order {
    id: i64,
}

#[derive(Deserialize)]
struct Priced {
    #[serde(rename = "lines")]
    _lines: Vec<Line>,
}

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "cents")]
    _cents: u32,
}

#[test]
fn each_handler_gets_the_payload_as_its_own_type() {
    let place = Place::new();
    let message = NewMessage::json_text(TOPIC, r#" {"id":7 } "#).unwrap();
    place.send_new(message.header("message-type", "order.created"));
    let seen = Seen::default();
    let note = |what: &'static str| {
        let seen = seen.clone();
        move |value: String| seen.note(&format!("{what} {value}"))
    };
    let (typed, any, raw) = (note("typed"), note("any"), note("raw"));
    let router = Router::new()
        .on("order.created", move |_, order: Message<Order>| {
            typed(order.payload.id.to_string());
            Ok(())
        })
        .on("order.*", move |_, order: Message| {
            any(order.payload["id"].to_string());
            Ok(())
        })
        .on("#", move |_, order: Message<Payload>| {
            raw(order.payload.to_string());
            Ok(())
        });

    assert_eq!(routed(&place, &router), 1);

    assert_eq!(seen.take(), ["typed 7", "any 7", "raw  {\"id\":7 } "]);
}

#[test]
fn bytes_are_routed_like_json() {
    let place = Place::new();
    let message = NewMessage::bytes(TOPIC, vec![0, 255]);
    place.send_new(message.header("message-type", "image.stored"));
    let bytes = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&bytes);
    let router = Router::new().on("image.*", move |_, image: Message<Vec<u8>>| {
        *kept.lock().unwrap() = image.payload;
        Ok(())
    });

    assert_eq!(routed(&place, &router), 1);

    assert_eq!(*bytes.lock().unwrap(), [0, 255]);
}

#[test]
fn a_payload_that_does_not_fit_one_of_the_routes_is_a_dead_letter_before_any_handler_runs() {
    let place = Place::new();
    let payload = json!({ "id": 1, "lines": [{ "cents": 5 }, { "cents": "secret" }] });
    place.send_new(typed("order.created", &payload));
    let seen = Seen::default();
    let router = Router::new()
        .on("order.created", seen.noting("first"))
        .on(["order.*", "price.#"], |_, _: Message<Priced>| Ok(()))
        .on("#", seen.noting("last"));

    assert_eq!(routed(&place, &router), 0);

    assert_eq!(seen.take(), [""; 0]);
    let dead = place.dead_letters(TOPIC);
    assert_eq!(
        (dead[0].reason, dead[0].attempts),
        (DeadReason::Undecodable, 1)
    );
    let reason = reason(&place);
    assert!(reason.starts_with("route order.*, price.#: "), "{reason}");
    assert!(reason.contains("at lines[1].cents: "), "{reason}");
    assert!(!reason.contains("secret"), "{reason}");
}

#[test]
fn a_message_keeps_everything_that_is_not_its_payload() {
    let place = Place::new();
    let id = place.send_new(
        typed("order.created", &1)
            .key("customer-7")
            .header("source", "web"),
    );
    let seen = Seen::default();
    let noted = seen.clone();
    let router = Router::new().on("#", move |_, message: Message<i32>| {
        let Message {
            id,
            topic,
            attempt,
            max_attempts,
            ..
        } = &message;
        let (key, source) = (message.key.as_deref(), message.headers.get("source"));
        noted.note(&format!(
            "{id} {topic} {attempt} {max_attempts} {key:?} {source:?}"
        ));
        Ok(())
    });

    assert_eq!(routed(&place, &router), 1);

    let expected = format!("{id} events 1 10 Some(\"customer-7\") Some(\"web\")");
    assert_eq!(seen.take(), [expected]);
}
