//! Handlers of batches: several messages in one call, in one savepoint.
//!
//! What the handler writes cannot be taken apart, so an error or a panic concerns the whole batch:
//! everything is undone, and each of its messages has failed once. So that a poison message does
//! not take its neighbours to the dead letters, only messages with a clean record share a batch. A
//! message that failed before is handled alone, in a batch of one, by whichever worker gets it; so
//! is one that may not fail even once. So a batch fails once, and from then on each of its messages
//! answers for itself.
//!
//! A transaction carries one batch. Before it, in savepoints of their own, come the messages that
//! go alone, as many as a transaction of single messages may take. So neither waits for the other
//! for ever.

use crate::receive::batch_message::BatchMessage;
use crate::receive::handler::{Attempt, Ended, Ending, caught, in_span, span_of};
use crate::receive::middleware::Middleware;
use crate::receive::options::Options;
use crate::session::messaging_session::MessagingSession;
use crate::words::incoming::Incoming;
use crate::words::panics::discard;
use crate::words::{Error, HandlerError, Result};
use serde::de::DeserializeOwned;

/// The most messages in a batch. One savepoint holds them all, so the server's cache of
/// subtransactions sets no limit; but other workers' claims walk past all that is locked (16 ms
/// behind 10,000), and the payloads of a batch are in memory at once.
pub(crate) const MAX_BATCH: usize = 1_000;

/// Checks what concerns batches alone.
pub(crate) fn check(topic: &str, size: usize, options: &Options) -> Result<()> {
    let why = if size == 0 || size > MAX_BATCH {
        format!("a batch of topic {topic} is of {size} messages, it must be of 1 to {MAX_BATCH}")
    } else if let Some(count) = options.per_transaction {
        format!(
            "topic {topic} has {count} messages to a transaction and batches of {size}: a transaction carries \
             one batch, leave the former out"
        )
    } else if options.is_leasing {
        format!(
            "topic {topic} has batches under leases: a batch is one transaction, leave out one of the two"
        )
    } else if options.is_strict && size > 1 {
        format!("topic {topic} has batches of {size} in strict order, which goes one by one")
    } else {
        return Ok(());
    };
    Err(Error::invalid(why))
}

/// Decodes, runs a closure over what could be decoded, and reads what it said.
pub(crate) fn run<T, F>(
    handler: &mut F,
    middleware: &Middleware,
    session: &mut MessagingSession<'_>,
    deliveries: &[Attempt<'_>],
) -> Ended
where
    T: DeserializeOwned,
    F: FnMut(&mut MessagingSession<'_>, &[BatchMessage<T>]) -> Result<(), HandlerError>,
{
    if let [only] = deliveries {
        session.works_on(only.message.held.id, &only.message.headers);
    }
    let mut batch = Vec::with_capacity(deliveries.len());
    let mut unfit = Vec::with_capacity(deliveries.len());
    let mut handle = |session: &mut MessagingSession<'_>| {
        unfit.extend(deliveries.iter().map(|delivery| add(&mut batch, delivery)));
        match batch.is_empty() {
            true => Ok(()),
            false => handler(session, &batch),
        }
    };
    let whole = in_span(span_of(deliveries), || {
        let handled = match middleware.is_empty() {
            true => handle(session),
            false => {
                let incoming: Vec<Incoming<'_>> =
                    deliveries.iter().map(Attempt::incoming).collect();
                middleware.around(session, &incoming, &mut handle)
            }
        };
        match handled {
            Ok(()) => Ending::Done,
            Err(error) => Ending::failed(&error),
        }
    });
    // A middleware may have kept all of them from the handler.
    unfit.resize_with(deliveries.len(), || None);
    let said: Vec<Ending> = batch.into_iter().map(said_of).collect();
    let whole = whole.explained_by(&said);
    let mut said = said.into_iter();
    let each: Vec<Ending> = unfit
        .into_iter()
        .map(|unfit| {
            let said = if unfit.is_none() { said.next() } else { None };
            unfit
                .or_else(|| whole.repeated())
                .or(said)
                .unwrap_or(Ending::Done)
        })
        .collect();
    Ended {
        each,
        is_done: matches!(whole, Ending::Done),
    }
}

/// Decodes a message and adds it to the batch; returns why, if it cannot be.
fn add<T: DeserializeOwned>(
    batch: &mut Vec<BatchMessage<T>>,
    delivery: &Attempt<'_>,
) -> Option<Ending> {
    let decoded = caught(|| match delivery.incoming().decode() {
        Ok(message) => {
            batch.push(BatchMessage::new(message));
            Ending::Done
        }
        Err(error) => Ending::Undecodable(error),
    });
    (!matches!(decoded, Ending::Done)).then_some(decoded)
}

/// Reads what a handler said of one message, which is what it comes to if the batch is kept.
fn said_of<T>(message: BatchMessage<T>) -> Ending {
    let (message, failure) = message.into_parts();
    // What is done stays done, however its payload goes.
    discard(message);
    caught(move || failure.as_ref().map_or(Ending::Done, Ending::kept))
}
