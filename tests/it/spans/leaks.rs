//! Nothing that is told to those who watch has a value in it: no payload, no header, no key and no
//! password. All tests of this program are watched for that; these send such values in every way.

use crate::support::{CANARY, DAY, HOUR, PATIENCE, Place, Watcher, client, eventually};
use outtray::{
    Backoff, BatchMessage, HandlerError, Message, MessagingSession, NewMessage, Position,
    TopicConfig, TopicKind,
};
use serde_json::{Value, json};
use std::cell::Cell;
use std::time::Duration;

thread_local! {
    static FOUND: Cell<u32> = const { Cell::new(0) };
}

fn message(topic: &str) -> NewMessage {
    NewMessage::json(topic, &json!({ "name": CANARY }))
        .unwrap()
        .key(CANARY)
        .header("by", CANARY)
        .correlation_id(CANARY)
        .message_type(CANARY)
}

#[test]
fn a_planted_leak_is_found_in_lines_and_spans() {
    let watcher = Watcher {
        on_leak: |_| FOUND.set(FOUND.get() + 1),
    };
    tracing::subscriber::with_default(watcher, || {
        tracing::info!(target: "outtray::planted", "no bird here");
        assert_eq!(FOUND.get(), 0);

        tracing::trace!(target: "outtray::planted", "a {CANARY} sings");
        tracing::error!(target: "outtray::planted", payload = "Canary", "a field sings");
        let span = tracing::info_span!(target: "outtray::planted", "a span", key = CANARY);
        let later =
            tracing::info_span!(target: "outtray::planted", "later", key = tracing::field::Empty);
        later.record("key", tracing::field::display(json!({ "name": CANARY })));
        let other = tracing::info_span!(target: "outtray::planted", "a span", payload = "plain");
        drop((span, later, other));

        assert_eq!(FOUND.get(), 5);
    });
}

#[test]
fn no_way_to_send_tells_a_value() {
    let place = Place::new();
    place.messaging.subscribe("birds.#", "published").unwrap();

    place.messaging.send(message("sent")).unwrap();
    place
        .messaging
        .publish_message("birds.new", message(""))
        .unwrap();
    let sent = place.messaging.session(|session| {
        session.send(message("sent").dedupe(CANARY, DAY))?;
        session.send(message("sent").dedupe(CANARY, DAY))?;
        session.send_all([(); 3].map(|()| message("many")))?;
        session.send_group([message("group")], message("group"))?;
        session.publish_message("birds.new", message(""))?;
        session.send(message("later").delay(HOUR))?;
        Ok(())
    });
    sent.unwrap();
    let mut client = client(&place.url);
    let mut transaction = client.transaction().unwrap();
    MessagingSession::join(&place.messaging, &mut transaction)
        .unwrap()
        .send(message("joined"))
        .unwrap();
    transaction.commit().unwrap();
    let asked = place.messaging.request_message::<Value>(
        NewMessage::json("asked", CANARY).unwrap(),
        Duration::from_millis(1),
    );
    asked.unwrap_err();

    assert!(place.messaging.topic("sent").stats().unwrap().ready > 0);
}

/// A handler that fails in each way, by the attempt.
fn failing(
    session: &mut MessagingSession<'_>,
    message: &Message<Value>,
) -> Result<(), HandlerError> {
    session.send(self::message("next"))?;
    match message.attempt {
        1 => {
            session.execute("SELECT $1::text::integer", &[&CANARY])?;
            Ok(())
        }
        2 => Err(HandlerError::failed("not today")),
        _ => Ok(()),
    }
}

#[test]
fn no_way_to_handle_tells_a_value() {
    let place = Place::watchful();
    let topics = ["alone", "together", "leased"];
    for topic in topics {
        for _ in 0..3 {
            place.send_new(message(topic));
        }
    }
    let receiver = |topic| {
        let receiver = place.messaging.receiver(topic).workers(1);
        receiver.backoff(Backoff::fixed(Duration::ZERO))
    };

    let receivers = [
        receiver("alone").start(|session, message| failing(session, &message)),
        receiver("leased")
            .lease(HOUR)
            .start(|session, message| failing(session, &message)),
        receiver("together").start_batches(3, |session, messages: &[BatchMessage<Value>]| {
            messages
                .iter()
                .try_for_each(|message| failing(session, message))
        }),
    ];

    for topic in topics {
        eventually(topic, || place.messaging.topic(topic).is_empty().unwrap());
    }
    for receiver in receivers {
        receiver.unwrap().stop(PATIENCE);
    }
    for undecodable in ["alone", "leased"] {
        place.send_new(message(undecodable));
        let receiver = place.messaging.receiver(undecodable);
        receiver.drain(|_, _: Message<i32>| Ok(())).unwrap();
    }
}

#[test]
fn no_log_and_nothing_by_hand_tells_a_value() {
    let place = Place::watchful();
    let config = TopicConfig {
        kind: TopicKind::Log,
        ..TopicConfig::default()
    };
    place.messaging.topic("ledger").configure(config).unwrap();
    for _ in 0..3 {
        place.send_new(message("ledger"));
        place.send_new(message("taken"));
    }

    let reader = place
        .messaging
        .reader("ledger", "one")
        .from(Position::Start);
    let reader = reader
        .max_attempts(1)
        .start(|_, entries: &[Message<Value>]| match entries {
            [_] => Err(HandlerError::failed("not today")),
            _ => Err(HandlerError::failed("not all at once")),
        });
    eventually("all are put aside", || {
        place.messaging.topic("ledger@one").stats().unwrap().dead == 3
    });
    reader.unwrap().stop(PATIENCE);
    let taken = place.messaging.topic("taken");
    while let Some(delivery) = taken.receive::<Value>(HOUR).unwrap() {
        let _in = delivery.span().entered();
        delivery.reject("no").unwrap();
    }

    assert_eq!(taken.stats().unwrap().dead, 3);
}
