//! Messages are found, mended and run before their time; and what was done is listed.

use super::{Desk, check, objects};
use outtray::{HandlerError, Message, MessagingSession};
use serde_json::{Value, json};

impl Desk {
    /// Makes dead letters of these numbers, whose errors have them.
    fn fail(&self, topic: &str, numbers: &[i32]) {
        for number in numbers {
            let text = number.to_string();
            self.done(&["send", topic, &text, "--header", &format!("n={number}")]);
        }
        let handler =
            |_: &mut MessagingSession<'_>, message: Message<Value>| -> Result<(), HandlerError> {
                Err(HandlerError::reject(format!(
                    "order {} is odd",
                    message.payload
                )))
            };
        self.messaging.drain(topic, handler).unwrap();
    }

    fn ids(&self, topic: &str) -> Vec<String> {
        let listed = objects(&self.done(&["dead", "list", topic, "--json"]));
        let id = |letter: &Value| letter["id"].as_str().unwrap().to_owned();
        listed.iter().map(id).collect()
    }
}

#[test]
fn a_message_is_shown_wherever_it_is() {
    let desk = Desk::new();
    let sent = desk.done(&["send", "mail", "{\"a\":1}", "--delay", "1h", "--key", "k"]);
    let id = sent.trim();

    let shown = desk.done(&["show", id]);
    let object = &objects(&desk.done(&["show", id, "--topic", "mail", "--json"]))[0];
    let nowhere = desk.run(&["show", "01981c35-6f2b-7cc0-9a51-3c1e0f6f2d10"]);

    for line in [
        "topic       mail\n",
        "state       delayed, ready in ",
        "key         k\n",
        "payload     {\"a\":1}\n",
    ] {
        assert!(shown.contains(line), "{shown}");
    }
    assert_eq!(
        (&object["state"], &object["place"]),
        (&json!("delayed"), &json!("scheduled"))
    );
    assert_eq!(object["payload"], json!({"a": 1}));
    check(
        &nowhere,
        1,
        "error: no message 01981c35-6f2b-7cc0-9a51-3c1e0f6f2d10 waits",
    );
    check(&desk.run(&["show", "x"]), 2, "");
}

#[test]
fn a_search_prints_what_it_found_and_how_to_go_on() {
    let desk = Desk::new();
    desk.fail("mail", &[1, 3, 5]);
    desk.done(&["send", "mail", "7", "--header", "n=7"]);

    let first = desk.done(&["search", "mail", "--filter", "n >= 3", "-n", "2"]);
    let cursor = first.trim_end().rsplit_once("--after ").unwrap().1;
    let rest = desk.done(&["search", "mail", "--filter", "n >= 3", "--after", cursor]);
    let lines = objects(&desk.done(&["search", "mail", "--error", "ORDER 5", "--json"]));
    let refused = desk.run(&["search", "mail", "-n", "2000"]);

    assert!(
        first.contains("ready") && first.contains("dead, rejected"),
        "{first}"
    );
    assert!(first.contains("2 messages found"), "{first}");
    assert!(
        rest.contains("order 5 is odd") && rest.ends_with(": no more\n"),
        "{rest}"
    );
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["payload"], 5);
    assert_eq!(
        lines[1],
        json!({"looked_at": 3, "next": null, "stopped_early": false, "topics": 1})
    );
    check(&refused, 2, "limit of a search is 2000");
    check(
        &desk.run(&["search", "mail", "--place", "x"]),
        2,
        "ready, behind, scheduled, dead, kept",
    );
}

#[test]
fn dead_letters_are_grouped_edited_and_redriven_by_their_errors() {
    let desk = Desk::new();
    desk.fail("mail", &[1, 3, 5]);
    let ids = desk.ids("mail");

    let groups = desk.done(&["dead", "groups", "mail"]);
    let edited = desk.done(&["dead", "edit", "mail", &ids[0], "2", "--header", "n=2"]);
    let redriven = desk.done(&["dead", "redrive", "mail", "--error", "order 5"]);
    let none = desk.run(&["dead", "edit", "mail", &ids[0], "2"]);
    let purged = desk.done(&["dead", "purge", "mail", "--error", "is odd", "--yes"]);

    assert!(
        groups.contains("order # is odd") && groups.contains("       3  rejected"),
        "{groups}"
    );
    assert_eq!(edited, format!("redriven {}\n", ids[0]));
    assert_eq!((&redriven[..], &purged[..]), ("redriven 1\n", "purged 1\n"));
    check(&none, 1, "is no dead letter of mail");
    check(&desk.run(&["dead", "edit", "mail", &ids[0]]), 2, "");
    let waiting = objects(&desk.done(&["peek", "mail", "--json"]));
    let payloads: Vec<&Value> = waiting.iter().map(|one| &one["payload"]).collect();
    assert_eq!(payloads, [2, 5]);
    assert_eq!(waiting[0]["headers"], json!({"n": "2"}));
}

#[test]
fn scheduled_and_recurring_messages_run_before_their_time() {
    let desk = Desk::new();
    let sent = desk.done(&["send", "mail", "1", "--delay", "1h"]);
    desk.done(&["recurring", "set", "mail", "nightly", "0 3 * * *", "2"]);

    assert_eq!(desk.done(&["run-now", "mail", sent.trim()]), "1 due now\n");
    let run = objects(&desk.done(&["recurring", "run", "mail", "nightly", "--json"]));
    check(
        &desk.run(&["recurring", "run", "mail", "weekly"]),
        1,
        "weekly is no recurring message",
    );
    let nobody = "01981c35-6f2b-7cc0-9a51-3c1e0f6f2d10";
    check(
        &desk.run(&["run-now", "mail", nobody]),
        1,
        "1 of 1 ids named no message that waits",
    );

    assert_eq!(run[0]["duplicate"], false);
    let mut handled = Vec::new();
    let handler = |_: &mut MessagingSession<'_>, message: Message<i32>| {
        handled.push(message.payload);
        Ok(())
    };
    desk.messaging.drain("mail", handler).unwrap();
    handled.sort_unstable();
    assert_eq!(handled, [1, 2]);
}

#[test]
fn changes_are_listed_with_the_user_and_the_host() {
    let desk = Desk::new();
    desk.done(&["pause", "mail", "--new", "--operator", "ada"]);
    let mut command = desk.command(&["resume", "mail"]);
    command.env("USER", "bob");
    super::run(command, "");

    let table = desk.done(&["changes"]);
    let changes = objects(&desk.done(&["changes", "--topic", "mail", "--json"]));
    let none = desk.done(&["changes", "--topic", "other"]);

    let who: Vec<&Value> = changes.iter().map(|change| &change["operator"]).collect();
    assert_eq!(who, ["bob", "ada"]);
    assert!(changes[0]["address"].is_string());
    assert_eq!(changes[0]["what"], "resumed");
    assert!(
        table.contains("OPERATOR") && table.contains("paused"),
        "{table}"
    );
    assert!(none.ends_with("no change in the last 90 days\n"), "{none}");
}
