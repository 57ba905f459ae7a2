//! The caller's closure over entries, with its payload type erased.

use crate::log::entry::EntryRow;
use crate::observe::{spans, trace};
use crate::receive::handler::{Ending, caught, in_span};
use crate::receive::middleware::Middleware;
use crate::session::messaging_session::MessagingSession;
use crate::words::error::Result;
use crate::words::handler_error::HandlerError;
use crate::words::incoming::Incoming;
use crate::words::message::Message;
use crate::words::panics::discard;
use crate::words::payload::Payload;
use serde::de::DeserializeOwned;
use tracing::Span;

/// How a call of a closure over entries ended.
pub(crate) struct EntriesEnded {
    /// How it ended for all that it was given.
    pub(crate) whole: Ending,
    /// Entries that it was not given, by their places in the call, and why.
    pub(crate) unfit: Vec<(usize, Ending)>,
}

/// A closure over some entries of a log, which all lanes of a reader call. Never panics.
pub(crate) type EntryHandler =
    dyn Fn(&mut MessagingSession<'_>, &[&EntryRow]) -> EntriesEnded + Send + Sync;

/// How the handler of a reader gets its entries.
#[derive(Clone)]
pub(crate) struct EntryTerms {
    /// The topic of the log.
    pub(crate) topic: String,
    /// The name of the reader.
    pub(crate) reader: String,
    pub(crate) max_attempts: u32,
    pub(crate) middleware: Middleware,
}

/// Decodes, and runs a closure over what could be decoded, within the middleware.
pub(crate) fn run<T, F>(
    handler: &F,
    terms: &EntryTerms,
    session: &mut MessagingSession<'_>,
    entries: &[&EntryRow],
) -> EntriesEnded
where
    T: DeserializeOwned,
    F: Fn(&mut MessagingSession<'_>, &[Message<T>]) -> Result<(), HandlerError>,
{
    if let [only] = entries
        && let (Ok(id), Ok(headers)) = (only.id(), only.headers())
    {
        session.works_on(id, &headers);
    }
    let mut messages = Vec::with_capacity(entries.len());
    let mut unfit = Vec::new();
    let whole = in_span(terms.span(entries), || match terms.middleware.is_empty() {
        true => {
            let rows = entries.iter().enumerate();
            decode(rows, &mut messages, &mut unfit, |entry| {
                terms.message(entry)
            });
            ending(handle(handler, session, &messages))
        }
        false => {
            let within = Within { terms, entries };
            within.run(handler, session, &mut messages, &mut unfit)
        }
    });
    // What is done stays done, however its payloads go.
    discard(messages);
    EntriesEnded { whole, unfit }
}

/// Entries that middleware sees before they are decoded, each copied out of its row.
struct Within<'a> {
    terms: &'a EntryTerms,
    entries: &'a [&'a EntryRow],
}

impl Within<'_> {
    fn run<T, F>(
        &self,
        handler: &F,
        session: &mut MessagingSession<'_>,
        messages: &mut Vec<Message<T>>,
        unfit: &mut Vec<(usize, Ending)>,
    ) -> Ending
    where
        T: DeserializeOwned,
        F: Fn(&mut MessagingSession<'_>, &[Message<T>]) -> Result<(), HandlerError>,
    {
        let mut readable: Vec<Message<Payload>> = Vec::with_capacity(self.entries.len());
        let rows = self.entries.iter().enumerate();
        decode(rows, &mut readable, unfit, |entry| {
            self.terms.message(entry)
        });
        if readable.is_empty() {
            return Ending::Done;
        }
        let is_readable = |place: &usize| unfit.iter().all(|(other, _)| other != place);
        let places: Vec<usize> = (0..self.entries.len()).filter(is_readable).collect();
        let incoming: Vec<Incoming<'_>> = readable.iter().map(Message::incoming).collect();
        let mut innermost = |session: &mut MessagingSession<'_>| {
            let fit = places.iter().copied().zip(&incoming);
            decode(fit, messages, unfit, Incoming::decode);
            handle(handler, session, messages)
        };
        let middleware = &self.terms.middleware;
        ending(middleware.around(session, &incoming, &mut innermost))
    }
}

impl EntryTerms {
    /// Makes the span of the handler's call with these entries.
    fn span(&self, entries: &[&EntryRow]) -> Span {
        let span = match entries {
            [only] if let (Ok(id), Ok(headers)) = (only.id(), only.headers()) => {
                spans::handle(&self.topic, id, 1, &headers)
            }
            _ => spans::handle_many(&self.topic, entries.len()),
        };
        if span.is_disabled() {
            return span;
        }
        spans::note_reader(&span, &self.reader);
        if entries.len() > 1 {
            let headers = entries.iter().filter_map(|entry| entry.headers().ok());
            headers.for_each(|headers| trace::link(&span, &headers));
        }
        span
    }

    fn message<T: DeserializeOwned>(&self, entry: &EntryRow) -> Result<Message<T>> {
        entry.message(&self.topic, 1, self.max_attempts)
    }
}

/// Adds what can be decoded to the messages, and of the rest the place and why.
fn decode<'e, E: 'e, T>(
    entries: impl Iterator<Item = (usize, &'e E)>,
    messages: &mut Vec<Message<T>>,
    unfit: &mut Vec<(usize, Ending)>,
    decode: impl Fn(&'e E) -> Result<Message<T>>,
) {
    for (place, entry) in entries {
        let decoded = caught(|| match decode(entry) {
            Ok(message) => {
                messages.push(message);
                Ending::Done
            }
            Err(error) => Ending::Undecodable(error),
        });
        if !matches!(decoded, Ending::Done) {
            unfit.push((place, decoded));
        }
    }
}

fn handle<T, F>(
    handler: &F,
    session: &mut MessagingSession<'_>,
    messages: &[Message<T>],
) -> Result<(), HandlerError>
where
    F: Fn(&mut MessagingSession<'_>, &[Message<T>]) -> Result<(), HandlerError>,
{
    match messages.is_empty() {
        true => Ok(()),
        false => handler(session, messages),
    }
}

/// Reads what the caller's code returned.
fn ending(returned: Result<(), HandlerError>) -> Ending {
    match returned {
        Ok(()) => Ending::Done,
        Err(error) => Ending::failed(&error),
    }
}
