//! Connection strings, which hold passwords.

use super::{check_error, check_silent};
use crate::support::server;
use outtray::{ErrorKind, Messaging};
use std::process::Command;

/// Malformed, or such that the password is taken for something else. Nothing listens on port 9.
const URLS: &[&str] = &[
    "postgresql://me:canary@127.0.0.1:port/x",
    "postgresql://me:a@canary@127.0.0.1:9/x",
    "postgresql://me:a@canary@127.0.0.1:9/x?connect_timeout=1&sslmode=disable",
    "postgresql://me:a@b/canary@127.0.0.1:9/x?sslmode=disable",
    "postgresql://me:a@canary/b@127.0.0.1:9/x?sslmode=disable",
    "postgresql://me:a@b,canary@127.0.0.1:9/x?sslmode=disable",
    "postgresql://me:a@canary:9@127.0.0.1:9/x",
    "postgresql://me:a?canary=b@127.0.0.1:9/x&c=d",
    "postgresql://me:a@b?canary=c@127.0.0.1/x",
    "postgresql://me:canary\n@127.0.0.1:9/x?sslmode=disable",
    "postgresql://me:a\ncanary@127.0.0.1:9/x?sslmode=disable",
    "postgresql://me:a\n@canary@127.0.0.1:9/x?sslmode=disable",
    "postgresql://me:canary@127.0.0.1:9/x?sslmode=sometimes",
    "postgresql://me:canary@127.0.0.1:9/x\n?sslmode=disable",
    "postgresql:/me:canary=a@127.0.0.1:9/x",
    " postgresql://me:canary@127.0.0.1:9/x?connect_timeout=1",
    "Postgresql://me:canary@127.0.0.1:9/x?connect_timeout=1",
    "mysql://me:canary@127.0.0.1:9/x?ssl=1",
    "me:canary@127.0.0.1:9/x",
    "host=127.0.0.1 port=9 user=me password=a canary",
    "host=127.0.0.1 port=9 user=me password=a canary=b",
    "host=127.0.0.1 port=9 user=me password=a\ncanary=b",
    "host=127.0.0.1 port=9 user=me password='canary",
    "host=127.0.0.1 port=9 user=me password='a'canary=1",
    "host=127.0.0.1\nport=9\nsslmode=disable\npassword=canary\nuser=me",
    "host=127.0.0.1 port=9 sslmode=prefer\npassword=canary",
    "host=127.0.0.1 port=9 sslmode=verify-full sslrootcert=/none\npassword=canary",
    "host=127.0.0.1 port=9 user=me password=canary connect_timeout=soon",
];

#[test]
fn no_connection_string_gets_into_an_error() {
    for url in URLS {
        let error = Messaging::connect(url).expect_err(url);
        check_error(url, &error);
        let kinds = [ErrorKind::Configuration, ErrorKind::Unavailable];
        assert!(kinds.contains(&error.kind()), "{url}: {error:?}");
    }
}

#[test]
fn a_password_that_is_refused_is_not_told() {
    let (_, place) = server().url().split_once('@').unwrap();
    let url = format!("postgresql://nobody_here:canary@{place}");

    let error = Messaging::connect(&url).expect_err("there is no such role");

    check_error("a role that is not there", &error);
}

#[test]
fn the_command_shows_no_connection_string() {
    for url in URLS {
        for verbose in ["--json", "-vvv"] {
            let ended = Command::new(env!("CARGO_BIN_EXE_outtray"))
                .args(["topics", verbose, "--url", url])
                .env_remove("RUST_LOG")
                .output()
                .unwrap();
            assert!(!ended.status.success(), "{url}");
            check_silent(url, &String::from_utf8_lossy(&ended.stderr));
            check_silent(url, &String::from_utf8_lossy(&ended.stdout));
        }
    }
}
