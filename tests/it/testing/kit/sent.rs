//! What was sent is found, wherever it is, and shown where an assertion fails.

use super::complaint;
use crate::support::{A_WHILE, DAY, Place};
use outtray::testing::AssertSent;
use outtray::{HandlerError, Message, MessagingSession, NewMessage, TopicConfig, TopicKind};
use serde::{Deserialize, Serialize};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Mail {
    to: String,
}

fn mail(to: &str) -> Mail {
    Mail { to: to.to_owned() }
}

#[test]
fn a_committed_message_is_found_by_its_payload() {
    let place = Place::new();
    let id = place.send("mails", &mail("a@b.c"));

    let found = place
        .messaging
        .assert_sent("mails", |mail: &Mail| mail.to == "a@b.c");

    assert_eq!((found.id, found.payload), (id, mail("a@b.c")));
    assert_eq!(place.messaging.sent_count("mails").unwrap(), 1);
    place.messaging.assert_sent::<Mail>("mails", |_| true);
    place
        .messaging
        .assert_not_sent::<Mail>("mails", |mail| mail.to.is_empty());
    place.messaging.assert_nothing_sent("invoices");
}

#[test]
fn a_delayed_message_is_found_with_its_time_headers_and_key() {
    let place = Place::new();
    let message = NewMessage::json("mails", &mail("a@b.c")).unwrap();
    place.send_new(message.delay(3 * DAY).header("lang", "en").priority(5));

    let found = place
        .messaging
        .assert_sent_message::<Mail>("mails", |mail| {
            mail.due_in > Some(2 * DAY) && mail.header("lang") == Some("en")
        });

    assert_eq!((found.priority, found.attempts), (5, 0));
    assert!(found.due_in <= Some(3 * DAY) && found.due_at.is_some());
}

#[test]
fn a_message_that_failed_is_found_with_its_error() {
    let place = Place::new();
    place.send("mails", &mail("a@b.c"));
    let fails = |_: &mut MessagingSession<'_>, _: Message<Mail>| Err("no such host".into());
    place.messaging.drain("mails", fails).unwrap();

    let found = place.messaging.assert_sent("mails", |_: &Mail| true);

    // On a slow machine its next attempt is due before the drain has ended.
    assert!(found.attempts >= 1);
    assert_eq!(found.error.as_deref(), Some("no such host"));
}

#[test]
fn messages_behind_others_of_their_key_and_after_others_are_found() {
    let place = Place::new();
    let first = place.send_new(NewMessage::json("mails", &1).unwrap().key("k").tracked());
    place.send_new(NewMessage::json("mails", &2).unwrap().key("k"));
    place.send_new(NewMessage::json("mails", &3).unwrap().after(&[first]));

    let sent = place.messaging.sent::<i32>("mails").unwrap();

    let payloads: Vec<i32> = sent.iter().map(|one| one.payload).collect();
    assert_eq!(payloads, [1, 2, 3]);
    assert_eq!(sent[1].key.as_deref(), Some("k"));
    assert_eq!(sent[2].after, [first]);
}

#[test]
fn a_published_message_is_found_in_each_topic_that_subscribed() {
    let place = Place::new();
    place.messaging.subscribe("orders.*", "billing").unwrap();
    place.messaging.subscribe("#", "audit").unwrap();

    place
        .messaging
        .session(|session| {
            session.publish("orders.created", &7)?;
            session.assert_sent("billing", |order: &i32| *order == 7);
            Ok(())
        })
        .unwrap();

    for topic in ["billing", "audit"] {
        place
            .messaging
            .assert_sent(topic, |order: &i32| *order == 7);
    }
}

#[test]
fn a_message_of_a_log_is_found() {
    let place = Place::new();
    let config = TopicConfig {
        kind: TopicKind::Log,
        ..TopicConfig::default()
    };
    place.messaging.topic("ledger").configure(config).unwrap();
    place.send_all("ledger", [1, 2, 3]);

    let sent = place.messaging.sent::<i32>("ledger").unwrap();

    let payloads: Vec<i32> = sent.iter().map(|one| one.payload).collect();
    assert_eq!(payloads, [1, 2, 3]);
}

#[test]
fn a_session_sees_what_it_sent_and_others_do_not() {
    let place = Place::new();

    let rolled_back: Result<(), HandlerError> = place
        .messaging
        .session(|session| {
            session.send_message("mails", &mail("a@b.c"))?;
            session.assert_sent("mails", |mail: &Mail| mail.to == "a@b.c");
            session.assert_sent_count("mails", 1);
            place.messaging.assert_nothing_sent("mails");
            Err("no".into())
        })
        .map_err(Into::into);

    assert!(rolled_back.is_err());
    place.messaging.assert_nothing_sent("mails");
}

#[test]
fn a_joined_session_sees_what_is_sent_in_a_test_transaction_that_is_rolled_back() {
    let mut place = Place::new();
    let mut transaction = place.client.transaction().unwrap();

    let mut session = MessagingSession::join(&place.messaging, &mut transaction).unwrap();
    session.send_message("mails", &mail("a@b.c")).unwrap();
    let later = NewMessage::json("mails", &mail("later")).unwrap();
    session.send(later.delay(DAY)).unwrap();
    session.assert_sent("mails", |mail: &Mail| mail.to == "a@b.c");
    session.assert_sent_message::<Mail>("mails", |mail| mail.due_in.is_some());
    session.assert_sent_count("mails", 2);
    drop(session);

    transaction.rollback().unwrap();
    place.messaging.assert_nothing_sent("mails");
}

#[test]
fn a_handler_sees_what_it_sent_and_its_message_is_still_handled() {
    let place = Place::new();
    place.send("orders", &1);
    let handler = |session: &mut MessagingSession<'_>, order: Message<i32>| {
        session.send_message("mails", &order.payload)?;
        session.assert_sent("mails", |order: &i32| *order == 1);
        Ok(())
    };

    let report = place.messaging.drain("orders", handler).unwrap();

    assert_eq!(report.handled, 1);
    place.messaging.assert_sent_count("mails", 1);
}

#[test]
fn an_assertion_that_fails_shows_what_was_sent() {
    let place = Place::new();
    let message = NewMessage::json("mails", &mail("a@b.c")).unwrap();
    place.send_new(message.header("lang", "en").key("k"));
    place.send_new(
        NewMessage::json("mails", &vec!["long"; 500])
            .unwrap()
            .delay(DAY),
    );
    let messaging = &place.messaging;

    let none = complaint(|| drop(messaging.assert_sent("mails", |mail: &Mail| mail.to == "x")));
    let some = complaint(|| messaging.assert_not_sent("mails", |mail: &Mail| mail.to == "a@b.c"));
    let count = complaint(|| messaging.assert_nothing_sent("mails"));
    let nothing = complaint(|| drop(messaging.assert_sent("none", |_: &Mail| true)));

    for text in [&none, &some, &count] {
        assert!(text.contains(r#"1. {"to":"a@b.c"}, key "k""#), "{text}");
        assert!(text.contains("header lang: en"), "{text}");
        assert!(text.contains(r#"2. ["long","long""#), "{text}");
        assert!(text.contains("… (3501 bytes), due in"), "{text}");
        assert!(text.len() < 1500, "{text}");
    }
    assert!(
        none.starts_with("no message of topic mails matches, of 2 that are there:"),
        "{none}"
    );
    assert!(
        none.contains("not every payload is a ") && none.contains("Mail"),
        "{none}"
    );
    assert!(
        some.starts_with("message 1 of topic mails matches"),
        "{some}"
    );
    assert!(
        count.starts_with("topic mails has 2 messages, not 0:"),
        "{count}"
    );
    assert_eq!(
        nothing,
        "no message of topic none matches, of 0 that are there: none"
    );
}

#[test]
fn an_assertion_that_fails_names_the_line_of_the_test() {
    use std::panic;
    use std::sync::mpsc::channel;

    let place = Place::new();
    let (tell, told) = channel();
    let thread = std::thread::Builder::new().name("fails on purpose".to_owned());
    let messaging = place.messaging.clone();
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |panicked| {
        if std::thread::current().name() == Some("fails on purpose") {
            let place = panicked.location().expect("known");
            let _ = tell.send((place.file().to_owned(), place.line()));
        } else {
            usual(panicked);
        }
    }));
    let line = line!() + 1;
    let failing = move || messaging.assert_sent_count("mails", 1);
    let ended = thread.spawn(failing).unwrap().join();

    assert!(ended.is_err());
    let (file, failed_at) = told.recv_timeout(A_WHILE * 100).unwrap();
    assert!(file.ends_with("sent.rs"), "{file}");
    assert_eq!(failed_at, line);
}
