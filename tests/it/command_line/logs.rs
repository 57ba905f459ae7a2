//! `outtray log`.

use super::{Desk, Running, check, objects};
use crate::support::{PATIENCE, Tunnel, eventually};
use serde_json::json;
use std::process::Stdio;

fn ledger() -> Desk {
    let desk = Desk::new();
    desk.done(&[
        "config",
        "ledger",
        "--set",
        "kind=log",
        "--set",
        "keep_for=7d",
    ]);
    desk.done_with(&["send", "ledger", "--key", "k"], "1\n\"two\"\n3\n");
    desk
}

#[test]
fn a_log_is_read_from_where_one_says() {
    let desk = ledger();

    let lines = objects(&desk.done(&["log", "read", "ledger", "--json"]));
    let payloads: Vec<_> = lines.iter().map(|line| &line["payload"]).collect();
    assert_eq!(payloads, [&json!(1), &json!("two"), &json!(3)]);
    assert_eq!(lines[0]["key"], "k");
    let second = lines[1]["position"].as_str().unwrap();
    let rest = desk.done(&["log", "read", "ledger", "--from", second]);
    assert!(
        rest.lines().count() == 1 && rest.ends_with("  3\n"),
        "{rest}"
    );
    let one = desk.done(&["log", "read", "ledger", "--limit", "1"]);
    assert_eq!(one.lines().count(), 1, "{one}");
    assert_eq!(desk.done(&["log", "read", "ledger", "--from", "now"]), "");
    let since = desk.done(&["log", "read", "ledger", "--from", "2020-01-01T00:00:00Z"]);
    assert_eq!(since.lines().count(), 3, "{since}");

    check(
        &desk.run(&["log", "read", "ledger", "--from", "soon"]),
        2,
        "7-1234",
    );
    check(
        &desk.run(&["log", "read", "ledger", "--from", "9999-0"]),
        2,
        "not there yet",
    );
    desk.done(&["send", "jobs", "1"]);
    check(&desk.run(&["log", "read", "jobs"]), 2, "is no log");
    check(
        &desk.run(&["work", "ledger", "--until-empty", "--", "true"]),
        2,
        "is a log",
    );
}

#[test]
fn named_readers_are_listed_moved_and_forgotten() {
    let desk = ledger();
    assert_eq!(
        desk.done(&["log", "readers", "ledger"]),
        "no named reader\n"
    );
    let started = desk.messaging.reader("ledger", "billing");
    let started = started.start(|_, _: &[outtray::Message]| Err("not now".into()));
    started.unwrap().stop(PATIENCE);
    // So that there is something known to be read.
    desk.done(&["log", "read", "ledger"]);

    let shown = desk.done(&["log", "readers", "ledger"]);
    assert!(
        shown.contains("billing") && shown.contains("1-0"),
        "{shown}"
    );
    let moved = desk.done(&["log", "seek", "ledger", "billing", "now"]);
    assert!(
        moved.starts_with("reader billing of ledger goes on after "),
        "{moved}"
    );
    let readers = objects(&desk.done(&["log", "readers", "ledger", "--json"]));
    assert_eq!(
        (&readers[0]["reader"], &readers[0]["lag"]),
        (&json!("billing"), &json!(0))
    );
    assert_eq!(
        desk.done(&["log", "forget", "ledger", "billing"]),
        "forgot reader billing of ledger\n"
    );

    check(
        &desk.run(&["log", "seek", "ledger", "billing", "start"]),
        2,
        "no reader",
    );
    check(
        &desk.run(&["log", "forget", "jobs", "billing"]),
        2,
        "is no log",
    );
}

#[test]
fn what_a_log_keeps_is_shown_and_not_purged() {
    let desk = ledger();

    let topics = desk.done(&["topics"]);
    assert!(topics.contains("log, 3 kept"), "{topics}");
    let stats = desk.done(&["stats", "ledger"]);
    assert!(stats.contains("log           3 kept\n"), "{stats}");
    let stats = objects(&desk.done(&["stats", "ledger", "--json"]));
    assert_eq!(stats[0]["log"]["entries"], 3);
    let peeked = desk.done(&["peek", "ledger", "-n", "2"]);
    assert!(
        peeked.contains("kept") && peeked.contains("\"two\"") && !peeked.contains("  1\n"),
        "{peeked}"
    );
    check(&desk.run(&["purge", "ledger"]), 2, "keep_for");
    check(&desk.run(&["purge", "ledger", "--yes"]), 2, "keep_for");
}

#[test]
fn a_message_that_cannot_be_read_is_passed_over_and_told_of() {
    let desk = ledger();
    let mut client = postgres::Client::connect(&desk.url, postgres::NoTls).unwrap();
    client
        .batch_execute(
            "INSERT INTO outtray.log_entry (topic, segment, id, headers, payload)
            SELECT topic, segment, gen_random_uuid(), '[1]', '7' FROM outtray.log",
        )
        .unwrap();
    desk.done(&["send", "ledger", "4"]);

    let ended = desk.run(&["log", "read", "ledger", "--json"]);

    let payloads: Vec<_> = objects(&ended.stdout)
        .into_iter()
        .map(|mut line| line["payload"].take())
        .collect();
    assert_eq!(payloads, [json!(1), json!("two"), json!(3), json!(4)]);
    check(&ended, 1, "1 message could not be read");
}

#[test]
fn a_follower_goes_on_when_the_database_does() {
    let desk = Desk::new();
    let tunnel = Tunnel::to(&desk.url);
    desk.done(&["config", "ledger", "--set", "kind=log"]);
    let follow = ["log", "read", "ledger", "--from", "now", "--follow"];
    let mut command = desk.command(&follow);
    command.env(
        "DATABASE_URL",
        format!("{}?connect_timeout=1", tunnel.url()),
    );
    let mut following = Running::start(command, Stdio::null());
    eventually("it follows", || {
        desk.done(&["send", "ledger", "1"]);
        following.stdout().contains("  1\n")
    });

    tunnel.fall_silent();
    tunnel.cut();
    eventually("it has no database", || {
        following.stderr().contains("tries again")
    });
    desk.done(&["send", "ledger", "2"]);
    tunnel.heal();

    eventually("it goes on", || following.stdout().contains("  2\n"));
    assert!(!following.has_ended());
}
