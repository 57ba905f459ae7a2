//! One delivery: how it ends, and how it cannot end twice.

use super::check_lost;
use crate::support::{Child, Ledger, MINUTE, Place, eventually, test_name};
use outtray::{DeadReason, Delivery, ErrorKind, HandlerError, NewMessage, Payload, TopicConfig};
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
fn a_nacked_message_is_back_at_once_in_its_place_and_its_attempt_counts() {
    let place = Place::new();
    place.send_all("jobs", [1, 2]);

    place.take().nack().unwrap();

    let again = place.take();
    assert_eq!((again.payload, again.attempt), (1, 2));
    again.ack().unwrap();
}

#[test]
fn a_released_message_is_back_at_once_as_if_nothing_had_been() {
    let place = Place::new();
    place.send_all("jobs", [1, 2]);

    place.take().release().unwrap();

    let again = place.take();
    assert_eq!((again.payload, again.attempt), (1, 1));
    again.ack().unwrap();
}

#[test]
fn a_delivery_that_is_dropped_unsettled_is_nacked_and_the_error_propagates() {
    let place = Place::new();
    place.send("jobs", &1);

    let failed: Result<(), std::num::ParseIntError> = (|| {
        let _delivery = place.take();
        "x".parse::<i32>()?;
        Ok(())
    })();
    let delivery = place.take();
    let panicked = thread::scope(|scope| {
        let body = move || {
            let _delivery = delivery;
            panic!("in the hands of a delivery");
        };
        scope.spawn(body).join()
    });

    assert!(failed.is_err() && panicked.is_err());
    let again = place.take();
    assert_eq!((again.payload, again.attempt), (1, 3));
    again.ack().unwrap();
}

#[test]
fn a_message_that_is_to_wait_comes_back_after_that_and_its_attempt_counts() {
    let mut place = Place::new();
    place.send("jobs", &1);

    place.take().retry_after(Duration::from_secs(600)).unwrap();

    assert_eq!(place.numbers(), [0, 1, 0, 0]);
    assert!((590.0..=600.0).contains(&place.due_in()));
    assert!(place.try_take().is_none());
    place.make_due();
    let again = place.take();
    assert_eq!(again.attempt, 2);
    again.retry_after(Duration::ZERO).unwrap();
    assert_eq!(place.take().attempt, 3);
}

#[test]
fn a_rejected_message_is_a_dead_letter_with_the_reason() {
    let place = Place::new();
    place.send("jobs", &1);

    place.take().reject("no such customer").unwrap();

    let letter = &place.dead_letters("jobs")[0];
    assert_eq!((letter.reason, letter.attempts), (DeadReason::Rejected, 1));
    assert_eq!(letter.error, "no such customer");
    assert_eq!(place.numbers(), [0, 0, 0, 1]);
}

#[test]
fn a_message_that_is_nacked_in_its_last_attempt_is_a_dead_letter() {
    type End = fn(Delivery<i32>);
    let ends: [End; 3] = [
        |delivery| delivery.nack().unwrap(),
        |delivery| delivery.retry_after(MINUTE).unwrap(),
        drop,
    ];
    for end in ends {
        let place = Place::new();
        let config = TopicConfig {
            max_attempts: Some(2),
            ..TopicConfig::default()
        };
        place.jobs().configure(config).unwrap();
        place.send("jobs", &1);
        place.take().nack().unwrap();
        let last = place.take();
        assert_eq!((last.attempt, last.max_attempts), (2, 2));

        end(last);

        let letter = &place.dead_letters("jobs")[0];
        assert_eq!((letter.reason, letter.attempts), (DeadReason::Exhausted, 2));
        assert!(place.try_take().is_none());
    }
}

#[test]
fn a_message_whose_leases_end_without_an_answer_is_a_dead_letter_after_the_limit() {
    for is_received in [true, false] {
        let mut place = Place::new();
        place.send("jobs", &1);
        let mut late = Vec::new();
        for attempt in 1..=10 {
            let delivery = place.take();
            assert_eq!((delivery.payload, delivery.attempt), (1, attempt));
            late.push(delivery);
            place.make_due();
        }
        place.send("jobs", &2);

        let other = match is_received {
            true => {
                let batch = place.jobs().receive_batch::<i32>(2, MINUTE).unwrap();
                batch[0].ack().unwrap();
                eventually("the first is dead", || {
                    assert!(place.try_take().is_none());
                    place.numbers()[3] == 1
                });
                batch[0].payload
            }
            false => {
                // One of another kind: a handler in a transaction.
                let drained = place
                    .messaging
                    .drain("jobs", |_, message: outtray::Message<i32>| {
                        match message.payload {
                            1 => panic!("begun once more"),
                            _ => Ok(()),
                        }
                    })
                    .unwrap();
                assert_eq!((drained.handled, drained.dead), (1, 1));
                2
            }
        };

        assert_eq!(other, 2, "the next message is delivered");
        let letter = &place.dead_letters("jobs")[0];
        assert_eq!((letter.reason, letter.attempts), (DeadReason::Crashed, 10));
        late.iter().for_each(|delivery| check_lost(delivery.ack()));
    }
}

#[test]
fn a_message_is_settled_once_and_a_receipt_of_an_earlier_delivery_changes_nothing() {
    type Settle = fn(&Delivery<i32>) -> outtray::Result<()>;
    let all: [Settle; 8] = [
        |it| it.ack(),
        |it| it.ack_with(&1),
        |it| it.nack(),
        |it| it.release(),
        |it| it.reject("x"),
        |it| it.retry_after(MINUTE),
        |it| it.extend(MINUTE),
        |it| it.settle_in(|_| Ok(())),
    ];
    for settle in all {
        let mut place = Place::new();
        place.send("jobs", &1);
        let stale = place.take();
        place.make_due();
        let current = place.take();
        let before = place.number("SELECT extract(epoch FROM due_at) FROM outtray.scheduled");

        check_lost(settle(&stale));

        let after = place.number("SELECT extract(epoch FROM due_at) FROM outtray.scheduled");
        assert_eq!(before, after);
        assert_eq!(place.numbers(), [0, 0, 1, 0]);
        current.ack().unwrap();
        check_lost(settle(&current));
        assert_eq!(place.numbers(), [0; 4]);
    }
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
fn the_end_of_a_message_joins_the_sessions_transaction() {
    let mut place = Place::new();
    place.sql("CREATE TABLE effect (n integer)");
    place.send("jobs", &5);
    let delivery = place.take();

    let failed = delivery.settle_in(|session| -> Result<(), HandlerError> {
        session.execute("INSERT INTO effect VALUES (1)", &[])?;
        Err(HandlerError::failed("no"))
    });
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::RolledBack);
    assert_eq!((place.count("effect"), place.numbers()), (0, [0, 0, 1, 0]));

    let returned = delivery
        .settle_in(|session| {
            session.execute("INSERT INTO effect VALUES ($1)", &[&delivery.payload])?;
            session.send_message("next", &6)?;
            Ok("returned")
        })
        .unwrap();

    assert_eq!(returned, "returned");
    assert_eq!((place.count("effect"), place.numbers()), (1, [0; 4]));
    assert_eq!(place.messaging.topic("next").stats().unwrap().ready, 1);
}

#[test]
fn a_session_whose_lease_was_lost_is_rolled_back() {
    let mut place = Place::new();
    place.sql("CREATE TABLE effect (n integer)");
    place.send("jobs", &5);
    let late = place.take();
    place.make_due();
    let again = place.take();

    check_lost(late.settle_in(|session| {
        session.execute("INSERT INTO effect VALUES (1)", &[])?;
        session.send_message("next", &6)?;
        Ok(())
    }));

    assert_eq!(place.count("effect"), 0);
    assert!(place.is_empty("next"));
    again.ack().unwrap();
}

#[test]
fn a_swallowed_error_in_a_session_settles_nothing() {
    let place = Place::new();
    place.send("jobs", &5);
    let delivery = place.take();

    let settled = delivery.settle_in(|session| {
        let _ = session.execute("SELECT 1 / 0", &[]);
        Ok(())
    });

    assert_eq!(settled.unwrap_err().kind(), ErrorKind::RolledBack);
    assert_eq!(place.numbers(), [0, 0, 1, 0]);
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
