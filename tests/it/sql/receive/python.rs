//! A program in Python sends and handles, as docs/SQL.md says.
//!
//! It needs Python and `tests/python/fetch target/python`, which `.ci/run` calls. Without it these
//! tests are skipped, unless `CI` says that nothing may be.

use crate::support::{Place, client, eventually, not_checked};
use outtray::NewMessage;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Returns the interpreter with the driver; `None` where it was not fetched.
fn python() -> Option<PathBuf> {
    let folder = Path::new(ROOT).join("target/python");
    if folder.join("complete").exists() {
        return Some(folder.join("venv/bin/python"));
    }
    not_checked("psycopg is not there: call tests/python/fetch target/python");
    None
}

/// Returns the example program over the database of a test.
fn example(python: &Path, url: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(python);
    command
        .arg(Path::new(ROOT).join("examples/shipments.py"))
        .args(arguments)
        .env("DATABASE_URL", url)
        .env("PYTHONUNBUFFERED", "1");
    command
}

#[track_caller]
fn said(output: Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{errors}");
    text
}

/// A process that ends with its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_python_program_sends_and_handles_each_order_once() {
    let Some(python) = python() else { return };
    let mut place = Place::new();

    said(
        example(&python, &place.url, &["send", "4"])
            .output()
            .unwrap(),
    );
    place.send("orders", &serde_json::json!({"order": "no number"}));
    let text = said(
        example(&python, &place.url, &["work", "--until-empty"])
            .output()
            .unwrap(),
    );

    let shipped: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("shipped"))
        .collect();
    let expected = [1, 2, 3, 4].map(|order| format!("shipped order {order}, attempt 1"));
    assert_eq!(shipped, expected, "{text}");
    assert_eq!(place.count("shipment"), 4);
    let scheduled = place.messaging.topic("orders").scheduled(9).unwrap();
    assert_eq!(scheduled.len(), 1, "{text}");
    assert!(
        scheduled[0]
            .error
            .as_deref()
            .is_some_and(|error| !error.is_empty())
    );
}

#[test]
fn an_order_in_the_hands_of_a_python_worker_that_is_killed_is_shipped_once_by_another() {
    let Some(python) = python() else { return };
    let mut place = Place::new();
    let order = |n: i32| NewMessage::json("orders", &serde_json::json!({"order": n})).unwrap();
    for number in 0..40 {
        place.send_new(order(number).key(format!("customer-{}", number % 3)));
    }
    let url = place.url.clone();
    let start = || {
        Running(
            example(&python, &url, &["work", "--lease", "1"])
                .spawn()
                .unwrap(),
        )
    };
    // Somebody else has a shipment of each in hand for a while, so that a worker hangs in its work.
    let mut other = client(&place.url);
    let first = start();
    eventually("it works", || {
        let there = other.query_one("SELECT to_regclass('shipment') IS NOT NULL", &[]);
        there.unwrap().get(0)
    });
    let mut holding = other.transaction().unwrap();
    holding
        .batch_execute("LOCK TABLE shipment IN SHARE MODE")
        .unwrap();
    eventually("it waits in its work", || {
        let waiting =
            "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'shipment'::regclass";
        let all_done = "outtray.message";
        let count: i64 = place.client.query_one(waiting, &[]).unwrap().get(0);
        count > 0 || place.count(all_done) == 0
    });
    drop(first);
    holding.rollback().unwrap();

    let _second = start();

    eventually("all are shipped", || place.is_empty("orders"));
    assert_eq!(place.count("shipment"), 40);
    assert_eq!(
        place.count("(SELECT DISTINCT number FROM shipment) AS orders"),
        40
    );
}
