//! The caller's closure, with its payload type erased.

use crate::message::claimed::Claimed;
use crate::message::report;
use crate::observe::{spans, trace};
use crate::receive::middleware::Middleware;
use crate::receive::options::Terms;
use crate::session::handler_session::HandlerSession;
use crate::session::messaging_session::MessagingSession;
use crate::session::parts::PartOutcome;
use crate::words::handler_error::Wish;
use crate::words::incoming::Incoming;
use crate::words::panics::catch;
use crate::words::{CancelToken, Error, Failure, HandlerError, Message, chain};
use serde::de::DeserializeOwned;
use std::slice::from_ref;
use tracing::Span;

/// A message on its way to the closure.
pub(crate) struct Attempt<'a> {
    pub(crate) topic: &'a str,
    pub(crate) message: &'a Claimed,
    /// From 1.
    pub(crate) attempt: u32,
    pub(crate) max_attempts: u32,
    pub(crate) cancel: CancelToken,
}

impl<'a> Attempt<'a> {
    /// Makes the attempt that comes next, after those that failed and `crashes`.
    pub(crate) fn of(
        topic: &'a str,
        message: &'a Claimed,
        crashes: u32,
        terms: &Terms,
        cancel: CancelToken,
    ) -> Self {
        Attempt {
            topic,
            message,
            attempt: message.attempts + crashes + 1,
            max_attempts: terms.max_attempts,
            cancel,
        }
    }
}

impl<'a> Attempt<'a> {
    /// Returns the same as an attempt of another topic's message: of an entry that was put aside.
    pub(crate) fn on_topic(&self, topic: &'a str) -> Self {
        Attempt {
            topic,
            cancel: self.cancel.clone(),
            ..*self
        }
    }

    /// Makes the span of the handler's call.
    fn span(&self) -> Span {
        let Claimed { held, headers, .. } = self.message;
        spans::handle(self.topic, held.id, self.attempt, headers)
    }

    /// Returns the message as a middleware sees it.
    pub(crate) fn incoming(&self) -> Incoming<'_> {
        let Claimed {
            held,
            sent_at,
            headers,
            content,
            ..
        } = self.message;
        Incoming {
            id: held.id,
            topic: self.topic,
            payload: content,
            attempt: self.attempt,
            max_attempts: self.max_attempts,
            priority: held.position.rank.saturating_neg(),
            key: held.key.as_deref(),
            headers,
            sent_at: *sent_at,
            cancel: &self.cancel,
            log_position: None,
        }
    }
}

/// How a closure ended.
#[derive(Debug)]
pub(crate) enum Ending {
    Done,
    Failed(Failed),
    /// What was done is to be kept, but not the message: of a message in a batch.
    Kept(Failed),
    /// With the text of the panic.
    Panicked(String),
    /// The payload does not fit the closure's type, so that it was left out of the batch.
    Undecodable(Error),
}

/// How a call of a closure ended.
pub(crate) struct Ended {
    /// Whether what was done for all of its messages is to be kept.
    pub(crate) is_done: bool,
    /// In the order of the messages.
    pub(crate) each: Vec<Ending>,
}

/// What a handler's error says, written out.
#[derive(Debug, Clone)]
pub(crate) struct Failed {
    pub(crate) wish: Wish,
    pub(crate) text: String,
    /// What the database said, if it is behind it.
    pub(crate) failure: Option<Failure>,
}

impl Ending {
    /// Reads the error; runs the caller's code, which prints it.
    pub(crate) fn failed(error: &HandlerError) -> Self {
        Ending::Failed(Failed::of(error))
    }

    /// The same for what a handler said about one message of a batch.
    pub(crate) fn kept(error: &HandlerError) -> Self {
        Ending::Kept(Failed::of(error))
    }

    /// A statement failed, which nobody said, and the transaction with it.
    pub(crate) fn swallowed() -> Self {
        let why = "a statement failed and the handler swallowed its error";
        Ending::failed(&HandlerError::failed(why))
    }

    /// Returns the ending of a handler that succeeded but whose work was undone; `None` if the work
    /// was kept.
    pub(crate) fn undone(kept: &PartOutcome) -> Option<Self> {
        match kept {
            PartOutcome::Kept => None,
            PartOutcome::Swallowed => Some(Ending::swallowed()),
            PartOutcome::Refused(error) => {
                Some(Ending::failed(&HandlerError::failed(chain(error))))
            }
        }
    }

    /// Returns the same failure for another message; `None` if it concerns one message alone.
    pub(crate) fn repeated(&self) -> Option<Self> {
        match self {
            Ending::Failed(failed) => Some(Ending::Failed(failed.clone())),
            Ending::Panicked(text) => Some(Ending::Panicked(text.clone())),
            Ending::Done | Ending::Kept(_) | Ending::Undecodable(_) => None,
        }
    }

    /// Returns how a batch ended whose handler also spoke of single messages. What the database
    /// said of one of them explains a whole that only says that the transaction cannot go on, or
    /// that is a panic over it. A handler that decides for all of them, by a rejection or a delay,
    /// is believed.
    pub(crate) fn explained_by(self, said: &[Ending]) -> Self {
        let text = match &self {
            Ending::Failed(failed)
                if matches!(failed.wish, Wish::Retry)
                    && failed
                        .failure
                        .is_none_or(|failure| failure == Failure::Refused) =>
            {
                &failed.text
            }
            Ending::Panicked(text) => text,
            _ => return self,
        };
        let is_cause = |failure: &Failure| *failure != Failure::Refused;
        let mut causes = said.iter().filter_map(Ending::said).filter(is_cause);
        let Some(cause) = causes.next() else {
            return self;
        };
        Ending::Failed(Failed {
            wish: Wish::Retry,
            text: text.clone(),
            failure: Some(cause),
        })
    }

    /// Returns what the database said, if that is behind a failure.
    pub(crate) fn said(&self) -> Option<Failure> {
        match self {
            Ending::Failed(failed) | Ending::Kept(failed) => failed.failure,
            _ => None,
        }
    }

    /// Returns the text of a failure that asks for nothing but another try.
    pub(crate) fn retryable(&self) -> Option<&str> {
        match self {
            Ending::Failed(failed) if matches!(failed.wish, Wish::Retry) => Some(&failed.text),
            _ => None,
        }
    }

    /// Returns how a handler failed, and why; `None` if it did not, or asked for the message to
    /// come back later.
    fn failure(&self) -> Option<(&'static str, &str)> {
        match self {
            Ending::Failed(failed) | Ending::Kept(failed) => match failed.wish {
                Wish::Snooze(_) => None,
                Wish::Reject => Some(("rejected", &failed.text)),
                Wish::Undecodable => Some(("undecodable", &failed.text)),
                Wish::Retry | Wish::RetryAfter(_) => Some(("failed", &failed.text)),
            },
            Ending::Panicked(text) => Some(("panicked", text)),
            Ending::Done | Ending::Undecodable(_) => None,
        }
    }

    /// Returns whether a handler asked for the message to come back later, with no attempt spent.
    pub(crate) fn is_snooze(&self) -> bool {
        match self {
            Ending::Failed(failed) | Ending::Kept(failed) => {
                matches!(failed.wish, Wish::Snooze(_))
            }
            _ => false,
        }
    }

    /// Returns the text of a failure that another transaction is behind.
    fn conflict(&self) -> Option<&str> {
        match self {
            Ending::Failed(failed) | Ending::Kept(failed)
                if failed.failure.is_some_and(Failure::is_conflict) =>
            {
                Some(&failed.text)
            }
            _ => None,
        }
    }
}

/// Returns why the whole transaction is to run again, if that is what a failure calls for: another
/// transaction is behind it, or prepared statements that no longer fit, also where the handler does
/// not say so.
pub(crate) fn conflict_behind(
    session: &mut HandlerSession<'_>,
    endings: &[Ending],
) -> Option<String> {
    if !session.is_in_doubt() {
        return None;
    }
    let is_outdated = |ending: &Ending| ending.said() == Some(Failure::Outdated);
    let is_outdated = session.is_outdated(endings.iter().any(is_outdated));
    let said = endings.iter().find_map(Ending::conflict);
    said.map(ToOwned::to_owned).or_else(|| {
        let outdated = "a prepared statement no longer fits";
        is_outdated.then(|| outdated.to_owned())
    })
}

impl Failed {
    fn of(error: &HandlerError) -> Self {
        Failed {
            wish: error.wish,
            text: error.to_string(),
            failure: error.failure(),
        }
    }
}

/// A closure for any payload, over one message, or several where batches are wanted. One worker
/// calls it, for which it need not be shared, nor outlive that. Never panics.
pub(crate) type Handler<'h> = dyn FnMut(&mut MessagingSession<'_>, &[Attempt<'_>]) -> Ended + 'h;

/// One that all workers of a receiver call.
pub(crate) type SharedHandler =
    dyn Fn(&mut MessagingSession<'_>, &[Attempt<'_>]) -> Ended + Send + Sync;

/// Runs a closure over one message that is not decoded: reads its error, catches panics of both.
pub(crate) fn run_undecoded<F>(
    handler: &mut F,
    middleware: &Middleware,
    session: &mut MessagingSession<'_>,
    deliveries: &[Attempt<'_>],
) -> Ended
where
    F: FnMut(&mut MessagingSession<'_>, &Incoming<'_>) -> Result<(), HandlerError>,
{
    let mut one = |delivery: &Attempt<'_>| {
        in_span(delivery.span(), || {
            let incoming = delivery.incoming();
            // The usual case is to cost nothing.
            let handled = match middleware.is_empty() {
                true => handler(session, &incoming),
                false => middleware.around(session, from_ref(&incoming), &mut |session| {
                    handler(session, &incoming)
                }),
            };
            match handled {
                Ok(()) => Ending::Done,
                Err(error) => Ending::failed(&error),
            }
        })
    };
    let each: Vec<Ending> = deliveries.iter().map(&mut one).collect();
    Ended {
        is_done: each.iter().all(|ending| matches!(ending, Ending::Done)),
        each,
    }
}

/// Runs a closure over one message: decodes, runs, reads its error, catches panics of all three.
pub(crate) fn run<T, F>(
    handler: &mut F,
    middleware: &Middleware,
    session: &mut MessagingSession<'_>,
    deliveries: &[Attempt<'_>],
) -> Ended
where
    T: DeserializeOwned,
    F: FnMut(&mut MessagingSession<'_>, Message<T>) -> Result<(), HandlerError>,
{
    // Decoding and printing run the caller's code too, `Deserialize` and `Display`.
    let mut decoding = |session: &mut MessagingSession<'_>, incoming: &Incoming<'_>| {
        let message = incoming.decode().map_err(HandlerError::undecodable)?;
        handler(session, message)
    };
    run_undecoded(&mut decoding, middleware, session, deliveries)
}

/// Calls a closure over one message that has no batch-mates.
pub(crate) fn call_alone(
    handler: &mut Handler<'_>,
    session: &mut MessagingSession<'_>,
    delivery: &Attempt<'_>,
) -> Ending {
    session.works_on(delivery.message.held.id, &delivery.message.headers);
    let mut ended = handler(session, from_ref(delivery));
    ended.each.pop().expect("each message has an ending")
}

/// Makes the span of a handler's call with these messages.
pub(crate) fn span_of(deliveries: &[Attempt<'_>]) -> Span {
    let [first, _, ..] = deliveries else {
        return deliveries.first().map_or_else(Span::none, Attempt::span);
    };
    let span = spans::handle_many(first.topic, deliveries.len());
    if !span.is_disabled() {
        let headers = deliveries.iter().map(|delivery| &delivery.message.headers);
        headers.for_each(|headers| trace::link(&span, headers));
    }
    span
}

/// Runs the caller's code within its span, which tells how it failed.
pub(crate) fn in_span(span: Span, run: impl FnOnce() -> Ending) -> Ending {
    if span.is_disabled() {
        return caught(run);
    }
    let ending = span.in_scope(|| caught(run));
    if let Some((how, why)) = ending.failure() {
        spans::note_failure(&span, &how, &report::line(why));
    }
    ending
}

/// Runs the caller's code; a panic is an ending, too.
pub(crate) fn caught(run: impl FnOnce() -> Ending) -> Ending {
    catch(run).unwrap_or_else(|text| Ending::Panicked(format!("handler panicked: {text}")))
}
