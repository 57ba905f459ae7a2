//! What the end of a command means for its message, beside done: failed, rejected or put off.

use crate::failure::CommandFailure;
use clap::Args;
use outtray::HandlerError;
use std::time::Duration;

/// Exit codes with a meaning of their own; none by default.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Codes {
    /// An exit code that makes the message a dead letter at once; may be given several times
    #[arg(long = "reject-code", value_name = "CODE")]
    #[arg(value_parser = clap::value_parser!(u8).range(1..))]
    reject: Vec<u8>,

    /// An exit code that puts the message off without spending an attempt; may be given several
    /// times
    #[arg(long = "snooze-code", value_name = "CODE")]
    #[arg(value_parser = clap::value_parser!(u8).range(1..))]
    snooze: Vec<u8>,

    /// For how long messages are put off
    #[arg(
        long = "snooze",
        value_name = "DURATION",
        default_value = "1m",
        requires = "snooze"
    )]
    #[arg(value_parser = humantime::parse_duration)]
    snooze_for: Duration,
}

/// Why a message is not done, in the words that are kept with it.
#[derive(Debug)]
pub(crate) enum NotDone {
    Failed(HandlerError),
    Rejected(HandlerError),
    Snoozed(HandlerError),
}

impl NotDone {
    pub(crate) fn into_error(self) -> HandlerError {
        match self {
            NotDone::Failed(error) | NotDone::Rejected(error) | NotDone::Snoozed(error) => error,
        }
    }
}

impl Codes {
    /// Checks that no exit code means two things, and that putting off lets time pass.
    pub(crate) fn check(&self) -> Result<(), CommandFailure> {
        if let Some(code) = self.reject.iter().find(|code| self.snooze.contains(code)) {
            return Err(CommandFailure::usage(format!(
                "exit code {code} cannot both reject a message and put it off"
            )));
        }
        if self.snooze_for.is_zero() {
            return Err(CommandFailure::usage(
                "messages cannot be put off for 0s: --snooze is more than zero",
            ));
        }
        Ok(())
    }

    /// Returns what becomes of the message of a command that ended with this code, if with one.
    pub(crate) fn refusal(&self, code: Option<i32>, text: String) -> NotDone {
        let is_among = |codes: &[u8]| codes.iter().any(|one| code == Some(i32::from(*one)));
        if is_among(&self.reject) {
            return NotDone::Rejected(HandlerError::reject(text));
        }
        if is_among(&self.snooze) {
            return NotDone::Snoozed(HandlerError::snooze(self.snooze_for).because(text));
        }
        NotDone::Failed(HandlerError::failed(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exit_code_means_what_was_said_and_else_a_failure() {
        let codes = Codes {
            reject: vec![65, 66],
            snooze: vec![75],
            snooze_for: Duration::from_secs(60),
        };
        assert!(codes.check().is_ok());
        let refusal = |code| codes.refusal(code, "why".to_owned());

        assert!(matches!(refusal(Some(66)), NotDone::Rejected(_)));
        assert!(matches!(refusal(Some(75)), NotDone::Snoozed(_)));
        assert!(matches!(refusal(Some(1)), NotDone::Failed(_)));
        assert!(matches!(refusal(None), NotDone::Failed(_)));
        assert_eq!(refusal(Some(75)).into_error().to_string(), "why");
    }
}
