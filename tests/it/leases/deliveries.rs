//! One delivery: how it ends, and how it cannot end twice.

use super::check_lost;
use crate::support::{Child, Ledger, MINUTE, Place, eventually, test_name};
use outtray::{DeadReason, Delivery, NewMessage, Payload, TopicConfig};
use serde::{Deserialize, Serialize};
use std::thread;
use std::time::Duration;

#[test]
fn a_delivery_carries_what_was_sent_and_can_be_handed_to_another_thread() {
    let place = Place::new();
    let message = NewMessage::json("jobs", &7).unwrap();
    let id = place.send_new(message.priority(3).header("source", "web"));

    let delivery = place.take();

    let delivery = thread::scope(|scope| scope.spawn(|| delivery).join().unwrap());
    assert_eq!(
        (delivery.id, delivery.payload, delivery.attempt),
        (id, 7, 1)
    );
    assert_eq!((delivery.priority, delivery.max_attempts), (3, 10));
    assert_eq!(delivery.headers["source"], "web");
    assert_eq!(delivery.topic, "jobs");
    assert!(!delivery.is_cancelled());
    fn is_shared<T: Send + Sync>(_: &T) {}
    is_shared(&delivery);
    delivery.ack().unwrap();
}

#[test]
fn an_empty_topic_gives_nothing_at_once() {
    let place = Place::new();

    assert!(place.try_take().is_none());
    let none = place.jobs().receive_batch::<i32>(10, MINUTE).unwrap();
    assert!(none.is_empty());
}

#[test]
fn a_leased_message_is_nobody_elses_and_an_acked_one_is_gone() {
    let place = Place::new();
    place.send("jobs", &1);

    let delivery = place.take();

    assert!(place.try_take().is_none());
    assert_eq!(
        place
            .messaging
            .drain("jobs", |_, _: outtray::Message<i32>| Ok(()))
            .unwrap()
            .handled,
        0
    );
    assert_eq!(place.numbers(), [0, 0, 1, 0]);
    assert!(!place.is_empty("jobs"));
    delivery.ack().unwrap();
    assert_eq!(place.numbers(), [0; 4]);
    assert!(place.is_empty("jobs"));
}

#[test]
fn a_lease_that_ends_is_delivered_again_with_the_same_payload() {
    let mut place = Place::new();
    let id = place.send("jobs", &41);
    let late = place.take();

    place.make_due();

    let again = place.take();
    assert_eq!((again.id, again.payload, again.attempt), (id, 41, 2));
    check_lost(late.ack());
    drop(late);
    assert_eq!(place.numbers(), [0, 0, 1, 0]);
    again.ack().unwrap();
}

#[test]
fn a_lease_ends_by_the_databases_clock() {
    let place = Place::new();
    place.send("jobs", &1);
    let short = Duration::from_millis(300);
    let first: Delivery<i32> = place.jobs().receive(short).unwrap().unwrap();
    assert!(place.try_take().is_none());

    let mut second = None;
    eventually("the lease ends", || {
        second = place.try_take();
        second.is_some()
    });

    assert_eq!(second.unwrap().attempt, 2);
    check_lost(first.nack());
}

#[test]
fn a_lease_that_is_over_and_that_nobody_else_got_can_still_be_settled() {
    let mut place = Place::new();
    place.send("jobs", &1);
    let late = place.take();

    place.make_due();

    // Nor does the topic look empty meanwhile.
    assert_eq!(place.numbers(), [0, 0, 1, 0]);
    assert!(!place.is_empty("jobs"));
    late.ack().unwrap();
    assert!(place.is_empty("jobs"));
}

#[test]
fn an_extended_lease_lasts_so_long_from_now() {
    let mut place = Place::new();
    place.send("jobs", &1);
    let delivery = place.take();

    delivery.extend(Duration::from_secs(3600)).unwrap();

    assert!((3590.0..=3600.0).contains(&place.due_in()));
    delivery.extend(Duration::from_secs(5)).unwrap();
    assert!((0.0..=5.0).contains(&place.due_in()));
    delivery.ack().unwrap();
}

#[test]
fn a_cancelled_message_does_not_come_back_and_can_be_acked() {
    type Settle = fn(&Delivery<i32>) -> outtray::Result<()>;
    let all: [Settle; 4] = [
        |it| it.ack(),
        |it| it.nack(),
        |it| it.release(),
        |it| it.retry_after(MINUTE),
    ];
    for settle in all {
        let mut place = Place::new();
        // One whose end matters goes another way.
        place.send_new(NewMessage::json("jobs", &1).unwrap().tracked());
        place.send_new(NewMessage::json("jobs", &2).unwrap());
        for delivery in [place.take(), place.take()] {
            place.sql("UPDATE outtray.scheduled SET is_cancelled = true");
            assert!(!delivery.is_cancelled());
            delivery.extend(MINUTE).unwrap();
            assert!(delivery.is_cancelled());

            settle(&delivery).unwrap();
        }

        assert_eq!(place.numbers(), [0; 4]);
    }
}

#[test]
fn a_message_whose_time_is_over_is_not_delivered() {
    for expired in [None, Some(outtray::Expired::Drop)] {
        let mut place = Place::new();
        let config = TopicConfig {
            expired,
            ..TopicConfig::default()
        };
        place.jobs().configure(config).unwrap();
        place.send_all("jobs", [1, 2]);
        place.sql("UPDATE outtray.message SET expires_at = now() - interval '1 s' WHERE payload::text = '1'");

        let delivery = place.take();

        assert_eq!(delivery.payload, 2);
        let letters = place.dead_letters("jobs");
        match expired {
            None => assert_eq!(
                (letters[0].reason, letters[0].attempts),
                (DeadReason::Expired, 0)
            ),
            Some(_) => assert!(letters.is_empty()),
        }
        delivery.ack().unwrap();
        assert!(place.is_empty("jobs"));
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Order {
    lines: Vec<i32>,
}

#[test]
fn a_payload_that_does_not_fit_is_a_dead_letter_and_the_next_message_is_taken() {
    let place = Place::new();
    place.send("jobs", &serde_json::json!({"lines": [1, "two"]}));
    place.send("jobs", &Order { lines: vec![3] });

    let delivery = place.jobs().receive::<Order>(MINUTE).unwrap().unwrap();

    assert_eq!(delivery.payload.lines, [3]);
    let letter = &place.dead_letters("jobs")[0];
    assert_eq!(
        (letter.reason, letter.attempts),
        (DeadReason::Undecodable, 1)
    );
    assert!(
        letter.error.contains("at lines[1]: invalid type"),
        "{}",
        letter.error
    );
    delivery.ack().unwrap();
}

#[test]
fn bytes_and_undecoded_payloads_are_delivered() {
    let place = Place::new();
    place.send_new(NewMessage::bytes("jobs", [0, 255]));
    place.send("jobs", &"text");

    let batch = place.jobs().receive_batch::<Payload>(9, MINUTE).unwrap();

    assert_eq!(batch[0].payload, Payload::Bytes(vec![0, 255]));
    assert_eq!(batch[1].payload.to_string(), "\"text\"");
    assert!(place.messaging.ack_all(&batch).unwrap().is_empty());
}

#[test]
fn a_purge_leaves_messages_under_a_lease() {
    let place = Place::new();
    place.send_all("jobs", [1, 2]);
    let delivery = place.take();

    assert_eq!(place.jobs().purge().unwrap(), 1);

    delivery.ack().unwrap();
    assert!(place.is_empty("jobs"));
}

const CHILD: &str = test_name!(what_a_child_process_runs);

#[test]
fn what_a_child_process_runs() {
    if Child::role().is_none() {
        return;
    }
    let messaging = Ledger::messaging_of_parent();
    let delivery = messaging.topic("work").receive::<i32>(MINUTE).unwrap();
    // Held until the end: dropped, it would be given back.
    let delivery = delivery.unwrap();
    Child::tell(&delivery.payload.to_string());
    Child::await_parent();
}

#[test]
fn a_message_whose_holder_is_killed_is_delivered_again_when_its_lease_ends() {
    let ledger = Ledger::open();
    let messaging = ledger.messaging();
    messaging.migrate().unwrap();
    let ids = ledger.send([8]);
    let mut child = ledger.child(CHILD, "holder");
    assert_eq!(child.listen(), "8");

    child.kill();

    let work = messaging.topic("work");
    assert!(work.receive::<i32>(MINUTE).unwrap().is_none());
    ledger.execute("UPDATE outtray.scheduled SET due_at = now()");
    let again = work.receive::<i32>(MINUTE).unwrap().unwrap();
    assert_eq!((again.id, again.payload, again.attempt), (ids[0], 8, 2));
    again.ack().unwrap();
}

#[test]
fn a_key_and_a_place_are_kept_under_a_lease() {
    let mut place = Place::new();
    place.send_new(NewMessage::json("jobs", &1).unwrap().key("customer-7"));
    let before = place.number("SELECT seq FROM outtray.message");

    let delivery = place.take();

    assert_eq!(delivery.key.as_deref(), Some("customer-7"));
    let kept = "SELECT seq FROM outtray.scheduled WHERE key = 'customer-7'";
    assert_eq!(place.number(kept), before);
    delivery.nack().unwrap();
    let back = "SELECT seq FROM outtray.message WHERE key = 'customer-7'";
    assert_eq!(place.number(back), before);
    place.take().retry_after(MINUTE).unwrap();
    assert_eq!(place.number(kept), before);
}
