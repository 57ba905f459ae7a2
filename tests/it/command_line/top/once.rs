//! Without a terminal: one look, or a word about it.

use super::{Desk, OUTTRAY, Terminal};
use crate::command_line::{check, objects};
use crate::support::done;
use std::process::Command;

#[test]
fn without_a_terminal_it_says_what_to_do() {
    let desk = Desk::new();

    check(&desk.run(&["top"]), 2, "\nhint: pass --once");
    check(&desk.run(&["top", "--json"]), 2, "add --once");
    for every in ["1ms", "2h", "soon"] {
        check(&desk.run(&["top", "--every", every]), 2, every);
    }
}

#[test]
fn one_look_is_printed_as_a_table_or_as_json() {
    let desk = Desk::new();
    desk.done(&["send", "mails", "1"]);
    desk.done(&["send", "orders", "1"]);
    let _receiver = desk
        .messaging
        .receiver("mails")
        .workers(2)
        .start(done)
        .unwrap();

    let topics = desk.done(&["top", "--once", "--find", "order"]);
    let machine = objects(&desk.done(&["top", "--once", "--json"]));
    let processes = desk.done(&["top", "--once", "--view", "processes"]);
    let of_machine = desk.done(&[
        "top",
        "--once",
        "--view",
        "processes",
        "--json",
        "--find",
        "MAIL",
    ]);
    let nothing = desk.done(&["top", "--once", "--find", "nothing"]);

    let rows: Vec<Vec<&str>> = topics
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(rows[0][..2], ["TOPIC", "READY"]);
    assert_eq!((rows.len(), &rows[1][..2]), (2, &["orders", "1"][..]));
    assert!(!topics.contains("CHANGE"), "{topics}");
    let names: Vec<&str> = machine
        .iter()
        .filter_map(|one| one["topic"].as_str())
        .collect();
    assert_eq!(names, ["mails", "orders"]);
    assert!(processes.starts_with("HOST"), "{processes}");
    assert_eq!(objects(&of_machine)[0]["receivers"][0]["workers"], 2);
    assert_eq!(nothing, "no topics\n");
}

#[test]
fn a_table_has_colours_on_a_terminal_and_where_they_are_forced_and_nowhere_else() {
    let desk = Desk::new();
    desk.done(&["send", "mails", "1"]);
    desk.done(&["pause", "mails"]);
    let is_coloured = |text: &str| text.contains('\x1b');
    let with = |name: &str, value: &str| {
        let mut command = desk.command(&["topics"]);
        command.env(name, value);
        crate::command_line::run(command, "").stdout
    };
    let on_terminal = |name: &str, value: &str| {
        let mut command = Command::new(OUTTRAY);
        // A log of a build shows colours, whatever its terminal is called.
        command
            .args(["topics", "--url", &desk.url])
            .env_remove("CI")
            .env(name, value);
        let mut terminal = Terminal::start(command);
        assert_eq!(terminal.end(), 0);
        String::from_utf8(terminal.written.clone()).unwrap()
    };

    assert!(!is_coloured(&desk.done(&["topics"])));
    assert!(is_coloured(&with("CLICOLOR_FORCE", "1")));
    assert!(is_coloured(&on_terminal("OUTTRAY_NOTHING", "")));
    assert!(!is_coloured(&on_terminal("NO_COLOR", "1")));
    assert!(!is_coloured(&on_terminal("TERM", "dumb")));
    let mut json = desk.command(&["topics", "--json"]);
    json.env("CLICOLOR_FORCE", "1");
    let json = crate::command_line::run(json, "").stdout;
    assert!(!is_coloured(&json), "{json}");
}

#[test]
fn the_guides_show_the_columns_that_there_are() {
    let desk = Desk::new();
    desk.done(&["send", "mails", "1"]);
    let _receiver = desk.messaging.receiver("mails").start(done).unwrap();
    let titles = |text: &str, first: &str| -> Vec<String> {
        let line = text.lines().find(|line| line.starts_with(first));
        let words = line.unwrap_or_default().split_whitespace();
        words.map(str::to_owned).collect()
    };
    for (guide, first, arguments) in [
        ("docs/COMMAND.md", "TOPIC   READY  ", &["top", "--once"][..]),
        ("docs/OPERATING.md", "HOST   PID ", &["processes"]),
    ] {
        let shown = std::fs::read_to_string(guide).unwrap();
        let printed = desk.done(arguments);

        let first_title = first.split(' ').next().unwrap_or_default();
        let expected = titles(&printed, first_title);
        assert!(expected.len() > 8, "{printed}");
        assert_eq!(titles(&shown, first), expected, "{guide}");
    }
}
