//! What the guide shows of commands is what they print, but for ids, times and hosts.

use super::{Desk, run};
use std::path::Path;
use std::process::Command;
use std::{env, fs};

/// Returns the first example of a chapter of the guide.
fn example(chapter: &str) -> String {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/OPERATING.md");
    let guide = fs::read_to_string(guide).unwrap();
    let (_, rest) = guide.split_once(&format!("## {chapter}\n")).unwrap();
    let (_, rest) = rest.split_once("```console\n").unwrap();
    rest.split_once("```\n").unwrap().0.to_owned()
}

/// Returns a text in which only what is the same each time is left.
fn lasting(text: &str, host: &str) -> String {
    let is_id = |word: &str| word.len() == 36 && word.matches('-').count() == 4;
    let is_time = |word: &str| word.ends_with('Z') && word.matches(':').count() == 2;
    let is_span = |word: &str| word.starts_with(char::is_numeric) && word.ends_with('s');
    let mut before = "";
    let words = text.split_whitespace().map(|word| {
        let shown = match word {
            word if is_id(word) => "ID",
            word if is_time(word) => "TIME",
            word if word == host || before == "pid" => "SOME",
            word if is_span(word.trim_end_matches(':')) => "LONG",
            word => word,
        };
        before = word;
        shown
    });
    let mut words: Vec<&str> = words.collect();
    // A longer one has two units.
    words.dedup_by(|one, before| *one == "LONG" && *before == "LONG");
    words.join(" ")
}

#[test]
fn the_guide_to_finding_and_mending_shows_what_the_commands_print() {
    let desk = Desk::new();
    for number in 101..104 {
        let text = format!("{{\"id\": {number}}}");
        desk.done(&[
            "send",
            "orders",
            &text,
            "--key",
            "customer-7",
            "--header",
            "country=ch",
        ]);
    }
    let last = "{\"id\": 7, \"country\": \"zz\"}";
    let id = desk.done(&["send", "orders", last, "--header", "country=zz"]);
    let work = "read x; case \"$x\" in *zz*) echo no such country >&2; exit 9;;
        *) echo \"payment of $x timed out after 30 s\" >&2; exit 1;; esac";
    let attempts = ["--until-empty", "--max-attempts", "1"];
    desk.run(
        &[
            &["work", "orders"],
            &attempts[..],
            &["--", "sh", "-c", work],
        ]
        .concat(),
    );
    is_printed(&desk, "Finding and mending messages", id.trim());
}

#[test]
fn the_guide_to_the_history_shows_what_the_command_prints() {
    let desk = Desk::new();
    desk.done(&["config", "orders", "--set", "keep_done=7d"]);
    let work = "case \"$(cat)\" in *7*) echo no such country >&2; exit 9;; esac";
    let worked = |message: &[&str]| {
        let id = desk.done(&[&["send", "orders"], message].concat());
        let attempts = ["--until-empty", "--max-attempts", "1"];
        desk.run(
            &[
                &["work", "orders"],
                &attempts[..],
                &["--", "sh", "-c", work],
            ]
            .concat(),
        );
        id
    };
    worked(&["{\"id\": 1}", "--key", "customer-7"]);
    let id = worked(&["{\"id\": 7}"]);

    is_printed(&desk, "History", id.trim());
}

/// Compares the first example of a chapter with what its commands print; the message of that id
/// has another one there.
#[track_caller]
fn is_printed(desk: &Desk, chapter: &str, id: &str) {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let folder = Path::new(super::OUTTRAY).parent().unwrap().to_owned();
    let path = format!("{}:{}", folder.display(), env::var("PATH").unwrap());

    let example = example(chapter);
    let mut calls = example.split("$ ").skip(1).peekable();
    assert!(calls.peek().is_some());
    for call in calls {
        let (command, shown) = call.split_once('\n').unwrap();
        let command = command.replace("01a22b7c-0f0d-7254-a1b6-690bb88f2279", id);
        let mut shell = Command::new("sh");
        shell.args(["-c", &command]);
        shell
            .env("DATABASE_URL", &desk.url)
            .env("PATH", &path)
            .env("USER", "ada");
        let printed = run(shell, "").stdout;
        assert_eq!(
            lasting(&printed, host.trim()),
            lasting(shown, "desk-12"),
            "{command}"
        );
    }
}
