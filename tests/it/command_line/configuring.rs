//! What is set for a topic, and what recurs.

use super::{Desk, check, objects};
use crate::support::{Gate, await_lock_waits, client};
use outtray::{Backoff, Expired, Rate, TopicConfig};
use serde_json::{Value, json};
use std::thread;
use std::time::Duration;

#[test]
fn settings_of_a_topic_are_set_shown_and_unset() {
    let desk = Desk::new();
    desk.done(&["send", "t", "1"]);
    assert_eq!(desk.done(&["config", "t"]), "nothing is set\n");

    let shown = desk.done(&[
        "config",
        "t",
        "--set",
        "max_attempts=5",
        "--set",
        "expires_in=1h 30m",
        "--set",
        "expired=drop",
        "--set",
        "backoff=exponential:1s,2,15m",
        "--set",
        "rate=100/1s",
        "--set",
        "delay=5s",
    ]);
    let machine = objects(&desk.done(&["config", "t", "--unset", "delay", "--json"]));

    assert!(shown.contains("max_attempts         5\n"), "{shown}");
    assert!(shown.contains("expires_in           1h 30m\n"), "{shown}");
    assert!(
        shown.contains("backoff              exponential:1s,2.0,15m\n"),
        "{shown}"
    );
    assert!(
        shown.contains("rate                 100/1s,100\n"),
        "{shown}"
    );
    assert!(shown.contains("delay                5s\n"), "{shown}");
    assert_eq!(machine[0]["settings"]["max_attempts"], 5);
    assert_eq!(machine[0]["settings"]["delay_ms"], Value::Null);
    assert_eq!(machine[0]["paused"], false);
    let s = Duration::from_secs(1);
    let expected = TopicConfig {
        max_attempts: Some(5),
        expires_in: Some(s * 5400),
        expired: Some(Expired::Drop),
        backoff: Some(Backoff::exponential(s, 2.0, s * 900)),
        rate: Some(Rate {
            messages: 100,
            per: s,
            burst: 100,
        }),
        ..TopicConfig::default()
    };
    assert_eq!(desk.messaging.topic("t").config().unwrap(), expected);
}

#[test]
fn how_long_dead_letters_are_kept_is_set_and_shown_with_the_numbers() {
    let desk = Desk::new();

    let set = desk.done(&["config", "t", "--set", "dead_letter_retention=30d"]);
    let stats = desk.done(&["stats", "t"]);
    let machine = objects(&desk.done(&["stats", "t", "--json"]));
    desk.done(&["config", "t", "--unset", "dead_letter_retention"]);

    assert_eq!(set, "dead_letter_retention  30days\n");
    assert!(stats.ends_with("\ndead kept     30days\n"), "{stats}");
    assert_eq!(machine[0]["dead_letter_retention_ms"], 2_592_000_000_u64);
    assert_eq!(
        desk.messaging.topic("t").config().unwrap(),
        TopicConfig::default()
    );
}

#[test]
fn a_setting_that_cannot_be_meant_ends_with_two_and_changes_nothing() {
    let desk = Desk::new();
    desk.done(&["config", "t", "--set", "max_attempts=5"]);

    for (setting, part) in [
        ("colour=red", "no such setting"),
        ("delay", "NAME=VALUE"),
        ("delay=soon", "\"soon\" is not a duration"),
        (
            "max_attempts=0",
            "max_attempts of topic t is 0, it must be 1 to 32767",
        ),
        ("expired=burn", "dead_letter, drop"),
        ("backoff=never", "exponential:1s,2,15m"),
        ("rate=0/1s", "rate of topic t is 0"),
        // It would be stored as something else.
        (
            "rate=10/1500us",
            "rate.per of topic t is 1.5ms, it must be whole milliseconds",
        ),
        ("expires_in=1500us", "must be whole milliseconds"),
        (
            "backoff=exponential:1500us,2,1m",
            "must be whole milliseconds",
        ),
        ("backoff=fixed:1000y", "30 days at most"),
    ] {
        check(
            &desk.run(&["config", "t", "--set", "max_in_work=7", "--set", setting]),
            2,
            part,
        );
    }
    check(
        &desk.run(&["config", "t", "--unset", "colour"]),
        2,
        "no such setting",
    );
    check(&desk.run(&["config", "bad topic"]), 2, "bad topic");

    let expected = TopicConfig {
        max_attempts: Some(5),
        ..TopicConfig::default()
    };
    assert_eq!(desk.messaging.topic("t").config().unwrap(), expected);
}

#[test]
fn a_change_waits_for_one_that_is_being_made_and_loses_nothing_of_it() {
    let desk = Desk::new();
    let gate = Gate::new();
    let mut client = client(&desk.url);

    thread::scope(|scope| {
        scope.spawn(|| {
            let topic = desk.messaging.topic("t");
            topic
                .reconfigure(|config| {
                    gate.pass();
                    config.max_attempts = Some(2);
                })
                .unwrap();
        });
        gate.await_arrivals(1);
        scope.spawn(|| desk.done(&["config", "t", "--set", "delay=5s"]));
        await_lock_waits(&mut client, 1);
        gate.open_for(1);
    });

    let shown = desk.done(&["config", "t"]);
    assert!(shown.contains("max_attempts         2\n"), "{shown}");
    assert!(shown.contains("delay                5s\n"), "{shown}");
}

#[test]
fn settings_that_cannot_be_read_can_be_set_again() {
    let desk = Desk::new();
    let mut client = client(&desk.url);
    for change in [["--set", "poisoned_key=park"], ["--unset", "poisoned_key"]] {
        client
            .batch_execute(
                r#"INSERT INTO outtray.topic (topic, config)
                    VALUES ('t', '{"poisoned_key": "bury", "max_attempts": 5}')
                    ON CONFLICT (topic) DO UPDATE SET config = excluded.config"#,
            )
            .unwrap();
        assert_eq!(desk.done(&["config", "t"]), "max_attempts         5\n");

        desk.done(&["config", "t", change[0], change[1]]);

        let stored: String = client
            .query_one("SELECT config::text FROM outtray.topic", &[])
            .unwrap()
            .get(0);
        assert!(!stored.contains("bury"), "{stored}");
    }
}

#[test]
fn a_topic_is_paused_and_resumed_and_that_is_shown() {
    let desk = Desk::new();
    desk.done(&["send", "t", "1"]);
    let state = |command: &[&str]| {
        let printed = desk.done(command);
        printed.trim_end().ends_with("paused")
    };
    assert!(!state(&["stats", "t"]));

    assert_eq!(desk.done(&["pause", "t"]), "paused t\n");
    assert!(state(&["stats", "t"]));
    assert!(state(&["topics"]));
    assert_eq!(
        objects(&desk.done(&["topics", "--json"]))[0]["paused"],
        true
    );
    assert_eq!(desk.done(&["config", "t"]), "paused               yes\n");
    assert!(desk.messaging.topic("t").is_paused().unwrap());

    assert_eq!(desk.done(&["resume", "t"]), "resumed t\n");
    assert!(!state(&["topics"]));
    assert!(!desk.messaging.topic("t").is_paused().unwrap());
    let stats = &objects(&desk.done(&["stats", "t", "--json"]))[0];
    assert_eq!(
        [&stats["leased"], &stats["behind"], &stats["paused"]],
        [&json!(0), &json!(0), &json!(false)]
    );
}

#[test]
fn messages_are_sent_for_a_time_and_for_as_long_as_they_are_worth_it() {
    let desk = Desk::new();

    desk.done(&["send", "t", "1", "--at", "2199-12-31T23:59:59Z"]);
    desk.done(&[
        "send",
        "t",
        "2",
        "--at",
        "2001-01-01T00:00:00Z",
        "--expires-in",
        "1h",
    ]);
    let both = desk.run(&[
        "send",
        "t",
        "3",
        "--at",
        "2199-12-31T23:59:59Z",
        "--delay",
        "1s",
    ]);
    let odd = desk.run(&["send", "t", "3", "--at", "tomorrow"]);

    check(&both, 2, "--delay");
    check(&odd, 2, "'tomorrow'");
    assert_eq!(desk.numbers("t"), [1, 1, 0]);
    desk.messaging
        .drain("t", |_, _: outtray::Message<i32>| Ok(()))
        .unwrap();
    assert_eq!(desk.numbers("t"), [0, 1, 0]);
}

#[test]
fn a_time_may_have_an_offset() {
    let desk = Desk::new();

    for time in [
        "2030-01-01T00:00:00Z",
        "2030-01-01T05:30:00+05:30",
        "2029-12-31T16:00:00-08:00",
        "2030-01-01 00:00:00",
    ] {
        desk.done(&["send", "t", "1", "--at", time]);
    }

    let query = "SELECT count(*), count(DISTINCT date_trunc('minute', due_at + interval '30 seconds')) FROM outtray.scheduled";
    let row = client(&desk.url).query_one(query, &[]).unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (4, 1));
}
