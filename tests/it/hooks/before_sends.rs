//! Hooks run before each send, in order; they change messages, or refuse them.

use crate::support::{DAY, HOUR, PATIENCE, Place, client, database, eventually};
use outtray::{
    Builder, ErrorKind, Message, Messaging, MessagingSession, NewMessage, Payload, Position,
    Recurrence, TopicConfig, TopicKind,
};
use std::fmt;

/// Why a message is refused.
#[derive(Debug)]
struct NoTenant;

impl fmt::Display for NoTenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no tenant")
    }
}

impl std::error::Error for NoTenant {}

fn place(hooks: impl FnOnce(Builder) -> Builder) -> Place {
    let url = database();
    let builder = hooks(Messaging::builder().url(&url));
    Place::over(&url, builder.connect().unwrap())
}

/// A process that marks whatever it sends, and refuses what goes to one topic.
fn marking() -> Place {
    place(|builder| {
        builder
            .before_send(|message| Ok(message.header("trail", "first")))
            .before_send(|message| {
                let trail = format!("{}, second", message.headers()["trail"]);
                Ok(message.header("trail", trail))
            })
            .before_send(|message| match message.topic() {
                "forbidden" => Err(NoTenant.into()),
                _ => Ok(message),
            })
    })
}

/// Handles a topic; returns how often each trail was seen.
fn trails(place: &Place, topic: &str) -> Vec<String> {
    let mut trails = Vec::new();
    let handler = |_: &mut MessagingSession<'_>, message: Message<Payload>| {
        trails.extend(message.headers.get("trail").cloned());
        Ok(())
    };
    place.messaging.drain_all(topic, handler).unwrap();
    trails
}

const MARKED: &str = "first, second";

#[test]
fn every_way_to_send_goes_through_them_once() {
    let mut place = marking();
    let new = |n: i32| NewMessage::json("jobs", &n).unwrap();
    let messaging = &place.messaging;
    messaging
        .session(|session| {
            session.send_message("jobs", &1)?;
            session.send_messages("jobs", [2, 3])?;
            session.send(new(4).delay(HOUR))?;
            session.send_all([new(5).dedupe("5", DAY), new(6).key("a")])?;
            session.send_group([new(7)], new(8))?;
            Ok(())
        })
        .unwrap();
    messaging.send(new(9)).unwrap();
    messaging.subscribe("orders.*", "jobs").unwrap();
    messaging.publish("orders.created", &10).unwrap();
    let mut client = client(&place.url);
    let mut transaction = client.transaction().unwrap();
    MessagingSession::join(messaging, &mut transaction)
        .unwrap()
        .send_message("jobs", &11)
        .unwrap();
    transaction.commit().unwrap();

    let trails = trails(&place, "jobs");

    assert_eq!(trails, [MARKED; 11]);
    assert_eq!(place.count("outtray.dead_letter"), 0);
}

#[test]
fn what_a_handler_sends_and_questions_and_answers_go_through_them() {
    let place = marking();
    place.send("jobs", &1);
    let relay = |session: &mut MessagingSession<'_>, _: Message<i32>| {
        session.send_message("on", &1)?;
        Ok(())
    };
    place.messaging.drain("jobs", relay).unwrap();
    let receiver = place
        .messaging
        .start_receiving_messages("ask", |session, ask: Message<String>| {
            let trail = ask.headers["trail"].clone();
            session.reply(&ask, &trail)?;
            Ok(())
        })
        .unwrap();

    let question = NewMessage::json("ask", "").unwrap();
    let reply: Message<String> = place.messaging.request_message(question, PATIENCE).unwrap();
    receiver.stop(PATIENCE);

    assert_eq!(trails(&place, "on"), [MARKED]);
    assert_eq!(
        (reply.payload.as_str(), reply.headers["trail"].as_str()),
        (MARKED, MARKED)
    );
}

#[test]
fn entries_of_logs_and_recurring_messages_go_through_them() {
    let place = marking();
    let log = TopicConfig {
        kind: TopicKind::Log,
        ..TopicConfig::default()
    };
    place.messaging.topic("ledger").configure(log).unwrap();
    let mut tail = place.messaging.tail("ledger", Position::Start).unwrap();
    place.send("ledger", &1);
    let entry: Message<i32> = tail.next(PATIENCE).unwrap().unwrap();
    let every_second = Recurrence::cron("* * * * * *").unwrap();
    let tick = NewMessage::json("ticks", &1).unwrap();
    place.messaging.repeat("tick", &every_second, tick).unwrap();
    let receiver = place.idle_receiver();

    eventually("it ticks", || !place.is_empty("ticks"));
    receiver.stop(PATIENCE);

    assert_eq!(entry.headers["trail"], MARKED);
    assert!(trails(&place, "ticks").iter().all(|trail| trail == MARKED));
}

#[test]
fn what_one_refuses_is_not_sent_and_the_session_goes_on() {
    let place = marking();

    let refused = place
        .messaging
        .session(|session| {
            let forbidden = NewMessage::json("forbidden", &2)?;
            let refused = session.send(forbidden.clone()).unwrap_err();
            let none = session.send_all([NewMessage::json("jobs", &3)?, forbidden.clone()]);
            assert_eq!(none.unwrap_err().kind(), ErrorKind::Vetoed);
            assert_eq!(
                session.check(&forbidden).unwrap_err().kind(),
                ErrorKind::Vetoed
            );
            session.send_message("jobs", &4)?;
            Ok(refused)
        })
        .unwrap();

    assert_eq!(refused.kind(), ErrorKind::Vetoed);
    assert!(refused.cause::<NoTenant>().is_some());
    assert!(place.messaging.publish("forbidden", &5).is_err());
    assert_eq!(place.handled::<i32>("jobs"), [4]);
    assert!(place.is_empty("forbidden"));
}

#[test]
fn what_they_add_counts_in_the_limits() {
    let place = place(|builder| {
        builder.before_send(|message| Ok(message.header("long", "x".repeat(1 << 20))))
    });

    let sent = place.messaging.send(NewMessage::bytes("jobs", [1]));

    let kind = sent.unwrap_err().kind();
    assert!(
        matches!(kind, ErrorKind::Invalid | ErrorKind::TooLarge),
        "{kind:?}"
    );
    assert!(place.is_empty("jobs"));
}

#[test]
fn a_panic_of_one_refuses_the_message() {
    let place = place(|builder| builder.before_send(|_| panic!("on the hook")));

    let sent = place.messaging.send(NewMessage::bytes("jobs", [1]));

    let error = sent.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Vetoed);
    assert!(format!("{error:?}").contains("on the hook"), "{error:?}");
}
