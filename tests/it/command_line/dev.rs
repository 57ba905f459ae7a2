//! A throwaway server for as long as a command runs.

use super::{OUTTRAY, Running, check, outtray, run};
use crate::support::eventually;
use outtray::Messaging;
use postgres::{Client, NoTls};
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Stdio};

/// Messages of a foreign make: texts of any script, 1 to 30 kB, with all that needs escaping.
fn lines(count: usize) -> Vec<String> {
    let pieces = [
        "größe ",
        "注文",
        "🦀",
        "\"quoted\" ",
        "back\\slash\n",
        "plain words ",
        "\u{7f}\u{9b}",
    ];
    (0..count)
        .map(|number| {
            let length = 1000 + (number * 977) % 29_000;
            let mut text = String::new();
            let mut next = number;
            while text.len() < length {
                text.push_str(pieces[next % pieces.len()]);
                next += 1;
            }
            json!({"number": number, "nested": [[{"text": text}]], "none": null}).to_string()
        })
        .collect()
}

fn count<'l>(lines: impl IntoIterator<Item = &'l str>) -> BTreeMap<&'l str, u32> {
    let mut counts = BTreeMap::new();
    for line in lines {
        *counts.entry(line).or_default() += 1;
    }
    counts
}

fn dev(script: &str) -> Command {
    outtray(&["dev", "--", "sh", "-c", script])
}

/// Returns whether this server answers: another one that has its port refuses the password.
fn answers(url: &str) -> bool {
    Client::connect(url, NoTls).is_ok()
}

#[test]
fn a_newcomer_sends_a_file_and_works_on_it_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let lines = lines(300);
    fs::write(folder.path().join("mail.ndjson"), lines.join("\n")).unwrap();
    fs::create_dir(folder.path().join("seen")).unwrap();
    let mut command = dev("outtray send mail --type-field number < mail.ndjson &&
         outtray work mail --until-empty -- sh -c 'cat > seen/$OUTTRAY_ID' &&
         outtray topics");
    command.current_dir(folder.path());

    let ended = run(command, "");

    check(
        &ended,
        0,
        "handled 300, failed attempts 0, dead letters 0\n",
    );
    assert_eq!(ended.stdout, "sent 300 messages\nno topics yet\n");
    let seen: Vec<String> = fs::read_dir(folder.path().join("seen"))
        .unwrap()
        .map(|file| fs::read_to_string(file.unwrap().path()).unwrap())
        .collect();
    let (sent, seen) = (
        count(lines.iter().map(String::as_str)),
        count(seen.iter().map(String::as_str)),
    );
    assert!(
        sent == seen,
        "{} of {} are the same",
        seen.len(),
        sent.len()
    );
}

#[test]
fn the_exit_code_of_the_command_is_passed_on() {
    assert_eq!(run(dev("exit 7"), "").code, 7);
    assert_eq!(run(dev("kill -9 $$"), "").code, 128 + 9);
}

#[test]
fn the_schema_can_have_another_name_and_the_command_knows_it() {
    let mut command = outtray(&["dev", "--schema", "Team7", "--", "sh", "-c"]);
    command.arg("outtray send t 1 >/dev/null && outtray stats t && echo $OUTTRAY_SCHEMA");

    let ended = run(command, "");

    check(&ended, 0, "");
    assert!(ended.stdout.contains("ready         1\n"), "{ended:?}");
    assert!(ended.stdout.ends_with("Team7\n"), "{ended:?}");
}

#[test]
fn without_a_command_it_prints_the_url_and_waits_for_a_signal() {
    let waiting = Running::start(outtray(&["dev"]), Stdio::null());
    eventually("a URL", || waiting.stdout().ends_with('\n'));
    let url = waiting.stdout().trim_end().to_owned();
    let messaging = Messaging::connect(&url).unwrap();
    assert_eq!(
        messaging.pending_migrations().unwrap(),
        Vec::<String>::new()
    );

    waiting.terminate();

    check(&waiting.end(), 0, &format!("export DATABASE_URL={url}\n"));
    assert!(!answers(&url));
}

#[test]
fn sigterm_is_passed_on_and_the_server_goes_after_the_command() {
    let running = Running::start(
        dev("trap 'outtray topics; exit 5' TERM; exec 3<&0; echo $DATABASE_URL; cat <&3 & wait"),
        Stdio::piped(),
    );
    eventually("a URL", || running.stdout().ends_with('\n'));
    let url = running.stdout().trim_end().to_owned();

    running.terminate();
    let ended = running.end();

    assert_eq!(ended.code, 5, "{ended:?}");
    assert!(ended.stdout.ends_with("no topics yet\n"), "{ended:?}");
    assert!(!answers(&url));
}

#[test]
fn without_postgresql_and_without_leave_to_fetch_it_says_what_to_install() {
    // Only root can hide what is installed.
    let hide = "mount -t tmpfs none /usr/lib/postgresql && exec \"$0\" dev";
    let can_hide = Command::new("unshare").args(["--mount", "true"]).status();
    if !can_hide.is_ok_and(|status| status.success())
        || std::env::var_os("OUTTRAY_POSTGRES_BIN").is_some()
    {
        println!("skipped: the installed PostgreSQL cannot be hidden");
        return;
    }
    let mut hidden = Command::new("unshare");
    hidden.args(["--mount", "sh", "-c", hide, OUTTRAY]);
    hidden
        .env_remove("DATABASE_URL")
        .env("OUTTRAY_POSTGRES_FETCH", "never");

    let ended = run(hidden, "");

    check(
        &ended,
        1,
        "OUTTRAY_POSTGRES_FETCH forbids to fetch them: install PostgreSQL",
    );
}
