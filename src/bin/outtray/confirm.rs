//! Asks before something is removed for good.

use crate::failure::CommandFailure;
use std::io::{self, BufRead, IsTerminal, Write};

/// Returns when somebody agreed: by `--yes`, or by answering the question on a terminal.
pub(crate) fn confirm(is_agreed: bool, what: &str) -> Result<(), CommandFailure> {
    if is_agreed {
        return Ok(());
    }
    let hint = "pass --yes to do it without a question";
    let answer = ask(what, &format!("{what}? [y/N] "), hint)?;
    match answer.to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(CommandFailure::failed("nothing was removed")),
    }
}

/// Returns the name that somebody typed to agree.
pub(crate) fn confirm_by_name(what: &str, name: &str) -> Result<String, CommandFailure> {
    let hint = format!("pass --confirm {name} to do it without a question");
    ask(what, &format!("to {what}, type its name: "), &hint)
}

/// Asks on a terminal.
fn ask(what: &str, question: &str, hint: &str) -> Result<String, CommandFailure> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        let text = format!("this would {what}, and nobody is there to be asked");
        return Err(CommandFailure::usage(text).hint(hint));
    }
    let mut stderr = io::stderr();
    let _ = write!(stderr, "{question}").and_then(|()| stderr.flush());
    let mut answer = String::new();
    io::stdin()
        .lock()
        .read_line(&mut answer)
        .map_err(|error| CommandFailure::failed(format!("cannot read the answer: {error}")))?;
    Ok(answer.trim().to_owned())
}
