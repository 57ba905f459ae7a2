//! The way to the server: poolers, standbys, clocks.

use super::{Clinic, OUTTRAY, eventually_ok, found, is_ok, started};
use crate::environment::poolers::{Mode, behind_pgbouncer_in};
use crate::support::{client, database, eventually, not_checked};
use outtray::{Messaging, Severity};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::process::Command;

#[test]
fn a_pooler_is_found_by_its_mode() {
    let url = database();
    let [Some(session), Some(transaction), Some(statement)] =
        [Mode::Session, Mode::Transaction, Mode::Statement]
            .map(|mode| behind_pgbouncer_in(mode, &url))
    else {
        return;
    };
    let examined = |url: &str| Messaging::builder().url(url).doctor().examine().unwrap();

    let direct = examined(&url);
    let in_session = examined(&session);
    let in_transaction = examined(&transaction);
    let in_statement = examined(&statement);

    assert!(is_ok(&direct, "pooler"));
    assert_eq!(
        in_session.of("pooler")[0].seen,
        "a pooler in session mode: everything works"
    );
    let finding = found(&in_transaction, "pooler");
    assert_eq!(finding.severity, Severity::Note);
    assert!(is_ok(&in_transaction, "schema") && is_ok(&in_transaction, "privileges"));
    let finding = found(&in_statement, "pooler");
    assert_eq!(finding.severity, Severity::Unsafe);
    assert!(!finding.remedies.is_empty());
}

#[test]
fn a_standby_is_examined_and_said_to_take_no_writes() {
    let server = started();
    let clinic = Clinic::on(&server);
    let messaging = clinic.messaging();
    let path = server.data_dir().unwrap().join("standby.signal");
    fs::write(&path, "").unwrap();
    let owner = fs::metadata(server.data_dir().unwrap()).unwrap();
    chown(&path, Some(owner.uid()), Some(owner.gid())).unwrap();
    server.restart_immediately().unwrap();
    eventually("it answers", || {
        postgres::Client::connect(&clinic.url, postgres::NoTls).is_ok()
    });
    assert!(Messaging::connect(&clinic.url).is_err());

    for diagnosis in [clinic.doctor().examine(), messaging.doctor()] {
        let diagnosis = diagnosis.unwrap();
        let finding = found(&diagnosis, "replica");
        assert_eq!(finding.severity, Severity::Unsafe);
        assert!(is_ok(&diagnosis, "schema"), "{diagnosis:#?}");
    }

    client(&clinic.url)
        .query_one("SELECT pg_promote()", &[])
        .unwrap();
    eventually_ok(&clinic.doctor(), "replica");
}

#[test]
fn clocks_that_differ_are_found() {
    let clinic = Clinic::new();
    let ended = Command::new("faketime")
        .args(["-f", "+1h", OUTTRAY, "doctor", "--json"])
        .env("DATABASE_URL", &clinic.url)
        .output();
    let Ok(ended) = ended else {
        return not_checked("faketime is not installed");
    };

    let said = String::from_utf8(ended.stdout).unwrap();

    let findings = said.lines().map(|line| serde_json::from_str(line).unwrap());
    let mut findings = findings.filter(|one: &Value| one["check"] == "clock");
    let clock = findings.next().unwrap();
    assert_eq!(clock["severity"], "warning", "{clock}");
    let seen = clock["seen"].as_str().unwrap();
    assert!(seen.contains("s behind this machine's"), "{seen}");
}
