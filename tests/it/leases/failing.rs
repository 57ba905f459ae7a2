//! A delivery whose work failed is treated as one whose handler failed.

use super::check_lost;
use crate::support::{HOUR, MINUTE, Place};
use outtray::{Backoff, Cancelled, DeadReason, HandlerError, TopicConfig, WaitReason};
use std::time::Duration;

fn place(max_attempts: Option<u32>) -> Place {
    let place = Place::new();
    let config = TopicConfig {
        max_attempts,
        backoff: Some(Backoff::fixed(HOUR).without_jitter()),
        ..TopicConfig::default()
    };
    place.jobs().configure(config).unwrap();
    place
}

#[test]
fn it_waits_for_the_topics_backoff_with_its_error_and_dies_of_the_topics_limit() {
    let mut place = place(Some(2));
    place.send("jobs", &1);
    let delivery = place.take();

    delivery.fail(std::io::Error::other("no route")).unwrap();

    let waiting = place.jobs().scheduled(9).unwrap().remove(0);
    assert_eq!(
        (waiting.attempts, waiting.reason),
        (1, WaitReason::Retrying)
    );
    assert_eq!(waiting.error.as_deref(), Some("no route"));
    let due_in = place.due_in();
    assert!((3_500.0..=3_600.0).contains(&due_in), "{due_in}");
    check_lost(delivery.ack());

    place.make_due();
    let delivery = place.take();
    assert_eq!((delivery.attempt, delivery.max_attempts), (2, 2));
    delivery.fail("no route again").unwrap();

    let dead = place.dead_letters("jobs").remove(0);
    assert_eq!((dead.attempts, dead.reason), (2, DeadReason::Exhausted));
    assert_eq!(dead.error, "no route again");
}

#[test]
fn without_settings_it_fails_as_with_a_receiver_without_options() {
    let mut place = Place::new();
    place.send("jobs", &1);
    place.take().fail("no").unwrap();
    let due_in = place.due_in();
    assert!(due_in < 1.2, "{due_in}");

    for attempt in 2..=10 {
        place.make_due();
        let delivery = place.take();
        assert_eq!(delivery.attempt, attempt);
        delivery.receipt().fail("no").unwrap();
    }

    assert_eq!(place.dead_letters("jobs")[0].attempts, 10);
}

#[test]
fn what_a_handlers_error_wishes_is_done() {
    let mut place = place(None);
    place.send_all("jobs", [1, 2, 3]);
    let [retried, snoozed, rejected] = [1, 2, 3].map(|_| place.take());

    let minutes = HandlerError::retry_after(MINUTE * 10);
    retried.fail(minutes).unwrap();
    snoozed.fail(HandlerError::snooze(MINUTE * 20)).unwrap();
    rejected.fail(HandlerError::reject("no such job")).unwrap();

    let waiting = place.jobs().scheduled(9).unwrap();
    let attempts: Vec<u32> = waiting.iter().map(|message| message.attempts).collect();
    assert_eq!(attempts, [1, 0]);
    assert!(waiting[0].due_in.unwrap() <= MINUTE * 10);
    assert!(waiting[1].due_in.unwrap() > MINUTE * 19);
    let dead = place.dead_letters("jobs").remove(0);
    assert_eq!(
        (dead.reason, dead.error.as_str()),
        (DeadReason::Rejected, "no such job")
    );
    assert_eq!(place.count("outtray.scheduled"), 2);
}

#[test]
fn without_a_backoff_it_is_ready_at_once() {
    let place = Place::new();
    let config = TopicConfig {
        backoff: Some(Backoff::fixed(Duration::ZERO)),
        ..TopicConfig::default()
    };
    place.jobs().configure(config).unwrap();
    place.send("jobs", &1);

    place.take().fail("no").unwrap();
    assert_eq!(place.numbers(), [1, 0, 0, 0]);
    let delivery = place.take();
    assert_eq!(delivery.attempt, 2);
    delivery.fail(HandlerError::snooze(Duration::ZERO)).unwrap();

    assert_eq!(place.numbers(), [1, 0, 0, 0]);
    assert_eq!(place.take().attempt, 2);
}

#[test]
fn it_obeys_the_settings_of_when_it_fails() {
    let place = Place::new();
    place.send("jobs", &1);
    let delivery = place.take();
    assert_eq!(delivery.max_attempts, 10);

    let once = |config: &mut TopicConfig| config.max_attempts = Some(1);
    place.jobs().reconfigure(once).unwrap();
    delivery.fail("no").unwrap();

    assert_eq!(place.numbers(), [0, 0, 0, 1]);
}

#[test]
fn a_message_that_is_to_be_given_up_does_not_come_back_when_it_fails() {
    let place = place(None);
    place.send("jobs", &1);
    let delivery = place.take();
    assert_eq!(
        place.messaging.cancel(delivery.id).unwrap(),
        Cancelled::Asked
    );

    delivery.fail("no").unwrap();

    assert_eq!(place.numbers(), [0, 0, 0, 0]);
}
