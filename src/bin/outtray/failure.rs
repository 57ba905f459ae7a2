//! How a command ends when it fails: a line that says what is wrong, and one that says what to do.

use crate::output::escaped;
use anstyle::AnsiColor;
use outtray::ErrorKind;
use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

/// Returns whether a trouble with the database passes by itself: whoever waits tries again.
pub(crate) fn is_passing(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Unavailable | ErrorKind::PoolExhausted | ErrorKind::Conflict
    )
}

/// Why a command failed.
#[derive(Debug)]
pub(crate) struct CommandFailure {
    why: FailureKind,
    text: String,
    hint: Option<String>,
}

#[derive(Debug, PartialEq, Eq)]
enum FailureKind {
    Failed,
    BadUsage,
    /// There was nobody to ask, where 1 says what the answer is.
    Unasked,
    /// By this signal.
    Interrupted(u8),
}

impl CommandFailure {
    /// It was well asked for, and did not work.
    pub(crate) fn failed(text: impl Into<String>) -> Self {
        CommandFailure::new(FailureKind::Failed, text.into())
    }

    /// What was typed cannot be meant.
    pub(crate) fn usage(text: impl Into<String>) -> Self {
        CommandFailure::new(FailureKind::BadUsage, text.into())
    }

    /// Says that nothing was found out, unless it was asked for in the wrong way.
    pub(crate) fn unasked(mut self) -> Self {
        if self.why == FailureKind::Failed {
            self.why = FailureKind::Unasked;
        }
        self
    }

    /// A signal ended it.
    pub(crate) fn interrupted(signal: u8) -> Self {
        CommandFailure::new(FailureKind::Interrupted(signal), "interrupted".to_owned())
    }

    fn new(why: FailureKind, text: String) -> Self {
        CommandFailure {
            why,
            text,
            hint: None,
        }
    }

    /// Says what to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says what to do about it, unless that was said.
    pub(crate) fn or_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint.get_or_insert_with(|| hint.into());
        self
    }

    /// Adds what else is to be known.
    pub(crate) fn and(mut self, more: &str) -> Self {
        self.text = format!("{}; {more}", self.text);
        self
    }

    /// Says first where or when it happened.
    pub(crate) fn at(mut self, place: &str) -> Self {
        self.text = format!("{place}: {}", self.text);
        self
    }

    /// Prints it to standard error and returns the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        let code = match self.why {
            FailureKind::Failed => 1,
            FailureKind::BadUsage => 2,
            FailureKind::Unasked => 3,
            // As a shell says it.
            FailureKind::Interrupted(signal) => 128 + signal,
        };
        self.print("error");
        ExitCode::from(code)
    }

    /// Prints it to standard error where it is none to the caller, who goes on.
    pub(crate) fn note(&self) {
        self.print("note");
    }

    fn print(&self, what: &str) {
        // Nothing is left to be done if even that cannot be written.
        let mut stderr = anstream::stderr().lock();
        let style = match what {
            "error" => AnsiColor::Red.on_default().bold(),
            _ => AnsiColor::Yellow.on_default().bold(),
        };
        let _ = writeln!(stderr, "{style}{what}:{style:#} {}", escaped(&self.text));
        if let Some(hint) = &self.hint {
            let style = AnsiColor::Cyan.on_default().bold();
            let _ = writeln!(stderr, "{style}hint:{style:#} {}", escaped(hint));
        }
    }
}

impl From<outtray::Error> for CommandFailure {
    fn from(error: outtray::Error) -> Self {
        let text = chain(&error);
        let failure = match error.kind() {
            ErrorKind::Invalid | ErrorKind::Configuration => CommandFailure::usage(text),
            _ => CommandFailure::failed(text),
        };
        match hint(error.kind()) {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

/// An error of any kind: one of outtray as such, others by their text.
impl From<Box<dyn Error + Send + Sync>> for CommandFailure {
    fn from(error: Box<dyn Error + Send + Sync>) -> Self {
        match error.downcast::<outtray::Error>() {
            Ok(error) => CommandFailure::from(*error),
            Err(error) => CommandFailure::failed(chain(&*error)),
        }
    }
}

/// An error of writing to standard output. Those of reading name what was read, where they happen.
impl From<io::Error> for CommandFailure {
    fn from(error: io::Error) -> Self {
        CommandFailure::failed(format!("cannot write to standard output: {error}"))
    }
}

/// Says what can be done about an error, where its text does not.
fn hint(kind: ErrorKind) -> Option<&'static str> {
    match kind {
        ErrorKind::Configuration => {
            Some("a database is named like postgresql://user:password@host:port/database")
        }
        ErrorKind::Denied => {
            Some("check user and password in the URL, and what the role is allowed to do")
        }
        ErrorKind::Unavailable => {
            Some("check that the server runs and the URL is right; `outtray dev` starts one to try")
        }
        ErrorKind::SequenceBehind => Some("run `outtray migrate` to move the sequence"),
        ErrorKind::SchemaMissing => Some("run `outtray migrate` to make the schema"),
        ErrorKind::SchemaNewer => Some("use the outtray of the release that made the schema"),
        ErrorKind::Conflict => Some("nothing was changed, run it again"),
        ErrorKind::OutcomeUnknown => {
            Some("it may have been done or not: look before you run it again")
        }
        _ => None,
    }
}

/// Returns the error and its causes in one line, each cause once.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        // The library quotes what the database said without these.
        let essence = ["db error", ": ", "ERROR: "]
            .iter()
            .fold(cause_text.as_str(), |rest, start| {
                rest.strip_prefix(start).unwrap_or(rest)
            });
        if !text.contains(essence) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text.replace('\n', " ")
}
