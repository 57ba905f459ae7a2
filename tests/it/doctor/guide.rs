//! What the guide says of an examination is what one prints, and names every check.

use super::{Clinic, OUTTRAY, started};
use std::collections::BTreeSet;
use std::process::Command;

const GUIDE: &str = include_str!("../../../docs/OPERATING.md");
const CHECKS: &str = include_str!("../../../src/doctor/checks.rs");

fn section() -> &'static str {
    let (_, section) = GUIDE.split_once("\n## Doctor\n").unwrap();
    section.split_once("\n## ").unwrap().0
}

#[test]
fn the_guide_shows_what_is_printed() {
    let (_, shown) = section()
        .split_once("```console\n$ outtray doctor\n")
        .unwrap();
    let (shown, _) = shown.split_once("```").unwrap();
    let server = started();
    let mut clinic = Clinic::on(&server);
    clinic.sql(
        "ALTER ROLE postgres SET synchronous_commit = off;
        ALTER ROLE postgres SET idle_in_transaction_session_timeout = '5s';
        INSERT INTO outtray.topic (topic, paused_at) VALUES ('mail', now() - interval '3 days 2 hours');
        INSERT INTO outtray.message (topic, rank, id, payload)
        SELECT 'mail', 0, gen_random_uuid(), '1' FROM generate_series(1, 12)",
    );

    let ended = Command::new(OUTTRAY)
        .arg("doctor")
        .env("DATABASE_URL", &clinic.url)
        .env_remove("OUTTRAY_SCHEMA")
        .output()
        .unwrap();

    let printed = String::from_utf8(ended.stdout).unwrap();
    let (printed, last) = printed.trim_end().rsplit_once('\n').unwrap();
    let (shown, shown_last) = shown.trim_end().rsplit_once('\n').unwrap();
    assert_eq!(printed, shown);
    // How many checks there are depends on the server's version.
    let counts = |line: &str| line.rsplit_once(", ").unwrap().0.to_owned();
    assert_eq!(counts(last), counts(shown_last));
}

#[test]
fn the_guide_names_every_check() {
    let named = section().lines().filter(|line| line.starts_with("| `"));
    let named = named.filter_map(|line| line.split('|').nth(1));
    let named = named.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    let (_, list) = CHECKS.split_once("checks![").unwrap();
    let lines = list
        .lines()
        .filter_map(|line| line.trim().strip_prefix('"'));
    let checks = lines.filter_map(|line| line.split('"').next());

    let named: BTreeSet<&str> = named.collect();
    assert_eq!(named, checks.collect());
}
