//! The messages of a transaction that are handled together, in one savepoint (see `receive/batch`).

use crate::message::claimed::Claimed;
use crate::message::outcome::{Decision, Outcome};
use crate::receive::charge::Charge;
use crate::receive::decide::decide;
use crate::receive::handler::{Attempt, Ended, Ending};
use crate::receive::options::Terms;
use crate::receive::progress::Hand;
use crate::receive::shared_state::SharedState;
use crate::receive::transaction::blame;
use crate::receive::worker_state::WorkerState;
use crate::session::handler_session::HandlerSession;
use crate::session::savepoint::Check;
use crate::threads::Stop;
use crate::words::error::Result;
use crate::words::message::CancelToken;
use std::time::Instant;

/// Runs the handler of the messages that go together, if there are any, and adds what becomes of
/// them. Returns how many that were.
pub(crate) fn handle<'m>(
    shared: &'m SharedState,
    session: &mut HandlerSession<'_>,
    state: &mut WorkerState<'_>,
    together: &[&'m Claimed],
    stop: &Stop,
    hand: &mut Hand<'m>,
    decided: &mut Vec<Decision<'m>>,
) -> Result<usize> {
    let (Some(_), Some(first)) = (shared.batch, together.first()) else {
        return Ok(0);
    };
    let is_enough = stop.is_set() || shared.is_paused() || session.has_set();
    if !decided.is_empty() && is_enough {
        shared.floors().lower(first.held.position);
        state.unspent.extend(shared.limits.unbegun(together));
        return Ok(0);
    }
    let terms = shared.terms();
    let mut messages = Vec::with_capacity(together.len());
    for &message in together {
        shared.progress.take(hand);
        match shared.begin(state.worker, message.held.id) {
            Some(cancel) => messages.push((message, cancel)),
            None => decided.push((&message.held, Outcome::Cancelled)),
        }
    }
    if messages.is_empty() {
        return Ok(0);
    }
    let check = enter(session, state, &messages)?;
    shared.concurrency.handler_begins(state.worker);
    let deliveries = deliveries(shared, &terms, messages);
    let started = Instant::now();
    let mut ended = session.part(|session| (state.handler)(session, &deliveries));
    shared.warn_if_slow(
        &format_args!("{} messages", deliveries.len()),
        started.elapsed(),
    );
    let is_cancelled = leave(shared, state.worker, &deliveries);
    if let Some(ended) = session.ended() {
        return Err(ended);
    }
    keep_or_undo(shared, session, state, &mut ended, check)?;
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

/// Notes who enters the transaction; returns how what is done for them is checked.
fn enter(
    session: &mut HandlerSession<'_>,
    state: &mut WorkerState<'_>,
    messages: &[(&Claimed, CancelToken)],
) -> Result<Check> {
    let is_shared = messages.len() > 1;
    let is_bundled = is_shared || !state.entered.is_empty();
    let charge = |(message, _): &(&Claimed, CancelToken)| {
        Charge::of(message, 0)
            .shared(is_shared)
            .in_bundle(is_bundled)
    };
    state.entered.extend(messages.iter().map(charge));
    if !is_bundled {
        return Ok(Check::Only);
    }
    session.join_bundle()?;
    Ok(Check::Bundled)
}

/// Notes that messages are not in hand any more; returns which of them were to be given up.
fn leave(shared: &SharedState, worker: usize, deliveries: &[Attempt<'_>]) -> Vec<bool> {
    let slot = &shared.in_hand[worker];
    // The last one first, as a slot likes it.
    let last_first = deliveries.iter().rev();
    let mut is_cancelled: Vec<bool> = last_first
        .map(|delivery| slot.end(delivery.message.held.id))
        .collect();
    is_cancelled.reverse();
    is_cancelled
}

fn deliveries<'a>(
    shared: &'a SharedState,
    terms: &Terms,
    messages: Vec<(&'a Claimed, CancelToken)>,
) -> Vec<Attempt<'a>> {
    messages
        .into_iter()
        .map(|(message, cancel)| Attempt {
            topic: &shared.topic,
            message,
            attempt: message.attempts + 1,
            max_attempts: terms.max_attempts,
            cancel,
        })
        .collect()
}

/// Keeps what was done, or undoes it; lets all fail if that is what it comes to.
fn keep_or_undo(
    shared: &SharedState,
    session: &mut HandlerSession<'_>,
    state: &mut WorkerState<'_>,
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
    if let Some(excuse) = blame::excuse(shared, session, &ended.each) {
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
