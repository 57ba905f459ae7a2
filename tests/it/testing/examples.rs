//! The examples run by themselves, end by themselves, and say what they promise to show.

use crate::support::server;
use std::path::PathBuf;
use std::process::Command;

/// Returns a built example: Cargo puts them beside the folder of the test programs.
fn example(name: &str) -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let profile = tests.parent().unwrap().parent().unwrap();
    let path = profile
        .join("examples")
        .join(name)
        .with_extension(std::env::consts::EXE_EXTENSION);
    assert!(
        path.exists(),
        "{} is not built: `cargo test` builds the examples, and so does `cargo build --examples`",
        path.display()
    );
    path
}

/// Runs an example to its end, on the server that tests share; returns what it prints.
#[track_caller]
fn run(name: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(example(name));
    command.env("DATABASE_URL", server().url()).args(arguments);
    end(command)
}

#[track_caller]
fn end(mut command: Command) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{}\n{text}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

#[track_caller]
fn check(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.lines().any(|found| found == *line), "{line}\n{text}");
    }
}

#[test]
fn the_quickstart_shows_a_message_handled_and_another_retried_and_kept() {
    // It brings a server of its own.
    let text = end(Command::new(example("quickstart")));

    check(
        &text,
        &[
            "sent     orders 1 and 2",
            "handled  order 1, a shipment stored and a mail sent on",
            "mailed   \"order 1 goes to Harbour Road 1\"",
            "failed   order 2, attempt 1 of 3",
            "failed   order 2, attempt 3 of 3",
            "stored   1 shipment: what the failed attempts wrote is gone",
            "kept     a dead letter after 3 attempts: there is no address",
        ],
    );
}

#[test]
fn the_outbox_keeps_an_order_and_its_message_together() {
    let text = run("outbox", &[]);

    check(
        &text,
        &[
            "paid, committed            1 orders, 1 messages",
            "RolledBack: the session was rolled back: the card was declined",
            "declined, rolled back      1 orders, 1 messages",
            "joined, not yet committed  1 orders, 1 messages",
            "joined, committed          2 orders, 2 messages",
            "joined, rolled back        2 orders, 2 messages",
        ],
    );
}

#[test]
fn what_is_published_reaches_everybody_who_wants_it() {
    let text = run("publish", &[]);

    check(
        &text,
        &[
            "order 1: 2 copies",
            "order 2: 3 copies",
            "order 3: true",
            "an item: 1 copy",
            "NoSubscription: nobody subscribed to routing key \"alerts.disk\", and the message is mandatory",
            "billing: orders.created {\"order\":1}",
            "billing: orders.created {\"order\":2}",
            "audit: orders.item.added {\"order\":2}",
            "reviews: orders.created {\"order\":2}",
        ],
    );
    assert_eq!(text.lines().count(), 11, "{text}");
}

#[test]
fn questions_are_answered_with_what_the_replier_did() {
    let text = run("request_reply", &[]);

    check(
        &text,
        &[
            "3 apples taken, 7 left",
            "Refused: not enough of pear",
            "6 apples taken, 4 left",
            "nobody: true",
        ],
    );
}

#[test]
fn what_happens_is_counted_by_an_observer() {
    let text = run("observing", &[]);

    check(
        &text,
        &[
            "orders dead, exhausted: 1",
            "orders done: 2",
            "orders failed attempts: 2",
            "sent to mails: 2",
            "sent to orders: 3",
            "the first mail is from the service shop",
        ],
    );
}

#[test]
fn dead_letters_say_why_and_come_back() {
    let text = run("dead_letters", &[]);

    check(
        &text,
        &[
            "undecodable, attempt 1",
            "exhausted, attempt 3",
            "    error    cannot read the price 12,50: invalid float literal",
            "read 12.50 at attempt 1",
            "1 handled, 0 dead letters left",
        ],
    );
}

#[test]
fn the_batch_job_handles_every_message_once() {
    let text = run("batch_job", &[]);

    check(&text, &["stored   20000 rows, 20000 different ones"]);
}

#[test]
fn webhooks_are_stored_by_type_and_each_repository_is_announced_once() {
    let text = run("webhooks", &[]);

    check(
        &text,
        &[
            "events        5 handled, 0 dead",
            "              3 of type push",
            "repositories  2 announced",
        ],
    );
}

#[test]
fn webhooks_are_read_from_a_file() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let line = r#"{"type":"fork","key":"tools/plane","payload":null}"#;
    std::fs::write(file.path(), [line, "", line].join("\n")).unwrap();

    let text = run("webhooks", &[file.path().to_str().unwrap()]);

    check(
        &text,
        &[
            "events        2 handled, 0 dead",
            "              2 of type fork",
            "repositories  1 announced",
        ],
    );
}

#[test]
fn headers_tell_what_a_message_says_and_what_it_follows_from() {
    let text = run("headers", &[]);

    check(
        &text,
        &[
            "handled   order.placed, version 2",
            "caused by that order: true",
            "part of   order-42",
            "trace     00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "event     com.example.parcel.sent of /shop, order-42",
            "data      {\"order\":42}",
        ],
    );
    let of_one_event = text.lines().filter(|line| *line == "part of   order-42");
    assert_eq!(of_one_event.count(), 2, "{text}");
}

#[test]
fn a_log_is_booked_once_and_read_again() {
    let text = run("log", &[]);

    check(
        &text,
        &[
            "ann      300 cents",
            "bob      300 cents",
            "eve      nothing was booked, attempt 2",
            "audited  4 entries, 600 cents",
        ],
    );
}

#[test]
fn a_router_runs_all_handlers_of_a_type_or_none() {
    let text = run("router", &[]);

    check(
        &text,
        &[
            "booked   order 1, which said no price",
            "booked   order 2, 500 cents",
            "booked   order 3, -1 cents",
            "undone   order.created",
            "done     order.item.packed",
            "undone   weather.changed",
            "dead     route order.#, payment.*.failed: a negative price",
            "dead     no route matches the type \"weather.changed\"",
        ],
    );
    let done = text
        .lines()
        .filter(|line| *line == "done     order.created");
    assert_eq!(done.count(), 2, "{text}");
}

#[test]
fn tenants_have_message_systems_of_their_own() {
    let text = run("tenants", &[]);

    assert_eq!(
        text.lines().collect::<Vec<_>>(),
        [
            "ann: a duplicate: false",
            "bob: a duplicate: false",
            "eve: a duplicate: false",
            "bob: a duplicate: true",
            "no tenant dan",
            "bob: bills has 2 ready",
            "bob: orders has 1 ready",
        ]
    );
}
