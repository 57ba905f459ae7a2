//! Who looks: a subscriber of `tracing` sees lines with fields, who has none gets the same lines
//! through the crate `log`, and no span.

use crate::support::{Place, database};
use outtray::Messaging;
use std::process::{Command, Output};

/// Runs the command, which logs through the crate `log`, at a level at which that shows all.
fn outtray(url: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outtray"));
    command
        .args(arguments)
        .env("DATABASE_URL", url)
        .env("RUST_LOG", "outtray=trace,tracing=trace");
    command.output().unwrap()
}

#[test]
fn who_logs_through_the_crate_log_gets_sentences_and_no_spans() {
    let url = database();
    let messaging = Messaging::connect(&url).unwrap();
    let id = Place::over(&url, messaging).send("plain", &1).to_string();

    let worked = outtray(
        &url,
        &[
            "work",
            "plain",
            "--max-attempts",
            "1",
            "--until-empty",
            "--",
            "false",
        ],
    );

    let lines = String::from_utf8(worked.stderr).unwrap();
    let sentence = format!("topic plain: message {id} is a dead letter after 1 attempts");
    let line = lines.lines().find(|line| line.contains(&sentence));
    let line = line.unwrap_or_else(|| panic!("no \"{sentence}\" in {lines}"));
    assert!(line.contains(" outtray::failed] "), "{line}");
    assert!(!line.contains('='), "fields are for others: {line}");
    assert!(!lines.contains("messaging."), "{lines}");
    assert!(!lines.contains("tracing::span"), "{lines}");
}
