//! Replies that go to a topic of the asker's own, and stay there when they are late.

use super::{QUOTES, doubling};
use crate::support::{HOUR, MINUTE, PATIENCE, Place};
use outtray::{ErrorKind, Message, NewMessage};
use std::time::Duration;

fn question(number: i64) -> NewMessage {
    let question = NewMessage::json(QUOTES, &number).unwrap();
    question.header("reply-to", "answers")
}

#[test]
fn a_late_reply_stays_in_a_topic_of_ones_own() {
    let place = Place::new();
    let short = Duration::from_secs(1);
    let pending = place.messaging.begin_request(question(1), short);
    let error = pending.unwrap().wait::<i64>(HOUR).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let receiver = doubling(&place.messaging);

    // Another one does not get it.
    let reply = place
        .messaging
        .request_message::<i64>(question(5), PATIENCE);
    assert_eq!(reply.unwrap().payload, 10);
    let late = place.messaging.topic("answers");
    let late = late.receive_timeout::<i64>(PATIENCE, MINUTE).unwrap();
    let late = late.expect("it stays");
    assert_eq!(late.payload, 2);
    late.ack().unwrap();
    assert!(place.is_empty("answers"));
    receiver.stop(PATIENCE);
}

#[test]
fn an_error_and_a_reply_that_does_not_fit_are_told_there_too() {
    let place = Place::new();
    let receiver = place
        .messaging
        .start_receiving_messages(QUOTES, |session, ask: Message<i64>| {
            match ask.payload {
                0 => session.reply_error(&ask, "no zero")?,
                _ => session.reply(&ask, "a text")?,
            };
            Ok(())
        })
        .unwrap();
    let ask = |number| {
        let reply = place
            .messaging
            .request_message::<i64>(question(number), PATIENCE);
        reply.unwrap_err()
    };

    let refused = ask(0);
    assert_eq!(refused.kind(), ErrorKind::Refused);
    assert!(refused.to_string().contains("no zero"), "{refused}");
    assert!(place.is_empty("answers"));
    // One that does not fit is a message that another type may fit.
    assert_eq!(ask(1).kind(), ErrorKind::Payload);
    let left = place.messaging.topic("answers");
    let left = left.receive_timeout::<String>(PATIENCE, MINUTE).unwrap();
    assert_eq!(left.unwrap().payload, "a text");
    receiver.stop(PATIENCE);
}
