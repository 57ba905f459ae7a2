//! Which routes a type finds.

use super::{Seen, TOPIC, routed, typed};
use crate::support::Place;
use outtray::{HandlerError, Message, MessagingSession, NewMessage, Payload, Router};

/// Routes a message of a type through a table with these patterns; returns which of them it
/// reached, in the order in which their handlers ran.
#[track_caller]
fn reached(patterns: &[&'static str], kind: &str) -> Vec<String> {
    let place = Place::new();
    place.send_new(typed(kind, &1));
    let seen = Seen::default();
    let add = |router: Router, pattern: &&str| router.on(*pattern, seen.noting(pattern));
    let router = patterns.iter().fold(Router::new(), add);

    let acked = routed(&place, &router);

    let reached = seen.take();
    assert_eq!(acked, u64::from(!reached.is_empty()));
    reached
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
    let others = ["Two.#", "#.Two", "One.#.Three.*", "#.*.*.*.*"];
    let all = [others.as_slice(), &matching].concat();
    assert_eq!(reached(&all, "One.Two.Three"), matching);
}

#[test]
fn handlers_run_in_the_order_in_which_they_were_added() {
    let order = [
        "*.created",
        "order.created",
        "#",
        "order.created",
        "order.*",
    ];
    assert_eq!(reached(&order, "order.created"), order);
    let backwards = ["order.*", "#", "order.created", "*.created"];
    assert_eq!(reached(&backwards, "order.created"), backwards);
}

#[test]
fn a_route_with_several_patterns_runs_once_for_a_message() {
    let place = Place::new();
    place.send_new(typed("order.created", &1));
    let seen = Seen::default();
    let router = Router::new()
        .on(["order.*", "order.created", "#"], seen.noting("first"))
        .on(
            vec!["payment.#".to_owned(), "#.created".to_owned()],
            seen.noting("second"),
        )
        .on(
            ["payment.#", "payment.created"].as_slice(),
            seen.noting("third"),
        );

    assert_eq!(routed(&place, &router), 1);

    assert_eq!(seen.take(), ["first", "second"]);
}

#[test]
fn a_message_without_a_type_is_matched_by_a_hash_alone() {
    for nothing in [None, Some("")] {
        let place = Place::new();
        let plain = NewMessage::json(TOPIC, &1).unwrap();
        place.send_new(match nothing {
            Some(kind) => plain.header("message-type", kind),
            None => plain,
        });
        let seen = Seen::default();
        let router = Router::new()
            .on("*", seen.noting("*"))
            .on("#.*", seen.noting("#.*"))
            .on("#", seen.noting("#"));

        assert_eq!(routed(&place, &router), 1);

        assert_eq!(seen.take(), ["#"], "{nothing:?}");
    }
}

#[test]
fn types_that_no_pattern_can_spell_are_matched_by_their_segments() {
    let all = ["order.*", "#", "*.*.*"];
    assert_eq!(reached(&all, "order.an odd one!"), ["order.*", "#"]);
    assert_eq!(reached(&all, "order."), ["order.*", "#"]);
    assert_eq!(reached(&all, ".."), ["#", "*.*.*"]);
    assert_eq!(reached(&all, "*"), ["#"]);
    assert_eq!(reached(&all, &"x".repeat(10_000)), ["#"]);
    assert_eq!(
        reached(&["#.#.#.#.#.z"], &vec!["x"; 5_000].join(".")),
        [""; 0]
    );
}

fn my_message_handler(
    session: &mut MessagingSession,
    message: Message<Payload>,
) -> Result<(), HandlerError> {
    session.execute(
        "INSERT INTO handled VALUES ($1)",
        &[&message.headers["message-type"]],
    )?;
    Ok(())
}

fn event_logger(
    session: &mut MessagingSession,
    message: Message<Payload>,
) -> Result<(), HandlerError> {
    session.execute(
        "INSERT INTO logged VALUES ($1)",
        &[&message.headers["message-type"]],
    )?;
    Ok(())
}

/// The table of the README that this promise comes from: modules with their lists of patterns.
#[test]
fn a_static_routing_table_is_one_expression() {
    let mut place = Place::new();
    place.sql("CREATE TABLE handled (type text); CREATE TABLE logged (type text)");
    for kind in [
        "MyContext.Commands.Greet",
        "AnotherContext.Events.Greeted",
        "MyContext.Events.Greeted",
    ] {
        place.send_new(typed(kind, &1));
    }

    let router = Router::new()
        .on(
            ["MyContext.Commands.*", "AnotherContext.Events.*"],
            my_message_handler,
        )
        .on("*.Events.*", event_logger);
    assert_eq!(routed(&place, &router), 3);

    assert_eq!(place.count("handled"), 2);
    assert_eq!(place.count("logged"), 2);
    assert_eq!(
        place.count("logged NATURAL JOIN handled WHERE type LIKE 'Another%'"),
        1
    );
}
