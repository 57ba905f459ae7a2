//! One leased message: its handler without a transaction, and what becomes of it.
//!
//! A handler that used its session has a transaction, and the end of its lease joins it; one that
//! did not needs a single statement. Each message is settled alone, so what fails concerns it
//! alone, and there is nobody else to charge. What cannot be written because the connection broke
//! is owed, and written on the next one.

use crate::connect::connection::Connection;
use crate::leases::settle::{announce, extend, settle};
use crate::leases::{BEGIN, Proof};
use crate::message::claimed::Claimed;
use crate::message::outcome::Outcome;
use crate::message::report;
use crate::receive::claim;
use crate::receive::decide::{decide, refuse};
use crate::receive::handler::{Attempt, Ending, call_alone, conflict_behind};
use crate::receive::lease::acknowledge::acknowledge_in;
use crate::receive::leases_in_hand::InHand;
use crate::receive::options::Terms;
use crate::receive::progress::Hand;
use crate::receive::shared_state::SharedState;
use crate::receive::transaction::blame::{MAX_CONFLICTS, MAX_LOSSES};
use crate::receive::transaction::committed_by_handler::is_committed;
use crate::receive::worker_state::{Owed, WorkerState};
use crate::session::handler_session::HandlerSession;
use crate::words::error::{Error, ErrorKind, Result, chain};
use crate::words::handler_error::HandlerError;
use crate::words::sqlstate::{Failure, failure_of, is_miscounted};
use std::slice::from_ref;
use std::time::Duration;

/// How long a message is left alone whose handler sends while a sequence is behind its table.
const UNTIL_MIGRATED: Duration = Duration::from_secs(5);

/// Handles one message, unless it is not to be begun, and settles.
pub(crate) fn deliver(
    shared: &SharedState,
    connection: &mut Connection,
    state: &mut WorkerState<'_>,
    in_hand: &InHand<'_>,
    lease: Duration,
) -> Result<()> {
    let terms = shared.terms();
    let refused = match is_asked_for(shared, connection, in_hand, lease)? {
        true => Some(Outcome::Cancelled),
        false => refuse(&in_hand.message, in_hand.message.attempts, 0, &terms),
    };
    if let Some(outcome) = refused {
        return end(shared, connection, state, in_hand.proof.clone(), outcome);
    }
    let mut decided = Vec::new();
    let message = &in_hand.message;
    let mut grants = shared.limits.ask(connection, &[message])?;
    shared
        .limits
        .after(&mut grants, vec![message], &mut decided);
    match decided.pop() {
        Some((_, put_off)) => end(shared, connection, state, in_hand.proof.clone(), put_off),
        None => begin(shared, connection, state, in_hand, &terms),
    }
}

/// Returns whether somebody asked since the claim that a message be given up. What this process
/// heard may be over by now, so the row has the last word; it says it again when the lease ends.
fn is_asked_for(
    shared: &SharedState,
    connection: &mut Connection,
    in_hand: &InHand<'_>,
    lease: Duration,
) -> Result<bool> {
    if !shared.base.waker.asked.contains(in_hand.message.held.id) {
        return Ok(false);
    }
    let proof = &in_hand.proof;
    let extended = extend(connection, &shared.topic, &[proof], lease)?;
    Ok(extended.get(&proof.receipt).copied().unwrap_or(true))
}

/// Runs the handler of one message and settles.
fn begin(
    shared: &SharedState,
    connection: &mut Connection,
    state: &mut WorkerState<'_>,
    in_hand: &InHand<'_>,
    terms: &Terms,
) -> Result<()> {
    let message = &in_hand.message;
    let mut hand = Hand::default();
    shared.progress.take(&mut hand);
    shared.concurrency.handler_begins(state.worker);
    let delivery = attempt(shared, in_hand, terms);
    let mut session = HandlerSession::on_demand(&shared.base.process, connection);
    let ending = session.part(|session| call_alone(state.handler, session, &delivery));
    if session.has_begun() {
        let what = format_args!("message {}", message.held.id);
        shared.warn_if_slow(&what, session.since_begin());
    }
    shared.concurrency.flight_begins(state.worker);
    if let Some(ended) = session.ended() {
        drop(session);
        let outcome = after_its_end(terms, message, &ended);
        let written = end(shared, connection, state, in_hand.proof.clone(), outcome);
        return written.map_err(|_| ended);
    }
    let ending = match ending {
        Ending::Done if session.is_untouched() => {
            let outcome = Outcome::Done(session.take_result());
            drop(session);
            return end(shared, connection, state, in_hand.proof.clone(), outcome);
        }
        Ending::Done => match commit(shared, session, &in_hand.proof) {
            Ok(is_settled) => {
                state.conflicts = 0;
                shared.progress.count(is_settled.into(), 0, 0);
                if !is_settled {
                    warn_lost(shared, &in_hand.proof);
                }
                return Ok(());
            }
            Err(error) => trouble(shared, state, in_hand, &error),
        },
        ending => {
            let excuse = excuse(&mut session, &ending);
            drop(session);
            match excuse {
                Some(Failure::Lost) if !connection.is_closed() => Err(ending),
                Some(failure) => excused(shared, state, in_hand, failure),
                None => Err(ending),
            }
        }
    };
    let outcome = match ending {
        Ok(outcome) => outcome,
        Err(ending) => decide(terms, message.attempts, ending),
    };
    end(shared, connection, state, in_hand.proof.clone(), outcome)
}

fn attempt<'a>(shared: &'a SharedState, in_hand: &'a InHand<'_>, terms: &Terms) -> Attempt<'a> {
    Attempt {
        topic: &shared.topic,
        message: &in_hand.message,
        attempt: in_hand.message.attempts + 1,
        max_attempts: terms.max_attempts,
        cancel: in_hand.cancel.clone(),
    }
}

/// Decides about a message whose handler failed for a reason that may not be its fault.
fn excused(
    shared: &SharedState,
    state: &mut WorkerState<'_>,
    in_hand: &InHand<'_>,
    failure: Failure,
) -> std::result::Result<Outcome, Ending> {
    let kind = match failure {
        Failure::Hindered => {
            let message = &in_hand.message;
            return Ok(aside(shared, message, "others were in its way"));
        }
        Failure::Lost => ErrorKind::Unavailable,
        _ => ErrorKind::Conflict,
    };
    trouble(shared, state, in_hand, &Error::new(kind, "in a handler"))
}

/// Decides about a message whose handler ended its transaction: one that committed it is not to run
/// again.
fn after_its_end(terms: &Terms, message: &Claimed, ended: &Error) -> Outcome {
    let why = chain(ended);
    let ending = Ending::failed(&match is_committed(ended) {
        true => HandlerError::reject(why),
        false => HandlerError::failed(why),
    });
    decide(terms, message.attempts, ending)
}

/// Commits what the handler did, with the end of the lease. Returns false, with all of it rolled
/// back, when the lease was lost.
fn commit(shared: &SharedState, mut session: HandlerSession<'_>, proof: &Proof) -> Result<bool> {
    let result = session.take_result();
    if !acknowledge_in(session.store()?, &shared.topic, proof, result)? {
        return Ok(false);
    }
    let news = session.news();
    let committed = session.end("committing");
    shared.base.waker.announce(&news);
    committed?;
    claim::await_next(&shared.floors, [&proof.held].into_iter());
    shared.base.waker.announce_ends([&proof.held].into_iter());
    Ok(true)
}

/// Decides what a failure means that may not be the message's fault: a outcome without an attempt
/// spent, or how its handler is to be taken to have ended.
fn trouble(
    shared: &SharedState,
    state: &mut WorkerState<'_>,
    in_hand: &InHand<'_>,
    error: &Error,
) -> std::result::Result<Outcome, Ending> {
    let message = &in_hand.message;
    let failed = || Ending::failed(&HandlerError::failed(chain(error)));
    match failure_of(error) {
        Some(Failure::Overlong) => return Err(failed()),
        // Its end may have been what others were in the way of.
        Some(Failure::Hindered) => return Ok(aside(shared, message, &chain(error))),
        _ if is_miscounted(error) => return Ok(aside(shared, message, &chain(error))),
        _ => {}
    }
    match error.kind() {
        ErrorKind::Unavailable => {
            if shared.count_loss(message.held.id) > MAX_LOSSES {
                return Err(failed());
            }
            Ok(Outcome::GiveBack { counts: false })
        }
        ErrorKind::Conflict => {
            state.conflicts += 1;
            if state.conflicts > MAX_CONFLICTS {
                state.conflicts = 0;
                return Err(failed());
            }
            // Not all at once again.
            let delay = fastrand::u64(5..50) * u64::from(state.conflicts);
            let delay = Duration::from_millis(delay);
            Ok(Outcome::put_off(message.attempts, delay, chain(error)))
        }
        // Nobody's fault here, and every send's until somebody migrates.
        ErrorKind::SequenceBehind => {
            let why = chain(error);
            Ok(Outcome::put_off(message.attempts, UNTIL_MIGRATED, why))
        }
        _ => Err(failed()),
    }
}

/// Leaves a message alone for a while, longer each time, without an attempt spent.
fn aside(shared: &SharedState, message: &Claimed, why: &str) -> Outcome {
    Outcome::put_off(message.attempts, shared.set_aside(message.held.id), why)
}

/// Returns what excuses a handler that failed: a conflict, a lost connection, or others in its way.
fn excuse(session: &mut HandlerSession<'_>, ending: &Ending) -> Option<Failure> {
    if conflict_behind(session, from_ref(ending)).is_some() {
        return Some(Failure::Conflict);
    }
    match ending.said()? {
        Failure::Lost => Some(Failure::Lost),
        Failure::Hindered if session.is_in_doubt() && ending.retryable().is_some() => {
            Some(Failure::Hindered)
        }
        _ => None,
    }
}

/// Ends a lease in a transaction of its own. What cannot be written is owed.
fn end(
    shared: &SharedState,
    connection: &mut Connection,
    state: &mut WorkerState<'_>,
    proof: Proof,
    outcome: Outcome,
) -> Result<()> {
    let written = write(shared, connection, &proof, &outcome);
    if written.is_err() {
        state.owed.push(Owed { proof, outcome });
    }
    written
}

/// Settles one lease, counts and announces.
pub(crate) fn write(
    shared: &SharedState,
    connection: &mut Connection,
    proof: &Proof,
    outcome: &Outcome,
) -> Result<()> {
    let outcomes = [(proof, outcome)];
    if settle(connection, &BEGIN, &shared.topic, &outcomes)?.is_empty() {
        warn_lost(shared, proof);
        return Ok(());
    }
    match outcome {
        Outcome::Done(_) => shared.progress.count(1, 0, 0),
        Outcome::Retry { .. } => shared.progress.count(0, 1, 0),
        Outcome::Dead { .. } => shared.progress.count(0, 0, 1),
        Outcome::GiveBack { .. } | Outcome::Cancelled => shared.floors().lower(proof.held.position),
        Outcome::Dropped => shared.progress.count_dropped(1),
    }
    let most = shared.terms().max_attempts;
    report::outcome(&shared.topic, proof.held.id, outcome, None, most);
    // Also where it did not end: what is looked at once more is little.
    claim::await_next(&shared.floors, [&proof.held].into_iter());
    announce(
        &shared.base.waker,
        &shared.topic,
        [(proof, outcome)].into_iter(),
    );
    Ok(())
}

fn warn_lost(shared: &SharedState, proof: &Proof) {
    log::warn!(
        "topic {}: the lease of message {} was lost before it was settled; what its handler wrote was rolled back",
        shared.topic,
        proof.held.id
    );
}
