//! Durations and counts without an end, which mean "as long as it takes" and not an overflow.

use super::Ground;
use crate::support::PATIENCE;
use crossbeam_channel::bounded;
use outtray::{Backoff, HandlerError, Message, Messaging};
use std::time::Duration;

#[test]
fn durations_without_an_end_are_as_good_as_long_ones() {
    let ground = Ground::new();
    let messaging = Messaging::builder()
        .url(&ground.url)
        .checkout_timeout(Duration::MAX)
        .poll_interval(Duration::MAX)
        .connect()
        .unwrap();
    let (seen, handled) = bounded(9);
    let receiver = messaging
        .receiver("t")
        .backoff(Backoff::fixed(Duration::MAX))
        .warn_after(Duration::MAX)
        .start(move |_, message: Message<i32>| {
            seen.send(message.payload)?;
            match message.payload {
                1 => Err(HandlerError::retry_after(Duration::MAX)),
                2 => Err(HandlerError::snooze(Duration::MAX)),
                3 => Err(HandlerError::failed("so much for the backoff")),
                _ => Ok(()),
            }
        })
        .unwrap();

    for payload in 1..=4 {
        messaging
            .session(|session| Ok(session.send_message("t", &payload)?))
            .unwrap();
        assert_eq!(handled.recv_timeout(PATIENCE).unwrap(), payload);
    }

    receiver.stop(Duration::MAX);
    let stats = ground.messaging.topic("t").stats().unwrap();
    assert_eq!((stats.ready, stats.scheduled, stats.dead), (0, 3, 0));
}

#[test]
fn as_many_as_there_are_can_be_asked_for() {
    let ground = Ground::new();
    ground
        .messaging
        .session(|session| Ok(session.send_messages("t", 0..3)?))
        .unwrap();

    let topic = ground.messaging.topic("t");

    assert_eq!(topic.peek(usize::MAX).unwrap().len(), 3);
    assert_eq!(topic.peek(0).unwrap(), []);
    assert_eq!(topic.scheduled(usize::MAX).unwrap(), []);
    assert_eq!(topic.dead_letters(usize::MAX).unwrap(), []);
}
