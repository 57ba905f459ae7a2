//! Who gets no answer is told why, if somebody knows.

use super::{QUOTES, two_processes};
use crate::support::{HOUR, MINUTE, PATIENCE, Place};
use outtray::{
    ErrorKind, HandlerError, Message, NewMessage, Payload, PendingReply, ReceiverBuilder,
};
use serde_json::Value;
use std::time::Duration;

#[test]
fn an_error_reply_is_an_error_with_the_text_of_the_replier() {
    let (mut place, replier) = two_processes();
    place.sql("CREATE TABLE asked (item text)");
    let receiver = replier.start_receiving_messages(QUOTES, |session, ask: Message<String>| {
        session.execute("INSERT INTO asked (item) VALUES ($1)", &[&ask.payload])?;
        session.reply_error(&ask, format!("no \"{}\" left", ask.payload))?;
        Ok(())
    });
    let receiver = receiver.unwrap();

    let error = place
        .messaging
        .request::<i32>(QUOTES, "apples", PATIENCE)
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Refused);
    let text = error.to_string();
    assert!(
        text.contains("no \"apples\" left") && text.contains(QUOTES),
        "{text}"
    );
    // It was handled, and no failure.
    assert_eq!(place.count("asked"), 1);
    assert_eq!(place.dead_letters(QUOTES).len(), 0);
    receiver.stop(PATIENCE);
}

#[test]
fn a_reply_that_does_not_fit_is_a_payload_error_and_may_be_anything() {
    let place = Place::new();
    let receiver = place
        .messaging
        .start_receiving_messages(QUOTES, |session, ask: Message<Value>| {
            session.reply_message(&ask, NewMessage::bytes("", [0, 255]))?;
            Ok(())
        })
        .unwrap();

    let wrong = place.messaging.request::<i32>(QUOTES, &0, PATIENCE);
    assert_eq!(wrong.unwrap_err().kind(), ErrorKind::Payload);
    let bytes: Payload = place.messaging.request(QUOTES, &0, PATIENCE).unwrap();
    assert_eq!(bytes, Payload::Bytes(vec![0, 255]));
    receiver.stop(PATIENCE);
}

#[test]
fn a_message_that_asks_for_no_reply_cannot_be_answered() {
    let place = Place::new();
    place.send(QUOTES, &1);
    let mut kinds = Vec::new();
    let drained = place
        .messaging
        .drain(QUOTES, |session, plain: Message<i32>| {
            let answers = [
                session.reply(&plain, &2),
                session.reply_error(&plain, "no"),
                session.reply_message(&plain, NewMessage::bytes("", [1])),
            ];
            kinds.extend(answers.map(|answer| answer.unwrap_err().kind()));
            // The session stays usable.
            session.send_message("log", &3)?;
            Ok(())
        });

    assert_eq!(drained.unwrap().handled, 1);
    assert_eq!(kinds, [ErrorKind::Invalid; 3]);
    assert!(!place.is_empty("log"));
}

#[test]
fn a_handler_that_fails_answers_once_it_succeeds() {
    let (mut place, replier) = two_processes();
    let failing = |session: &mut outtray::MessagingSession<'_>, ask: Message<i64>| {
        session.reply(&ask, &ask.attempt)?;
        match ask.attempt {
            1 => Err(HandlerError::retry_after(Duration::ZERO)),
            _ => Ok(()),
        }
    };
    let receiver = replier.start_receiving_messages(QUOTES, failing).unwrap();

    let attempt: u32 = place.messaging.request(QUOTES, &0, PATIENCE).unwrap();

    assert_eq!(attempt, 2);
    receiver.stop(PATIENCE);
    drop(place.messaging.clone());
    assert_eq!(place.count("outtray.message WHERE topic = 'quotes'"), 0);
}

#[test]
fn who_asked_learns_that_its_request_is_a_dead_letter() {
    let (place, replier) = two_processes();
    let ask = |question: NewMessage| {
        let question = question.header("note", "ünïcode");
        place.messaging.begin_request(question, HOUR).unwrap()
    };
    let question = || NewMessage::json(QUOTES, &1).unwrap();
    let check = |mut pending: PendingReply, reason: &str| {
        let error = pending.wait::<i64>(PATIENCE).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
        let text = error.to_string();
        assert!(
            text.contains(reason) && text.contains("a dead letter"),
            "{text}"
        );
        assert!(!text.contains("secret"), "{text}");
    };
    let rejecting = |receiver: ReceiverBuilder<'_>| {
        receiver
            .start(|_, _: Message<i64>| Err(HandlerError::reject("a secret")))
            .unwrap()
    };

    type With = for<'r> fn(ReceiverBuilder<'r>) -> ReceiverBuilder<'r>;
    let ways: [With; 3] = [
        |receiver| receiver,
        |receiver| receiver.lease(MINUTE),
        |receiver| receiver.strict_order(),
    ];
    for with in ways {
        let receiver = rejecting(with(replier.receiver(QUOTES)));
        check(ask(question()), "rejected");
        check(ask(question().key("k")), "rejected");
        check(
            ask(NewMessage::json(QUOTES, "no number").unwrap()),
            "undecodable",
        );
        receiver.stop(PATIENCE);
    }
    let pending = ask(question());
    let taken = replier.topic(QUOTES).receive::<i64>(MINUTE).unwrap();
    taken.unwrap().reject("a secret").unwrap();
    check(pending, "rejected");
    assert_eq!(place.dead_letters(QUOTES).len(), 10);
}

#[test]
fn programs_that_receive_by_sql_end_requests_as_the_library_does() {
    let mut place = Place::new();
    let asker = place.messaging.clone();
    let ask = |timeout| {
        let question = NewMessage::json(QUOTES, &1).unwrap();
        asker.begin_request(question, timeout).unwrap()
    };
    let mut pending = ask(HOUR);
    place.sql(
        "SELECT outtray.reject(id, receipt, 'a secret') FROM outtray.receive('quotes', '1 minute')",
    );
    let error = pending.wait::<i64>(PATIENCE).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(!error.to_string().contains("secret"), "{error}");
    assert_eq!(place.count("outtray.dead_letter"), 1);

    // Nobody waits any more: by a look of their own, and by what looks after all topics.
    for call in [
        "FROM outtray.receive('quotes', '1 minute')",
        "outtray.upkeep()",
    ] {
        drop(ask(HOUR));
        place.sql("UPDATE outtray.message SET expires_at = now() WHERE topic = 'quotes'");
        place.sql(&format!("SELECT {call}"));
        assert_eq!(place.count("outtray.message WHERE topic = 'quotes'"), 0);
        assert_eq!(place.count("outtray.dead_letter"), 1);
    }
}
