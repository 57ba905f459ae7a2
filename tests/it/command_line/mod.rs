//! The command `outtray` does what its help says, and ends with 0 done, 1 failed, 2 bad usage.

mod configuring;
mod dev;
mod ending;
mod json_everywhere;
mod known;
mod logs;
mod machines;
mod measuring;
mod mending;
mod operating;
mod orphans;
mod publishing;
mod recurring;
mod requests;
mod sending;
mod shells;
mod top;
mod shown;
mod verifying;
mod working;

use crate::support::{database, eventually, reject};
use outtray::Messaging;
use serde_json::Value;
use std::fs::File;
use std::io::{Seek, Write};
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};

const OUTTRAY: &str = env!("CARGO_BIN_EXE_outtray");

/// A database, and the command to be run on it.
struct Desk {
    url: String,
    messaging: Messaging,
}

impl Desk {
    fn new() -> Desk {
        let url = database();
        let messaging = Messaging::connect(&url).unwrap();
        Desk { url, messaging }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = outtray(arguments);
        command.env("DATABASE_URL", &self.url);
        command
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        run(self.command(arguments), "")
    }

    /// Runs what must succeed, and returns its standard output.
    #[track_caller]
    fn done(&self, arguments: &[&str]) -> String {
        self.done_with(arguments, "")
    }

    #[track_caller]
    fn done_with(&self, arguments: &[&str], input: &str) -> String {
        let ended = run(self.command(arguments), input);
        assert_eq!(ended.code, 0, "{ended:?}");
        ended.stdout
    }

    /// Returns the numbers of a topic: ready, scheduled, dead.
    fn numbers(&self, topic: &str) -> [u64; 3] {
        let stats = self.messaging.topic(topic).stats().unwrap();
        [stats.ready, stats.scheduled, stats.dead]
    }
}

/// The command, with nothing in its environment that would have a say.
fn outtray(arguments: &[&str]) -> Command {
    let mut command = Command::new(OUTTRAY);
    for name in ["DATABASE_URL", "OUTTRAY_SCHEMA", "RUST_LOG"] {
        command.env_remove(name);
    }
    command.args(arguments);
    command
}

/// How a process ended: 128 and the signal, when it was one.
#[derive(Debug)]
struct Ended {
    code: i32,
    stdout: String,
    stderr: String,
}

/// A process whose output goes to files, so that it never waits for us. Killed when dropped.
struct Running {
    process: Child,
    stdout: File,
    stderr: File,
}

impl Running {
    fn start(mut command: Command, stdin: impl Into<Stdio>) -> Running {
        let [stdout, stderr] = [(); 2].map(|()| tempfile::tempfile().unwrap());
        let process = command
            .stdin(stdin)
            .stdout(stdout.try_clone().unwrap())
            .stderr(stderr.try_clone().unwrap())
            .spawn()
            .unwrap();
        Running {
            process,
            stdout,
            stderr,
        }
    }

    fn has_ended(&mut self) -> bool {
        self.process.try_wait().unwrap().is_some()
    }

    fn terminate(&self) {
        self.signal("TERM");
    }

    fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.process.id());
        let sent = Command::new("sh").args(["-c", &kill]).status().unwrap();
        assert!(sent.success());
    }

    fn stdout(&self) -> String {
        text_of(&self.stdout)
    }

    fn stderr(&self) -> String {
        text_of(&self.stderr)
    }

    #[track_caller]
    fn end(mut self) -> Ended {
        eventually("the end of the command", || self.has_ended());
        let status = self.process.wait().unwrap();
        Ended {
            code: status
                .code()
                .unwrap_or_else(|| 128 + status.signal().unwrap()),
            stdout: self.stdout(),
            stderr: self.stderr(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn text_of(file: &File) -> String {
    // Read at positions: the file's own position is shared with the process that writes.
    let mut bytes = vec![0; file.metadata().unwrap().len() as usize];
    file.read_exact_at(&mut bytes, 0).unwrap();
    String::from_utf8(bytes).unwrap()
}

/// Runs what nobody reads: its standard output is a pipe whose reader is gone.
#[track_caller]
fn run_unread(mut command: Command, input: &str) -> Ended {
    let mut reader = Command::new("true").stdin(Stdio::piped()).spawn().unwrap();
    let unread = reader.stdin.take().unwrap();
    reader.wait().unwrap();
    let stderr = tempfile::tempfile().unwrap();
    let status = command
        .stdin(file_with(input))
        .stdout(unread)
        .stderr(stderr.try_clone().unwrap())
        .status()
        .unwrap();
    Ended {
        code: status.code().unwrap(),
        stdout: String::new(),
        stderr: text_of(&stderr),
    }
}

#[track_caller]
fn run(command: Command, input: &str) -> Ended {
    Running::start(command, file_with(input)).end()
}

fn file_with(text: &str) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file.rewind().unwrap();
    file
}

/// Reads what `--json` printed: one object a line.
#[track_caller]
fn objects(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[track_caller]
fn check(ended: &Ended, code: i32, part: &str) {
    assert_eq!(ended.code, code, "{ended:?}");
    assert!(ended.stderr.contains(part), "{part} is not in {ended:?}");
}

#[test]
fn who_asks_for_nothing_or_for_help_gets_help() {
    for arguments in [
        &[][..],
        &["help"],
        &["--help"],
        &["help", "send"],
        &["dead"],
        &["recurring"],
    ] {
        let helped = run(outtray(arguments), "");
        assert!(helped.stdout.contains("Usage: outtray"), "{helped:?}");
        assert_eq!((helped.code, helped.stderr.as_str()), (0, ""));
    }
}

#[test]
fn the_usage_of_commands_on_dead_letters_names_the_topic_first() {
    for verb in ["redrive", "purge"] {
        let usage = format!("Usage: outtray dead {verb} [OPTIONS] <TOPIC> <ID");
        let helped = run(outtray(&["dead", verb, "--help"]), "");
        assert!(helped.stdout.contains(&usage), "{helped:?}");
    }
}

#[test]
fn what_cannot_be_meant_ends_with_two_and_says_why() {
    let desk = Desk::new();
    for (arguments, part) in [
        (
            &["send", "bad topic", "{}"][..],
            "\"bad topic\" has the character ' '",
        ),
        (&["send", "t", "{oops"], "the payload is not JSON"),
        (&["send", "t", "{}", "--priority", "many"], "'many'"),
        (&["send", "t", "{}", "--priority=-32768"], "-32768"),
        (&["send", "t", "{}", "--delay", "5 parsecs"], "parsecs"),
        (&["send", "t", "{}", "--header", "x"], "NAME=VALUE"),
        (&["send", "t", "--batch", "0"], "1..=100000"),
        (&["work", "t"], "COMMAND"),
        (&["work", "t", "--", "no-such-program"], "no such program"),
        (&["work", "bad topic", "--", "cat"], "bad topic"),
        (&["dev", "--", "no-such-program"], "no such program"),
        (&["topics", "--schema", "a b"], "schema name \"a b\""),
        (&["topics", "--url", "nonsense"], "malformed"),
        (&["dead", "show", "t", "7"], "is not a message id"),
        (
            &["dead", "redrive", "t"],
            "<ID|--all|--key <KEY>|--error <TEXT>>",
        ),
        (&["broadcast", "t", "{}"], "broadcast"),
    ] {
        let ended = desk.run(arguments);

        check(&ended, 2, part);
        assert!(ended.stderr.starts_with("error: "), "{ended:?}");
        assert_eq!(ended.stdout, "");
    }
    assert_eq!(desk.numbers("t"), [0, 0, 0]);
}

#[test]
fn what_went_wrong_is_one_line_and_what_to_do_another() {
    let desk = Desk::new();

    let without_url = run(outtray(&["topics"]), "");
    let empty_url = run(outtray(&["topics", "--url", ""]), "");
    let without_schema = desk.run(&["send", "t", "{}", "--schema", "elsewhere"]);
    let without_server = run(
        outtray(&["stats", "t", "--url", "postgresql://127.0.0.1:1/x"]),
        "",
    );

    check(
        &without_url,
        2,
        "error: no database was named\nhint: set DATABASE_URL",
    );
    check(&empty_url, 2, "hint: set DATABASE_URL");
    check(&without_schema, 1, "\nhint: run `outtray migrate`");
    check(&without_server, 1, "\nhint: check that the server runs");
    for ended in [&without_url, &without_schema, &without_server] {
        assert_eq!(ended.stderr.lines().count(), 2, "{ended:?}");
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let desk = Desk::new();
    // More than a pipe holds.
    let lines = "\"0123456789012345678901234567890123456789\"\n".repeat(3000);
    desk.done_with(&["send", "many"], &lines);
    let mut shell = Command::new("sh");
    shell
        .args([
            "-c",
            "{ \"$0\" peek many -n 3000 --json; echo \"code $?\" >&2; } | head -n 1",
            OUTTRAY,
        ])
        .env("DATABASE_URL", &desk.url);

    let ended = run(shell, "");

    assert_eq!(objects(&ended.stdout).len(), 1);
    assert_eq!(ended.stderr, "code 0\n");
}

#[test]
fn a_failure_is_one_whether_or_not_anybody_reads() {
    let desk = Desk::new();
    let dead = desk.done(&["send", "t", "1", "--tracked"]);
    desk.messaging.drain("t", reject).unwrap();
    let unread = |arguments: &[&str], input: &str| run_unread(desk.command(arguments), input);

    let unknown = "0199a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b";
    let named = "ids named no dead letter";
    check(&unread(&["wait", dead.trim()], ""), 1, "");
    check(&unread(&["dead", "redrive", "t", unknown], ""), 1, named);
    check(
        &unread(&["dead", "purge", "t", unknown, "-y"], ""),
        1,
        named,
    );
    let lines = ["send", "u", "--batch", "1", "--json"];
    check(&unread(&lines, "1\noops\n"), 1, "line 2 is not JSON");
    let pending = desk.done(&["send", "u", "1", "--tracked"]);
    let wait = ["wait", pending.trim(), "--timeout", "0s", "--json"];
    check(&unread(&wait, ""), 1, "has not ended");

    assert_eq!(unread(&lines, "2\n").code, 0);
    assert_eq!(unread(&["topics"], "").stderr, "");
}
