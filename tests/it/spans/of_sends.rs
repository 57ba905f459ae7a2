//! The spans of all ways to send.

use crate::support::{HOUR, Place, client, done, keep_spans, spans};
use outtray::{Message, MessageId, MessagingSession, NewMessage};
use std::collections::BTreeMap;
use tracing::Level;

/// What the span of sending one message to `topic` has.
fn expected(topic: &str, id: MessageId) -> BTreeMap<&'static str, String> {
    [
        ("messaging.destination.name", topic.to_owned()),
        ("messaging.message.id", id.to_string()),
        ("messaging.operation.name", "send".to_owned()),
        ("messaging.operation.type", "send".to_owned()),
        ("messaging.system", "outtray".to_owned()),
    ]
    .into()
}

fn message(topic: &str) -> NewMessage {
    NewMessage::json(topic, &1).unwrap()
}

/// Checks that a way to send one message has one span, which tells its id.
#[track_caller]
fn check_one(place: &Place, topic: &str, send: impl FnOnce(&Place, &str) -> MessageId) {
    keep_spans(topic);

    let id = send(place, topic);

    let spans = spans("send", topic);
    assert_eq!(spans.len(), 1, "{topic}: {spans:?}");
    assert_eq!(spans[0].level, Level::INFO);
    assert_eq!(spans[0].fields, expected(topic, id));
}

#[test]
fn a_message_that_is_sent_has_a_span_with_its_id() {
    let place = Place::new();
    check_one(&place, "span-alone", |place, topic| {
        place.messaging.send(message(topic)).unwrap().id()
    });
    check_one(&place, "span-deduped", |place, topic| {
        let message = message(topic).dedupe("once", HOUR);
        place.messaging.send(message).unwrap().id()
    });
    check_one(&place, "span-in-session", |place, topic| {
        let sent = |session: &mut MessagingSession<'_>| Ok(session.send_message(topic, &1)?);
        place.messaging.session(sent).unwrap()
    });
    check_one(&place, "span-joined", |place, topic| {
        let mut client = client(&place.url);
        let mut transaction = client.transaction().unwrap();
        let id = MessagingSession::join(&place.messaging, &mut transaction)
            .unwrap()
            .send_message(topic, &1)
            .unwrap();
        transaction.commit().unwrap();
        id
    });
}

/// Checks that a way to send three messages has one span, which tells how many there are.
#[track_caller]
fn check_many(place: &Place, topic: &str, send: impl FnOnce(&mut MessagingSession<'_>, &str)) {
    keep_spans(topic);

    let sent = place.messaging.session(|session| {
        send(session, topic);
        Ok(())
    });

    sent.unwrap();
    let spans = spans("send", topic);
    assert_eq!(spans.len(), 1, "{topic}: {spans:?}");
    assert_eq!(spans[0].fields["messaging.batch.message_count"], "3");
    assert!(!spans[0].fields.contains_key("messaging.message.id"));
}

#[test]
fn messages_that_are_sent_together_have_one_span_with_their_number() {
    let place = Place::new();
    check_many(&place, "span-many", |session, topic| {
        session.send_messages(topic, [1, 2, 3]).unwrap();
    });
    check_many(&place, "span-all", |session, topic| {
        session.send_all([(); 3].map(|()| message(topic))).unwrap();
    });
    check_many(&place, "span-group", |session, topic| {
        let members = [(); 2].map(|()| message(topic));
        session.send_group(members, message(topic)).unwrap();
    });
}

#[test]
fn what_is_published_has_a_span_with_its_key_and_the_number_of_copies() {
    let place = Place::new();
    for topic in ["one", "other"] {
        place.messaging.subscribe("span.#", topic).unwrap();
    }
    keep_spans("span.alone");
    keep_spans("span.in.session");

    place.messaging.publish("span.alone", &1).unwrap();
    let publish = |session: &mut MessagingSession<'_>| Ok(session.publish("span.in.session", &1)?);
    place.messaging.session(publish).unwrap();

    for key in ["span.alone", "span.in.session"] {
        let spans = spans("publish", key);
        assert_eq!(spans.len(), 1, "{key}: {spans:?}");
        assert_eq!(spans[0].fields["messaging.operation.name"], "publish");
        assert_eq!(spans[0].fields["messaging.operation.type"], "send");
        assert_eq!(spans[0].fields["messaging.batch.message_count"], "2");
    }
}

#[test]
fn a_send_that_fails_says_so_in_its_span() {
    let place = Place::new();
    let topic = "span-refused";
    keep_spans(topic);

    let refused = place.messaging.session(|session| {
        let too_late = message(topic).delay(HOUR * 24 * 365 * 1000);
        Ok(session.send(too_late)?)
    });

    refused.unwrap_err();
    assert_eq!(spans("send", topic)[0].fields["error.type"], "Invalid");
}

#[test]
fn what_a_handler_sends_is_sent_within_its_span() {
    let place = Place::new();
    let topic = "span-parent";
    for topic in [topic, "span-child"] {
        keep_spans(topic);
    }
    place.send(topic, &1);

    let receiver = place.messaging.receiver(topic);
    let handler = |session: &mut MessagingSession<'_>, _: Message<i32>| {
        session.send_message("span-child", &1)?;
        Ok(())
    };
    receiver.drain(handler).unwrap();
    place.messaging.drain("span-child", done).unwrap();

    let parent = spans("handle", topic)[0].id;
    assert_eq!(spans("send", "span-child")[0].parent, Some(parent));
}
