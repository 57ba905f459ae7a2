//! One message from the command line, or one for each line of an input.

use super::{Desk, Running, check, objects, outtray, run};
use crate::support::{Cut, Wire, eventually};
use serde_json::{Value, json};
use std::io::Write;
use std::process::Stdio;

#[test]
fn one_message_is_sent_with_its_options_and_its_id_is_printed() {
    let desk = Desk::new();

    let id = desk.done(&[
        "send",
        "t",
        "{\"a\": 1}",
        "--priority",
        "-3",
        "--header",
        "source=shell",
        "--header",
        "x=y=z",
    ]);
    let machine = objects(&desk.done(&["send", "t", "-1.5", "--json"]));

    let peeked = objects(&desk.done(&["peek", "t", "--json"]));
    let last = &peeked[1];
    assert_eq!(last["id"], id.trim_end());
    assert_eq!(last["priority"], -3);
    assert_eq!(last["payload"], json!({"a": 1}));
    assert_eq!(last["headers"], json!({"source": "shell", "x": "y=z"}));
    assert_eq!(peeked[0]["id"], machine[0]["id"]);
    assert_eq!(peeked[0]["payload"], -1.5);
}

#[test]
fn each_line_is_a_message_and_blank_ones_are_none() {
    let desk = Desk::new();
    let lines = "\u{feff}{\"n\":1}\r\n\n   \n  \"größe 🦀\"\n[12345678901234567890.10]";

    let printed = desk.done_with(&["send", "t", "--json"], lines);
    let nothing = desk.done_with(&["send", "t"], "\n\n");

    assert_eq!(printed, "{\"sent\":3}\n");
    assert_eq!(nothing, "sent 0 messages\n");
    let shown = desk.done(&["peek", "t"]);
    for payload in ["{\"n\":1}", "\"größe 🦀\"", "[12345678901234567890.10]"] {
        assert!(shown.contains(&format!("  {payload}\n")), "{shown}");
    }
}

#[test]
fn a_bad_line_sends_nothing_of_its_batch_and_says_what_was_sent() {
    let desk = Desk::new();
    let lines = "1\n2\n\n3\n4\n5\n{oops}\n7\n";

    let ended = run(desk.command(&["send", "t", "--batch", "2"]), lines);

    check(
        &ended,
        1,
        "error: line 7 is not JSON: key must be a string at column 2; 4 messages sent before, \
         nothing from line 6 on\n",
    );
    check(&ended, 1, "tail -n +6 ");
    assert_eq!(ended.stdout, "");
    assert_eq!(desk.numbers("t"), [4, 0, 0]);

    let machine = run(
        desk.command(&["send", "u", "--batch", "2", "--json"]),
        lines,
    );
    assert_eq!(
        (machine.code, machine.stdout.as_str()),
        (1, "{\"sent\":4}\n")
    );
    let whole = run(desk.command(&["send", "v"]), lines);
    check(&whole, 1, "; nothing was sent\n");
    assert_eq!(desk.numbers("v"), [0, 0, 0]);
}

#[test]
fn a_line_that_cannot_be_stored_is_named_too() {
    let desk = Desk::new();
    let large = format!("1\n\"{}\"\n", "x".repeat(1 << 20));

    check(
        &run(desk.command(&["send", "t", "--batch", "1"]), &large),
        1,
        "error: line 2: payload of 1048578 bytes",
    );
    check(
        &run(desk.command(&["send", "t"]), "\"\\u0000\"\n"),
        1,
        "error: line 1 is not JSON: it has a NUL character",
    );
    assert_eq!(desk.numbers("t"), [1, 0, 0]);
}

#[test]
fn fields_of_a_line_become_header_and_payload() {
    let desk = Desk::new();
    let lines = "{\"kind\":\"push\",\"body\":{\"a\": 1},\"rest\":0}\n{\"kind\":7,\"body\":null}\n";
    let options = ["--type-field", "kind", "--payload-field", "body"];
    let send = |topic, input: &str| {
        run(
            desk.command(&[&["send", topic][..], &options].concat()),
            input,
        )
    };

    assert_eq!(send("t", lines).stdout, "sent 2 messages\n");

    let peeked = objects(&desk.done(&["peek", "t", "--json"]));
    assert_eq!(peeked[0]["headers"], json!({"message-type": "push"}));
    assert_eq!(peeked[0]["payload"], json!({"a": 1}));
    assert_eq!(peeked[1]["headers"], json!({"message-type": "7"}));
    assert_eq!(peeked[1]["payload"], Value::Null);
    for (line, why) in [
        (
            "{\"body\":1}",
            "line 1 has no field \"kind\", which --type-field asks for",
        ),
        ("{\"kind\":\"x\"}", "line 1 has no field \"body\""),
        (
            "{\"kind\":{},\"body\":1}",
            "line 1 has no text in its field \"kind\"",
        ),
        ("[1]", "line 1 is not a JSON object"),
    ] {
        check(&send("u", line), 1, why);
    }
}

#[test]
fn what_was_sent_before_is_dropped_and_counted() {
    let desk = Desk::new();
    let one = ["send", "t", "1", "--dedupe", "one"];

    let id = desk.done(&one);
    let again = run(desk.command(&one), "");
    assert_eq!((again.code, &again.stdout), (0, &id));
    assert!(again.stderr.contains("a duplicate"), "{}", again.stderr);
    let machine = objects(&desk.done(&[&one[..], &["--json"]].concat()));
    assert_eq!(machine[0], json!({"id": id.trim_end(), "duplicate": true}));
    assert_eq!(desk.numbers("t"), [1, 0, 0]);

    let lines = "{\"id\":\"a\"}\n{\"id\":7}\n{\"id\":\"a\"}\n";
    let many = [
        "send",
        "u",
        "--dedupe-field",
        "id",
        "--dedupe-window",
        "1day",
    ];
    assert_eq!(
        desk.done_with(&many, lines),
        "sent 2 messages, dropped 1 duplicate\n"
    );
    assert_eq!(
        desk.done_with(&[&many[..], &["--json"]].concat(), lines),
        "{\"duplicates\":3,\"sent\":0}\n"
    );
    assert_eq!(desk.numbers("u"), [2, 0, 0]);
    check(&run(desk.command(&many), "{}\n"), 1, "--dedupe-field");
    check(
        &run(desk.command(&["send", "u", "--dedupe", "x"]), "1\n"),
        2,
        "",
    );
}

#[test]
fn keys_come_from_an_option_or_a_field() {
    let desk = Desk::new();
    let lines = "{\"customer\":\"ann\"}\n{\"customer\":7}\n{\"customer\":\"ann\"}\n";

    desk.done_with(&["send", "t", "--key-field", "customer"], lines);
    desk.done_with(&["send", "u", "--key", "one"], "1\n2\n3\n");
    desk.done(&["send", "u", "4", "--key", "one"]);

    // Only the first of each key can be claimed.
    assert_eq!(desk.numbers("t"), [2, 0, 0]);
    assert_eq!(desk.numbers("u"), [1, 0, 0]);
    let fails = |arguments: &[&str], input: &str, code, why: &str| {
        check(&run(desk.command(arguments), input), code, why);
    };
    let by_field = ["send", "t", "--key-field", "customer"];
    fails(
        &by_field,
        "{}\n",
        1,
        "line 1 has no field \"customer\", which --key-field asks for",
    );
    fails(
        &by_field,
        "{\"customer\":{}}\n",
        1,
        "line 1 has no text in its field \"customer\"",
    );
    fails(
        &by_field,
        "{\"customer\":\"\"}\n",
        2,
        "line 1: key has 0 bytes",
    );
    fails(&["send", "t", "1", "--key", ""], "", 2, "key has 0 bytes");
    fails(
        &["send", "t", "1", "--key", "a", "--key-field", "b"],
        "",
        2,
        "cannot be used with",
    );
}

#[test]
fn delayed_messages_wait() {
    let desk = Desk::new();

    desk.done_with(&["send", "t", "--delay", "1h 30m"], "1\n2\n");

    assert_eq!(desk.numbers("t"), [0, 2, 0]);
}

#[test]
fn an_input_that_pauses_is_not_held_back() {
    let desk = Desk::new();
    let mut sending = Running::start(desk.command(&["send", "t"]), Stdio::piped());
    let mut input = sending.process.stdin.take().unwrap();

    input.write_all(b"1\n2\n{\"half\":").unwrap();
    eventually("two messages", || desk.numbers("t") == [2, 0, 0]);
    input.write_all(b"true}\n").unwrap();
    drop(input);

    let ended = sending.end();
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (0, "sent 3 messages\n")
    );
}

#[test]
fn lines_of_which_nobody_knows_whether_they_were_stored_are_named() {
    let desk = Desk::new();
    let wire = Wire::to(&desk.url);
    let cut_at = |cut: Cut, topic: &str, lines: &str| {
        wire.cut(cut);
        let command = outtray(&["send", topic, "--batch", "2", "--url", wire.url()]);
        run(command, lines)
    };

    let lost = cut_at(Cut::Before("said-once"), "t", "1\n\n\"said-once\"\n3\n");
    let kept = cut_at(
        Cut::After("said-once"),
        "t",
        "1\n2\n3\n\n\"said-once\"\n6\n",
    );

    check(
        &lost,
        1,
        "; lines 1 to 3 may have been sent or not, nothing from line 4 on\nhint: ",
    );
    let text = "; 2 messages sent before, lines 3 to 5 may have been sent or not, nothing from line 6 on\n";
    check(&kept, 1, text);
    check(&kept, 1, "hint: look ");
    check(&kept, 1, "tail -n +6 ");
    assert_eq!(desk.numbers("t"), [4, 0, 0]);
}

#[test]
fn a_bad_dedupe_key_or_duration_names_its_line() {
    let desk = Desk::new();
    let fails = |arguments: &[&str], input: &str, why: &str| {
        check(&run(desk.command(arguments), input), 2, why);
    };

    let by_field = ["send", "t", "--dedupe-field", "id"];
    let lines = "{\"id\":\"ok\"}\n\n{\"id\":\"\"}\n";
    fails(&by_field, lines, "error: line 3: dedupe key has 0 bytes");
    let no_window = ["send", "t", "1", "--dedupe", "k", "--dedupe-window", "0s"];
    fails(&no_window, "", "dedupe window is 0ns");
    let forgotten = ["send", "t", "1", "--dedupe-window", "1h"];
    fails(&forgotten, "", "--dedupe");

    assert_eq!(desk.numbers("t"), [0, 0, 0]);
}

#[test]
fn what_is_interrupted_says_what_was_sent() {
    let desk = Desk::new();
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let topic = signal.to_lowercase();
        let mut sending = Running::start(desk.command(&["send", &topic]), Stdio::piped());
        let mut input = sending.process.stdin.take().unwrap();
        input.write_all(b"1\n2\n{\"half\":").unwrap();
        eventually("two messages", || desk.numbers(&topic) == [2, 0, 0]);

        sending.signal(signal);

        let ended = sending.end();
        check(
            &ended,
            code,
            "2 messages sent before, nothing from line 3 on\nhint: ",
        );
        check(&ended, code, "tail -n +3 ");
        assert_eq!(desk.numbers(&topic), [2, 0, 0]);
    }
}

#[test]
fn a_message_can_come_after_others_and_be_tracked_for_long() {
    let desk = Desk::new();
    let send = |arguments: &[&str]| desk.done(&[&["send", "t"], arguments].concat());
    let [first, second] = ["1", "2"].map(|payload| send(&[payload, "--tracked-for", "2h"]));
    let (first, second) = (first.trim(), second.trim());

    send(&["3", "--after", first, "--after", second]);
    let plain = send(&["4"]);
    let untracked = desk.run(&["send", "t", "5", "--after", plain.trim()]);

    let waiting = objects(&desk.done(&["peek", "t", "--scheduled", "--json"]));
    assert_eq!(waiting[0]["after"], json!([first, second]));
    let order = desk.work(&["--workers", "1"], "cat; echo");
    check(&order, 0, "handled 4");
    assert!(order.stdout.ends_with("3\n"), "{order:?}");
    check(&untracked, 1, "is not tracked, on topic t");
    for (option, part) in [("--after", "is not a message id"), ("--tracked-for", "x")] {
        check(&desk.run(&["send", "t", "6", option, "x"]), 2, part);
    }
    check(
        &desk.run(&["send", "t", "6", "--tracked-for", "0s"]),
        2,
        "tracked_for is 0ns",
    );
}

#[test]
fn a_send_to_a_full_topic_waits_for_room_if_it_is_told_to() {
    let desk = Desk::new();
    desk.done(&["config", "t", "--set", "max_length=1"]);
    desk.done(&["send", "t", "1"]);

    let impatient = desk.run(&["send", "t", "2"]);
    let waited = desk.run(&["send", "t", "2", "--wait-for-room", "20ms"]);
    let patient = ["send", "t", "2", "--wait-for-room", "30s"];
    let sending = Running::start(desk.command(&patient), Stdio::null());
    check(&desk.work(&[], "true"), 0, "handled");

    check(&impatient, 1, "full");
    check(&waited, 1, "full");
    check(&sending.end(), 0, "");
}
