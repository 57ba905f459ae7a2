//! A command for each message: what it gets, and what becomes of the message.

mod signals;

use super::{Desk, Ended, Running, check, objects, run};
use crate::support::eventually;
use outtray::NewMessage;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// A folder with a gate in it, at which commands wait until the test lets them through.
struct Yard {
    folder: TempDir,
}

impl Yard {
    fn new() -> Yard {
        let folder = tempfile::tempdir().unwrap();
        let made = Command::new("mkfifo")
            .arg(folder.path().join("gate"))
            .status();
        assert!(made.unwrap().success());
        Yard { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn has(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    /// Opens the gate for the one who waits. Blocks until there is one.
    fn open(&self) {
        let gate = File::options().write(true).open(self.path("gate"));
        gate.unwrap().write_all(b"go on\n").unwrap();
    }
}

impl Desk {
    /// Starts `outtray work t` with a shell script, in a folder.
    fn start(&self, options: &[&str], script: &str, folder: &Path) -> Running {
        let mut command = self.command(&["work", "t"]);
        command
            .args(options)
            .args(["--", "sh", "-c", script])
            .current_dir(folder);
        Running::start(command, Stdio::null())
    }

    /// Has all leases lost, as if they had ended and others had handled the messages.
    fn lose_leases(&self) -> u64 {
        let lost = "DELETE FROM outtray.scheduled";
        let session = self
            .messaging
            .session(|session| Ok(session.execute(lost, &[])?));
        session.unwrap()
    }

    #[track_caller]
    pub(super) fn work(&self, options: &[&str], script: &str) -> Ended {
        let folder = tempfile::tempdir().unwrap();
        let options = [&["--until-empty", "--backoff", "10ms"], options].concat();
        self.start(&options, script, folder.path()).end()
    }
}

#[test]
fn a_command_gets_the_payload_and_what_is_known_of_the_message() {
    let desk = Desk::new();
    let yard = Yard::new();
    let id = desk.done(&[
        "send",
        "t",
        "{\"größe\": \"注文\"}",
        "--header",
        "content-type=a b",
    ]);
    let bytes = NewMessage::bytes("t", [0, 255, 10, 13]);
    let bytes_id = desk
        .messaging
        .session(|session| Ok(session.send(bytes)?))
        .unwrap()
        .id()
        .to_string();

    let script = "cat > $OUTTRAY_ID; env | grep ^OUTTRAY_ | sort > $OUTTRAY_ID.env";
    let ended = desk
        .start(&["--until-empty"], script, yard.folder.path())
        .end();

    check(&ended, 0, "handled 2, failed attempts 0, dead letters 0\n");
    let id = id.trim_end();
    assert_eq!(
        fs::read_to_string(yard.path(id)).unwrap(),
        "{\"größe\": \"注文\"}"
    );
    assert_eq!(fs::read(yard.path(&bytes_id)).unwrap(), [0, 255, 10, 13]);
    assert_eq!(
        fs::read_to_string(yard.path(&format!("{id}.env"))).unwrap(),
        format!(
            "OUTTRAY_ATTEMPT=1\nOUTTRAY_HEADER_CONTENT_TYPE=a b\nOUTTRAY_ID={id}\n\
             OUTTRAY_MAX_ATTEMPTS=10\nOUTTRAY_TOPIC=t\n"
        )
    );
    assert_eq!(desk.numbers("t"), [0, 0, 0]);
}

#[test]
fn a_failing_command_is_tried_again_and_then_leaves_a_dead_letter_with_its_last_words() {
    let desk = Desk::new();
    desk.done(&["send", "t", "1"]);

    let script = "printf 'trying\\n\\nattempt %s of %s\\n' $OUTTRAY_ATTEMPT $OUTTRAY_MAX_ATTEMPTS >&2; exit 3";
    let ended = desk.work(&["--max-attempts", "3", "--json"], script);

    assert_eq!(ended.stdout, "{\"dead\":1,\"failed\":3,\"handled\":0}\n");
    check(&ended, 0, "attempt 1 of 3\n");
    let letter = &objects(&desk.done(&["dead", "list", "t", "--json"]))[0];
    assert_eq!(
        letter["error"],
        "sh exited with status 3: trying | attempt 3 of 3"
    );
    assert_eq!(
        (&letter["attempts"], &letter["reason"]),
        (&3.into(), &"exhausted".into())
    );

    desk.done(&["dead", "redrive", "t", "--all"]);
    let repaired = desk.work(&[], "test $OUTTRAY_ATTEMPT = 1");
    check(
        &repaired,
        0,
        "handled 1, failed attempts 0, dead letters 0\n",
    );
    assert_eq!(desk.numbers("t"), [0, 0, 0]);
}

#[test]
fn a_command_that_is_killed_has_failed() {
    let desk = Desk::new();
    desk.done(&["send", "t", "1"]);

    desk.work(&["--max-attempts", "1"], "kill -9 $$");

    let letter = &objects(&desk.done(&["dead", "list", "t", "--json"]))[0];
    assert_eq!(letter["error"], "sh was killed by SIGKILL");
}

#[test]
fn nothing_that_a_command_does_with_its_pipes_gets_it_stuck() {
    let desk = Desk::new();
    let large = format!("\"{}\"\n", "größe".repeat(100_000));
    let large_on_stderr = "head -c 1000000 /dev/zero | tr '\\0' x >&2";
    for script in [
        "true",
        "exec 0<&-",
        "exec 0<&- 2>&-",
        "head -c 10 > /dev/null",
        "cat",
        "head -c 1000000 /dev/zero; cat > /dev/null",
        &format!("{large_on_stderr}; cat > /dev/null"),
        &format!("cat > /dev/null; {large_on_stderr}"),
    ] {
        desk.done_with(&["send", "t"], &large);

        let ended = desk.work(&[], script);

        check(&ended, 0, "handled 1, failed attempts 0, dead letters 0\n");
    }
}

#[test]
fn a_process_that_a_command_leaves_behind_is_not_waited_for() {
    let desk = Desk::new();
    let yard = Yard::new();
    desk.done(&["send", "t", "1"]);

    // It keeps the pipe of standard error open.
    let script = "cat gate > /dev/null & exit 0";
    let ended = desk
        .start(&["--until-empty"], script, yard.folder.path())
        .end();

    check(&ended, 0, "handled 1, failed attempts 0, dead letters 0\n");
    yard.open();
}

#[test]
fn a_filter_takes_only_what_matches() {
    let desk = Desk::new();
    for (payload, region) in [("1", "eu"), ("2", "us"), ("3", "asia"), ("4", "eu")] {
        desk.done(&[
            "send",
            "t",
            payload,
            "--header",
            &format!("region={region}"),
        ]);
    }
    let yard = Yard::new();
    let options = ["--filter", "region=eu", "--filter", "region=asia"];
    let script = "cat > $OUTTRAY_ID";
    let running = desk.start(&options, script, yard.folder.path());

    eventually("three are handled", || desk.numbers("t") == [1, 0, 0]);
    running.terminate();
    let ended = running.end();

    check(&ended, 0, "handled 3");
    assert_eq!(
        objects(&desk.done(&["peek", "t", "--json"]))[0]["payload"],
        2
    );
    check(
        &desk.run(&["work", "t", "--filter", "x", "--", "cat"]),
        2,
        "NAME=VALUE",
    );
}

#[test]
fn with_a_lease_no_transaction_is_open_while_a_command_runs() {
    let desk = Desk::new();
    let yard = Yard::new();
    desk.done(&["send", "t", "1"]);
    let script = "touch started; cat gate > /dev/null; exit 3";
    let options = ["--lease", "300ms", "--workers", "1", "--max-attempts", "1"];
    let working = desk.start(&options, script, yard.folder.path());
    eventually("the command", || yard.has("started"));
    let stats = desk.messaging.topic("t").stats().unwrap();
    assert_eq!((stats.leased, stats.ready), (1, 0));

    let open = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND state LIKE 'idle in%'";
    let count = |row: postgres::Row| row.get::<_, i64>(0);
    let in_transaction = desk
        .messaging
        .session(|session| Ok(session.query_one(open, &[]).map(count)?))
        .unwrap();
    assert_eq!(in_transaction, 0);
    yard.open();
    eventually("it is dead", || {
        desk.messaging.topic("t").stats().unwrap().dead == 1
    });
    working.terminate();
    check(
        &working.end(),
        0,
        "handled 0, failed attempts 1, dead letters 1",
    );

    let refused = run(
        desk.command(&["work", "t", "--lease", "1ms", "--", "true"]),
        "",
    );
    check(&refused, 2, "lease of topic t is 1ms");
}

#[test]
fn until_empty_ends_with_an_error_when_the_rest_is_stuck() {
    let desk = Desk::new();
    desk.done(&["send", "paused", "1"]);
    desk.done(&["pause", "paused"]);
    desk.done(&["config", "keyed", "--set", "poisoned_key=block"]);
    for payload in ["1", "2", "3"] {
        desk.done(&["send", "keyed", payload, "--key", "k"]);
    }
    let work = |topic, options: &[&str]| {
        let arguments = [&["work", topic, "--until-empty"], options, &["--", "false"]].concat();
        desk.run(&arguments)
    };

    let paused = work("paused", &[]);
    let keyed = work("keyed", &["--max-attempts", "1"]);

    check(
        &paused,
        1,
        "error: topic paused is paused, and not empty\nhint: outtray resume",
    );
    check(&keyed, 1, "handled 0, failed attempts 1, dead letters 1");
    check(
        &keyed,
        1,
        "error: 2 messages of topic keyed left, behind dead letters of their keys\nhint: ",
    );
    check(&work("t", &["--filter", "a=b"]), 2, "cannot be used with");
}

#[test]
fn exit_codes_can_reject_a_message_or_put_it_off() {
    let desk = Desk::new();
    desk.done(&["send", "t", "1"]);
    let yard = Yard::new();
    let codes = [
        "--reject-code",
        "65",
        "--reject-code",
        "66",
        "--snooze-code=75",
    ];
    let others = ["--until-empty", "--snooze", "10ms", "--max-attempts", "2"];

    // Put off three times, which spends no attempt.
    let script = "echo $OUTTRAY_ATTEMPT >> seen; test $(wc -l < seen) -gt 3 || exit 75; echo bad >&2; exit 66";
    let ended = desk
        .start(&[others, codes].concat(), script, yard.folder.path())
        .end();

    check(&ended, 0, "handled 0, failed attempts 1, dead letters 1\n");
    let seen = fs::read_to_string(yard.path("seen")).unwrap();
    assert_eq!(seen, "1\n1\n1\n1\n");
    let letter = &objects(&desk.done(&["dead", "list", "t", "--json"]))[0];
    assert_eq!(letter["reason"], "rejected");
    assert_eq!(letter["error"], "sh exited with status 66: bad");

    for (options, part) in [
        (
            &["--reject-code", "75", "--snooze-code", "75"][..],
            "exit code 75 cannot both",
        ),
        (&["--reject-code", "0"], "1..=255"),
        (&["--snooze-code", "256"], "1..=255"),
        (&["--snooze", "1m"], "--snooze-code"),
        (&["--snooze-code", "75", "--snooze", "0s"], "0s"),
    ] {
        let words = [&["work", "t"], options, &["--", "true"]].concat();
        check(&desk.run(&words), 2, part);
    }
}

#[test]
fn standard_output_is_the_result_if_it_is_asked_for() {
    let desk = Desk::new();
    let cases = [
        ("echo '{\"sum\": 7}'", "done {\"sum\":7}\n"),
        ("echo '  all well  '", "done \"all well\"\n"),
        ("true", "done\n"),
        // As much as no pipe holds at once; and somebody else keeps the pipe open.
        (
            "printf '\"'; head -c 1000000 /dev/zero | tr '\\0' 1; printf '\"'; cat gate & exit 0",
            "done \"1111",
        ),
    ];
    for options in [&[][..], &["--lease", "60s"]] {
        for (script, expected) in cases {
            let yard = Yard::new();
            let id = desk.done(&["send", "t", "1", "--tracked"]);
            let options = [&["--result", "--until-empty"], options].concat();

            let ended = desk.start(&options, script, yard.folder.path()).end();

            check(&ended, 0, "handled 1");
            assert_eq!(ended.stdout, "");
            let waited = desk.done(&["wait", id.trim()]);
            assert!(waited.starts_with(expected), "{script}: {waited:.100}");
            if script.contains("gate") {
                assert_eq!(waited.trim_end().len(), "done \"\"".len() + 1_000_000);
                yard.open();
            }
        }
    }
}

#[test]
fn a_result_that_cannot_be_stored_fails_the_attempt() {
    let desk = Desk::new();
    for (script, part) in [
        (
            "head -c 1048577 /dev/zero | tr '\\0' 1",
            "longer than 1048576 bytes",
        ),
        ("printf '\\377'", "is no text"),
        ("printf '\"\\\\u0000\"'", "NUL"),
    ] {
        desk.done(&["send", "t", "1"]);

        let ended = desk.work(&["--result", "--max-attempts", "1"], script);

        check(&ended, 0, "handled 0, failed attempts 1, dead letters 1");
        let letters = objects(&desk.done(&["dead", "list", "t", "--json"]));
        let error = letters.last().unwrap()["error"].as_str().unwrap();
        assert!(error.contains(part), "{script}: {error}");
    }
}
