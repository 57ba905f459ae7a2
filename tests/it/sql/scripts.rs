//! The script for psql runs, and says what it did.

use crate::support::{Place, not_checked};
use std::path::PathBuf;
use std::process::Command;

/// Returns psql: where the path has it, or where Debian keeps it.
pub(super) fn psql() -> Option<PathBuf> {
    let in_path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&in_path).collect();
    if let Some(servers) = std::env::var_os("OUTTRAY_POSTGRES_BIN") {
        folders.push(servers.into());
    }
    if let Ok(versions) = std::fs::read_dir("/usr/lib/postgresql") {
        folders.extend(versions.flatten().map(|version| version.path().join("bin")));
    }
    let mut found = folders.into_iter().map(|folder| folder.join("psql"));
    let found = found.find(|path| path.is_file());
    if found.is_none() {
        not_checked("psql is not installed");
    }
    found
}

fn run(place: &Place, customer: &str) -> Option<String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/orders.sql");
    let variable = format!("customer={customer}");
    let output = Command::new(psql()?)
        .args([
            "-X",
            "-v",
            "ON_ERROR_STOP=1",
            "-v",
            &variable,
            "-v",
            "amount=12.50",
            "-f",
            script,
            "-d",
            &place.url,
        ])
        .output()
        .unwrap();
    let (out, errors) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{out}\n{errors}");
    Some(out.into_owned())
}

#[test]
fn the_script_sends_what_follows_from_an_order() {
    let mut place = Place::new();
    place.messaging.subscribe("orders.*", "audit").unwrap();

    let (Some(first), Some(_)) = (run(&place, "7"), run(&place, "8")) else {
        return;
    };
    let third = run(&place, "7").unwrap();

    let lines = |what: &str| {
        format!("sent       true\nreminded   {what}\npublished  1 copies\nrefused    OT102\n")
    };
    assert_eq!(first, lines("today"));
    assert_eq!(third, lines("already"));
    assert_eq!(place.count("placed_order"), 3);
    assert_eq!(place.count("outtray.message WHERE topic = 'orders'"), 2);
    assert_eq!(
        place.count("outtray.follower WHERE topic = 'orders' AND key = 'customer-7'"),
        1
    );
    assert_eq!(place.count("outtray.message WHERE topic = 'audit'"), 3);
    assert_eq!(place.count("outtray.scheduled WHERE topic = 'mails'"), 2);
}

#[test]
fn the_script_is_short() {
    let script = include_str!("../../../examples/orders.sql");
    assert!(script.lines().count() < 80);
}
