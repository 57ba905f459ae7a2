//! `outtray work` as process 1 of a container: what commands leave running becomes its child.

use super::{Desk, Running};
use crate::support::{eventually, unshare};
use std::fs;
use std::process::{Command, Stdio};

/// Returns what `/proc` says of the children of a process: their numbers and states.
fn children(of: &str) -> Vec<(String, String)> {
    let stats = fs::read_dir("/proc").unwrap().flatten();
    let stats = stats.filter_map(|process| fs::read_to_string(process.path().join("stat")).ok());
    stats
        .filter_map(|stat| {
            let number = stat.split(' ').next()?.to_owned();
            let mut words = stat.rsplit_once(')')?.1.split_ascii_whitespace();
            let state = words.next()?.to_owned();
            (words.next() == Some(of)).then_some((number, state))
        })
        .collect()
}

#[test]
fn orphans_of_commands_are_reaped_by_a_worker_that_is_process_1() {
    let Some(mut command) = unshare(&["--pid", "--fork", "--mount-proc"]) else {
        return;
    };
    let desk = Desk::new();
    let folder = tempfile::tempdir().unwrap();
    for payload in ["1", "2", "3"] {
        desk.done(&["send", "t", payload]);
    }
    let worker = desk.command(&["work", "t"]);
    command
        .arg(worker.get_program())
        .args(worker.get_args())
        // What it leaves ends after it, when the file is there.
        .args([
            "--",
            "sh",
            "-c",
            "(until [ -e go ]; do sleep 0.05; done) </dev/null >/dev/null 2>&1 & exit 0",
        ])
        .env("DATABASE_URL", &desk.url)
        .current_dir(folder.path());
    let mut working = Running::start(command, Stdio::null());
    let outer = working.process.id().to_string();
    eventually("all were handled", || desk.numbers("t") == [0, 0, 0]);
    let [(first, _)] = &children(&outer)[..] else {
        panic!("one worker: {:?}", children(&outer));
    };
    eventually("their orphans are the worker's", || {
        children(first).len() >= 3
    });

    fs::write(folder.path().join("go"), "").unwrap();

    eventually("none of them is left, nor its body", || {
        children(first).is_empty()
    });
    desk.done(&["send", "t", "4"]);
    eventually("it works on", || desk.numbers("t") == [0, 0, 0]);
    assert!(!working.has_ended());
    let killed = Command::new("kill").args(["-KILL", first]).status();
    assert!(killed.unwrap().success());
}
