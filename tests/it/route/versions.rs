//! Routes for some schema versions only.

use super::{Seen, reason, routed, typed};
use crate::support::Place;
use outtray::{DeadReason, Message, NewMessage, Router};

fn version(number: &str) -> NewMessage {
    typed("order.created", &1).header("schema-version", number)
}

fn table(seen: &Seen) -> Router {
    Router::new()
        .on_versions("order.created", ..2, seen.noting("old"))
        .on_versions("order.*", 2..=3, seen.noting("new"))
        .on_versions("order.created", 3.., seen.noting("newest"))
}

#[track_caller]
fn check(message: NewMessage, expected: &[&str]) {
    let place = Place::new();
    place.send_new(message);
    let seen = Seen::default();
    assert_eq!(routed(&place, &table(&seen)), 1);
    assert_eq!(seen.take(), expected);
}

#[test]
fn a_route_takes_the_versions_of_its_range() {
    check(version("0"), &["old"]);
    check(version("1"), &["old"]);
    check(version("2"), &["new"]);
    check(version("3"), &["new", "newest"]);
    check(version("4"), &["newest"]);
    check(version("4294967295"), &["newest"]);
}

#[test]
fn a_message_that_says_no_version_is_of_version_0() {
    check(typed("order.created", &1), &["old"]);
}

#[test]
fn each_version_has_a_payload_of_its_own() {
    let mut place = Place::new();
    place.sql("CREATE TABLE price (cents bigint)");
    place.send_new(typed("price", "1.50").header("schema-version", "1"));
    place.send_new(typed("price", &150).header("schema-version", "2"));
    let router = Router::new()
        .on_versions("price", ..=1, |session, price: Message<String>| {
            let cents = (price.payload.parse::<f64>()? * 100.0).round();
            session.execute("INSERT INTO price VALUES ($1::float8::bigint)", &[&cents])?;
            Ok(())
        })
        .on_versions("price", 2..=2, |session, price: Message<i64>| {
            session.execute("INSERT INTO price VALUES ($1)", &[&price.payload])?;
            Ok(())
        });

    assert_eq!(routed(&place, &router), 2);

    assert_eq!(place.count("price WHERE cents = 150"), 2);
}

#[test]
fn a_version_that_no_route_takes_is_a_miss_that_says_so() {
    let place = Place::new();
    place.send_new(version("7"));
    let seen = Seen::default();
    let router = Router::new().on_versions("order.#", 1..=3, seen.noting("x"));

    assert_eq!(routed(&place, &router), 0);

    let expected = "no route takes version 7 of the type \"order.created\"";
    assert_eq!(reason(&place), expected);
    assert_eq!(place.dead_letters("events")[0].reason, DeadReason::Rejected);
}

#[test]
fn what_is_no_version_is_a_dead_letter_if_a_route_wants_to_know_it() {
    for text in ["", "two", "-1", "1.0", " 1", "4294967296", "v2", "\u{663}"] {
        let place = Place::new();
        place.send_new(version(text));
        let seen = Seen::default();
        let router = Router::new()
            .on("order.created", seen.noting("any"))
            .on_versions("order.*", 0.., seen.noting("some"));

        assert_eq!(routed(&place, &router), 0);

        let reason = reason(&place);
        assert!(
            reason.contains("schema-version is no whole number"),
            "{reason}"
        );
        assert_eq!(place.dead_letters("events")[0].attempts, 1);
        assert_eq!(seen.take(), [""; 0], "nothing runs for half of its routes");
    }
}

#[test]
fn what_is_no_version_does_not_matter_where_nobody_asks() {
    let place = Place::new();
    place.send_new(version("two"));
    let seen = Seen::default();
    let router = Router::new()
        .on("order.created", seen.noting("any"))
        .on_versions("order.*", .., seen.noting("all"))
        .on_versions("payment.*", 1.., seen.noting("others"));

    assert_eq!(routed(&place, &router), 1);

    assert_eq!(seen.take(), ["any", "all"]);
}
