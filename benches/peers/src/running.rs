//! One run of a runner: from its start to the line of JSON it prints, or to the end of patience.

use crate::failure::{Failure, Result};
use serde::Deserialize;
use std::fs::File;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use wait_timeout::ChildExt;

/// What a runner prints; see the crate `peer-protocol`.
#[derive(Debug, Default, Deserialize)]
pub struct Answer {
    /// How long the messages took.
    #[serde(default)]
    pub seconds: f64,
    /// How long each message waited, in microseconds.
    #[serde(default)]
    pub waits_us: Vec<f64>,
}

/// Runs a command and returns what it printed. It is killed, with all processes that it started,
/// when it takes longer than `patience`. What it says on its error output goes to `log`.
pub fn run(mut command: Command, log: &Path, patience: Duration) -> Result<Answer> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(File::create(log)?)
        .process_group(0)
        .spawn()?;
    let Some(status) = child.wait_timeout(patience)? else {
        kill(&mut child)?;
        return Err(Failure::new(format!(
            "not done after {} s",
            patience.as_secs()
        )));
    };
    let mut printed = String::new();
    if let Some(mut output) = child.stdout.take() {
        output.read_to_string(&mut printed)?;
    }
    // Libraries may print lines of their own before.
    match printed.lines().rfind(|line| line.starts_with('{')) {
        Some(line) if status.success() => Ok(serde_json::from_str(line)?),
        _ => Err(Failure::new(last_words(log))),
    }
}

/// Ends the process group of which the child is the leader.
fn kill(child: &mut Child) -> Result<()> {
    let group = format!("-{}", child.id());
    Command::new("kill")
        .args(["-KILL", "--", &group])
        .status()?;
    child.wait()?;
    Ok(())
}

fn last_words(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    // A panic in Rust names its place first and hints at RUST_BACKTRACE last.
    let panic = lines
        .clone()
        .skip_while(|line| !line.contains("panicked at"))
        .nth(1);
    let line = panic.or_else(|| lines.next_back());
    line.unwrap_or("it ended without an answer")
        .chars()
        .take(160)
        .collect()
}
