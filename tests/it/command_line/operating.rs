//! What is there, and what an operator does with it.

use super::{Desk, OUTTRAY, check, objects, run};
use crate::support::{empty_database, server};
use outtray::{Backoff, HandlerError, Message, NewMessage};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

impl Desk {
    /// Makes dead letters of JSON texts, with this error.
    fn bury(&self, topic: &str, payloads: &[&str], error: &'static str) {
        self.messaging
            .session(|session| {
                for payload in payloads {
                    session.send(NewMessage::json_text(topic, *payload)?.header("from", "test"))?;
                }
                Ok(())
            })
            .unwrap();
        self.messaging
            .drain(topic, move |_, _: Message<Value>| {
                Err(HandlerError::reject(error))
            })
            .unwrap();
    }
}

#[test]
fn the_printed_schema_is_what_migrate_makes() {
    for schema in ["outtray", "Team7"] {
        let url = empty_database();
        let psql = server().bin_dir().map(|folder| folder.join("psql"));
        let psql = psql.filter(|path| path.is_file());
        let mut shell = Command::new("sh");
        shell
            .args(["-c", "\"$0\" schema --schema \"$1\" | \"$2\" -X -q -v ON_ERROR_STOP=1 -d \"$DATABASE_URL\""])
            .args([OUTTRAY, schema])
            .arg(psql.as_deref().unwrap_or(Path::new("psql")))
            .env("DATABASE_URL", &url);

        let applied = run(shell, "");

        check(&applied, 0, "");
        let outtray = |arguments: &[&str]| {
            let mut command = super::outtray(arguments);
            command.args(["--url", &url, "--schema", schema]);
            run(command, "").stdout
        };
        let complete = "nothing to apply, the schema is complete\n";
        assert_eq!(outtray(&["migrate", "--dry-run"]), complete);
        assert_eq!(outtray(&["migrate"]), complete);
        assert_eq!(outtray(&["migrate", "--json"]), "{\"applied\":[]}\n");
        outtray(&["send", "t", "{}"]);
        assert!(outtray(&["stats", "t", "--json"]).contains("\"ready\":1"));
    }
}

#[test]
fn migrate_says_what_it_would_do_and_what_it_did() {
    let url = empty_database();
    let outtray = |arguments: &[&str]| {
        let mut command = super::outtray(arguments);
        command.args(["--url", &url]);
        run(command, "")
    };

    let pending = outtray(&["migrate", "--dry-run"]);
    let not_yet = outtray(&["topics"]);
    let applied = outtray(&["migrate"]);

    assert!(pending.stdout.starts_with("pending 0001_"), "{pending:?}");
    check(&not_yet, 1, "outtray migrate");
    assert_eq!(applied.stdout, pending.stdout.replace("pending", "applied"));
    check(&outtray(&["topics"]), 0, "");
}

#[test]
fn a_number_that_is_an_estimate_is_marked_and_no_other_is() {
    let desk = Desk::new();
    let follower = "INSERT INTO outtray.follower (topic, key, rank, id, payload)
        SELECT 't', 'k', 0, gen_random_uuid(), '1' FROM generate_series(1, 100400)";
    desk.messaging
        .session(|session| Ok(session.execute(follower, &[])?))
        .unwrap();
    desk.done(&["send", "t", "1"]);
    desk.done(&["send", "u", "1"]);

    let stats = desk.done(&["stats", "t"]);
    let machine = objects(&desk.done(&["stats", "t", "--json"]));
    let table = desk.done(&["topics"]);

    for line in [
        "ready         1\n",
        "behind        ~100 k\n",
        "dead          0\n",
    ] {
        assert!(stats.contains(line), "{stats}");
    }
    let rows: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(
        rows[0][..6],
        ["TOPIC", "READY", "SCHEDULED", "LEASED", "BEHIND", "DEAD"]
    );
    assert_eq!(rows[1][..7], ["t", "1", "0", "0", "~100", "k", "0"]);
    // All of so few pages are in the sample.
    assert_eq!(machine[0]["behind"], 100_400);
    assert_eq!(machine[0]["estimated"], json!(["behind"]));
    assert_eq!(rows[2][..6], ["u", "1", "0", "0", "0", "0"]);
}

#[test]
fn to_look_at_no_message_is_refused() {
    let desk = Desk::new();
    desk.done(&["send", "t", "1"]);

    check(&desk.run(&["peek", "t", "-n", "0"]), 2, "1..");
    check(&desk.run(&["dead", "list", "t", "-n", "0"]), 2, "1..");
}

#[test]
fn topics_are_listed_with_their_numbers() {
    let desk = Desk::new();
    assert_eq!(desk.done(&["topics"]), "no topics yet\n");
    desk.bury("größe", &["1"], "no");
    desk.done_with(&["send", "a.topic"], "1\n2\n");
    desk.done(&["send", "a.topic", "3", "--delay", "1h"]);

    desk.done_with(&["send", "a.topic", "--key", "k"], "4\n5\n");

    let table = desk.done(&["topics"]);
    let machine = objects(&desk.done(&["topics", "--json"]));
    let stats = objects(&desk.done(&["stats", "a.topic", "--json"]));

    let rows: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    let titles = [
        "TOPIC",
        "READY",
        "SCHEDULED",
        "LEASED",
        "BEHIND",
        "DEAD",
        "RECEIVERS",
    ];
    assert_eq!(rows[0][..7], titles);
    assert_eq!(rows[1][..7], ["a.topic", "3", "1", "0", "1", "0", "0"]);
    assert_eq!(rows[2], ["größe", "0", "0", "0", "0", "1", "0", "-"]);
    assert_eq!(machine[1]["topic"], "größe");
    assert_eq!(machine[1]["oldest_ready_ms"], Value::Null);
    assert_eq!(
        [&stats[0]["ready"], &stats[0]["scheduled"]],
        [&json!(3), &json!(1)]
    );
    let keys = objects(&desk.done(&["peek", "a.topic", "--json"]));
    assert_eq!(keys[3]["key"], "k");
    assert!(stats[0]["oldest_ready_ms"].is_u64());
    assert!(
        desk.done(&["stats", "a.topic"])
            .contains("scheduled     1\n")
    );
}

#[test]
fn nothing_that_a_message_holds_is_a_command_to_the_terminal() {
    let desk = Desk::new();
    desk.bury("t", &["{\"text\":\n \"a\u{9b}2Jb\"}"], "bad \x1b[2J\nnews");
    desk.done(&["send", "t", "\"\u{9b}1m\u{202e}x\""]);
    let id = objects(&desk.done(&["dead", "list", "t", "--json"]))[0]["id"].clone();
    let id = id.as_str().unwrap();

    for arguments in [
        &["peek", "t"][..],
        &["peek", "t", "--json"],
        &["dead", "list", "t"],
        &["dead", "list", "t", "--json"],
        &["dead", "show", "t", id],
        &["dead", "show", "t", id, "--json"],
    ] {
        let printed = desk.done(arguments);

        let acts = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!printed.contains(acts), "{printed:?}");
        if arguments.contains(&"--json") {
            assert_eq!(objects(&printed).len(), 1);
        }
    }
    let shown = desk.done(&["dead", "show", "t", id]);
    assert!(shown.contains(r"error     bad \u{1b}[2J\nnews"), "{shown}");
    assert!(shown.contains("header    from=test\n"), "{shown}");
    let letter = &objects(&desk.done(&["dead", "show", "t", id, "--json"]))[0];
    assert_eq!(letter["payload"]["text"], "a\u{9b}2Jb");
    assert_eq!(letter["reason"], "rejected");
}

#[test]
fn bytes_are_shown_as_a_number_and_printed_as_digits() {
    let desk = Desk::new();
    let bytes = NewMessage::bytes("t", [0, 255, 16]);
    desk.messaging
        .session(|session| Ok(session.send(bytes)?))
        .unwrap();

    assert!(desk.done(&["peek", "t"]).contains("(3 bytes)"));
    let printed = &objects(&desk.done(&["peek", "t", "--json"]))[0];
    assert_eq!(printed["bytes_hex"], "00ff10");
    assert_eq!(printed.get("payload"), None);
}

#[test]
fn dead_letters_are_redriven_one_by_one_or_all() {
    let desk = Desk::new();
    desk.bury("t", &["1", "2", "3"], "no");
    let letters = objects(&desk.done(&["dead", "list", "t", "--json"]));
    let first = letters[0]["id"].as_str().unwrap();
    assert_eq!(
        objects(&desk.done(&["dead", "list", "t", "-n", "2", "--json"])).len(),
        2
    );

    let one = desk.done(&["dead", "redrive", "t", first]);
    let again = desk.run(&["dead", "redrive", "t", first]);
    let not_there = desk.run(&["dead", "show", "t", first]);
    let rest = desk.done(&["dead", "redrive", "t", "--all", "--json"]);

    assert_eq!(one, "redriven 1\n");
    check(&again, 1, "1 of 1 ids named no dead letter of t\nhint: ");
    check(&not_there, 1, "is no dead letter of t");
    assert_eq!(rest, "{\"redriven\":2}\n");
    assert_eq!(desk.numbers("t"), [3, 0, 0]);
    assert_eq!(desk.done(&["dead", "list", "t"]), "no dead letter\n");
}

#[test]
fn nothing_is_removed_where_nobody_can_be_asked_unless_yes_is_said() {
    let desk = Desk::new();
    desk.bury("t", &["1", "2"], "no");
    desk.done_with(&["send", "t"], "1\n2\n3\n");

    let refused = desk.run(&["purge", "t"]);
    let refused_dead = desk.run(&["dead", "purge", "t", "--all"]);
    assert_eq!(desk.numbers("t"), [3, 0, 2]);

    check(&refused, 2, "(3 ready, 0 scheduled, 0 behind");
    check(&refused, 2, "\nhint: pass --yes");
    check(&refused_dead, 2, "remove 2 dead letters of t");
    assert_eq!(desk.done(&["purge", "t", "--yes"]), "purged 3\n");
    assert_eq!(desk.numbers("t"), [0, 0, 2]);
    assert_eq!(
        desk.done(&["dead", "purge", "t", "--all", "-y"]),
        "purged 2\n"
    );
    assert_eq!(desk.numbers("t"), [0, 0, 0]);
}

#[test]
fn a_running_receiver_is_counted() {
    let desk = Desk::new();
    let receiver = desk
        .messaging
        .receiver("t")
        .backoff(Backoff::fixed(Duration::from_secs(1)))
        .start(|_, _: Message<Value>| Ok(()))
        .unwrap();

    let stats = objects(&desk.done(&["stats", "t", "--json"]));

    assert_eq!(stats[0]["receivers"], 1);
    drop(receiver);
}

#[test]
fn what_is_scheduled_is_shown_with_why_it_waits() {
    let desk = Desk::new();
    desk.done(&["send", "t", "1", "--key", "k\u{9b}"]);
    assert_eq!(
        desk.done(&["peek", "t", "--scheduled"]),
        "no scheduled message\n"
    );
    let hour = Duration::from_secs(3600);
    let fail = move |_: &mut outtray::MessagingSession<'_>, _: Message<Value>| {
        Err(HandlerError::retry_after(hour).because("bad \x1b[2J\nnews"))
    };
    desk.messaging.drain("t", fail).unwrap();
    let delayed = desk.done(&["send", "t", "2", "--delay", "2h", "--tracked-for", "2h"]);
    let delayed = delayed.trim();
    let after = desk.done(&["send", "u", "3", "--after", delayed]);

    let table = desk.done(&["peek", "t", "--scheduled"]);
    let machine = objects(&desk.done(&["peek", "t", "--scheduled", "--json"]));
    let waiting = objects(&desk.done(&["peek", "u", "--scheduled", "--json"]));
    let first = desk.done(&["peek", "t", "--scheduled", "-n", "1", "--json"]);

    assert!(table.starts_with("ID "), "{table}");
    assert!(table.contains("  retrying  59m "), "{table}");
    assert!(table.contains(r"  bad \u{1b}[2J\nnews  1"), "{table}");
    assert!(table.contains("delayed"), "{table}");
    assert!(
        !table.contains(|c: char| c.is_control() && c != '\n'),
        "{table:?}"
    );
    assert_eq!(
        [&machine[0]["reason"], &machine[1]["reason"]],
        ["retrying", "delayed"]
    );
    assert_eq!(
        [&machine[0]["key"], &machine[1]["key"]],
        [&json!("k\u{9b}"), &Value::Null]
    );
    assert_eq!(machine[1]["id"], delayed);
    assert!(
        machine[1]["due_in_ms"]
            .as_u64()
            .is_some_and(|left| left > 7_000_000)
    );
    assert!(machine[1]["due_at"].is_string() && machine[1]["error"].is_null());
    let first = objects(&first);
    assert_eq!((first.len(), &first[0]["id"]), (1, &machine[0]["id"]));
    assert_eq!(waiting[0]["id"], after.trim());
    assert_eq!(waiting[0]["reason"], "after_others");
    assert_eq!(waiting[0]["after"], json!([delayed]));
    assert_eq!(waiting[0]["due_at"], Value::Null);
}

#[test]
fn the_dead_letters_of_a_key_are_listed_redriven_and_purged_alone() {
    let desk = Desk::new();
    for (payload, key) in [("1", "a"), ("2", "b"), ("3", "a")] {
        desk.done(&["send", "t", payload, "--key", key]);
    }
    desk.bury("t", &["4"], "no");

    let listed = objects(&desk.done(&["dead", "list", "t", "--key", "a", "--json"]));
    let shown = desk.done(&["dead", "show", "t", listed[0]["id"].as_str().unwrap()]);
    let redriven = desk.done(&["dead", "redrive", "t", "--key", "a"]);
    let not_there = desk.run(&["dead", "redrive", "t", "--key", "a"]);
    let unsure = desk.run(&["dead", "purge", "t", "--key", "b"]);
    let purged = desk.done(&["dead", "purge", "t", "--key", "b", "--yes"]);

    let keys: Vec<_> = listed.iter().map(|letter| &letter["key"]).collect();
    assert_eq!(keys, ["a", "a"]);
    assert!(shown.contains("key       a\n"), "{shown}");
    assert_eq!(
        (redriven.as_str(), purged.as_str()),
        ("redriven 2\n", "purged 1\n")
    );
    check(
        &not_there,
        1,
        "no dead letter of t has the key \"a\"\nhint: ",
    );
    check(
        &unsure,
        2,
        "remove the dead letters with the key \"b\" of t",
    );
    let left = objects(&desk.done(&["dead", "list", "t", "--json"]));
    assert_eq!((left.len(), &left[0]["key"]), (1, &Value::Null));
    check(
        &desk.run(&["dead", "list", "t", "--key", ""]),
        2,
        "key has 0 bytes",
    );
}

#[test]
fn messages_that_cannot_be_read_are_shown_with_the_others() {
    let desk = Desk::new();
    desk.done(&["send", "t", "1"]);
    crate::support::client(&desk.url)
        .batch_execute(
            r#"INSERT INTO outtray.message (topic, rank, id, headers, payload, sent_at)
                VALUES ('t', 0, gen_random_uuid(), '{"retry": 3}', '2', '-infinity')"#,
        )
        .unwrap();

    let table = desk.done(&["peek", "t"]);
    let shown = objects(&desk.done(&["peek", "t", "--json"]));
    desk.messaging
        .drain("t", |_, _: Message<Value>| Ok(()))
        .unwrap();
    let dead = objects(&desk.done(&["dead", "list", "t", "--json"]));

    assert_eq!(table.lines().count(), 3, "{table}");
    assert_eq!(shown.len(), 2);
    assert!(shown[0].get("unreadable").is_none(), "{shown:?}");
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0]["reason"], "undecodable");
    for odd in [&shown[1], &dead[0]] {
        assert_eq!(odd["headers"]["retry"], "3");
        let why = odd["unreadable"].as_str().unwrap();
        assert!(why.contains("headers"), "{why}");
    }
}
