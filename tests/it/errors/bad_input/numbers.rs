//! Numbers that JSON, or a receiver, cannot hold, and white space that it does not need.

use crate::support::Place;
use crossbeam_channel::unbounded;
use outtray::{ErrorKind, Message, NewMessage, Payload};
use serde::Serialize;
use std::collections::HashMap;
use std::time::Duration;

#[derive(Serialize)]
struct Order {
    lines: Vec<HashMap<String, f64>>,
}

#[test]
fn a_number_that_is_not_finite_is_refused_at_the_send_and_named() {
    let place = Place::new();
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let line = |number| HashMap::from([("amount".to_owned(), number)]);
        let order = Order {
            lines: vec![line(1.5), line(number)],
        };

        let made = NewMessage::json("jobs", &order).unwrap_err();
        let session = place.messaging.session(|session| {
            let error = session.send_message("jobs", &order).unwrap_err();
            let together = session.send_messages("jobs", [Some(number)]).unwrap_err();
            assert_eq!(together.kind(), ErrorKind::Payload);
            Err::<(), _>(error.into())
        });

        assert_eq!(made.kind(), ErrorKind::Payload);
        let text = made.to_string();
        assert!(text.contains("lines[1].amount"), "{text}");
        assert!(session.is_err());
    }
    place.send("jobs", &Some(1.5));
    place.send("jobs", &None::<f64>);
}

#[test]
fn a_result_that_is_not_finite_is_refused_where_it_is_recorded() {
    let place = Place::new();
    place.send("jobs", &1);

    place
        .messaging
        .drain("jobs", |session, _: Message<i32>| {
            let error = session.record_result(&f32::NAN).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Payload);
            Ok(())
        })
        .unwrap();

    assert!(place.dead_letters("jobs").is_empty());
}

#[test]
fn text_with_a_number_that_no_receiver_could_read_is_refused_at_the_send() {
    let place = Place::new();
    let long = "9".repeat(400);
    for bad in ["1e400", "[1,2e999999]", r#"{"a":[-1E+309]}"#, &long] {
        let error = NewMessage::json_text("jobs", bad).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Payload, "{bad}");
        let raw = serde_json::value::RawValue::from_string(bad.to_owned()).unwrap();
        let error = place
            .messaging
            .session(|session| Ok(session.send_message("jobs", &raw)?))
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Payload, "{bad}");
    }

    for good in [
        "1e308",
        "-1e-400",
        "0e999",
        "123456789012345678901234567890",
        "\"1e400\"",
    ] {
        place.send_new(NewMessage::json_text("jobs", good).unwrap());
    }
    let report = place
        .messaging
        .drain("jobs", |_, _: Message<serde_json::Value>| Ok(()))
        .unwrap();
    assert_eq!((report.handled, report.dead), (5, 0));
}

#[test]
fn json_text_arrives_to_the_character_on_every_way() {
    let place = Place::new();
    let text = " \n\t{\"a\" :  1 }\r\n ";
    let message = || NewMessage::json_text("jobs", text).unwrap();
    let (tell, told) = unbounded();
    let topic = place.messaging.topic("jobs");
    place.send_new(message());
    place.send_new(message().key("k"));
    place.send_new(message().key("k"));
    place.send_new(message().delay(Duration::from_millis(1)));

    let seen: Vec<Payload> = topic
        .peek(9)
        .unwrap()
        .into_iter()
        .map(|it| it.payload)
        .collect();
    assert!(
        seen.iter().all(|payload| payload.to_string() == text),
        "{seen:?}"
    );
    let leased = topic
        .receive::<Payload>(Duration::from_secs(60))
        .unwrap()
        .unwrap();
    assert_eq!(leased.payload.to_string(), text);
    leased.reject("so that it dies").unwrap();
    let letter = &place.dead_letters("jobs")[0];
    assert_eq!(letter.payload.as_bytes(), text.as_bytes());
    topic.redrive(..).unwrap();
    crate::support::eventually("all have come", || {
        let tell = tell.clone();
        place
            .messaging
            .drain("jobs", move |session, message: Message<Payload>| {
                session.send(NewMessage::payload("on", &message.payload))?;
                Ok(tell.send(message.payload)?)
            })
            .unwrap();
        told.len() == 4
    });

    assert!(told.try_iter().all(|payload| payload.to_string() == text));
    let passed_on = place.messaging.topic("on").peek(9).unwrap();
    assert_eq!(passed_on.len(), 4);
    assert!(passed_on.iter().all(|it| it.payload.to_string() == text));
    place
        .messaging
        .drain("on", |_, message: Message<serde_json::Value>| {
            assert_eq!(message.payload["a"], 1);
            Ok(())
        })
        .unwrap();
}
