//! `outtray doctor` prints what was found, for people and for machines, and ends accordingly.

use super::{Clinic, OUTTRAY, started};
use serde_json::Value;
use std::process::{Command, Output};

fn doctor(url: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(OUTTRAY);
    command
        .arg("doctor")
        .args(arguments)
        .env("DATABASE_URL", url)
        .env_remove("OUTTRAY_SCHEMA")
        .env_remove("RUST_LOG");
    command.output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn where_all_is_well_it_says_so_and_ends_with_zero() {
    let clinic = Clinic::new();

    let ended = doctor(&clinic.url, &[]);

    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    let said = text(&ended.stdout);
    assert!(
        said.starts_with("0 unsafe, 0 warnings, 0 notes, "),
        "{said}"
    );
    assert_eq!(said.lines().count(), 1);
    assert_eq!(text(&ended.stderr), "");
    let all = doctor(&clinic.url, &["--all"]);
    assert!(text(&all.stdout).contains("ok       fsync: fsync is on\n"));
}

#[test]
fn what_is_unsafe_comes_first_with_what_to_do_and_ends_with_one() {
    let server = started();
    let mut clinic = Clinic::on(&server);
    clinic.sql("ALTER ROLE postgres SET synchronous_commit = off");
    clinic.sql("ALTER ROLE postgres SET statement_timeout = '5s'");

    let ended = doctor(&clinic.url, &[]);

    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    let said = text(&ended.stdout);
    let expected = "\
unsafe   synchronous_commit: synchronous_commit is off, set for the role
         a crash of the server loses the latest commits: messages whose sender was told Ok
      -> ALTER ROLE postgres SET synchronous_commit = on;
warning  statement_timeout: statement_timeout is 5000 ms, set for the role
         a statement of a handler that takes longer fails, and with it that attempt of its message
      -> ALTER ROLE postgres SET statement_timeout = '10min';
1 unsafe, 1 warning, 0 notes, ";
    assert!(said.starts_with(expected), "{said}");
    // Nothing of a terminal is there when it is piped.
    assert!(!said.contains('\x1b'));
}

#[test]
fn machines_get_an_object_for_each_finding() {
    let server = started();
    let mut clinic = Clinic::on(&server);
    clinic.sql("ALTER ROLE postgres SET synchronous_commit = off");

    let ended = doctor(&clinic.url, &["--json"]);

    assert_eq!(ended.status.code(), Some(1));
    let lines = text(&ended.stdout).lines();
    let findings: Vec<Value> = lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(findings.len() > 20);
    let of = |check: &str| {
        let mut findings = findings.iter();
        findings.find(|one| one["check"] == check).unwrap()
    };
    assert_eq!(of("fsync")["severity"], "ok");
    let finding = of("synchronous_commit");
    assert_eq!(finding["severity"], "unsafe");
    assert_eq!(
        finding["remedies"][0]["sql"],
        "ALTER ROLE postgres SET synchronous_commit = on;"
    );
}

#[test]
fn who_could_not_ask_ends_with_three_and_bad_usage_with_two() {
    let clinic = Clinic::new();

    let nobody = doctor("postgresql://127.0.0.1:1/x", &[]);
    let wrong = clinic.url.replace("postgres:", "postgres:not");
    let refused = doctor(&wrong, &[]);
    let unnamed = doctor("", &[]);
    let mistyped = doctor(&clinic.url, &["--patience", "soon"]);

    for (ended, code) in [(nobody, 3), (refused, 3), (unnamed, 2), (mistyped, 2)] {
        assert_eq!(ended.status.code(), Some(code), "{ended:?}");
        assert!(text(&ended.stderr).starts_with("error: "), "{ended:?}");
        assert_eq!(text(&ended.stdout), "");
    }
}

#[test]
fn its_help_says_how_it_ends() {
    let ended = doctor("", &["--help"]);

    let help = text(&ended.stdout);
    assert!(
        help.contains("0 nothing is unsafe, 1 something is, 2 bad usage, 3 nothing could be asked"),
        "{help}"
    );
}
