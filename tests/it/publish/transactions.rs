//! What is published is part of the transaction, whoever's that is.

use super::{publish, subscribed, taken};
use crate::support::{PATIENCE, client, process};
use outtray::{HandlerError, MessagingSession, NewMessage};
use std::time::Duration;

#[test]
fn a_rollback_publishes_nothing() {
    let mut place = subscribed("billing");
    let rolled_back = place.messaging.session(|session| {
        session.publish("orders.created", &1)?;
        session.execute("CREATE TABLE thing ()", &[])?;
        session.publish("orders.created", &2)?;
        Err::<(), _>(HandlerError::failed("no"))
    });
    rolled_back.unwrap_err();
    assert_eq!(place.count("outtray.message"), 0);
    assert_eq!(place.count("pg_class WHERE relname = 'thing'"), 0);
}

#[test]
fn copies_commit_with_what_else_the_session_does() {
    let mut place = subscribed("billing");
    place.messaging.subscribe("#", "audit").unwrap();
    for copies in [1, 3, 10] {
        place
            .messaging
            .session(|session| {
                session.execute("CREATE TABLE IF NOT EXISTS thing ()", &[])?;
                for number in 0..copies {
                    session.publish("orders.created", &number)?;
                }
                session.execute("INSERT INTO thing DEFAULT VALUES", &[])?;
                Ok(())
            })
            .unwrap();
        let all: Vec<i32> = (0..copies).collect();
        assert_eq!(taken(&place.messaging, "billing"), all);
        assert_eq!(taken(&place.messaging, "audit"), all);
    }
    assert_eq!(place.count("thing"), 3);
}

#[test]
fn a_swallowed_error_before_or_after_a_publish_rolls_it_back() {
    let mut place = subscribed("billing");
    for is_first in [true, false] {
        publish(&place.messaging, "orders.created", 0);
        let swallowed = place.messaging.session(|session| {
            if is_first {
                drop(session.execute("SELECT 1 / 0", &[]));
            }
            drop(session.publish("orders.created", &1));
            drop(session.execute("SELECT 1 / 0", &[]));
            Ok(())
        });
        swallowed.unwrap_err();
        assert_eq!(taken(&place.messaging, "billing"), [0]);
    }
    assert_eq!(place.count("outtray.message"), 0);
}

#[test]
fn a_joined_session_publishes_in_the_callers_transaction() {
    let place = subscribed("billing");
    let mut client = client(&place.url);
    for commits in [false, true] {
        let mut transaction = client.transaction().unwrap();
        let mut session = MessagingSession::join(&place.messaging, &mut transaction).unwrap();
        assert_eq!(session.publish("orders.created", &1).unwrap().copies, 1);
        assert_eq!(session.publish("nothing", &1).unwrap().copies, 0);
        assert_eq!(session.publish("orders.created", &2).unwrap().copies, 1);
        drop(session);
        match commits {
            true => transaction.commit().unwrap(),
            false => transaction.rollback().unwrap(),
        }
        let expected: &[i32] = if commits { &[1, 2] } else { &[] };
        assert_eq!(taken(&place.messaging, "billing"), expected);
    }
}

#[test]
fn a_session_that_publishes_thousands_stores_them_early_and_in_order() {
    let mut place = subscribed("billing");
    place.messaging.subscribe("orders.*", "audit").unwrap();
    publish(&place.messaging, "orders.created", -1);
    let result = place.messaging.session(|session| {
        for number in 0..4_000 {
            session.publish("orders.created", &number)?;
        }
        Ok(())
    });
    result.unwrap();
    let all: Vec<i32> = (-1..4_000).collect();
    assert_eq!(taken(&place.messaging, "billing"), all);
    assert_eq!(place.count("outtray.message WHERE topic = 'audit'"), 4_001);
}

#[test]
fn what_a_session_sends_besides_is_stored_whatever_it_needs() {
    let mut place = subscribed("billing");
    for is_known in [false, true] {
        if is_known {
            publish(&place.messaging, "orders.created", 9);
            assert_eq!(taken(&place.messaging, "billing"), [9]);
        }
        place
            .messaging
            .session(|session| {
                session.publish("orders.created", &1)?;
                session.send(NewMessage::json("others", &2)?.key("k"))?;
                session.send(NewMessage::json("others", &3)?.delay(Duration::from_secs(3600)))?;
                session.send(NewMessage::json("others", &4)?.tracked())?;
                Ok(())
            })
            .unwrap();
        assert_eq!(taken(&place.messaging, "billing"), [1]);
        assert_eq!(taken(&place.messaging, "others"), [2, 4]);
    }
    assert_eq!(place.count("outtray.scheduled"), 2);
}

#[test]
fn a_sender_without_receivers_wakes_those_of_others() {
    let place = subscribed("billing");
    let sender = process(&place.url, PATIENCE);
    let receiver = process(&place.url, PATIENCE);
    let (running, told) = crate::support::telling::<i32>(receiver.receiver("billing"));
    publish(&sender, "orders.created", 1);
    assert_eq!(crate::support::next(&told, 1), [1]);
    publish(&sender, "orders.created", 2);
    assert_eq!(crate::support::next(&told, 1), [2]);
    running.stop(PATIENCE);
}
