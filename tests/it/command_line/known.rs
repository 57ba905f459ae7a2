//! A topic that nobody knows was mistyped: who names it is told so, and nothing else is done.

use super::{Desk, check, objects};
use outtray::{Backoff, HandlerError, Message, NewMessage};
use serde_json::Value;
use std::time::Duration;

impl Desk {
    /// Makes a dead letter of a message with this payload.
    fn bury_one(&self, topic: &str, payload: &str, key: Option<&str>) {
        let key: Vec<&str> = key.into_iter().flat_map(|key| ["--key", key]).collect();
        self.done(&[&["send", topic, payload], &key[..]].concat());
        self.messaging
            .drain(topic, |_, _: Message<Value>| {
                Err(HandlerError::reject("no"))
            })
            .unwrap();
    }
}

#[test]
fn every_command_that_would_change_a_mistyped_topic_says_so_and_ends_with_one() {
    let desk = Desk::new();
    desk.bury_one("mail", "1", None);
    let id = objects(&desk.done(&["dead", "list", "mail", "--json"]))[0]["id"].clone();
    let id = id.as_str().unwrap();

    for arguments in [
        &["dead", "redrive", "maill", "--all"][..],
        &["dead", "purge", "maill", "--all", "--yes"],
        // Nobody is asked first.
        &["dead", "purge", "maill", "--all"],
        &["dead", "redrive", "maill", id],
        &["dead", "redrive", "maill", "--key", "k"],
        &["dead", "show", "maill", id],
        &["purge", "maill", "--yes"],
        &["purge", "maill"],
        &["config", "maill", "--unset", "delay"],
        &["pause", "maill"],
        &["resume", "maill"],
        &["cancel", "--topic", "maill", "--header", "a=b", "--yes"],
    ] {
        let ended = desk.run(arguments);

        check(&ended, 1, "error: there is no such topic as maill: ");
        check(&ended, 1, "\nhint: did you mean mail?");
        assert_eq!(ended.stdout, "", "{arguments:?}");
    }

    assert_eq!(desk.numbers("mail"), [0, 0, 1]);
    assert_eq!(desk.messaging.topic_names().unwrap(), ["mail"]);
    let nothing_like_it = desk.run(&["purge", "invoices"]);
    check(&nothing_like_it, 1, "\nhint: `outtray topics` lists");
}

#[test]
fn what_looks_at_a_mistyped_topic_says_so_and_shows_that_there_is_nothing() {
    let desk = Desk::new();
    desk.done(&["send", "mail", "1"]);

    for arguments in [
        &["dead", "list", "maill"][..],
        &["dead", "list", "maill", "--json"],
        &["stats", "maill"],
        &["stats", "maill", "--json"],
        &["peek", "maill"],
        &["peek", "maill", "--scheduled"],
        &["config", "maill"],
        &["recurring", "list", "maill"],
    ] {
        let ended = desk.run(arguments);

        check(&ended, 0, "note: there is no such topic as maill: ");
        check(&ended, 0, "\nhint: did you mean mail?");
    }
    let of_none = objects(&desk.run(&["stats", "maill", "--json"]).stdout);
    assert_eq!(of_none[0]["ready"], 0);
}

#[test]
fn a_topic_is_known_by_whatever_there_is_of_it() {
    let desk = Desk::new();
    let messaging = &desk.messaging;
    let message = |topic: &str| NewMessage::json(topic, &1).unwrap();
    let hour = Duration::from_secs(3600);
    let send = |message: NewMessage| messaging.send(message).unwrap();
    let empty = |topic: &str| {
        let drained = messaging.drain(topic, |_, _: Message<i32>| Ok(()));
        drained.unwrap();
    };

    send(message("ready"));
    send(message("scheduled").delay(hour));
    desk.bury_one("dead", "1", None);
    desk.done(&["config", "configured", "--set", "max_attempts=5"]);
    desk.done(&["pause", "paused", "--new"]);
    desk.done(&["recurring", "set", "recurring", "n", "@daily", "1"]);
    send(message("deduped").dedupe("once", hour));
    empty("deduped");
    send(message("tracked").tracked());
    empty("tracked");
    let receiver = messaging
        .receiver("received")
        .backoff(Backoff::fixed(hour))
        .start(|_, _: Message<i32>| Ok(()))
        .unwrap();

    for topic in [
        "ready",
        "scheduled",
        "dead",
        "configured",
        "paused",
        "recurring",
        "deduped",
        "tracked",
        "received",
    ] {
        assert!(messaging.topic(topic).is_known().unwrap(), "{topic}");
        let stats = desk.done(&["stats", topic]);
        assert!(stats.contains(topic), "{stats}");
    }
    assert!(!messaging.topic("never").is_known().unwrap());
    drop(receiver);
}

#[test]
fn who_sets_something_may_do_so_first_and_is_told_of_a_topic_with_such_a_name() {
    let desk = Desk::new();
    let first = desk.run(&["config", "mail", "--set", "max_attempts=5"]);
    let mistyped = desk.run(&["config", "mial", "--set", "max_attempts=5"]);
    let again = desk.run(&["config", "mail", "--set", "delay=1s"]);

    check(
        &mistyped,
        0,
        "note: nothing was known of mial before; there is mail, too",
    );
    assert_eq!((first.code, first.stderr.as_str()), (0, ""));
    assert_eq!((again.code, again.stderr.as_str()), (0, ""));
    let paused = desk.run(&["pause", "orders"]);
    check(&paused, 1, "--new pauses it all the same");
    assert_eq!(desk.done(&["pause", "orders", "--new"]), "paused orders\n");
}

#[test]
fn dead_letters_of_all_topics_are_listed_oldest_first() {
    let desk = Desk::new();
    assert_eq!(desk.done(&["dead", "list"]), "no dead letter\n");
    for (topic, payload, key) in [
        ("b", "1", Some("k")),
        ("a", "2", None),
        ("b", "3", None),
        ("c", "4", Some("k")),
    ] {
        desk.bury_one(topic, payload, key);
    }

    let all = objects(&desk.done(&["dead", "list", "--json"]));
    let first = objects(&desk.done(&["dead", "list", "-n", "3", "--json"]));
    let of_key = objects(&desk.done(&["dead", "list", "--key", "k", "--json"]));
    let table = desk.done(&["dead", "list"]);

    let payloads = |letters: &[Value]| -> Vec<(String, i64)> {
        let one = |letter: &Value| {
            let topic = letter["topic"].as_str().unwrap().to_owned();
            (topic, letter["payload"].as_i64().unwrap())
        };
        letters.iter().map(one).collect()
    };
    let expected = [("b", 1), ("a", 2), ("b", 3), ("c", 4)];
    let expected = expected.map(|(topic, payload)| (topic.to_owned(), payload));
    assert_eq!(payloads(&all), expected);
    assert_eq!(payloads(&first), expected[..3]);
    assert_eq!(
        payloads(&of_key),
        [expected[0].clone(), expected[3].clone()]
    );
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].starts_with("TOPIC  ID "), "{table}");
    assert!(lines[1].starts_with("b      "), "{table}");
    assert_eq!(lines.len(), 5, "{table}");
    check(
        &desk.run(&["dead", "list", "--key", ""]),
        2,
        "key has 0 bytes",
    );
}

#[test]
fn dead_letters_of_all_topics_are_found_by_their_ids() {
    let desk = Desk::new();
    desk.bury_one("a", "1", None);
    desk.bury_one("b", "2", None);
    let letters = desk.messaging.dead_letters(10).unwrap();
    assert_eq!(
        letters
            .iter()
            .map(|letter| &letter.topic)
            .collect::<Vec<_>>(),
        ["a", "b"]
    );

    let found = desk.messaging.dead_letters_of(letters[1].id, 10).unwrap();
    let both = desk
        .messaging
        .dead_letters_of([letters[1].id, letters[0].id], 1)
        .unwrap();

    assert_eq!(found, letters[1..]);
    assert_eq!(both, letters[..1]);
}
