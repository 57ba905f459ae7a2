//! A database for each test, as a copy of a template, that goes with the test.

use crate::support::client;
use outtray::ErrorKind;
use outtray::testing::{AssertSent, Server, TestDatabase};
use postgres::Config;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

fn exists(url: &str) -> bool {
    let config: Config = url.parse().unwrap();
    let mut client = client(Server::shared().unwrap().url());
    let sql = "SELECT 1 FROM pg_database WHERE datname = $1";
    let found = client.query_opt(sql, &[&config.get_dbname().unwrap()]);
    found.unwrap().is_some()
}

#[test]
fn a_test_has_a_database_of_its_own_that_goes_with_it() {
    let (one, other) = (TestDatabase::new().unwrap(), TestDatabase::new().unwrap());
    one.messaging()
        .session(|session| Ok(session.send_message("jobs", &1)?))
        .unwrap();

    other.messaging().assert_nothing_sent("jobs");
    one.messaging().assert_sent_count("jobs", 1);

    let url = one.url().to_owned();
    assert!(exists(&url));
    // Somebody is still connected.
    let _left = (one.messaging().clone(), client(&url));
    drop(one);
    assert!(!exists(&url));
}

#[test]
fn a_template_is_made_once_and_copied_with_what_it_holds() {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    let make = || {
        TestDatabase::from_template("a shop 1", |url| {
            MADE.fetch_add(1, Ordering::Relaxed);
            client(url).batch_execute(
                "CREATE TABLE account (id integer); INSERT INTO account VALUES (7)",
            )?;
            Ok(())
        })
    };
    let (_first, second) = (make().unwrap(), make().unwrap());

    let id: i32 = client(second.url())
        .query_one("SELECT id FROM account", &[])
        .unwrap()
        .get(0);

    // A server of somebody else may have it from another run.
    assert!(MADE.load(Ordering::Relaxed) <= 1);
    assert_eq!(id, 7);
}

#[test]
fn a_template_that_cannot_be_set_up_says_why_and_is_tried_again() {
    let failed = TestDatabase::from_template("a broken shop", |_| Err("no migrations".into()));

    let error = failed.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Server);
    assert!(format!("{:?}", anyhow::Error::new(error)).contains("no migrations"));
    TestDatabase::from_template("a broken shop", |_| Ok(())).unwrap();
}

#[test]
fn only_databases_that_were_made_here_are_dropped() {
    let server = Server::shared().unwrap();

    for url in [server.url(), "postgresql://x@127.0.0.1/other", "nonsense"] {
        let error = server.drop_database(url).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    }
}

#[test]
fn a_database_is_there_in_some_tens_of_milliseconds() {
    drop(TestDatabase::new().unwrap());
    let mut took: Vec<Duration> = Vec::new();

    for _ in 0..9 {
        let started = Instant::now();
        let database = TestDatabase::new().unwrap();
        took.push(started.elapsed());
        let started = Instant::now();
        drop(database);
        println!(
            "made in {:?}, dropped in {:?}",
            took[took.len() - 1],
            started.elapsed()
        );
    }

    took.sort_unstable();
    println!("half of them in {:?} or less", took[4]);
    // Other tests run meanwhile; docs/TESTING.md says what it takes alone.
    assert!(took[0] < Duration::from_secs(5), "{took:?}");
}
