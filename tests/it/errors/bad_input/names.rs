//! Names that would be SQL, shell, or a mess, if they were anything but data.

use super::{Ground, check_all, row};
use crate::support::{MINUTE, PATIENCE, process};
use crossbeam_channel::bounded;
use outtray::ErrorKind::Invalid;
use outtray::{Message, Messaging, NewMessage, Result, TopicConfig};
use serde_json::Value;
use std::time::Duration;

/// Topic names that are refused, each with what is said about it.
const TOPICS: &[(&str, &str)] = &[
    ("", "must not be empty"),
    ("a'b", "use letters, digits and"),
    (
        "a\"; DROP TABLE outtray.message; --",
        "use letters, digits and",
    ),
    ("a;b", "';'"),
    ("a\nb", "use letters, digits and"),
    ("a\0b", "use letters, digits and"),
    ("a b", "' '"),
    ("*", "'*'"),
    ("orders.#", "'#'"),
    ("$(reboot)", "'$'"),
    ("back\\slash", "use letters, digits and"),
    ("\u{202e}sdrawkcab", "use letters, digits and"),
    ("{\"json\":1}", "use letters, digits and"),
];

type Verb = (&'static str, fn(&Messaging, &str) -> Result<()>);

/// Everything that takes a topic.
const VERBS: &[Verb] = &[
    ("send_message", |messaging, topic| {
        messaging
            .session(|session| {
                let told = session.send_message(topic, &1);
                session.query("SELECT 'in order'", &[])?;
                Ok(told)
            })?
            .map(drop)
    }),
    ("send_messages", |messaging, topic| {
        messaging
            .session(|session| Ok(session.send_messages(topic, [1, 2])))?
            .map(drop)
    }),
    ("send bytes", |messaging, topic| {
        messaging
            .session(|session| Ok(session.send(NewMessage::bytes(topic, [1]))))?
            .map(drop)
    }),
    ("send alone", |messaging, topic| {
        messaging.send(NewMessage::bytes(topic, [1])).map(drop)
    }),
    ("send alone, deduped", |messaging, topic| {
        let message = NewMessage::bytes(topic, [1]).dedupe("d", MINUTE);
        messaging.send(message).map(drop)
    }),
    ("receive", |messaging, topic| {
        messaging.topic(topic).receive::<Value>(MINUTE).map(drop)
    }),
    ("configure", |messaging, topic| {
        messaging.topic(topic).configure(TopicConfig::default())
    }),
    ("pause", |messaging, topic| messaging.topic(topic).pause()),
    ("cancel_where", |messaging, topic| {
        messaging.topic(topic).cancel_where([("a", "b")]).map(drop)
    }),
    ("start_receiving_messages", |messaging, topic| {
        messaging
            .start_receiving_messages(topic, |_, _: Message<Value>| Ok(()))
            .map(drop)
    }),
    ("drain", |messaging, topic| {
        messaging
            .drain(topic, |_, _: Message<Value>| Ok(()))
            .map(drop)
    }),
    ("stats", |messaging, topic| {
        messaging.topic(topic).stats().map(drop)
    }),
    ("is_empty", |messaging, topic| {
        messaging.topic(topic).is_empty().map(drop)
    }),
    ("peek", |messaging, topic| {
        messaging.topic(topic).peek(1).map(drop)
    }),
    ("scheduled", |messaging, topic| {
        messaging.topic(topic).scheduled(1).map(drop)
    }),
    ("dead_letters", |messaging, topic| {
        messaging.topic(topic).dead_letters(1).map(drop)
    }),
    ("redrive", |messaging, topic| {
        messaging.topic(topic).redrive(..).map(drop)
    }),
    ("purge_dead_letters", |messaging, topic| {
        messaging.topic(topic).purge_dead_letters(..).map(drop)
    }),
    ("purge", |messaging, topic| {
        messaging.topic(topic).purge().map(drop)
    }),
];

#[test]
fn a_hostile_topic_name_is_refused_by_every_verb() {
    let long: &'static str = Box::leak("x".repeat(300).into_boxed_str());
    let topics = TOPICS.iter().copied().chain([(long, "300 bytes")]);

    check_all(
        topics
            .flat_map(|(topic, says)| {
                VERBS.iter().map(move |(verb, attempt)| {
                    let tried = format!("{verb} with {topic:?}");
                    row(tried, Invalid, says, move |ground| {
                        attempt(&ground.messaging, topic)
                    })
                })
            })
            .collect(),
    );
}

#[test]
fn a_hostile_schema_name_is_refused() {
    let names = [
        "",
        "a-b",
        "7up",
        "a b",
        "a\"; DROP SCHEMA public CASCADE; --",
        "a'b",
        "a.b",
        "a\0b",
        "größe",
        "pg_catalog",
        "PG_temp",
        "a\nb",
    ];
    let mut rows = vec![row("a long name", Invalid, "at most 63", |ground| {
        Messaging::builder()
            .url(&ground.url)
            .schema("s".repeat(64))
            .connect()
    })];
    for name in names {
        let tried = format!("{name:?}");
        rows.push(row(
            tried.clone(),
            Invalid,
            "is not allowed",
            move |ground| Messaging::builder().url(&ground.url).schema(name).connect(),
        ));
        rows.push(row(
            format!("SQL for {tried}"),
            Invalid,
            "is not allowed",
            move |_| Messaging::schema_sql(name),
        ));
    }

    check_all(rows);
}

#[test]
fn waking_a_topic_that_cannot_be_does_no_harm() {
    let ground = Ground::new();
    let elsewhere = process(&ground.url, Duration::from_secs(3600));
    let (seen, handled) = bounded(1);
    let receiver = elsewhere
        .start_receiving_messages("t", move |_, message: Message<i32>| {
            seen.send(message.payload)?;
            Ok(())
        })
        .unwrap();

    for payload in 0..20 {
        // A notification carries less than 8,000 bytes; what does not fit must not take those with
        // it that are sent in the same breath.
        ground.messaging.wake(&"x".repeat(9000));
        for (topic, _) in TOPICS {
            ground.messaging.wake(topic);
        }
        ground
            .messaging
            .session(|session| Ok(session.send_message("t", &payload)?))
            .unwrap();

        assert_eq!(handled.recv_timeout(PATIENCE).unwrap(), payload);
    }
    receiver.stop(PATIENCE);
}
