//! Waiting for messages to end, and cancelling them.

use super::{Desk, check, objects};
use outtray::{HandlerError, Message, MessagingSession, NewMessage};
use serde_json::{Value, json};

#[test]
fn wait_tells_how_a_tracked_message_ended_and_succeeds_only_when_it_is_done() {
    let desk = Desk::new();
    let send = |payload: &str| {
        let printed = desk.done(&["send", "t", payload, "--tracked"]);
        printed.trim().to_owned()
    };
    let (good, bad) = (send("1"), send("2"));
    let early = desk.run(&["wait", &good, "--timeout", "10ms"]);
    check(&early, 1, "has not ended within 10ms");
    let handler = |session: &mut MessagingSession<'_>, message: Message<i32>| {
        if message.payload == 2 {
            return Err(HandlerError::reject("no"));
        }
        Ok(session.record_result(&json!({"sum": 7, "text": "a\u{9b}b"}))?)
    };
    desk.messaging.drain("t", handler).unwrap();

    let done = desk.done(&["wait", &good]);
    let machine = objects(&desk.done(&["wait", &good, "--json"]));
    let dead = desk.run(&["wait", &bad]);
    let plain = desk.done(&["send", "t", "3"]);
    let unknown = desk.run(&["wait", plain.trim()]);

    assert_eq!(done, "done {\"sum\":7,\"text\":\"a\\u{9b}b\"}\n");
    assert_eq!(machine[0]["how"], "done");
    assert_eq!(machine[0]["result"]["sum"], 7);
    assert_eq!((dead.code, dead.stdout.as_str()), (1, "dead\n"));
    check(&unknown, 1, "hint: outtray send --tracked");
    check(&desk.run(&["wait", "x"]), 2, "is not a message id");
}

#[test]
fn cancel_takes_an_id_or_headers_or_a_group() {
    let desk = Desk::new();
    let id = desk.done(&["send", "t", "1", "--tracked"]);
    let id = id.trim();
    check(&desk.run(&["cancel", id]), 2, "\nhint: pass --yes");
    check(&desk.run(&["cancel"]), 2, "");
    check(
        &desk.run(&["cancel", "--topic", "t", "--yes"]),
        2,
        "--header",
    );

    assert_eq!(
        desk.done(&["cancel", id, "--yes"]),
        format!("cancelled {id}\n")
    );
    check(&desk.run(&["cancel", id, "-y"]), 1, "waits or is in work");
    let wait = desk.run(&["wait", id]);
    assert_eq!((wait.code, wait.stdout.as_str()), (1, "cancelled\n"));

    for header in ["from=a", "from=a", "from=b"] {
        desk.done(&["send", "t", "1", "--header", header]);
    }
    let by_header = ["cancel", "--topic", "t", "--header", "from=a", "--yes"];
    assert_eq!(desk.done(&by_header), "cancelled 2\n");
    assert_eq!(desk.numbers("t"), [1, 0, 0]);

    let group = desk.messaging.session(|session| {
        let members = (0..3).map(|n| NewMessage::json("t", &n).unwrap());
        Ok(session.send_group(members, NewMessage::json("t", &Value::Null)?)?)
    });
    let group = group.unwrap().id.to_string();
    let cancelled = desk.done(&["cancel", &group, "--group", "--yes", "--json"]);
    assert_eq!(cancelled, "{\"cancelled\":4}\n");
    let gone = desk.run(&["cancel", &group, "--group", "--yes"]);
    check(&gone, 1, "nothing of a group");
    let both = [&by_header[..], &["--group"]].concat();
    check(&desk.run(&both), 2, "cannot be used with");
}

#[test]
fn cancel_takes_several_ids_and_says_what_became_of_each() {
    let desk = Desk::new();
    let sent: Vec<String> = (0..3)
        .map(|_| desk.done(&["send", "t", "1"]).trim().to_owned())
        .collect();
    let [one, two, three] = [0, 1, 2].map(|n| sent[n].as_str());

    let cancelled = desk.done(&["cancel", one, two, "--yes"]);
    let rest = desk.run(&["cancel", one, three, two, "--yes", "--json"]);

    assert_eq!(cancelled, format!("cancelled {one}\ncancelled {two}\n"));
    assert_eq!(
        rest.stdout,
        format!("{{\"cancelled\":\"removed\",\"id\":\"{three}\"}}\n")
    );
    check(
        &rest,
        1,
        &format!("no message {one}, {two} waits or is in work"),
    );
    assert_eq!(desk.numbers("t"), [0, 0, 0]);
}

#[test]
fn dedupe_keys_and_rates_are_named_forgotten_kept_and_reset() {
    let desk = Desk::new();
    let until_end = [
        "send",
        "t",
        "1",
        "--dedupe",
        "feed-7",
        "--dedupe-until-end",
        "--json",
    ];
    let is_duplicate = |arguments: &[&str]| {
        let sent = desk.done(arguments);
        objects(&sent)[0]["duplicate"].as_bool().unwrap()
    };
    assert!(!is_duplicate(&until_end));
    assert!(is_duplicate(&until_end));
    desk.done(&["purge", "t", "--yes"]);
    assert!(!is_duplicate(&until_end));

    assert_eq!(
        desk.done(&["dedupe", "forget", "t", "feed-7"]),
        "forgotten feed-7\n"
    );
    check(
        &desk.run(&["dedupe", "forget", "t", "feed-7"]),
        1,
        "remembers no dedupe key \"feed-7\"",
    );
    assert!(!is_duplicate(&until_end));
    let keep = ["dedupe", "keep", "t", "feed-7", "--window", "1h"];
    assert_eq!(desk.done(&keep), "kept feed-7\n");
    desk.done(&["purge", "t", "--yes"]);
    assert!(is_duplicate(&until_end));
    let both = [&until_end[..], &["--dedupe-window", "1h"]].concat();
    check(&desk.run(&both), 2, "cannot be used with");

    desk.done(&["config", "t", "--set", "rate=1/1h"]);
    assert_eq!(desk.done(&["rate", "reset", "t"]), "reset the rate of t\n");
    let of_key = ["rate", "reset", "t", "--key", "a"];
    assert_eq!(desk.done(&of_key), "reset the rate of key a of t\n");
}

#[test]
fn messages_are_cancelled_by_a_filter_in_words() {
    let desk = Desk::new();
    for size in ["9", "10", "200"] {
        desk.done(&["send", "t", size, "--header", &format!("size={size}")]);
    }
    let cancel = |filter: &str| desk.run(&["cancel", "--topic", "t", "--filter", filter, "--yes"]);

    check(&cancel("size > 10 or kind exists"), 0, "");
    check(&cancel("size > many"), 2, "is no number");
    check(&cancel("size >"), 2, "expected a value");

    assert_eq!(desk.numbers("t"), [2, 0, 0]);
}
