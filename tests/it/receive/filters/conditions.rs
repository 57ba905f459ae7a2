//! What the conditions of a filter say, and how they are joined.

use crate::support::Place;
use crossbeam_channel::unbounded;
use outtray::{ErrorKind, Filter, Message, NewMessage};
use std::time::Duration;

/// Sends one message for each of these headers, in order; returns what a receiver with the filter
/// gets of them.
fn numbers_of(headers: &[&[(&str, &str)]], filter: Filter) -> Vec<usize> {
    let place = Place::new();
    for (number, headers) in headers.iter().enumerate() {
        let message = NewMessage::json("orders", &number).unwrap();
        let add = |message: NewMessage, (name, value): &(&str, &str)| message.header(*name, *value);
        place.send_new(headers.iter().fold(message, add));
    }
    // Read back from its text, which has to say the same.
    let filter: Filter = filter.to_string().parse().unwrap();
    taken(&place, filter)
}

/// Drains what a filter wants of the topic.
fn taken(place: &Place, filter: Filter) -> Vec<usize> {
    let (tell, told) = unbounded();
    let receiver = place.messaging.receiver("orders").workers(1).filter(filter);
    receiver
        .drain(move |_, message: Message<usize>| Ok(tell.send(message.payload)?))
        .unwrap();
    told.try_iter().collect()
}

#[test]
fn a_filter_joins_conditions_by_or_and_not() {
    let headers: [&[(&str, &str)]; 6] = [
        &[("region", "eu"), ("kind", "order")],
        &[("region", "us"), ("kind", "order")],
        &[("region", "us"), ("kind", "refund")],
        &[("kind", "refund")],
        &[("region", "eu")],
        &[],
    ];
    let new = Filter::new;
    let eu = || new().equals("region", "eu");
    let refund = || new().equals("kind", "refund");

    assert_eq!(numbers_of(&headers, eu().or(refund())), [0, 2, 3, 4]);
    assert_eq!(numbers_of(&headers, Filter::not(eu())), [1, 2, 3, 5]);
    let elsewhere = new().exists("region").and_not(eu());
    assert_eq!(numbers_of(&headers, elsewhere), [1, 2]);
    assert_eq!(numbers_of(&headers, Filter::not(eu().or(refund()))), [1, 5]);
    assert_eq!(
        numbers_of(&headers, Filter::not(eu().and(refund()))),
        [0, 1, 2, 3, 4, 5]
    );
    assert_eq!(numbers_of(&headers, Filter::not(Filter::not(eu()))), [0, 4]);
    let mixed = Filter::any([
        new().equals("kind", "order").and_not(eu()),
        new()
            .one_of("region", ["eu", "asia"])
            .and_not(new().exists("kind")),
        Filter::not(new().exists("region")).and(refund()),
    ]);
    assert_eq!(numbers_of(&headers, mixed), [1, 3, 4]);
    let none = new()
        .equals("region", "eu")
        .and(new().equals("kind", "refund"));
    assert_eq!(numbers_of(&headers, none), [0_usize; 0]);
}

#[test]
fn a_filter_asks_whether_a_header_is_there_and_how_it_begins() {
    let headers: [&[(&str, &str)]; 6] = [
        &[("kind", "order.new")],
        &[("kind", "order")],
        &[("kind", "Order.new")],
        &[("kind", "")],
        &[("other", "order.new")],
        &[("kind", "100%_x")],
    ];
    let new = Filter::new;

    assert_eq!(numbers_of(&headers, new().prefix("kind", "order")), [0, 1]);
    assert_eq!(numbers_of(&headers, new().prefix("kind", "order.")), [0]);
    assert_eq!(
        numbers_of(&headers, new().prefix("kind", "")),
        [0, 1, 2, 3, 5]
    );
    // No wildcards.
    assert_eq!(
        numbers_of(&headers, new().prefix("kind", "1%")),
        [0_usize; 0]
    );
    assert_eq!(numbers_of(&headers, new().prefix("kind", "100%_")), [5]);
    assert_eq!(numbers_of(&headers, new().exists("other")), [4]);
    assert_eq!(numbers_of(&headers, Filter::not(new().exists("kind"))), [4]);
}

/// Sizes, and texts that are none.
const SIZES: [&str; 21] = [
    "9",
    "10",
    "-1",
    "0.5",
    "1e3",
    "1000.0",
    "9007199254740992",
    "9007199254740993",
    "1e400",
    "-1e400",
    "1e-400",
    "many",
    "",
    " 7",
    "NaN",
    "Infinity",
    "1e99999",
    "0x10",
    "007",
    "+7",
    "null",
];

/// Returns which of the sizes a filter wants; one of over a thousand digits is "long".
fn sizes(filter: Filter) -> Vec<&'static str> {
    let long = "9".repeat(1001);
    let headers: Vec<[(&str, &str); 1]> = SIZES
        .iter()
        .copied()
        .chain([long.as_str()])
        .map(|value| [("size", value)])
        .collect();
    let headers: Vec<&[(&str, &str)]> = headers.iter().map(|header| &header[..]).collect();
    let numbers = numbers_of(&headers, filter).into_iter();
    numbers
        .map(|number| SIZES.get(number).copied().unwrap_or("long"))
        .collect()
}

#[test]
fn numbers_compare_as_numbers_in_all_magnitudes() {
    let new = Filter::new;
    let large = [
        "10",
        "1e3",
        "1000.0",
        "9007199254740992",
        "9007199254740993",
        "1e400",
    ];
    assert_eq!(sizes(new().at_least("size", 10)), large);
    assert_eq!(sizes(new().above("size", 10)), large[1..]);
    let small = ["-1", "-1e400", "1e-400"];
    assert_eq!(sizes(new().below("size", "1e-300")), small);
    assert_eq!(sizes(new().at_most("size", -1)), small[..2]);
    assert_eq!(sizes(new().number("size", 1000)), ["1e3", "1000.0"]);
    assert_eq!(sizes(new().number("size", 7)), ["007", "+7"]);
    // No double can tell this one from the one before.
    let odd = 9_007_199_254_740_993_u64;
    assert_eq!(sizes(new().number("size", odd)), [odd.to_string()]);
    assert_eq!(sizes(new().above("size", f64::MAX)), ["1e400"]);
    let range = new().at_least("size", 0).below("size", 10);
    let range = range.and_not(new().number("size", 7));
    assert_eq!(sizes(range), ["9", "0.5", "1e-400"]);
}

#[test]
fn what_is_no_number_is_neither_less_than_one_nor_more() {
    let new = Filter::new;
    let numbers = new().at_least("size", 0).or(new().below("size", 0));
    let others = [
        "many", "", " 7", "NaN", "Infinity", "1e99999", "0x10", "null", "long",
    ];
    assert_eq!(sizes(new().exists("size").and_not(numbers)), others);
    // As a text it is what it says.
    assert_eq!(sizes(new().equals("size", "10")), ["10"]);
    assert_eq!(sizes(new().equals("size", "NaN")), ["NaN"]);
}

#[test]
fn null_is_a_header_and_not_the_same_as_none() {
    let place = Place::new();
    let message = |number: usize| NewMessage::json("orders", &number).unwrap();
    place.send_new(message(0).null_header("baz").header("foo", "BAD"));
    place.send_new(message(1).header("baz", "null").header("foo", "BAD"));
    place.send_new(message(2).header("foo", "BAD"));
    place.send_new(message(3).null_header("baz").header("baz", "text"));
    place.send_new(message(4).header("baz", "text").null_header("baz").key("k"));
    place.send_new(
        message(5)
            .null_header("baz")
            .delay(Duration::from_secs(86_400)),
    );
    let new = Filter::new;
    let peeked = |filter: &str| {
        let topic = place.messaging.topic("orders");
        let wanted = topic.matching(filter.parse().unwrap());
        let batch = wanted
            .receive_batch::<usize>(9, Duration::from_secs(60))
            .unwrap();
        batch
            .iter()
            .map(|delivery| delivery.payload)
            .collect::<Vec<_>>()
        // Dropped, and so back in their places.
    };

    assert_eq!(peeked("baz is null"), [0, 4]);
    assert_eq!(peeked("baz exists"), [0, 1, 3, 4]);
    assert_eq!(peeked("not baz exists"), [2]);
    assert_eq!(peeked("baz is not null"), [1, 3]);
    assert_eq!(peeked("not baz is null"), [1, 2, 3]);
    assert_eq!(peeked("baz = null"), [1]);
    // As another system's suite has it.
    assert_eq!(
        peeked("foo starts with GOOD or not baz exists and foo is not null"),
        [2]
    );
    assert_eq!(taken(&place, new().null("baz")), [0, 4]);
    let scheduled = place
        .messaging
        .topic("orders")
        .cancel_matching(&new().null("baz"));
    assert_eq!(scheduled.unwrap(), 1);
}

#[test]
fn what_is_cancelled_by_a_filter_may_wait_in_any_way() {
    let place = Place::new();
    let message = |size: i32| {
        NewMessage::json("orders", &size)
            .unwrap()
            .header("size", size.to_string())
    };
    for size in [2, 9, 10, 11, 100] {
        place.send_new(message(size));
        place.send_new(message(size).delay(Duration::from_secs(3600)));
        place.send_new(message(size).key("k"));
    }
    let topic = place.messaging.topic("orders");

    let cancelled = topic
        .cancel_matching(&Filter::new().at_least("size", 10))
        .unwrap();

    assert_eq!(cancelled, 9);
    assert!(
        topic
            .peek(99)
            .unwrap()
            .iter()
            .all(|left| ["2", "9"].contains(&left.headers["size"].as_str()))
    );
    let refused = topic.cancel_matching(&Filter::new()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
}
