//! What becomes of messages that no route matches.

use super::{Seen, TOPIC, reason, routed, typed};
use crate::support::{Place, keep_log, logged};
use outtray::{DeadReason, Message, NewMessage, NoMatch, Payload, Router};

fn orders(seen: &Seen) -> Router {
    Router::new().on("order.#", seen.noting("order"))
}

/// Routes a message that is no order's; returns why it is a dead letter.
#[track_caller]
fn reason_of(message: NewMessage) -> String {
    let place = Place::new();
    place.send_new(message);
    let seen = Seen::default();

    assert_eq!(routed(&place, &orders(&seen)), 0);

    assert_eq!(seen.take(), [""; 0]);
    let dead = place.dead_letters(TOPIC);
    assert_eq!(
        (dead[0].reason, dead[0].attempts),
        (DeadReason::Rejected, 1)
    );
    reason(&place)
}

#[test]
fn a_message_that_nobody_wants_is_a_dead_letter_that_names_its_type() {
    let reason = reason_of(typed("payment.made", &1));
    assert_eq!(reason, "no route matches the type \"payment.made\"");
}

#[test]
fn a_message_without_a_type_says_that_it_has_none() {
    let reason = reason_of(NewMessage::json(TOPIC, &1).unwrap());
    assert_eq!(
        reason,
        "no route matches a message without a type (header message-type)"
    );
}

#[test]
fn hostile_types_are_shown_escaped_and_cut() {
    let reason = reason_of(typed("a\"\nb", &1));
    assert_eq!(reason, "no route matches the type \"a\\\"\\nb\"");
    let long = reason_of(typed(&"x".repeat(10_000), &1));
    assert!(long.len() < 200, "{long}");
}

#[test]
fn what_is_said_is_what_is_the_default() {
    let place = Place::new();
    place.send_new(typed("payment.made", &1));
    let seen = Seen::default();
    let router = orders(&seen).otherwise(NoMatch::DeadLetter);

    assert_eq!(routed(&place, &router), 0);

    assert_eq!(reason(&place), "no route matches the type \"payment.made\"");
}

#[test]
fn a_message_that_is_to_be_ignored_is_acked_and_logged() {
    keep_log();
    let place = Place::new();
    let id = place.send_new(typed("payment.made", &1));
    let seen = Seen::default();
    let router = orders(&seen).otherwise(NoMatch::Ignore);

    assert_eq!(routed(&place, &router), 1);

    assert_eq!(seen.take(), [""; 0]);
    assert!(place.is_empty(TOPIC));
    assert!(place.dead_letters(TOPIC).is_empty());
    let lines = logged(&id.to_string());
    assert!(
        lines
            .iter()
            .any(|(_, line)| line.contains("no route matches")),
        "{lines:?}"
    );
}

#[test]
fn a_default_handler_gets_what_no_route_takes_and_nothing_else() {
    let mut place = Place::new();
    place.sql("CREATE TABLE other (type text, payload text)");
    for kind in ["order.created", "payment.made", "payment.failed"] {
        place.send_new(typed(kind, kind));
    }
    let seen = Seen::default();
    let router = orders(&seen).otherwise_handle(|session, message: Message<Payload>| {
        let (kind, payload) = (
            &message.headers["message-type"],
            message.payload.to_string(),
        );
        session.execute("INSERT INTO other VALUES ($1, $2)", &[kind, &payload])?;
        Ok(())
    });

    assert_eq!(routed(&place, &router), 3);

    assert_eq!(seen.take(), ["order"]);
    assert_eq!(place.count("other WHERE payload = '\"' || type || '\"'"), 2);
}

#[test]
fn a_default_handler_that_cannot_decode_makes_a_dead_letter() {
    let place = Place::new();
    place.send_new(typed("payment.made", "text"));
    let router = Router::new().otherwise_handle(|_, _: Message<i64>| Ok(()));

    assert_eq!(routed(&place, &router), 0);

    let dead = place.dead_letters(TOPIC);
    assert_eq!(
        (dead[0].reason, dead[0].attempts),
        (DeadReason::Undecodable, 1)
    );
}
