//! The spans of all ways to handle.

use crate::support::{HOUR, PATIENCE, Place, done, eventually, keep_spans, spans};
use outtray::{
    Backoff, BatchMessage, HandlerError, Message, MessageId, MessagingSession, Position, Receiver,
    Router, TopicConfig, TopicKind,
};
use std::collections::BTreeMap;
use std::time::Duration;
use tracing::Level;

/// What the span of handling one message of `topic` has, in its first attempt.
fn expected(topic: &str, id: MessageId) -> BTreeMap<&'static str, String> {
    [
        ("messaging.destination.name", topic.to_owned()),
        ("messaging.message.id", id.to_string()),
        ("messaging.operation.name", "handle".to_owned()),
        ("messaging.operation.type", "process".to_owned()),
        ("messaging.system", "outtray".to_owned()),
        ("outtray.message.attempt", "1".to_owned()),
    ]
    .into()
}

/// Checks that a way to handle one message has one span, with the message's id.
#[track_caller]
fn check(place: &Place, topic: &str, start: impl FnOnce(&Place, &str) -> Option<Receiver>) {
    keep_spans(topic);
    let id = place.send(topic, &1);

    let receiver = start(place, topic);

    eventually(topic, || place.messaging.topic(topic).is_empty().unwrap());
    if let Some(receiver) = receiver {
        receiver.stop(PATIENCE);
    }
    let spans = spans("handle", topic);
    assert_eq!(spans.len(), 1, "{topic}: {spans:?}");
    assert_eq!(spans[0].level, Level::INFO);
    assert_eq!(spans[0].fields, expected(topic, id));
}

#[test]
fn a_message_that_is_handled_has_a_span_with_its_id_and_attempt() {
    let place = Place::new();
    check(&place, "span-drained", |place, topic| {
        place.messaging.drain(topic, done).unwrap();
        None
    });
    check(&place, "span-received", |place, topic| {
        let receiver = place.messaging.receiver(topic).workers(1);
        Some(receiver.start(done).unwrap())
    });
    check(&place, "span-leased", |place, topic| {
        let receiver = place.messaging.receiver(topic).workers(1).lease(HOUR);
        Some(receiver.start(done).unwrap())
    });
    check(&place, "span-batch-of-one", |place, topic| {
        let receiver = place.messaging.receiver(topic).workers(1);
        let started = receiver.start_batches(10, |_, _: &[BatchMessage<i32>]| Ok(()));
        Some(started.unwrap())
    });
    check(&place, "span-routed", |place, topic| {
        let router = Router::new().on("#", done);
        let receiver = place.messaging.receiver(topic).workers(1);
        Some(receiver.start_router(router).unwrap())
    });
    check(&place, "span-by-hand", |place, topic| {
        let topic = place.messaging.topic(topic);
        let delivery = topic.receive::<i32>(HOUR).unwrap().unwrap();
        delivery.span().in_scope(|| delivery.ack()).unwrap();
        None
    });
}

#[test]
fn messages_that_are_handled_together_have_one_span_with_their_number() {
    let place = Place::new();
    let topic = "span-batch";
    keep_spans(topic);
    let sent = |session: &mut MessagingSession<'_>| Ok(session.send_messages(topic, [1, 2, 3])?);
    place.messaging.session(sent).unwrap();

    let receiver = place.messaging.receiver(topic).workers(1);
    let receiver = receiver.start_batches(10, |_, _: &[BatchMessage<i32>]| Ok(()));

    eventually("all are handled", || {
        place.messaging.topic(topic).is_empty().unwrap()
    });
    receiver.unwrap().stop(PATIENCE);
    let spans = spans("handle", topic);
    assert_eq!(spans.len(), 1, "{spans:?}");
    assert_eq!(spans[0].fields["messaging.batch.message_count"], "3");
}

#[test]
fn entries_of_a_log_have_a_span_with_the_reader() {
    let place = Place::watchful();
    let topic = "span-log";
    keep_spans(topic);
    let config = TopicConfig {
        kind: TopicKind::Log,
        ..TopicConfig::default()
    };
    place.messaging.topic(topic).configure(config).unwrap();
    let sent = |session: &mut MessagingSession<'_>| Ok(session.send_messages(topic, [1, 2, 3])?);
    place.messaging.session(sent).unwrap();

    let reader = place.messaging.reader(topic, "one").from(Position::Start);
    let reader = reader.start(|_, _: &[Message<i32>]| Ok(())).unwrap();

    eventually("a span", || !spans("handle", topic).is_empty());
    reader.stop(PATIENCE);
    let span = &spans("handle", topic)[0];
    assert_eq!(span.fields["messaging.batch.message_count"], "3");
    assert_eq!(span.fields["messaging.consumer.group.name"], "one");
}

#[test]
fn a_handler_that_fails_says_how_in_its_span() {
    type Outcome = fn() -> Result<(), HandlerError>;
    let place = Place::new();
    let outcomes: [(&str, Outcome); 4] = [
        ("failed", || Err(HandlerError::failed("no"))),
        ("rejected", || Err(HandlerError::reject("no"))),
        ("panicked", || panic!("a bug")),
        ("", || Err(HandlerError::snooze(HOUR))),
    ];
    for (how, outcome) in outcomes {
        let topic = format!("span-{how}");
        keep_spans(&topic);
        place.send(&topic, &1);

        let receiver = place.messaging.receiver(&topic).max_attempts(2);
        let receiver = receiver.backoff(Backoff::fixed(HOUR));
        let handler = move |_: &mut MessagingSession<'_>, _: Message<i32>| outcome();
        receiver.drain(handler).unwrap();

        let spans = spans("handle", &topic);
        let told = spans[0].fields.get("error.type").map_or("", String::as_str);
        assert_eq!(told, how);
    }
    let topic = "span-undecodable";
    keep_spans(topic);
    place.send(topic, "a text");

    let handler = |_: &mut MessagingSession<'_>, _: Message<i32>| Ok(());
    place.messaging.drain(topic, handler).unwrap();

    assert_eq!(
        spans("handle", topic)[0].fields["error.type"],
        "undecodable"
    );
}

#[test]
fn claims_and_commits_have_spans_for_those_who_look_closer() {
    let place = Place::new();
    for (topic, lease) in [("span-closer", None), ("span-closer-leased", Some(HOUR))] {
        keep_spans(topic);
        place.send(topic, &1);

        let receiver = place.messaging.receiver(topic);
        match lease {
            None => receiver.drain(done).unwrap(),
            Some(lease) => receiver.lease(lease).drain(done).unwrap(),
        };

        for (name, kind) in [("claim", "receive"), ("commit", "settle")] {
            let spans = spans(name, topic);
            let counted = spans
                .iter()
                .find(|span| span.fields["messaging.batch.message_count"] == "1");
            let span = counted.unwrap_or_else(|| panic!("{topic}, {name}: {spans:?}"));
            assert_eq!(span.level, Level::DEBUG);
            assert_eq!(span.fields["messaging.operation.type"], kind);
        }
    }
}

#[test]
fn the_next_attempt_has_a_span_of_its_own() {
    let place = Place::new();
    let topic = "span-again";
    keep_spans(topic);
    place.send(topic, &1);

    let receiver = place.messaging.receiver(topic).max_attempts(2);
    let receiver = receiver.backoff(Backoff::fixed(Duration::ZERO));
    let handler =
        |_: &mut MessagingSession<'_>, _: Message<i32>| Err(HandlerError::failed("not today"));
    receiver.drain(handler).unwrap();

    let spans = spans("handle", topic).into_iter();
    let attempts: Vec<String> = spans
        .map(|span| span.fields["outtray.message.attempt"].clone())
        .collect();
    assert_eq!(attempts, ["1", "2"]);
}
