//! What becomes of a message, decided from how its handler ended. Pure.

use crate::expiry::ERROR;
use crate::message::claimed::Claimed;
use crate::message::outcome::{Cause, Outcome};
use crate::receive::handler::{Ending, Failed};
use crate::receive::options::Terms;
use crate::words::handler_error::Wish;
use crate::words::topic_config::Expired;
use crate::words::{DeadReason, OnEnd, chain};
use std::time::Duration;

/// Decides about a message before any handler sees it; `None`: it is to be handled.
pub(crate) fn refuse(
    message: &Claimed,
    attempts: u32,
    crashes: u32,
    terms: &Terms,
) -> Option<Outcome> {
    if message.is_cancelled {
        return Some(Outcome::Cancelled);
    }
    if message.is_expired {
        return Some(match message.held.on_end.has(OnEnd::FLEETING) {
            true => Outcome::Dropped,
            false => expire(terms, attempts),
        });
    }
    if let Some(error) = &message.unreadable {
        return Some(Outcome::dead(
            attempts + 1,
            DeadReason::Undecodable,
            chain(error),
        ));
    }
    let error = || used_up(attempts, terms, crashes);
    (attempts >= terms.max_attempts).then(|| Outcome::dead(attempts, DeadReason::Crashed, error()))
}

/// Says why a message is not begun once more: processes died that worked on it, leases of it ended
/// without an answer, or the limit was lowered after it had failed.
fn used_up(attempts: u32, terms: &Terms, crashes: u32) -> String {
    if crashes > 0 {
        return format!("the process that worked on it died, {crashes} times at least");
    }
    let limit = terms.max_attempts;
    format!(
        "{attempts} attempts are used up, the limit is {limit}: their leases ended without an answer, or the limit was lowered"
    )
}

/// Decides. `attempts` are the deliveries that failed before this one.
pub(crate) fn decide(terms: &Terms, attempts: u32, ending: Ending) -> Outcome {
    let attempt = attempts + 1;
    let failed = |error: String, delay: Option<Duration>| {
        if attempt >= terms.max_attempts {
            return Outcome::dead(attempt, DeadReason::Exhausted, error);
        }
        let delay = delay.unwrap_or_else(|| terms.backoff.delay(attempt));
        Outcome::retry(attempt, delay, error, Cause::Failed)
    };
    match ending {
        Ending::Done => Outcome::Done(None),
        Ending::Panicked(text) => failed(text, None),
        Ending::Undecodable(error) => {
            Outcome::dead(attempt, DeadReason::Undecodable, chain(&error))
        }
        Ending::Failed(Failed { wish, text, .. }) | Ending::Kept(Failed { wish, text, .. }) => {
            match wish {
                Wish::Retry => failed(text, None),
                Wish::RetryAfter(delay) => failed(text, Some(delay)),
                Wish::Reject => Outcome::dead(attempt, DeadReason::Rejected, text),
                Wish::Undecodable => Outcome::dead(attempt, DeadReason::Undecodable, text),
                Wish::Snooze(delay) => Outcome::retry(attempts, delay, text, Cause::Snoozed),
            }
        }
    }
}

/// Decides about a message whose time is over; its handler does not run.
fn expire(terms: &Terms, attempts: u32) -> Outcome {
    match terms.expired {
        Expired::Drop => Outcome::Dropped,
        Expired::DeadLetter => Outcome::dead(attempts, DeadReason::Expired, ERROR),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::handler_error::HandlerError;
    use crate::words::retry::Backoff;

    fn decided(attempts: u32, ending: Ending) -> Outcome {
        let terms = Terms {
            max_attempts: 3,
            backoff: Backoff::fixed(Duration::from_secs(5)).without_jitter(),
            expired: Expired::DeadLetter,
        };
        decide(&terms, attempts, ending)
    }

    #[track_caller]
    fn check_retry(attempts: u32, error: HandlerError, count: u32, delay_s: u64) {
        match decided(attempts, Ending::failed(&error)) {
            Outcome::Retry(retry) => {
                let expected = (count, Duration::from_secs(delay_s));
                assert_eq!((retry.attempts, retry.delay), expected);
            }
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn check_dead(attempts: u32, ending: Ending, expected: DeadReason) {
        match decided(attempts, ending) {
            Outcome::Dead(burial) => {
                let expected = (expected, attempts + 1);
                assert_eq!((burial.reason, burial.attempts), expected);
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn failures_are_retried_up_to_the_limit() {
        check_retry(0, HandlerError::failed("x"), 1, 5);
        check_retry(1, HandlerError::failed("x"), 2, 5);
        check_dead(
            2,
            Ending::failed(&HandlerError::failed("x")),
            DeadReason::Exhausted,
        );
        check_dead(2, Ending::Panicked("x".into()), DeadReason::Exhausted);
        check_dead(
            9,
            Ending::failed(&HandlerError::failed("x")),
            DeadReason::Exhausted,
        );
    }

    #[test]
    fn wishes_of_the_handler_are_followed() {
        let day = Duration::from_secs(86_400);
        check_retry(1, HandlerError::retry_after(day), 2, 86_400);
        check_dead(
            2,
            Ending::failed(&HandlerError::retry_after(day)),
            DeadReason::Exhausted,
        );
        check_retry(2, HandlerError::snooze(day), 2, 86_400);
        check_dead(
            0,
            Ending::failed(&HandlerError::reject("no")),
            DeadReason::Rejected,
        );
    }

    #[test]
    fn a_payload_that_does_not_fit_is_never_retried() {
        let error = crate::words::Error::invalid("at a.b: wrong");
        check_dead(0, Ending::Undecodable(error), DeadReason::Undecodable);
    }
}
