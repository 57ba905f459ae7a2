//! Asks before something is removed for good.

use crate::failure::Failure;
use std::io::{self, BufRead, IsTerminal, Write};

/// Returns when somebody agreed: by `--yes`, or by answering the question on a terminal.
pub(crate) fn confirm(is_agreed: bool, what: &str) -> Result<(), Failure> {
    if is_agreed {
        return Ok(());
    }
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(Failure::usage(format!(
            "this would {what}, and nobody is there to be asked"
        ))
        .hint("pass --yes to do it without a question"));
    }
    let mut stderr = io::stderr();
    let _ = write!(stderr, "{what}? [y/N] ").and_then(|()| stderr.flush());
    let mut answer = String::new();
    io::stdin()
        .lock()
        .read_line(&mut answer)
        .map_err(|error| Failure::failed(format!("cannot read the answer: {error}")))?;
    match answer.trim().to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::failed("nothing was removed")),
    }
}
