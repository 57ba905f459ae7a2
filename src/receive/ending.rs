//! What becomes of a message, decided from how its handler ended. Pure.

use crate::expiry::ERROR;
use crate::leases::Verdict;
use crate::message::claimed::{Claimed, Held};
use crate::message::settle::{Burial, Retry};
use crate::receive::handler::{Ending, Failed};
use crate::receive::options::Terms;
use crate::words::error::chain;
use crate::words::handler_error::Wish;
use crate::words::outcome::DeadReason;
use crate::words::topic_config::Expired;
use std::time::Duration;

/// What becomes of a message.
#[derive(Debug)]
pub(crate) enum Fate {
    Ack(Held),
    Retry(Retry),
    /// It was claimed too early, and is no failure.
    PutOff(Retry),
    Bury(Burial),
    /// Its time was over, and its topic keeps no dead letters of that.
    Drop(Held),
    /// It seems to be asked for, and did not succeed. The request has the last word.
    Cancel(Held),
}

/// Decides about a message before any handler sees it; nothing: it is to be handled.
pub(crate) fn refuse(
    message: &Claimed,
    attempts: u32,
    crashes: u32,
    terms: &Terms,
) -> Option<Fate> {
    let held = || message.held.clone();
    if message.is_expired {
        return Some(expire(terms, held(), attempts));
    }
    if let Some(error) = &message.unreadable {
        let reason = DeadReason::Undecodable;
        return Some(bury(held(), attempts + 1, reason, chain(error)));
    }
    let error = || used_up(attempts, terms, crashes);
    (attempts >= terms.max_attempts).then(|| bury(held(), attempts, DeadReason::Crashed, error()))
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

impl From<Fate> for Verdict {
    /// The same for a message under a lease.
    fn from(fate: Fate) -> Self {
        match fate {
            Fate::Ack(_) => Verdict::Ack(None),
            Fate::Drop(_) => Verdict::Drop,
            // A lease that is given back ends as cancelled if it was asked for.
            Fate::Cancel(_) => Verdict::Release,
            Fate::Retry(retry) | Fate::PutOff(retry) => Verdict::Retry {
                attempts: retry.attempts,
                delay: retry.delay,
                error: retry.error,
                is_failed: retry.is_failed,
            },
            Fate::Bury(burial) => Verdict::Bury {
                attempts: burial.attempts,
                reason: burial.reason,
                error: burial.error,
            },
        }
    }
}

impl Fate {
    /// Returns the message.
    pub(crate) fn held(&self) -> &Held {
        match self {
            Fate::Ack(held) | Fate::Drop(held) | Fate::Cancel(held) => held,
            Fate::Retry(retry) | Fate::PutOff(retry) => &retry.held,
            Fate::Bury(burial) => &burial.held,
        }
    }

    /// A message that was claimed too early comes back later, without an attempt spent.
    pub(crate) fn put_off(message: &Claimed, delay: Duration, why: &str) -> Self {
        Fate::PutOff(Retry {
            held: message.held.clone(),
            attempts: message.attempts,
            delay,
            error: why.to_owned(),
            is_failed: false,
        })
    }
}

/// Decides. `attempts` are the deliveries that failed before this one.
pub(crate) fn decide(terms: &Terms, held: Held, attempts: u32, ending: Ending) -> Fate {
    let attempt = attempts + 1;
    let failed = |held: Held, error: String, delay: Option<Duration>| {
        if attempt >= terms.max_attempts {
            return bury(held, attempt, DeadReason::Exhausted, error);
        }
        Fate::Retry(Retry {
            held,
            attempts: attempt,
            delay: delay.unwrap_or_else(|| terms.backoff.delay(attempt)),
            error,
            is_failed: true,
        })
    };
    match ending {
        Ending::Done => Fate::Ack(held),
        Ending::Panicked(text) => failed(held, text, None),
        Ending::Undecodable(error) => bury(held, attempt, DeadReason::Undecodable, chain(&error)),
        Ending::Failed(Failed { wish, text, .. }) | Ending::Kept(Failed { wish, text, .. }) => {
            match wish {
                Wish::Retry => failed(held, text, None),
                Wish::RetryAfter(delay) => failed(held, text, Some(delay)),
                Wish::Reject => bury(held, attempt, DeadReason::Rejected, text),
                Wish::Snooze(delay) => Fate::Retry(Retry {
                    held,
                    attempts,
                    delay,
                    error: text,
                    is_failed: false,
                }),
            }
        }
    }
}

/// Decides about a message whose time is over; its handler does not run.
fn expire(terms: &Terms, held: Held, attempts: u32) -> Fate {
    match terms.expired {
        Expired::Drop => Fate::Drop(held),
        Expired::DeadLetter => bury(held, attempts, DeadReason::Expired, ERROR.to_owned()),
    }
}

fn bury(held: Held, attempts: u32, reason: DeadReason, error: String) -> Fate {
    Fate::Bury(Burial {
        held,
        attempts,
        reason,
        error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::handler_error::HandlerError;
    use crate::words::message::MessageId;
    use crate::words::outcome::OnEnd;
    use crate::words::position::Position;
    use crate::words::retry::Backoff;

    fn decided(attempts: u32, ending: Ending) -> Fate {
        let terms = Terms {
            max_attempts: 3,
            backoff: Backoff::fixed(Duration::from_secs(5)).without_jitter(),
            expired: Expired::DeadLetter,
        };
        let held = Held {
            position: Position { rank: 0, seq: 7 },
            id: MessageId::new(),
            key: None,
            on_end: OnEnd::default(),
        };
        decide(&terms, held, attempts, ending)
    }

    #[track_caller]
    fn check_retry(attempts: u32, error: HandlerError, count: u32, delay_s: u64) {
        match decided(attempts, Ending::failed(&error)) {
            Fate::Retry(retry) => {
                assert_eq!(
                    (retry.attempts, retry.delay),
                    (count, Duration::from_secs(delay_s))
                );
            }
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn check_dead(attempts: u32, ending: Ending, expected: DeadReason) {
        match decided(attempts, ending) {
            Fate::Bury(burial) => {
                assert_eq!((burial.reason, burial.attempts), (expected, attempts + 1));
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
