//! What a handler reports about a failure, and what is to become of its message.

use crate::words::error::{Error, chain};
use crate::words::sqlstate::{Failure, failure_in};
use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

/// The error of a handler or session closure. `?` converts any [`std::error::Error`], `Box<dyn
/// Error + Send + Sync>`, `anyhow::Error`, `String` and `&str` into it.
///
/// A plain error is retried with the receiver's backoff up to its limit, then kept as a dead
/// letter. The constructors ask for something else. In the closure of a
/// [`session`](crate::Messaging::session), which handles no message, all of them only roll back.
/// Like `anyhow::Error`, this type does not implement `std::error::Error`; that is what lets `?`
/// convert everything else.
///
/// ```
/// use outtray::HandlerError;
/// use std::time::Duration;
///
/// fn parse(text: &str) -> Result<u32, HandlerError> {
///     match text {
///         "busy" => Err(HandlerError::retry_after(Duration::from_secs(30))),
///         // No attempt is spent.
///         "not yet" => Err(HandlerError::snooze(Duration::from_secs(3600))),
///         "" => Err(HandlerError::reject("nothing to read")),
///         number => Ok(number.parse()?),
///     }
/// }
/// assert!(parse("x").is_err());
/// ```
pub struct HandlerError {
    pub(crate) wish: Wish,
    pub(crate) cause: Option<Box<dyn StdError + Send + Sync>>,
    text: Option<String>,
    /// Which of several handlers failed.
    route: Option<String>,
}

/// What is to become of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    Retry,
    RetryAfter(Duration),
    Reject,
    Snooze(Duration),
    /// The payload does not fit the handler's type: nothing is to be tried again.
    Undecodable,
}

impl HandlerError {
    /// Fails with a text: retried with backoff, like any error.
    pub fn failed(why: impl Into<String>) -> Self {
        HandlerError::with(Wish::Retry, Some(why.into()))
    }

    /// Retries after this long instead of the receiver's backoff; at most ten years. The attempt
    /// counts, and the last one still ends as a dead letter.
    pub fn retry_after(delay: Duration) -> Self {
        HandlerError::with(Wish::RetryAfter(delay), None)
    }

    /// Rejects the message: it becomes a dead letter at once, with this reason.
    pub fn reject(why: impl Into<String>) -> Self {
        HandlerError::with(Wish::Reject, Some(why.into()))
    }

    /// Puts the message off for this long, at most ten years, without spending an attempt. What the
    /// handler wrote and sent is undone.
    pub fn snooze(delay: Duration) -> Self {
        HandlerError::with(Wish::Snooze(delay), None)
    }

    /// Adds the cause, whose text is kept with the message.
    pub fn because(mut self, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    fn with(wish: Wish, text: Option<String>) -> Self {
        HandlerError {
            wish,
            cause: None,
            text,
            route: None,
        }
    }

    /// Fails since the payload does not fit.
    pub(crate) fn undecodable(why: Error) -> Self {
        HandlerError::with(Wish::Undecodable, None).because(why)
    }

    /// Says which of several handlers failed.
    pub(crate) fn of_route(mut self, route: &str) -> Self {
        self.route = Some(route.to_owned());
        self
    }

    /// Returns whether a conflict with another transaction is behind it, or a lost connection.
    pub(crate) fn failure(&self) -> Option<Failure> {
        failure_in(self.cause.as_deref()?)
    }
}

impl<E: Into<Box<dyn StdError + Send + Sync>>> From<E> for HandlerError {
    fn from(cause: E) -> Self {
        HandlerError::with(Wish::Retry, None).because(cause)
    }
}

impl fmt::Display for HandlerError {
    /// Prints the text and the whole chain of causes in one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(route) = &self.route {
            write!(f, "route {route}: ")?;
        }
        match (&self.text, &self.cause, self.wish) {
            (Some(text), Some(cause), _) => write!(f, "{text}: {}", chain(cause.as_ref())),
            (Some(text), None, _) => f.write_str(text),
            (None, Some(cause), _) => f.write_str(&chain(cause.as_ref())),
            (None, None, Wish::RetryAfter(delay)) => write!(f, "retry after {delay:?}"),
            (None, None, Wish::Snooze(delay)) => write!(f, "snooze for {delay:?}"),
            (None, None, _) => f.write_str("failed"),
        }
    }
}

impl fmt::Debug for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.wish)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_error_converts_and_keeps_its_chain() {
        let error =
            crate::words::Error::invalid("bad topic").because(std::io::Error::other("disk full"));
        let error = HandlerError::from(error);

        assert_eq!(error.wish, Wish::Retry);
        assert_eq!(error.to_string(), "bad topic: disk full");
    }

    #[test]
    fn a_question_mark_takes_whatever_can_be_a_boxed_error() {
        fn text() -> Result<(), HandlerError> {
            Err("no address")?
        }
        fn owned() -> Result<(), HandlerError> {
            Err(format!("no address in {}", "Rome"))?
        }
        fn boxed() -> Result<(), HandlerError> {
            let error: Box<dyn StdError + Send + Sync> = "no address".into();
            Err(error)?
        }
        fn anyhow() -> Result<(), HandlerError> {
            let error = anyhow::Error::new(std::io::Error::other("disk full"));
            Err(error.context("no address"))?
        }
        fn own() -> Result<(), HandlerError> {
            Err(HandlerError::reject("no address"))?
        }

        assert_eq!(text().unwrap_err().to_string(), "no address");
        assert_eq!(owned().unwrap_err().to_string(), "no address in Rome");
        assert_eq!(boxed().unwrap_err().to_string(), "no address");
        assert_eq!(anyhow().unwrap_err().to_string(), "no address: disk full");
        assert_eq!(own().unwrap_err().wish, Wish::Reject);
    }

    #[test]
    fn wishes_are_kept_with_a_cause() {
        let error = HandlerError::reject("no such customer").because(std::io::Error::other("404"));

        assert_eq!(error.wish, Wish::Reject);
        assert_eq!(error.to_string(), "no such customer: 404");
    }
}
