//! Other machines can connect only if there is a token, and pages of browsers neither.

use super::caller::Caller;
use super::{GENERATIONS, Generation, Serving};
use std::io::Write;
use std::process::Command;
use tempfile::NamedTempFile;

const TOKEN: &str = "0123456789abcdef";

fn token_file(token: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    writeln!(file, "{token}").unwrap();
    file
}

/// Runs a server that is to refuse to start; returns what it says.
fn refused(options: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outtray"));
    let command = command.arg("serve").args(options);
    let output = command
        .env("DATABASE_URL", "postgresql://x@localhost:1/x")
        .output()
        .unwrap();
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn an_address_that_others_can_reach_needs_a_token() {
    let said = refused(&["--dsmq", "0.0.0.0:0"]);
    assert!(
        said.contains("other machines can reach") && said.contains("--token-file"),
        "{said}"
    );

    let short = token_file("short");
    let said = refused(&[
        "--dsmq",
        "0.0.0.0:0",
        "--token-file",
        short.path().to_str().unwrap(),
    ]);
    assert!(said.contains("16 to 4096 are needed"), "{said}");
    let said = refused(&["--dsmq", "0.0.0.0:0", "--token-file", "/does/not/exist"]);
    assert!(said.contains("cannot read the token"), "{said}");
}

#[test]
fn each_generation_shows_the_token_in_its_own_way() {
    let file = token_file(TOKEN);
    let serving = Serving::with(&["--token-file", file.path().to_str().unwrap()]);
    for generation in [Generation::Bare, Generation::Framed] {
        let mut caller = Caller::connect(serving.address, generation);
        caller.say(&format!(r#"{{"action": "token", "token": "{TOKEN}"}}"#));
        caller.put("q", "hello");
        assert_eq!(caller.get("q"), "hello");
    }
    // ws://dsmq:TOKEN@host is sent as the second.
    for header in [
        "Bearer 0123456789abcdef",
        "Basic ZHNtcTowMTIzNDU2Nzg5YWJjZGVm",
    ] {
        let mut caller = Caller::connect(serving.address, Generation::WebSocket);
        let answer = caller.upgrade(&format!("Authorization: {header}\r\n"));
        assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
        caller.put("q", "hello");
        assert_eq!(caller.get("q"), "hello");
    }
}

#[test]
fn without_the_token_nothing_is_served() {
    let file = token_file(TOKEN);
    let serving = Serving::with(&[
        "--token-file",
        file.path().to_str().unwrap(),
        "--client-timeout",
        "1s",
    ]);
    for generation in [Generation::Bare, Generation::Framed] {
        for request in [
            r#"{"action": "put", "topic": "q", "message": "x"}"#,
            r#"{"action": "shutdown", "topic": ""}"#,
            r#"{"action": "token", "token": "0123456789abcdeF"}"#,
        ] {
            let mut caller = Caller::connect(serving.address, generation);
            caller.say(request);
            assert_eq!(caller.next_reply(), None);
        }
    }
    for header in ["", "Authorization: Bearer x\r\n"] {
        let mut caller = Caller::connect(serving.address, Generation::WebSocket);
        let answer = caller.upgrade(header);
        assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    }
    // Nor may anybody keep a place without it.
    let mut silent = Caller::connect(serving.address, Generation::Bare);
    assert_eq!(silent.next_reply(), None);
}

#[test]
fn pages_of_browsers_may_not_connect() {
    let serving = Serving::new();
    let mut caller = Caller::connect(serving.address, Generation::WebSocket);

    let answer = caller.upgrade("Origin: https://example.com\r\n");

    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    assert!(
        GENERATIONS
            .map(|generation| serving.call(generation).get("q"))
            .iter()
            .all(|got| got == "")
    );
}
