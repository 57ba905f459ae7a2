//! What was sent is told after its COMMIT, and what was rolled back is not.

use super::observed;
use crate::support::{DAY, HOUR, client};
use outtray::{HandlerError, Message, MessagingSession, NewMessage, TopicConfig, TopicKind};

#[test]
fn a_session_tells_each_topic_once_after_its_commit() {
    let (place, told) = observed();

    place
        .messaging
        .session(|session| {
            session.send_messages("a", 0..2)?;
            session.send_message("b", &1)?;
            session.send(NewMessage::json("a", &3)?.delay(HOUR))?;
            session.send_message("a", &4)?;
            assert!(told.take().is_empty(), "nothing is committed yet");
            Ok(())
        })
        .unwrap();

    let expected = ["3 sent to a", "1 sent to b", "1 sent to a for later"];
    assert_eq!(told.take(), expected);
}

#[test]
fn what_is_rolled_back_is_not_told() {
    let (place, told) = observed();

    let failed = place.messaging.session(|session| {
        session.send_message("a", &1)?;
        Err::<(), _>(HandlerError::failed("no"))
    });

    assert!(failed.is_err());
    assert!(told.take().is_empty());
}

#[test]
fn a_failed_handler_sent_nothing() {
    let (place, told) = observed();
    place.send_all("jobs", 0..2);
    told.take();

    place
        .messaging
        .receiver("jobs")
        .max_attempts(1)
        .drain(
            |session: &mut MessagingSession<'_>, message: Message<i32>| {
                session.send_message("sent", &message.payload)?;
                match message.payload {
                    0 => Ok(()),
                    _ => Err(HandlerError::failed("no")),
                }
            },
        )
        .unwrap();

    assert_eq!(place.handled::<i32>("sent"), [0]);
    let lines = told.take();
    let sent = lines.iter().filter(|line| line.ends_with("sent to sent"));
    assert_eq!(sent.collect::<Vec<_>>(), ["1 sent to sent"]);
}

#[test]
fn single_sends_and_publications_and_logs_are_told() {
    let (place, told) = observed();
    let log = TopicConfig {
        kind: TopicKind::Log,
        ..TopicConfig::default()
    };
    place.messaging.topic("ledger").configure(log).unwrap();
    place.messaging.subscribe("orders.*", "billing").unwrap();
    place.messaging.subscribe("orders.#", "ledger").unwrap();
    let order = NewMessage::json("orders", &1).unwrap().dedupe("1", DAY);

    place.messaging.send(order.clone()).unwrap();
    assert!(place.messaging.send(order).unwrap().is_duplicate());
    place.messaging.publish("orders.created", &2).unwrap();

    let expected = [
        "1 sent to orders",
        "1 sent to billing",
        "1 sent to ledger of a log",
    ];
    assert_eq!(told.take(), expected);
}

#[test]
fn a_question_and_its_answer_are_told() {
    let (place, told) = observed();
    let receiver = place
        .messaging
        .start_receiving_messages("squares", |session, ask: Message<i64>| {
            session.reply(&ask, &(ask.payload * ask.payload))?;
            Ok(())
        })
        .unwrap();

    let timeout = crate::support::PATIENCE;
    let square: i64 = place.messaging.request("squares", &3, timeout).unwrap();
    receiver.stop(timeout);

    assert_eq!(square, 9);
    let lines = told.take();
    assert_eq!(lines[0], "1 sent to squares");
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert!(lines.contains(&"squares done 1".to_owned()));
}

#[test]
fn a_joined_session_tells_nothing_since_its_caller_commits() {
    let (place, told) = observed();
    let mut client = client(&place.url);
    let mut transaction = client.transaction().unwrap();

    let mut session = MessagingSession::join(&place.messaging, &mut transaction).unwrap();
    session.send_message("a", &1).unwrap();
    drop(session);
    transaction.commit().unwrap();

    assert!(told.take().is_empty());
    assert_eq!(place.handled::<i32>("a"), [1]);
}
