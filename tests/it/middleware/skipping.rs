//! A message is acked without its handler only where a middleware says so.

use super::{effects, handle, place};
use crate::support::MINUTE;
use outtray::{DeadReason, HandlerError, Message};
use std::time::Duration;

#[test]
fn a_message_that_is_skipped_is_acked_without_its_handler_and_keeps_what_was_written() {
    for is_leased in [false, true] {
        let mut place = place(0..3);
        let receiver = place.messaging.receiver("jobs");
        let receiver = if is_leased {
            receiver.lease(MINUTE)
        } else {
            receiver
        };
        let receiver = receiver.middleware(|session, message, next| {
            if message.payload.to_string() != "1" {
                return next.run(session);
            }
            super::write(session, "skipped", "1")?;
            next.skip()
        });

        let report = receiver.drain(handle).unwrap();

        assert_eq!(report.handled, 3);
        assert_eq!(effects(&mut place), ["handler 0", "skipped 1", "handler 2"]);
        assert!(place.dead_letters("jobs").is_empty());
    }
}

#[test]
fn a_message_that_is_forgotten_fails_instead_of_getting_lost() {
    for is_leased in [false, true] {
        let mut place = place(1..2);
        let receiver = place.messaging.receiver("jobs").max_attempts(1);
        let receiver = if is_leased {
            receiver.lease(MINUTE)
        } else {
            receiver
        };
        let receiver = receiver.middleware(|session, _, _| super::write(session, "forgot", "1"));

        let report = receiver.drain(handle).unwrap();

        assert_eq!(report.dead, 1);
        assert!(effects(&mut place).is_empty());
        let dead = place.dead_letters("jobs");
        assert_eq!(dead[0].reason, DeadReason::Exhausted);
        assert!(
            dead[0].error.contains("next.run(session)"),
            "{}",
            dead[0].error
        );
    }
}

#[test]
fn an_inner_middleware_that_forgets_fails_too() {
    let place = place(1..2);
    let receiver = place.messaging.receiver("jobs").max_attempts(1);
    let receiver = receiver
        .middleware(|session, _, next| next.run(session))
        .middleware(|_, _, _| Ok(()));

    assert_eq!(receiver.drain(handle).unwrap().dead, 1);
}

#[test]
fn an_error_needs_no_decision() {
    let place = place(1..2);
    let receiver = place.messaging.receiver("jobs");
    let receiver = receiver.middleware(|_, _, _| Err(HandlerError::reject("closed")));

    assert_eq!(receiver.drain(handle).unwrap().dead, 1);

    assert_eq!(place.dead_letters("jobs")[0].error, "closed");
}

#[test]
fn a_message_of_a_later_release_can_be_put_off_before_it_is_decoded() {
    let mut place = place(0..0);
    let message = outtray::NewMessage::json("jobs", &["new"]).unwrap();
    place.send_new(message.header("schema-version", "2"));
    place.send("jobs", &7);
    let hour = Duration::from_secs(3600);
    let receiver = place.messaging.receiver("jobs").before(move |_, message| {
        match message.headers.contains_key("schema-version") {
            true => Err(HandlerError::snooze(hour)),
            false => Ok(()),
        }
    });

    let report = receiver.drain(|_, message: Message<i32>| {
        assert_eq!(message.payload, 7);
        Ok(())
    });

    assert_eq!(report.unwrap().handled, 1);
    assert_eq!(place.count("outtray.scheduled WHERE attempts = 0"), 1);
    assert!(place.dead_letters("jobs").is_empty());
}
