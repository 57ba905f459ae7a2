//! Recurring messages are set, listed, paused, resumed and removed.

use super::{Desk, check, objects};
use serde_json::{Value, json};

#[test]
fn recurring_messages_are_set_and_listed() {
    let desk = Desk::new();
    assert_eq!(desk.done(&["recurring", "list"]), "no recurring message\n");

    let set = desk.done(&[
        "recurring",
        "set",
        "reports",
        "nightly",
        "0 3 * * *",
        "{\"kind\": \"sales\"}",
        "--time-zone",
        "Europe/Berlin",
        "--missed",
        "skip",
        "--priority",
        "-2",
        "--key",
        "k",
        "--header",
        "from=shell",
        "--expires-in",
        "1h",
    ]);
    let listed = objects(&desk.done(&["recurring", "list", "--json"]));
    let table = desk.done(&["recurring", "list", "reports"]);
    desk.done(&["send", "others", "1"]);
    let elsewhere = desk.done(&["recurring", "list", "others"]);

    let it = &listed[0];
    let next = it["next_at"].as_str().unwrap();
    assert_eq!(set, format!("next at {next}\n"));
    assert_eq!(
        [
            &it["topic"],
            &it["name"],
            &it["cron"],
            &it["time_zone"],
            &it["missed"],
            &it["key"]
        ],
        [
            "reports",
            "nightly",
            "0 3 * * *",
            "Europe/Berlin",
            "skip",
            "k"
        ]
    );
    assert_eq!(it["payload"], json!({"kind": "sales"}));
    assert_eq!(it["headers"], json!({"from": "shell"}));
    assert_eq!(
        [&it["priority"], &it["expires_in_ms"]],
        [&json!(-2), &json!(3_600_000)]
    );
    assert_eq!(it["last_at"], Value::Null);
    assert!(
        table.contains("nightly") && table.contains("{\"kind\": \"sales\"}"),
        "{table}"
    );
    assert_eq!(elsewhere, "no recurring message\n");
}

#[test]
fn a_recurring_message_is_paused_and_resumed() {
    let desk = Desk::new();
    desk.done(&["recurring", "set", "reports", "nightly", "0 3 * * *", "1"]);

    let paused = desk.done(&["recurring", "pause", "reports", "nightly"]);
    let table = desk.done(&["recurring", "list"]);
    let listed = objects(&desk.done(&["recurring", "list", "--json"]));
    let resumed = desk.done(&["recurring", "resume", "reports", "nightly"]);
    let again = desk.done(&["recurring", "resume", "reports", "nightly", "--json"]);

    assert_eq!(paused, "paused nightly\n");
    assert!(table.contains(" paused "), "{table}");
    assert_eq!(listed[0]["paused"], true);
    assert!(
        resumed.starts_with("resumed nightly, next at "),
        "{resumed}"
    );
    assert_eq!(objects(&again)[0]["resumed"], false);
    for verb in ["pause", "resume"] {
        let nowhere = desk.run(&["recurring", verb, "reports", "hourly"]);
        check(&nowhere, 1, "hourly is no recurring message of reports\n");
    }
}

#[test]
fn a_recurring_message_is_removed_once() {
    let desk = Desk::new();
    desk.done(&["recurring", "set", "reports", "nightly", "0 3 * * *", "1"]);

    assert_eq!(
        desk.done(&["recurring", "remove", "reports", "nightly"]),
        "removed nightly\n"
    );
    let again = desk.run(&["recurring", "remove", "reports", "nightly"]);
    check(
        &again,
        1,
        "nightly is no recurring message of reports\nhint: ",
    );
}

#[test]
fn a_recurring_message_that_cannot_be_meant_ends_with_two() {
    let desk = Desk::new();
    let set = |cron: &str, more: &[&str]| {
        desk.run(&[&["recurring", "set", "t", "name", cron, "1"], more].concat())
    };

    check(
        &set("0 25 * * *", &[]),
        2,
        "the hour \"25\" of cron expression",
    );
    check(&set("0 0 30 2 *", &[]), 2, "never comes");
    check(
        &set("@daily", &["--time-zone", "Mars/Olympus"]),
        2,
        "Mars/Olympus",
    );
    check(&set("@daily", &["--missed", "maybe"]), 2, "maybe");
    check(&set("@daily", &["--header", "x"]), 2, "NAME=VALUE");
    check(
        &desk.run(&["recurring", "set", "t", "", "@daily", "1"]),
        2,
        "1 to 128 bytes",
    );
    check(
        &desk.run(&["recurring", "set", "t", "n", "@daily", "{oops"]),
        2,
        "is not JSON",
    );
    assert!(desk.messaging.recurring().unwrap().is_empty());
}
