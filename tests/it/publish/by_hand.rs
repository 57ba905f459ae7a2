//! Subscriptions that were written by hand, also such as nobody can read.

use super::{publish, subscribed, taken};
use crate::support::{A_WHILE, PATIENCE, done, eventually, keep_log, logged, process};

/// What no call would write. The last one can be read.
const ROWS: &str = "
    INSERT INTO outtray.subscription (topic, pattern, filter) VALUES
        ('bad pattern', '#', NULL),
        ('t1', 'orders..created', NULL),
        ('t2', 'order*', NULL),
        ('t3', '', NULL),
        ('t4', '#', 'region ='),
        ('t5', '#', 'a exists and'),
        ('t6', '#', ''),
        ('', '#', NULL),
        ('t7', E'a\\nb', NULL),
        ('audit', '#', 'not exists_not exists')";
const RENEW: &str = "
    INSERT INTO outtray.subscription_version VALUES ('', gen_random_uuid())
    ON CONFLICT (topic) DO UPDATE SET version = excluded.version";

#[test]
fn one_that_cannot_be_read_is_set_aside_alone() {
    let mut place = subscribed("billing");
    keep_log();
    assert_eq!(publish(&place.messaging, "orders.created", 1), 1);
    place.sql(&format!("BEGIN; {ROWS}; {RENEW}; COMMIT"));

    for sender in [process(&place.url, PATIENCE), place.messaging.clone()] {
        assert_eq!(sender.publish("orders.created", &2).unwrap().copies, 2);
        assert_eq!(publish(&sender, "orders.created", 3), 2);
    }
    assert_eq!(taken(&place.messaging, "billing"), [1, 2, 3, 2, 3]);
    assert_eq!(taken(&place.messaging, "audit"), [2, 3, 2, 3]);
    assert_eq!(place.count("outtray.message"), 0);

    let all = place.messaging.subscriptions().unwrap();
    let flawed: Vec<_> = all.iter().filter(|one| one.flaw.is_some()).collect();
    assert_eq!((all.len(), flawed.len()), (11, 9), "{all:?}");
    for one in flawed {
        assert!(
            place
                .messaging
                .unsubscribe(&one.pattern, &one.topic)
                .unwrap(),
            "{one:?}"
        );
    }
    assert_eq!(publish(&place.messaging, "orders.created", 4), 2);
    assert!(!logged("\"order*\" gets nothing").is_empty());
}

#[test]
fn a_schema_that_was_made_anew_has_none_of_the_old_ones() {
    let mut place = subscribed("billing");
    assert_eq!(publish(&place.messaging, "orders.created", 1), 1);
    place.sql("DROP SCHEMA outtray CASCADE");
    place.messaging.migrate().unwrap();
    assert_eq!(
        place
            .messaging
            .publish("orders.created", &2)
            .unwrap()
            .copies,
        0
    );
    place.messaging.subscribe("orders.*", "other").unwrap();
    assert_eq!(publish(&place.messaging, "orders.created", 3), 1);
    assert_eq!(taken(&place.messaging, "other"), [3]);
    assert_eq!(taken(&place.messaging, "billing"), [] as [i32; 0]);
}

#[test]
fn an_ephemeral_one_of_an_ordinary_topic_takes_nothing_else_with_it() {
    let mut place = subscribed("billing");
    let upkeep = process(&place.url, A_WHILE);
    let _receiver = upkeep.receiver("elsewhere").start(done).unwrap();
    assert_eq!(publish(&place.messaging, "orders.created", 1), 1);
    place.sql(&format!(
        "BEGIN; INSERT INTO outtray.subscription (topic, pattern, grace_us, expires_at)
        VALUES ('billing', 'x.#', 0, now()); {RENEW}; COMMIT"
    ));

    eventually("it has ended", || {
        place.count("outtray.subscription WHERE pattern = 'x.#'") == 0
    });

    assert_eq!(publish(&place.messaging, "orders.created", 2), 1);
    assert_eq!(taken(&place.messaging, "billing"), [1, 2]);
}
