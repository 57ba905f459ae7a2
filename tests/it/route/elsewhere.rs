//! A router serves whatever gets messages: several receivers, leases, logs, messages by hand.

use super::{Seen, TOPIC, typed};
use crate::log::log;
use crate::support::{MINUTE, PATIENCE, Place, eventually};
use outtray::{ErrorKind, Message, NewMessage, Payload, Router};
use std::sync::Arc;

fn of_type(topic: &str, kind: &str) -> NewMessage {
    let message = NewMessage::json(topic, &1).unwrap();
    message.header("message-type", kind)
}

#[test]
fn receivers_of_several_topics_share_one_router() {
    let place = Place::new();
    let seen = Seen::default();
    let router = Arc::new(Router::new().on("order.*", seen.noting("order")));
    let receivers = ["one", "two"].map(|topic| {
        let receiver = place.messaging.receiver(topic);
        receiver.start_router(Arc::clone(&router)).unwrap()
    });

    place.send_new(of_type("one", "order.created"));
    place.send_new(of_type("two", "order.paid"));
    eventually("both are handled", || {
        place.is_empty("one") && place.is_empty("two")
    });
    for receiver in receivers {
        receiver.stop(PATIENCE);
    }

    assert_eq!(seen.take(), ["order"; 2]);
}

#[test]
fn under_a_lease_a_router_has_no_transaction_until_a_handler_needs_one() {
    let mut place = Place::new();
    place.sql("CREATE TABLE effect (n integer)");
    place.send_new(typed("number", &7));
    let url = place.url.clone();
    let router = Router::new()
        .on("number", move |_, _: Message<i32>| {
            let mut other = crate::support::client(&url);
            let open = "SELECT count(*) FROM pg_stat_activity
                WHERE datname = current_database() AND state LIKE 'idle in%'";
            assert_eq!(other.query_one(open, &[])?.get::<_, i64>(0), 0);
            Ok(())
        })
        .on("#", |session, message: Message<i32>| {
            session.execute("INSERT INTO effect VALUES ($1)", &[&message.payload])?;
            Ok(())
        });

    let receiver = place.messaging.receiver(TOPIC).lease(MINUTE);
    let report = receiver.drain_router(&router).unwrap();

    assert_eq!(report.handled, 1, "{:?}", place.dead_letters(TOPIC));
    assert_eq!(place.count("effect WHERE n = 7"), 1);
}

#[test]
fn an_ordinary_drain_can_use_a_router_and_borrow_what_is_around_it() {
    let place = Place::new();
    place.send_new(typed("order.created", &1));
    let seen = Seen::default();
    let router = Router::new().on("order.*", seen.noting("order"));
    let mut count = 0;

    let report = place.messaging.drain(TOPIC, |session, message| {
        count += 1;
        router.handle(session, &message)
    });

    assert_eq!(report.unwrap().handled, 1);
    assert_eq!(seen.take(), ["order"]);
    assert_eq!(count, 1);
}

#[test]
fn a_delivery_that_was_taken_by_hand_is_routed_in_the_session_that_settles_it() {
    let mut place = Place::new();
    place.sql("CREATE TABLE effect (n integer)");
    place.send_new(typed("number", &7));
    let router = Router::new().on("number", |session, message: Message<i32>| {
        session.execute("INSERT INTO effect VALUES ($1)", &[&message.payload])?;
        Ok(())
    });
    let topic = place.messaging.topic(TOPIC);
    let delivery = topic.receive::<Payload>(MINUTE).unwrap().unwrap();

    let message = delivery.message().clone();
    delivery
        .settle_in(|session| router.handle(session, &message))
        .unwrap();

    assert_eq!(place.count("effect"), 1);
    assert!(place.is_empty(TOPIC));
}

#[test]
fn entries_of_a_log_are_routed_and_one_that_nobody_wants_is_put_aside() {
    let place = Place::new();
    place.messaging.topic("ledger").configure(log()).unwrap();
    let seen = Seen::default();
    let router = Router::new().on("order.*", seen.noting("order"));
    for kind in ["order.created", "payment.made", "order.paid"] {
        place.send_new(of_type("ledger", kind));
    }

    let reader = place.messaging.reader("ledger", "billing");
    let reader = reader.start_router(router).unwrap();
    eventually("one is aside", || {
        place.dead_letters("ledger@billing").len() == 1
    });
    let mut routed = Vec::new();
    eventually("the others are routed", || {
        routed.extend(seen.take());
        routed.len() >= 2
    });
    reader.stop(PATIENCE);

    let dead = place.dead_letters("ledger@billing");
    assert_eq!(dead[0].error, "no route matches the type \"payment.made\"");
}

#[test]
fn a_reader_of_a_log_refuses_a_router_that_is_wrong_before_it_exists() {
    let place = Place::new();
    place.messaging.topic("ledger").configure(log()).unwrap();

    let reader = place.messaging.reader("ledger", "billing");
    let error = reader.start_router(Router::new()).unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("no routes"), "{error}");
    assert!(
        place
            .messaging
            .topic("ledger")
            .readers()
            .unwrap()
            .is_empty()
    );
}
