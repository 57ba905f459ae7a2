//! Subscriptions to messages with certain headers.

use super::taken;
use crate::support::Place;
use outtray::{ErrorKind, Filter, Headers, NewMessage};

fn large() -> Filter {
    "region = eu and amount >= 1e3".parse().unwrap()
}

fn order(number: i32, region: &str, amount: &str) -> NewMessage {
    let order = NewMessage::json("", &number).unwrap();
    order.header("region", region).header("amount", amount)
}

#[test]
fn only_messages_whose_headers_match_are_copied() {
    let place = Place::new();
    let messaging = &place.messaging;
    messaging
        .subscribe_matching("orders.*", "reviews", &large())
        .unwrap();
    messaging.subscribe("orders.*", "all").unwrap();
    let orders = [
        (order(1, "eu", "1000"), 2),
        (order(2, "eu", "999.9"), 1),
        (order(3, "us", "5000"), 1),
        (NewMessage::json("", &4).unwrap(), 1),
        (order(5, "eu", "+1000000000000000000000000.1"), 2),
    ];
    for (order, copies) in orders {
        let published = messaging.publish_message("orders.created", order);
        assert_eq!(published.unwrap().copies, copies);
    }
    assert_eq!(taken(messaging, "reviews"), [1, 5]);
    assert_eq!(taken(messaging, "all"), [1, 2, 3, 4, 5]);

    let mut headers = Headers::from([("region".to_owned(), "eu".to_owned())]);
    assert_eq!(
        messaging.publish_dry_run("orders.x", &headers).unwrap(),
        ["all"]
    );
    headers.insert("amount".to_owned(), "7000".to_owned());
    let both = messaging.publish_dry_run("orders.x", &headers);
    assert_eq!(both.unwrap(), ["all", "reviews"]);
}

#[test]
fn a_pattern_of_a_topic_has_one_filter_and_the_last_one_counts() {
    let place = Place::new();
    let messaging = &place.messaging;
    let copies = |order| {
        messaging
            .publish_message("orders.created", order)
            .unwrap()
            .copies
    };
    assert!(
        messaging
            .subscribe_matching("orders.*", "reviews", &large())
            .unwrap()
    );
    assert!(
        !messaging
            .subscribe_matching("orders.*", "reviews", &large())
            .unwrap()
    );
    assert_eq!(copies(order(1, "us", "7")), 0);
    let us = Filter::new().equals("region", "us");
    assert!(
        messaging
            .subscribe_matching("orders.*", "reviews", &us)
            .unwrap()
    );
    assert_eq!(copies(order(2, "us", "7")), 1);
    assert_eq!(copies(order(3, "eu", "7000")), 0);
    assert!(messaging.subscribe("orders.*", "reviews").unwrap());
    assert_eq!(copies(order(4, "eu", "7")), 1);

    // Another pattern has a filter of its own; the topic still gets one copy.
    messaging
        .subscribe_matching("#", "reviews", &large())
        .unwrap();
    assert_eq!(copies(order(5, "eu", "7000")), 1);
    let filters: Vec<_> = messaging
        .subscriptions()
        .unwrap()
        .into_iter()
        .map(|one| one.filter)
        .collect();
    assert_eq!(filters, [Some(large()), None]);
    let refused = messaging.subscribe_matching("#", "reviews", &Filter::new());
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn a_filter_means_the_same_here_as_it_does_to_a_receiver() {
    let place = Place::new();
    let messaging = &place.messaging;
    let values = [
        "", "a", "ab", "1", "1.0", "-1", "1e2", "100", "99", "1e9999", "-0", "٣", "NaN", "1e99999",
    ];
    let with = |value: &&str| NewMessage::bytes("", [0]).header("h", *value);
    let mut messages: Vec<NewMessage> = values.iter().map(with).collect();
    messages.push(NewMessage::bytes("", [0]));
    messages.push(NewMessage::bytes("", [0]).null_header("h"));
    let filters = [
        "h = a",
        "h != a",
        "h in ('', '1')",
        "h starts with a",
        "h starts with ''",
        "h exists",
        "not h exists",
        "h is null",
        "h is not null",
        "h == 1",
        "h < 100",
        "h <= 1e2",
        "h > -1",
        "h >= 1e9999",
        "not h > 0",
        "h = a or h == 100",
        "not (h exists and h < 5)",
    ];
    let filters = filters.map(|filter| filter.parse::<Filter>().unwrap());
    for (number, filter) in filters.iter().enumerate() {
        let topic = format!("some{number}");
        messaging.subscribe_matching("k", &topic, filter).unwrap();
        messaging.subscribe("k", &format!("all{number}")).unwrap();
    }
    for message in messages {
        drop(messaging.publish_message("k", message).unwrap());
    }
    for (number, filter) in filters.iter().enumerate() {
        // The one was filtered here, the other is filtered by the database.
        let copied = messaging
            .topic(&format!("some{number}"))
            .stats()
            .unwrap()
            .ready;
        let matching = messaging
            .topic(&format!("all{number}"))
            .cancel_matching(filter);
        assert_eq!(matching.unwrap(), copied, "{filter}");
    }
}
