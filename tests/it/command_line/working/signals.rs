//! A worker that is told to end, or to let a command end.

use super::Yard;
use crate::command_line::{Desk, OUTTRAY, Running, check, run};
use crate::support::eventually;
use std::process::{Command, Stdio};

#[test]
fn sigterm_lets_the_command_in_hand_finish() {
    let desk = Desk::new();
    let yard = Yard::new();
    desk.done_with(&["send", "t"], "1\n2\n3\n");
    let script = "touch started; cat gate > /dev/null; touch finished";
    let working = desk.start(&["--workers", "1"], script, yard.folder.path());
    eventually("the first command", || yard.has("started"));

    working.terminate();
    eventually("a word", || working.stderr().contains("stopping when"));
    yard.open();
    let ended = working.end();

    let report =
        "handled 1, failed attempts 0, dead letters 0; at the stop finished 1, abandoned 0\n";
    check(&ended, 0, report);
    assert!(yard.has("finished"));
    assert_eq!(desk.numbers("t"), [2, 0, 0]);
    assert_eq!(desk.messaging.topic("t").stats().unwrap().receivers, 0);
}

#[test]
fn a_second_sigterm_is_passed_on_to_the_command() {
    for wait in ["cat gate", "kill -STOP $$"] {
        let desk = Desk::new();
        let yard = Yard::new();
        desk.done(&["send", "t", "1"]);
        let script = format!("touch started; {wait}");
        let mut working = desk.start(&["--backoff", "1h"], &script, yard.folder.path());
        eventually("the command", || yard.has("started"));

        eventually("the end", || {
            // Two that come at once may count as one.
            let is_over = working.has_ended();
            if !is_over {
                working.terminate();
            }
            is_over
        });

        let ended = working.end();
        check(&ended, 0, "handled 0, failed attempts 1, dead letters 0");
        assert_eq!(desk.numbers("t"), [0, 1, 0]);
    }
}

#[test]
fn a_worker_that_is_killed_gives_its_message_back() {
    let desk = Desk::new();
    let yard = Yard::new();
    desk.done(&["send", "t", "1"]);
    let script = "touch started; cat gate > /dev/null";
    let working = desk.start(&[], script, yard.folder.path());
    eventually("the command", || yard.has("started"));

    drop(working);

    let ended = run(
        desk.command(&["work", "t", "--until-empty", "--", "true"]),
        "",
    );
    check(&ended, 0, "handled 1, failed attempts 0, dead letters 0\n");
    yard.open();
}

#[test]
fn a_command_whose_message_is_cancelled_or_whose_lease_is_lost_is_told_to_end() {
    let script = "trap 'touch told; exit 1' TERM; touch started; cat gate";
    let closed = "exec 0<&- 2>&-; trap 'touch told; exit 1' TERM; touch started; cat gate";
    for (options, script, is_cancelled) in [
        (&["--lease", "1h"][..], script, true),
        (&["--lease", "300ms"], closed, false),
        (&[], closed, true),
    ] {
        let desk = Desk::new();
        let yard = Yard::new();
        let id = desk.done(&["send", "t", "1", "--tracked"]);
        let working = desk.start(options, script, yard.folder.path());
        eventually("the command", || yard.has("started"));

        match is_cancelled {
            true => drop(desk.done(&["cancel", id.trim(), "--yes"])),
            false => assert_eq!(desk.lose_leases(), 1),
        }
        eventually("the command's end", || yard.has("told"));

        if is_cancelled {
            let wait = desk.run(&["wait", id.trim()]);
            assert_eq!((wait.code, wait.stdout.as_str()), (1, "cancelled\n"));
        }
        working.terminate();
        check(
            &working.end(),
            0,
            "handled 0, failed attempts 1, dead letters 0",
        );
    }
}

#[test]
fn a_terminal_that_is_closed_ends_it_like_sigterm_unless_it_was_told_to_go_on() {
    for (signal, trap) in [("HUP", ""), ("QUIT", ""), ("HUP", "trap '' HUP; ")] {
        let desk = Desk::new();
        let yard = Yard::new();
        desk.done_with(&["send", "t"], "1\n2\n");
        let mut command = Command::new("sh");
        let script = format!(
            "{trap}exec \"$0\" work t --workers 1 -- sh -c 'touch started; cat gate > /dev/null'"
        );
        command
            .args(["-c", &script, OUTTRAY])
            .env("DATABASE_URL", &desk.url)
            .current_dir(yard.folder.path());
        let working = Running::start(command, Stdio::null());
        eventually("the command", || yard.has("started"));

        working.signal(signal);
        if !trap.is_empty() {
            for left in [1, 0] {
                yard.open();
                eventually("one is handled", || desk.numbers("t") == [left, 0, 0]);
            }
            working.terminate();
            check(&working.end(), 0, "handled 2");
            continue;
        }
        eventually("a word", || working.stderr().contains("stopping when"));
        yard.open();

        check(&working.end(), 0, "at the stop finished 1, abandoned 0");
        assert_eq!(desk.numbers("t"), [1, 0, 0]);
    }
}

#[test]
fn commands_end_as_they_do_also_where_a_parent_ignores_the_ends_of_children() {
    let desk = Desk::new();
    desk.done_with(&["send", "t"], "1\n2\n");
    let mut parent = Command::new("env");
    let work = ["work", "t", "--max-attempts", "1", "--until-empty"];
    parent.args(["--ignore-signal=CHLD", OUTTRAY]).args(work);
    parent.args(["--", "sh", "-c", "test $(cat) = 1"]);
    parent.env("DATABASE_URL", &desk.url);

    let ended = run(parent, "");

    check(&ended, 0, "handled 1, failed attempts 1, dead letters 1\n");
}
