//! How a delivery ends, and how it cannot end twice.

use super::check_lost;
use crate::support::{MINUTE, Place, eventually};
use outtray::{DeadReason, Delivery, TopicConfig};
use std::thread;
use std::time::Duration;

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
