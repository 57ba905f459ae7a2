//! What failed is kept with its message: the last ten attempts, each with its error.

mod journeys;

use crate::support::{HOUR, MINUTE, PATIENCE, Place, eventually};
use outtray::{
    Backoff, BatchMessage, FailedAttempt, HandlerError, Message, MessagingSession, ReceiverBuilder,
    TopicConfig,
};
use std::time::Duration;

/// Returns a receiver whose messages are tried again at once, so many times.
fn at_once(place: &Place, max_attempts: u32) -> ReceiverBuilder<'_> {
    let backoff = Backoff::fixed(Duration::ZERO).without_jitter();
    let receiver = place.messaging.receiver("jobs").backoff(backoff);
    receiver.max_attempts(max_attempts)
}

/// Fails a message once, such that it waits for an hour.
fn fail_once(place: &Place, error: &str) {
    let backoff = Backoff::fixed(HOUR).without_jitter();
    let receiver = place.messaging.receiver("jobs").backoff(backoff);
    let failing = |_: &mut MessagingSession<'_>, _: Message| Err(HandlerError::failed(error));
    receiver.drain(failing).unwrap();
}

/// Returns the numbers and the errors of failures.
fn lines(failures: &[FailedAttempt]) -> Vec<String> {
    let line = |one: &FailedAttempt| format!("{}: {}", one.attempt, one.error);
    failures.iter().map(line).collect()
}

#[track_caller]
fn check_scheduled(place: &Place, expected: &[&str]) {
    let scheduled = place.jobs().scheduled(10).unwrap();
    assert_eq!(lines(&scheduled[0].failures), expected);
}

#[track_caller]
fn check_dead(place: &Place, expected: &[&str]) {
    let letters = place.dead_letters("jobs");
    assert_eq!(lines(&letters[0].failures), expected);
}

#[test]
fn each_failed_attempt_is_kept_with_its_time_its_process_and_its_error() {
    let place = Place::new();
    place.send("jobs", &1);

    let mut attempt = 0;
    let failing = |_: &mut MessagingSession<'_>, _: Message<i32>| {
        attempt += 1;
        Err(HandlerError::failed(format!("no paper, {attempt}")))
    };
    at_once(&place, 3).drain(failing).unwrap();

    let letters = place.dead_letters("jobs");
    let letter = &letters[0];
    let expected = ["1: no paper, 1", "2: no paper, 2", "3: no paper, 3"];
    assert_eq!(lines(&letter.failures), expected);
    let me = format!("pid {}", std::process::id());
    for failure in &letter.failures {
        assert!(failure.process.ends_with(&me), "{failure:?}");
        assert!(failure.took.is_some(), "{failure:?}");
        assert!(failure.failed_at >= letter.sent_at, "{failure:?}");
        assert!(failure.failed_at <= letter.died_at + MINUTE, "{failure:?}");
    }
    let json = serde_json::to_value(letter).unwrap();
    assert_eq!(json["failures"][2]["error"], "no paper, 3");
}

#[test]
fn the_last_ten_are_kept() {
    let place = Place::new();
    place.send("jobs", &1);

    let mut attempt = 0;
    let failing = |_: &mut MessagingSession<'_>, _: Message<i32>| {
        attempt += 1;
        Err(HandlerError::failed(format!("{attempt}")))
    };
    at_once(&place, 13).drain(failing).unwrap();

    let letters = place.dead_letters("jobs");
    let errors = letters[0].failures.iter().map(|one| one.error.clone());
    let expected: Vec<String> = (4..=13).map(|attempt| attempt.to_string()).collect();
    assert_eq!(errors.collect::<Vec<_>>(), expected);
}

#[test]
fn a_message_that_never_failed_has_none() {
    let mut place = Place::new();
    place.send("jobs", &1);

    assert!(place.jobs().peek(1).unwrap()[0].failures.is_empty());
    assert_eq!(place.count("outtray.message WHERE failures IS NULL"), 1);
}

#[test]
fn a_snooze_is_no_failure() {
    let place = Place::new();
    place.send("jobs", &1);

    let snoozing = |_: &mut MessagingSession<'_>, _: Message<i32>| Err(HandlerError::snooze(HOUR));
    place.messaging.drain("jobs", snoozing).unwrap();

    check_scheduled(&place, &[]);
}

#[test]
fn failures_are_kept_under_leases_too() {
    let place = Place::new();
    place.send("jobs", &1);

    let failing = |_: &mut MessagingSession<'_>, _: Message<i32>| Err(HandlerError::failed("no"));
    at_once(&place, 2).lease(MINUTE).drain(failing).unwrap();

    check_dead(&place, &["1: no", "2: no"]);
    let failures = &place.dead_letters("jobs")[0].failures;
    assert!(failures.iter().all(|failure| failure.took.is_some()));
}

#[test]
fn failures_are_kept_in_batches_too() {
    let place = Place::new();
    place.send_all("jobs", 0..2);

    let failing = |_: &mut MessagingSession<'_>, batch: &[BatchMessage<i32>]| {
        batch.iter().for_each(|message| message.reject("no"));
        Ok(())
    };
    place
        .messaging
        .receiver("jobs")
        .drain_batches(10, failing)
        .unwrap();

    check_dead(&place, &["1: no"]);
}

#[test]
fn what_is_failed_by_hand_is_kept_without_a_time_for_the_handler() {
    let place = Place::new();
    place.send("jobs", &1);

    place.take().retry_after(MINUTE).unwrap();

    let failures = &place.jobs().scheduled(1).unwrap()[0].failures;
    assert_eq!((failures.len(), failures[0].took), (1, None));
}

#[test]
fn the_head_of_a_topic_in_strict_order_keeps_them_in_its_place() {
    let place = Place::new();
    place.send("jobs", &1);
    let backoff = Backoff::fixed(HOUR).without_jitter();
    let receiver = place.messaging.receiver("jobs").backoff(backoff);

    let receiver = receiver
        .strict_order()
        .start(|_, _: Message<i32>| Err(HandlerError::failed("no")))
        .unwrap();

    eventually("the failure of the head is kept", || {
        lines(&place.jobs().peek(1).unwrap()[0].failures) == ["1: no"]
    });
    receiver.stop(PATIENCE);
}

#[test]
fn what_goes_back_at_once_by_hand_keeps_them_too() {
    let place = Place::new();
    let config = TopicConfig {
        backoff: Some(Backoff::fixed(Duration::ZERO).without_jitter()),
        ..TopicConfig::default()
    };
    place.jobs().configure(config).unwrap();
    let id = place.send("jobs", &1);
    let failures = || lines(&place.messaging.message(id).unwrap().unwrap().failures);

    place.take().nack().unwrap();
    place.take().fail(HandlerError::failed("no paper")).unwrap();
    place.take().retry_after(Duration::ZERO).unwrap();
    drop(place.take());
    place.take().release().unwrap();

    let expected = [
        "1: nacked",
        "2: no paper",
        "3: retried later",
        "4: dropped unsettled",
    ];
    assert_eq!(failures(), expected);
}
