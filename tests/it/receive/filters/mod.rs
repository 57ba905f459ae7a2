//! A receiver with a filter sees only what matches; the rest is for others.

mod conditions;

use crate::support::{NO_POLLING, PATIENCE, Place, eventually, next, process, telling};
use crossbeam_channel::unbounded;
use outtray::{ErrorKind, Filter, Message, NewMessage};
use std::time::Duration;

fn from(region: &str, payload: i32) -> NewMessage {
    NewMessage::json("orders", &payload)
        .unwrap()
        .header("region", region)
}

#[test]
fn a_receiver_gets_only_messages_whose_headers_match_all_conditions() {
    let place = Place::new();
    place.send("orders", &0);
    place.send_new(from("eu", 1));
    place.send_new(from("eu", 2).header("kind", "order"));
    place.send_new(from("us", 3).header("kind", "order"));
    place.send_new(from("eu", 4).header("kind", "refund"));
    place.send_new(from("eu", 5).header("kind", "Order"));
    place.send_new(from("", 6).header("kind", "order"));
    let (tell, told) = unbounded();
    let drain = |filter: Filter| {
        let tell = tell.clone();
        place
            .messaging
            .receiver("orders")
            .workers(1)
            .filter(filter)
            .drain(move |_, message: Message<i32>| Ok(tell.send(message.payload)?))
            .unwrap()
            .handled
    };

    let kinds = Filter::new()
        .equals("region", "eu")
        .one_of("kind", ["order", "refund"]);
    assert_eq!(drain(kinds), 2);
    assert_eq!(next(&told, 2), [2, 4]);
    assert_eq!(drain(Filter::new().equals("region", "")), 1);
    assert_eq!(next(&told, 1), [6]);
    assert_eq!(drain(Filter::new().equals("nobody", "has")), 0);

    assert_eq!(place.messaging.topic("orders").stats().unwrap().ready, 4);
}

#[test]
fn a_filter_is_a_value_whatever_is_in_it() {
    let place = Place::new();
    let odd = r#"'); DROP TABLE outtray.message; -- \ "{}"#;
    place.send_new(NewMessage::json("orders", &1).unwrap().header(odd, odd));
    place.send_new(from("eu", 2));

    let report = place
        .messaging
        .receiver("orders")
        .filter(Filter::new().one_of(odd, ["x", odd]))
        .drain(|_, _: Message<i32>| Ok(()))
        .unwrap();

    assert_eq!(report.handled, 1);
    assert_eq!(place.messaging.topic("orders").stats().unwrap().ready, 1);
}

#[test]
fn receivers_with_different_filters_share_a_topic_and_each_message_is_handled_once() {
    let mut place = Place::new();
    place.sql("CREATE TABLE effect (region text, n integer, seen_by text)");
    let other = process(&place.url, NO_POLLING);
    let receivers = [
        (&place.messaging, "eu"),
        (&other, "us"),
        (&place.messaging, "asia"),
    ]
    .map(|(messaging, region)| {
        messaging
            .receiver("orders")
            .workers(2)
            .filter(Filter::new().equals("region", region))
            .start(move |session, message: Message<i32>| {
                session.execute(
                    "INSERT INTO effect VALUES ($1, $2, $3)",
                    &[&message.headers["region"], &message.payload, &region],
                )?;
                Ok(())
            })
            .unwrap()
    });
    place.await_listeners(2);

    for n in 0..100 {
        place
            .messaging
            .session(|session| {
                for region in ["eu", "us", "asia", "nowhere"] {
                    session.send(from(region, n))?;
                }
                Ok(())
            })
            .unwrap();
    }
    eventually("all handled that somebody wants", || {
        place.count("effect") == 300
    });
    for receiver in receivers {
        receiver.stop(PATIENCE);
    }

    assert_eq!(place.count("effect WHERE region <> seen_by"), 0);
    assert_eq!(
        place.number("SELECT count(DISTINCT (region, n)) FROM effect"),
        300.0
    );
    assert_eq!(place.messaging.topic("orders").stats().unwrap().ready, 100);
}

#[test]
fn a_message_that_matches_is_found_behind_thousands_that_do_not() {
    let place = Place::polling(NO_POLLING);
    place
        .messaging
        .session(|session| {
            for n in 0..5000 {
                session.send(from("us", n))?;
            }
            Ok(())
        })
        .unwrap();
    let (_receiver, told) = telling::<i32>(
        place
            .messaging
            .receiver("orders")
            .filter(Filter::new().equals("region", "eu")),
    );

    for n in 0..10 {
        place.send_new(from("eu", n));
        assert_eq!(next(&told, 1), [n]);
    }
    assert!(told.recv_timeout(Duration::from_millis(200)).is_err());
}

#[test]
fn a_filter_that_cannot_be_meant_is_refused() {
    let place = Place::new();
    let start = |filter: Filter, is_strict: bool| {
        let builder = place.messaging.receiver("orders").filter(filter);
        let builder = if is_strict {
            builder.strict_order()
        } else {
            builder
        };
        let error = builder.start(|_, _: Message<i32>| Ok(())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        error.to_string()
    };

    assert!(start(Filter::new(), false).contains("has no condition"));
    assert!(start(Filter::new().equals("a", "\0"), false).contains("NUL"));
    let strict = start(Filter::new().equals("a", "b"), true);
    assert!(
        strict.contains("in strict order cannot have a filter"),
        "{strict}"
    );
}
