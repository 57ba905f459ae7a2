//! Whose fault it was: what the failure of a whole transaction means for its messages.
//!
//! A rollback also undoes "one more failed attempt", so a charge is written in a transaction of its
//! own. Only a message that is certainly to blame is charged:
//!
//! - COMMIT was refused. Deferred constraints and their triggers are checked just before COMMIT in
//!   the same flight, and their work is undone while the messages are held, since after a failed
//!   COMMIT others may be quicker. A message alone in its transaction is charged; several are taken
//!   apart (`handle`). What only COMMIT itself refuses is charged to a message that was alone; if
//!   there were several, none is charged, and they go one by one for a while.
//! - A handler's own SQL ended the transaction: its message is charged, and the others run again.
//!   See `committed_by_handler` for one that committed it.
//! - A conflict (serialization failure, deadlock): none is charged, and the transaction runs again.
//!   After ten in a row it counts as refused.
//! - A message could not be settled for no known reason (its row is gone, or something keeps it):
//!   none is charged. A message that cannot be settled even alone is set aside for a while, in its
//!   place, so that it holds up no others.
//! - The connection broke: none is charged, since servers restart. But a message in whose handler
//!   it broke three times is charged, since it may be the cause (an idle-in-transaction timeout, a
//!   query that crashes its server process).

use crate::connect::transaction::OpenTransaction;
use crate::message::claimed::Claimed;
use crate::observe::fields::told;
use crate::receive::charge::Charge;
use crate::receive::handler::{Ending, conflict_behind};
use crate::receive::shared_state::SharedState;
use crate::receive::telling;
use crate::receive::transaction::worker_transaction::WorkerTransaction;
use crate::receive::worker_state::WorkerState;
use crate::session::caller_sql::EndedTransaction;
use crate::session::handler_session::HandlerSession;
use crate::words::sqlstate::{Said, failure_of, is_interrupted, is_miscounted};
use crate::words::{Error, ErrorKind, Failure, chain};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Conflicts in a row that are nobody's fault.
pub(crate) const MAX_CONFLICTS: u32 = 10;
/// Broken connections in the handler of one message that are nobody's fault.
pub(crate) const MAX_LOSSES: u32 = 2;

/// When a worker that has nothing to do tries again.
pub(crate) const OWED: Duration = Duration::from_secs(1);

/// Decides who is charged with `error`, which ended the open transaction.
///
/// Returns whether the messages in it were to blame: then the database is well, and the next
/// transaction need not wait. Meanwhile the one at fault is free, and others would run it again.
pub(crate) fn judge(shared: &SharedState, state: &mut WorkerState<'_>, error: &Error) -> bool {
    shared.floors().forget();
    telling::tell_undone(
        shared.observers(),
        &mut state.deliveries,
        &shared.topic,
        error,
    );
    let mut entered = std::mem::take(&mut state.entered);
    let stray = std::mem::take(&mut state.stray);
    if let Some(ended) = error.cause::<EndedTransaction>() {
        // Only the one that was running can have done it; of a batch nobody knows which.
        let last = entered.pop().into_iter();
        entered = last.filter(|charge| !charge.is_shared).collect();
        for charge in &mut entered {
            charge.is_final = ended.is_committed;
        }
    }
    charge_failed(shared, state, entered, stray, error)
}

fn charge_failed(
    shared: &SharedState,
    state: &mut WorkerState<'_>,
    mut entered: Vec<Charge>,
    stray: Vec<Charge>,
    error: &Error,
) -> bool {
    let failure = failure_of(error);
    let is_unsettled = state.take_unsettled(error) || is_miscounted(error);
    if is_unsettled || is_interrupted(error) || failure == Some(Failure::Hindered) {
        set_aside(shared, state, stray);
        return false;
    }
    let is_charged = match error.kind() {
        ErrorKind::Unavailable if failure == Some(Failure::Overlong) => {
            if entered.len() != 1 || entered[0].is_shared {
                // The last one may have met what another one did.
                state.pace.single();
                return false;
            }
            true
        }
        ErrorKind::Unavailable => {
            // Only the one that was running can have done it.
            entered = entered.pop().into_iter().collect();
            if entered.first().is_some_and(|charge| charge.is_shared) {
                // One of a batch, and nobody knows which.
                state.pace.single();
                return false;
            }
            entered
                .first()
                .is_some_and(|charge| shared.count_loss(charge.held.id) > MAX_LOSSES)
        }
        ErrorKind::Conflict => {
            state.conflicts += 1;
            state.conflicts > MAX_CONFLICTS
        }
        // Nobody's fault here, and every send's until somebody migrates.
        ErrorKind::SequenceBehind => false,
        _ => true,
    };
    if !is_charged {
        return false;
    }
    state.conflicts = 0;
    let is_about_messages = !entered.is_empty();
    if let [charge] = entered.as_mut_slice() {
        charge.error = chain(error);
        charge.mark = Some(Arc::new(shared.pending_charges.mark(charge.held.id)));
        state.charges.append(&mut entered);
    } else {
        // Whoever of the process has the one at fault next is to have it alone.
        shared.refusals.fetch_add(1, Ordering::Relaxed);
        shared.meets_refusals.store(true, Ordering::Relaxed);
        state.pace.single();
    }
    is_about_messages
}

/// Leaves the one message alone that a transaction met trouble with; of several, nobody knows which
/// one it was, so that the next transactions take one each.
fn set_aside(shared: &SharedState, state: &mut WorkerState<'_>, mut stray: Vec<Charge>) {
    let Some(charge) = stray.pop() else { return };
    if !stray.is_empty() {
        state.pace.single();
        return;
    }
    let delay = shared.set_aside(charge.held.id);
    tracing::warn!(
        topic = told(&shared.topic),
        "topic {}: message {} is left alone for {delay:?}",
        shared.topic,
        charge.held.id
    );
    state.charges.push(charge.aside(delay));
}

/// Notes whether a COMMIT of several messages was refused at another worker: then this one takes
/// them one by one for a while, too.
pub(crate) fn heed_refusals(shared: &SharedState, state: &mut WorkerState<'_>) {
    let refusals = shared.refusals.load(Ordering::Relaxed);
    if refusals != state.refusals {
        state.refusals = refusals;
        state.pace.single();
    }
}

/// Returns whether of two messages one after the other each is to have its own transaction: one has
/// failed before, and COMMITs of several were refused here.
pub(crate) fn go_apart(shared: &SharedState, pair: &[&Claimed]) -> bool {
    shared.meets_refusals.load(Ordering::Relaxed) && pair.iter().any(|message| message.attempts > 0)
}

/// Returns the message that is in the transaction alone, if one is.
pub(crate) fn only<'s>(state: &'s WorkerState<'_>) -> Option<&'s Charge> {
    match state.entered.as_slice() {
        [charge] if !charge.is_shared => Some(charge),
        _ => None,
    }
}

/// Notes what was taken in a transaction that failed.
pub(crate) fn note_stray(state: &mut WorkerState<'_>, taken: &[Claimed]) {
    state.stray = taken.iter().map(|message| Charge::of(message, 0)).collect();
}

impl WorkerTransaction<'_, '_, '_> {
    /// Returns why nobody is to blame for how a handler ended, if so.
    pub(crate) fn excuse(&mut self, endings: &[Ending]) -> Option<Error> {
        excuse(&mut self.session, &self.shared.topic, endings)
    }
}

/// Returns why nobody is to blame for how a handler ended, if so: others were in its way, or the
/// server ended its transaction, which is told from the message's own failures by what comes of it.
pub(crate) fn excuse(
    session: &mut HandlerSession<'_>,
    topic: &str,
    endings: &[Ending],
) -> Option<Error> {
    if let Some(text) = conflict_behind(session, endings) {
        let text = format!("conflict in a handler of topic {topic}: {text}");
        return Some(Error::new(ErrorKind::Conflict, text));
    }
    let unavailable =
        |text, failure| Some(Error::new(ErrorKind::Unavailable, text).because(Said(failure)));
    if session.is_overlong() {
        let text = format!(
            "the server ended the transaction of a handler of topic {topic}: it took longer than the server allows"
        );
        return unavailable(text, Failure::Overlong);
    }
    let said = |wanted: Failure| {
        let mut endings = endings.iter();
        endings.find(|ending| ending.said() == Some(wanted))
    };
    let (failure, ending) = match said(Failure::Overlong) {
        Some(ending) => (Failure::Overlong, ending),
        None if session.is_in_doubt() => (Failure::Hindered, said(Failure::Hindered)?),
        None => return None,
    };
    let text = ending.retryable()?;
    if failure == Failure::Overlong && session.open().is_ok_and(OpenTransaction::is_alive) {
        // Some connection of the handler's own.
        return None;
    }
    unavailable(format!("in a handler of topic {topic}: {text}"), failure)
}
