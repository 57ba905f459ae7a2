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

use crate::message::claimed::Claimed;
use crate::message::outcome::{Decision, Outcome};
use crate::receive::batch_message::BatchMessage;
use crate::receive::bundle;
use crate::receive::charge::{self, Charge};
use crate::receive::claim::Taken;
use crate::receive::decide::decide;
use crate::receive::handler::{Delivery, Ended, Ending, caught, message};
use crate::receive::line::Line;
use crate::receive::options::{MAX_PER_TRANSACTION, Options, Terms};
use crate::receive::progress::Hand;
use crate::receive::ration;
use crate::receive::state::State;
use crate::session::handler_session::HandlerSession;
use crate::session::messaging_session::MessagingSession;
use crate::session::savepoint::Check;
use crate::threads::Stop;
use crate::words::error::{Error, Result};
use crate::words::handler_error::HandlerError;
use crate::words::message::CancelToken;
use crate::words::panics::discard;
use serde::de::DeserializeOwned;
use std::time::Instant;

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
    session: &mut MessagingSession<'_>,
    deliveries: &[Delivery<'_>],
) -> Ended
where
    T: DeserializeOwned,
    F: FnMut(&mut MessagingSession<'_>, &[BatchMessage<T>]) -> Result<(), HandlerError>,
{
    let mut batch = Vec::with_capacity(deliveries.len());
    let unfit: Vec<Option<Ending>> = deliveries
        .iter()
        .map(|delivery| {
            let decoded = caught(|| match message(delivery) {
                Ok(message) => {
                    batch.push(BatchMessage::new(message));
                    Ending::Done
                }
                Err(error) => Ending::Undecodable(error),
            });
            (!matches!(decoded, Ending::Done)).then_some(decoded)
        })
        .collect();
    let whole = match batch.is_empty() {
        true => Ending::Done,
        false => caught(|| match handler(session, &batch) {
            Ok(()) => Ending::Done,
            Err(error) => Ending::failed(&error),
        }),
    };
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

/// Reads what a handler said of one message, which is what it comes to if the batch is kept.
fn said_of<T>(message: BatchMessage<T>) -> Ending {
    let (message, failure) = message.into_parts();
    // What is done stays done, however its payload goes.
    discard(message);
    caught(move || failure.as_ref().map_or(Ending::Done, Ending::kept))
}

/// The messages of a transaction, by how they are handled.
pub(crate) struct Split<'a> {
    /// One after the other.
    pub(crate) alone: Vec<&'a Claimed>,
    /// In one call, after those.
    pub(crate) together: Vec<&'a Claimed>,
    /// The most of those that go alone.
    pub(crate) most_alone: usize,
    /// Whether most messages have to go alone although batches are wanted.
    pub(crate) is_thin: bool,
}

impl<'a> Split<'a> {
    pub(crate) fn of(line: &Line, messages: Vec<&'a Claimed>, taken: &Taken) -> Self {
        let is_bundled = |message: &&Claimed| !bundle::is_last_attempt(line, message, taken);
        if line.batch.is_none() {
            let mut alone = messages;
            // Stable: those with one attempt left go first.
            alone.sort_by_key(is_bundled);
            return Split {
                alone,
                together: Vec::new(),
                most_alone: MAX_PER_TRANSACTION,
                is_thin: false,
            };
        }
        let may_fail = line.terms().max_attempts > 1;
        let (together, mut alone): (Vec<_>, Vec<_>) = messages
            .into_iter()
            .partition(|message| may_fail && message.attempts + taken.crashes(message) == 0);
        alone.sort_by_key(is_bundled);
        Split {
            is_thin: alone.len() > together.len(),
            alone,
            together,
            // The batch takes a savepoint, too.
            most_alone: MAX_PER_TRANSACTION - 1,
        }
    }
}

/// Runs the handler of the messages that go together, if there are any, and adds what becomes of
/// them. Returns how many that were.
pub(crate) fn handle<'m>(
    line: &'m Line,
    session: &mut HandlerSession<'_>,
    state: &mut State<'_>,
    together: &[&'m Claimed],
    stop: &Stop,
    hand: &mut Hand<'m>,
    decided: &mut Vec<Decision<'m>>,
) -> Result<usize> {
    let (Some(_), Some(first)) = (line.batch, together.first()) else {
        return Ok(0);
    };
    let is_enough = stop.is_set() || line.is_paused() || session.has_set();
    if !decided.is_empty() && is_enough {
        line.floors().lower(first.held.position);
        state.unspent.extend(ration::unbegun(line, together));
        return Ok(0);
    }
    let terms = line.terms();
    let mut messages = Vec::with_capacity(together.len());
    for &message in together {
        line.progress.take(hand);
        match line.begin(state.worker, message.held.id) {
            Some(cancel) => messages.push((message, cancel)),
            None => decided.push((&message.held, Outcome::Cancelled)),
        }
    }
    if messages.is_empty() {
        return Ok(0);
    }
    let is_shared = messages.len() > 1;
    let check = match is_shared || !state.entered.is_empty() {
        true => Check::Bundled,
        false => Check::Only,
    };
    let is_bundled = check == Check::Bundled;
    let charge = |(message, _): &(&Claimed, CancelToken)| {
        Charge::of(message, 0)
            .shared(is_shared)
            .in_bundle(is_bundled)
    };
    state.entered.extend(messages.iter().map(charge));
    if is_bundled {
        session.join_bundle()?;
    }
    line.crew.handler_begins(state.worker);
    let deliveries = deliveries(line, &terms, messages);
    let started = Instant::now();
    let mut ended = session.part(|session| (state.handler)(session, &deliveries));
    line.warn_if_slow(
        &format_args!("{} messages", deliveries.len()),
        started.elapsed(),
    );
    let is_cancelled = leave(line, state.worker, &deliveries);
    if let Some(ended) = session.ended() {
        return Err(ended);
    }
    keep_or_undo(line, session, state, &mut ended, check)?;
    let endings = deliveries.iter().zip(ended.each).zip(is_cancelled);
    decided.extend(endings.map(|((delivery, ending), is_cancelled)| {
        let Claimed { held, attempts, .. } = delivery.message;
        let outcome = match is_cancelled && !matches!(ending, Ending::Done) {
            true => Outcome::Cancelled,
            false => decide(&terms, *attempts, ending),
        };
        (held, outcome)
    }));
    Ok(deliveries.len())
}

/// Notes that messages are not in hand any more; returns which of them were to be given up.
fn leave(line: &Line, worker: usize, deliveries: &[Delivery<'_>]) -> Vec<bool> {
    let slot = &line.in_hand[worker];
    // The last one first, as a slot likes it.
    let last_first = deliveries.iter().rev();
    let mut is_cancelled: Vec<bool> = last_first
        .map(|delivery| slot.end(delivery.message.held.id))
        .collect();
    is_cancelled.reverse();
    is_cancelled
}

fn deliveries<'a>(
    line: &'a Line,
    terms: &Terms,
    messages: Vec<(&'a Claimed, CancelToken)>,
) -> Vec<Delivery<'a>> {
    messages
        .into_iter()
        .map(|(message, cancel)| Delivery {
            topic: &line.topic,
            message,
            attempt: message.attempts + 1,
            max_attempts: terms.max_attempts,
            cancel,
        })
        .collect()
}

/// Keeps what was done, or undoes it; lets all fail if that is what it comes to.
fn keep_or_undo(
    line: &Line,
    session: &mut HandlerSession<'_>,
    state: &mut State<'_>,
    ended: &mut Ended,
    check: Check,
) -> Result<()> {
    let undone = match ended.is_done {
        true => Ending::undone(&session.keep(check)?),
        false => None,
    };
    if ended.is_done && undone.is_none() {
        // These entered last.
        let entered = state.entered.iter_mut().rev().zip(ended.each.iter().rev());
        entered.for_each(|(charge, ending)| charge.is_kept = matches!(ending, Ending::Kept(_)));
        return Ok(());
    }
    if let Some(excuse) = charge::excuse(line, session, &ended.each) {
        return Err(excuse);
    }
    if !ended.is_done {
        return session.undo();
    }
    for ending in &mut ended.each {
        if !matches!(ending, Ending::Undecodable(_))
            && let Some(failed) = undone.as_ref().and_then(Ending::repeated)
        {
            *ending = failed;
        }
    }
    Ok(())
}
