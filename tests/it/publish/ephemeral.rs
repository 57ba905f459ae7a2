//! Subscriptions that end with their holders.

use super::publish;
use crate::support::{
    A_WHILE, Child, DAY, HOUR, Ledger, PATIENCE, Place, done, eventually, next, pass_time, process,
    reject, telling, test_name,
};
use outtray::{ErrorKind, Filter, Messaging, NewMessage};
use std::time::Duration;

const CHILD: &str = test_name!(a_child_holds_a_subscription_until_it_is_killed);
const GRACE: Duration = Duration::from_secs(1);

/// All rows about a topic that a subscription leaves.
fn left(place: &mut Place, topic: &str) -> i64 {
    let tables = [
        "subscription",
        "message",
        "scheduled",
        "follower",
        "dead_letter",
    ];
    let rows = |table: &str| format!("SELECT FROM outtray.{table} WHERE topic = '{topic}'");
    let rows: Vec<String> = tables.iter().map(|table| rows(table)).collect();
    place.count(&format!("({}) AS rows", rows.join(" UNION ALL ")))
}

#[test]
fn one_gets_what_is_published_from_now_on_until_it_is_dropped() {
    let mut place = Place::new();
    let sender = process(&place.url, PATIENCE);
    publish(&sender, "orders.created", 0);
    let subscription = place
        .messaging
        .subscribe_ephemeral("orders.*", HOUR)
        .unwrap();
    let eu = Filter::new().equals("region", "eu");
    subscription.add("invoices.#").unwrap();
    subscription.add_matching("returns", &eu).unwrap();
    let topic = subscription.topic().to_owned();
    let receiver = place.messaging.receiver(&topic).workers(1);
    let (running, told) = telling::<i32>(receiver);
    assert_eq!(publish(&sender, "orders.created", 1), 1);
    assert_eq!(publish(&sender, "invoices.paid.late", 2), 1);
    assert_eq!(publish(&sender, "returns", 3), 0);
    assert_eq!(publish(&sender, "others", 4), 0);
    assert_eq!(next(&told, 2), [1, 2]);
    running.stop(PATIENCE);
    assert!(!subscription.is_lost());

    // Everything that a topic can have.
    let order = |number: i32| NewMessage::json("", &number).unwrap();
    publish(&sender, "orders.created", 5);
    place.messaging.drain(&topic, reject).unwrap();
    for number in 0..3 {
        sender
            .publish_message("orders.created", order(number).key("k"))
            .unwrap();
        sender
            .publish_message("orders.created", order(number).delay(DAY))
            .unwrap();
    }
    assert_eq!(left(&mut place, &topic), 3 + 7);
    drop(subscription);
    assert_eq!(left(&mut place, &topic), 0);
    assert_eq!(publish(&sender, "orders.created", 6), 0);
    place
        .messaging
        .subscribe_ephemeral("a", HOUR)
        .unwrap()
        .end()
        .unwrap();
    assert_eq!(place.count("outtray.subscription"), 0);
}

#[test]
fn one_whose_holder_was_killed_ends_after_its_grace_time() {
    let ledger = Ledger::open();
    let mut child = ledger.child(CHILD, "hold");
    let topic = child.listen();
    let mut place = Place::over(ledger.url(), ledger.messaging());
    assert_eq!(publish(&place.messaging, "orders.created", 1), 1);

    // As long as it lives, it says so.
    let said = "SELECT extract(epoch FROM expires_at) FROM outtray.subscription";
    for _ in 0..2 {
        let before = place.number(said);
        eventually("it says that it is wanted", || place.number(said) > before);
    }
    child.kill();
    // Any process with a receiver ends it.
    let running = place
        .messaging
        .start_receiving_messages("others", done)
        .unwrap();
    eventually("all of it is gone", || left(&mut place, &topic) == 0);
    assert_eq!(publish(&place.messaging, "orders.created", 2), 0);
    running.stop(PATIENCE);
}

#[test]
fn a_child_holds_a_subscription_until_it_is_killed() {
    if Child::role().is_none() {
        return;
    }
    let messaging: Messaging = Ledger::messaging_of_parent();
    let subscription = messaging.subscribe_ephemeral("orders.*", GRACE).unwrap();
    Child::tell(subscription.topic());
    Child::await_parent();
}

#[test]
fn one_with_a_short_grace_time_is_kept_beside_one_with_a_long_one() {
    let mut place = Place::new();
    let long = place.messaging.subscribe_ephemeral("a", HOUR).unwrap();
    // The process says that it is wanted, and need not say so again for twenty minutes.
    pass_time(A_WHILE);
    let short = place.messaging.subscribe_ephemeral("a", GRACE).unwrap();

    let said = format!(
        "SELECT extract(epoch FROM expires_at) FROM outtray.subscription WHERE topic = '{}'",
        short.topic()
    );
    for _ in 0..4 {
        let before = place.number(&said);
        eventually("it says that the short one is wanted", || {
            place.number(&said) > before
        });
    }
    assert!(!short.is_lost() && !long.is_lost());
}

#[test]
fn a_grace_time_that_makes_no_sense_keeps_no_other_subscription() {
    let mut place = Place::watchful();
    place.sql(
        "INSERT INTO outtray.subscription (topic, pattern, expires_at, grace_us)
            VALUES ('outtray.ephemeral.odd', 'a', now() - interval '1 hour', 9223372036854775807),
                ('outtray.ephemeral.dead', 'a', now() - interval '1 minute', 1000000)",
    );

    let running = place.idle_receiver();

    eventually("that of a dead holder ends", || {
        place.count("outtray.subscription WHERE topic = 'outtray.ephemeral.dead'") == 0
    });
    running.stop(PATIENCE);
    assert_eq!(place.count("outtray.subscription"), 1);
}

#[test]
fn a_holder_learns_that_it_was_given_up() {
    let mut place = Place::new();
    let subscription = place.messaging.subscribe_ephemeral("a", GRACE).unwrap();
    let other = place.messaging.subscribe_ephemeral("a", GRACE).unwrap();
    place.sql(&format!(
        "DELETE FROM outtray.subscription WHERE topic = '{}'",
        subscription.topic()
    ));
    eventually("it is told", || subscription.is_lost());
    assert!(!other.is_lost());
    subscription.end().unwrap();
    assert_eq!(place.count("outtray.subscription"), 1);
}

#[test]
fn copies_that_came_after_the_end_are_removed_and_no_others() {
    let mut place = Place::new();
    let subscription = place.messaging.subscribe_ephemeral("a", HOUR).unwrap();
    let living = place.messaging.subscribe_ephemeral("a", HOUR).unwrap();
    let topic = subscription.topic().to_owned();
    place
        .messaging
        .session(|session| {
            // It has matched; the subscription ends before it commits.
            session.execute("SELECT 1", &[])?;
            session.send_message(&topic, &1)?;
            session.send(NewMessage::json(&topic, &2)?.delay(DAY))?;
            session.send_message(living.topic(), &3)?;
            session.send_message("outtray.ephemeral.mine", &4)?;
            drop(subscription);
            Ok(())
        })
        .unwrap();
    assert_eq!(left(&mut place, &topic), 2);
    let upkeep = process(&place.url, PATIENCE);
    let running = upkeep.start_receiving_messages("others", done).unwrap();
    eventually("they are gone", || left(&mut place, &topic) == 0);
    running.stop(PATIENCE);
    assert_eq!(place.count("outtray.message"), 2);
}

#[test]
fn bad_patterns_and_grace_times_are_refused() {
    let mut place = Place::new();
    let subscribe = |pattern: &str, grace| {
        place
            .messaging
            .subscribe_ephemeral(pattern, grace)
            .map(drop)
    };
    for (pattern, grace) in [("a..b", HOUR), ("a", Duration::ZERO), ("a", DAY * 8)] {
        assert_eq!(
            subscribe(pattern, grace).unwrap_err().kind(),
            ErrorKind::Invalid
        );
    }
    let subscription = place.messaging.subscribe_ephemeral("a", HOUR).unwrap();
    for refused in [
        subscription.add("#x"),
        subscription.add_matching("b", &Filter::new()),
    ] {
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid);
    }
    assert_eq!(place.count("outtray.subscription"), 1);
}
