//! Which keys a pattern matches, and who gets what.

use super::{publish, subscribed, taken};
use crate::support::{PATIENCE, Place, process};
use outtray::{ErrorKind, Headers, Message, NewMessage};

/// Subscribes a topic to each pattern; returns which of them a key reaches, and checks that the dry
/// run says the same.
#[track_caller]
fn reached(patterns: &[&str], key: &str) -> Vec<String> {
    let place = Place::new();
    for (number, pattern) in patterns.iter().enumerate() {
        let is_new = place.messaging.subscribe(pattern, &format!("t{number}"));
        assert!(is_new.unwrap(), "{pattern}");
    }
    let dry = place.messaging.publish_dry_run(key, &Headers::new());
    let copies = publish(&place.messaging, key, 1);

    let topics = 0..patterns.len();
    let mut reached = topics
        .map(|number| format!("t{number}"))
        .collect::<Vec<_>>();
    reached.retain(|topic| taken(&place.messaging, topic) == [1]);
    assert_eq!(copies, reached.len());
    assert_eq!(dry.unwrap(), reached);
    let pattern = |topic: String| patterns[topic[1..].parse::<usize>().unwrap()].to_owned();
    reached.into_iter().map(pattern).collect()
}

#[test]
fn a_star_stands_for_exactly_one_segment() {
    let matching = [
        "One.Two.Three",
        "*.Two.Three",
        "One.*.Three",
        "One.Two.*",
        "*.*.*",
    ];
    let others = ["One.Two", "*", "One.Two.Three.*", "*.*", "one.two.three"];
    let all = [matching.as_slice(), &others].concat();
    assert_eq!(reached(&all, "One.Two.Three"), matching);
}

#[test]
fn a_hash_stands_for_any_number_of_segments_anywhere() {
    let matching = [
        "#",
        "One.#",
        "One.Two.Three.#",
        "#.Three",
        "One.#.Three",
        "One.#.Two.#.Three",
        "#.Two.#",
        "#.#",
        "*.#",
        "#.*.*.*",
    ];
    let others = [
        "Two.#",
        "#.Two",
        "One.#.Two",
        "#.*.*.*.*",
        "One.#.*.*.Three",
    ];
    let all = [matching.as_slice(), &others].concat();
    assert_eq!(reached(&all, "One.Two.Three"), matching);
    assert_eq!(
        reached(&["#", "One.#", "One.*", "#.One"], "One"),
        ["#", "One.#", "#.One"]
    );
}

#[test]
fn a_topic_gets_one_copy_however_many_of_its_patterns_match() {
    let place = subscribed("billing");
    for pattern in ["orders.*", "*.created", "orders.created", "#"] {
        place.messaging.subscribe(pattern, "billing").unwrap();
    }
    assert_eq!(publish(&place.messaging, "orders.created", 7), 1);
    assert_eq!(taken(&place.messaging, "billing"), [7]);
}

#[test]
fn every_subscriber_gets_each_message_in_the_order_of_sending() {
    let place = subscribed("billing");
    place.messaging.subscribe("#", "audit").unwrap();
    let other = process(&place.url, PATIENCE);
    for number in 0..20 {
        let sender = [&place.messaging, &other][number as usize % 2];
        assert_eq!(publish(sender, "orders.created", number), 2);
    }
    let batch = |from: i32| {
        place.messaging.session(|session| {
            for number in from..from + 20 {
                session.publish("orders.created", &number)?;
            }
            Ok(())
        })
    };
    batch(20).unwrap();

    let all: Vec<i32> = (0..40).collect();
    assert_eq!(taken(&place.messaging, "billing"), all);
    assert_eq!(taken(&place.messaging, "audit"), all);
}

#[test]
fn sends_and_copies_of_a_session_keep_their_order_in_a_topic() {
    let place = subscribed("billing");
    place
        .messaging
        .session(|session| {
            for number in 0..30 {
                match number % 3 {
                    0 => drop(session.send_message("billing", &number)?),
                    _ => drop(session.publish("orders.created", &number)?),
                }
            }
            Ok(())
        })
        .unwrap();
    assert_eq!(
        taken(&place.messaging, "billing"),
        (0..30).collect::<Vec<_>>()
    );
}

#[test]
fn no_match_is_reported_and_can_be_made_an_error() {
    let mut place = subscribed("billing");
    assert_eq!(publish(&place.messaging, "invoices.created", 1), 0);
    let published = place.messaging.publish("invoices.created", &1).unwrap();
    assert_eq!((published.copies, published.ids.len()), (0, 0));

    let mandatory = || NewMessage::bytes("", [1]).mandatory();
    let refused = place
        .messaging
        .publish_message("invoices.created", mandatory());
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::NoSubscription);
    let sent = place.messaging.session(|session| {
        let refused = session.publish_message("invoices.created", mandatory());
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::NoSubscription);
        // It is as usable as before.
        session.publish_message("orders.created", mandatory())?;
        Ok(session.publish_message("invoices.created", mandatory())?)
    });
    assert_eq!(sent.unwrap_err().kind(), ErrorKind::NoSubscription);
    assert_eq!(place.count("outtray.message"), 0);
    let sent = place
        .messaging
        .publish_message("orders.created", mandatory());
    assert_eq!(sent.unwrap().copies, 1);
}

#[test]
fn a_subscriber_sees_the_key_among_the_headers() {
    let place = subscribed("billing");
    let message = NewMessage::json("elsewhere", &1)
        .unwrap()
        .header("source", "web")
        .header("outtray-routing-key", "mine");
    let published = place
        .messaging
        .publish_message("orders.item.added", message);
    let mut seen = Vec::new();
    place
        .messaging
        .drain("billing", |_, message: Message<i32>| {
            seen.push((message.id, message.topic, message.headers));
            Ok(())
        })
        .unwrap();

    let headers = [
        ("outtray-routing-key", "orders.item.added"),
        ("source", "web"),
    ];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let id = published.unwrap().ids[0];
    assert_eq!(seen, [(id, "billing".to_owned(), Headers::from(headers))]);
    assert!(place.is_empty("elsewhere"));
}

#[test]
fn bad_keys_patterns_and_topics_are_refused_before_any_sql() {
    let mut place = Place::new();
    let messaging = place.messaging.clone();
    let hostile = [
        "",
        ".",
        "a..b",
        ".a",
        "a.",
        "a b",
        "a\0",
        "a'; DROP TABLE outtray.message; --",
        "a\nb",
        "\"",
        "%",
        &"x".repeat(201),
    ];
    for bad in hostile {
        let kinds = [
            messaging.publish(bad, &1).map(drop),
            messaging.session(|session| Ok(session.publish(bad, &1).map(drop)?)),
            messaging.publish_dry_run(bad, &Headers::new()).map(drop),
            messaging.subscribe(bad, "t").map(drop),
        ]
        .map(|refused| refused.unwrap_err().kind());
        assert_eq!(kinds, [ErrorKind::Invalid; 4], "{bad:?}");
    }
    for bad in ["order*", "a.##", "a.#b"] {
        assert_eq!(
            messaging.subscribe(bad, "t").unwrap_err().kind(),
            ErrorKind::Invalid
        );
    }
    for (key, topic) in [("a.*", "t"), ("#", "t"), ("a", "a b"), ("a", "")] {
        let refused = [
            messaging.publish(key, &1).map(drop),
            messaging.subscribe(key, topic).map(drop),
        ];
        let is_invalid = |result: &outtray::Result<()>| {
            result
                .as_ref()
                .is_err_and(|error| error.kind() == ErrorKind::Invalid)
        };
        assert!(refused.iter().any(is_invalid), "{key} {topic}");
    }
    assert!(!messaging.unsubscribe("a\0", "t").unwrap());
    assert!(!messaging.unsubscribe("'; DROP TABLE x", "t").unwrap());
    messaging
        .session(|session| {
            assert!(session.publish("a b", &1).is_err());
            assert!(session.publish("a", &f64::NAN).is_err());
            Ok(session.execute("SELECT 1", &[]).map(drop)?)
        })
        .unwrap();
    place.sql("DELETE FROM outtray.subscription");
}

#[test]
fn subscriptions_are_listed_and_end() {
    let place = subscribed("billing");
    let messaging = &place.messaging;
    assert!(
        !messaging.subscribe("orders.#", "billing").unwrap(),
        "again"
    );
    assert!(messaging.subscribe("größe.*", "注文").unwrap());
    let all = messaging.subscriptions().unwrap();
    let all: Vec<_> = all
        .iter()
        .map(|one| (one.pattern.as_str(), one.topic.as_str()))
        .collect();
    assert_eq!(all, [("orders.#", "billing"), ("größe.*", "注文")]);
    assert!(messaging.topic("注文").is_known().unwrap());
    assert_eq!(messaging.topic_names().unwrap(), ["billing", "注文"]);
    assert_eq!(publish(messaging, "größe.neu", 1), 1);
    assert_eq!(publish(messaging, "orders.created", 1), 1);

    assert!(messaging.unsubscribe("orders.#", "billing").unwrap());
    assert!(!messaging.unsubscribe("orders.#", "billing").unwrap());
    assert_eq!(publish(messaging, "orders.created", 2), 0);
    assert_eq!(taken(messaging, "billing"), [1], "what is there stays");
    assert_eq!(messaging.subscriptions().unwrap().len(), 1);
}
