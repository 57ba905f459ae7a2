//! Headers with a meaning: they arrive as they were set, and what a handler sends carries on from
//! its message.

mod causes;
mod causes_of_many;
mod cloud_events;

use crate::support::Place;
use outtray::envelope::{MESSAGE_TYPE, SCHEMA_VERSION, TRACEPARENT, TRACESTATE};
use outtray::{ErrorKind, Filter, Message, NewMessage};

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn job() -> NewMessage {
    NewMessage::json("jobs", &1).unwrap()
}

/// Returns the messages of a topic, which are removed.
fn taken(place: &Place, topic: &str) -> Vec<Message> {
    let mut taken = Vec::new();
    let drained = place.messaging.drain(topic, |_, message: Message| {
        taken.push(message);
        Ok(())
    });
    drained.unwrap();
    taken
}

/// Returns the only message of a topic, which is removed.
#[track_caller]
fn only(place: &Place, topic: &str) -> Message {
    let mut taken = taken(place, topic);
    assert_eq!(taken.len(), 1, "messages on {topic}");
    taken.remove(0)
}

#[test]
fn headers_with_a_meaning_arrive_as_they_were_set() {
    let place = Place::new();
    let message = job()
        .message_type("order.created")
        .schema_version(2)
        .content_type("application/json")
        .correlation_id("order-7")
        .causation_id("click-1")
        .reply_to("answers")
        .traceparent(TRACE)
        .tracestate("rojo=00f067aa0ba902b7");

    let id = place.send_new(message);

    let message = only(&place, "jobs");
    assert_eq!(message.id, id);
    assert_eq!(message.message_type(), Some("order.created"));
    assert_eq!(message.schema_version(), Some(2));
    assert_eq!(message.content_type(), Some("application/json"));
    assert_eq!(message.correlation_id(), Some("order-7"));
    assert_eq!(message.causation_id(), Some("click-1"));
    assert_eq!(message.reply_to(), Some("answers"));
    assert_eq!(message.traceparent(), Some(TRACE));
    assert_eq!(message.tracestate(), Some("rojo=00f067aa0ba902b7"));
}

#[test]
fn a_message_without_them_has_none() {
    let place = Place::new();
    place.send("jobs", &1);

    let message = only(&place, "jobs");

    assert!(message.headers.is_empty());
    assert_eq!(message.message_type(), None);
    assert_eq!(message.schema_version(), None);
    assert_eq!(message.correlation_id(), None);
    assert_eq!(message.traceparent(), None);
}

#[test]
fn a_header_that_is_not_what_its_name_says_is_refused_and_the_session_goes_on() {
    let place = Place::new();

    let sent = place.messaging.session(|session| {
        for bad in [
            job().message_type(""),
            job().message_type("a\u{0}b"),
            job().content_type("json"),
            job().reply_to("no topic"),
            job().correlation_id("x".repeat(257)),
            job().traceparent("00-0-0-0"),
            job().tracestate("="),
        ] {
            assert_eq!(session.check(&bad).unwrap_err().kind(), ErrorKind::Invalid);
            assert_eq!(session.send(bad).unwrap_err().kind(), ErrorKind::Invalid);
        }
        Ok(session.send(job().message_type("good"))?)
    });

    assert_eq!(only(&place, "jobs").id, sent.unwrap().id());
}

#[test]
fn headers_that_make_no_sense_are_there_and_read_as_none() {
    let mut place = Place::new();
    place.write(
        "jobs",
        r#"{"schema-version": "two", "traceparent": "bad", "tracestate": "a=1", "message-type": "t"}"#,
        "1",
    );

    let message = only(&place, "jobs");

    assert_eq!(message.headers[SCHEMA_VERSION], "two");
    assert_eq!(message.headers[TRACEPARENT], "bad");
    assert_eq!(message.headers[TRACESTATE], "a=1");
    assert_eq!(message.message_type(), Some("t"));
    assert_eq!(message.schema_version(), None);
    assert_eq!(message.traceparent(), None);
    assert_eq!(message.tracestate(), None);
}

#[test]
fn a_receiver_may_want_messages_of_one_type() {
    let place = Place::new();
    place.send_new(job().message_type("order.created"));
    let cancelled = place.send_new(job().message_type("order.cancelled"));
    let wanted = Filter::new().equals(MESSAGE_TYPE, "order.cancelled");

    let mut seen = Vec::new();
    let receiver = place.messaging.receiver("jobs").filter(wanted);
    let drained = receiver.drain(|_, message: Message| {
        seen.push(message.id);
        Ok(())
    });

    drained.unwrap();
    assert_eq!(seen, [cancelled]);
}
