//! One worker's transactions: claim, handle, settle, commit, and on to the next.
//!
//! The hot path. A transaction is three parts: a claim; the handlers, each in a savepoint that is
//! opened when it first uses its session; and one last flight,
//! `RELEASE …; send…; acknowledge; COMMIT; BEGIN; claim`, which ends this transaction and begins
//! the next in one round trip. More than a few messages that handlers sent are stored just before,
//! in one statement. Only failures cost more.
//!
//! If any step fails, the transaction is gone with all in it, and the error says why; `blame`
//! decides what that means for the messages that had been in hand.

use crate::connect::connection::Connection;
use crate::connect::pulse::Pulse;
use crate::db::silence::Hold;
use crate::message::claimed::Claimed;
use crate::message::outcome::{Decision, Outcome};
use crate::rate_limit::Grant;
use crate::rate_limit::tokens::{self, Allowance};
use crate::receive::claim::{self, Taken};
use crate::receive::progress::Hand;
use crate::receive::settle::Settlement;
use crate::receive::shared_state::SharedState;
use crate::receive::transaction::batch;
use crate::receive::transaction::blame;
use crate::receive::transaction::careful;
use crate::receive::transaction::claim::claim_messages;
use crate::receive::transaction::committed_by_handler::{is_committed, take_up};
use crate::receive::transaction::eligible::eligible;
use crate::receive::transaction::handle::handle;
use crate::receive::transaction::last_flight::{announce, commit_or_charge};
use crate::receive::transaction::notes;
use crate::receive::transaction::split::{Sharing, Split};
use crate::receive::transaction::write_charges;
use crate::receive::worker_state::{Worked, WorkerState};
use crate::session::handler_session::HandlerSession;
use crate::threads::Stop;
use crate::words::error::{Error, Result};
use crate::words::sqlstate::classify;
use postgres::IsolationLevel;
use std::collections::HashMap;
use std::time::Instant;

/// Runs transactions on `connection` until nothing is ready or the stop is set.
///
/// # Errors
/// What ended a transaction other than a commit. Nothing of it happened, or, if the connection
/// broke during COMMIT, all of it; either way the messages' rows say which.
pub(crate) fn run_transactions(
    shared: &SharedState,
    connection: &mut Connection,
    state: &mut WorkerState<'_>,
    stop: &Stop,
) -> Result<Worked> {
    shared.end_transaction(state.worker);
    write_charges::write_all(shared, connection, state)?;
    state.let_go(connection, &shared.topic)?;
    shared.limits.give_back_keys(connection, &mut state.unspent);
    if shared.is_paused() {
        return Ok(Worked::Idle(None));
    }
    if shared.station.is_suspect() {
        let waker = &shared.base.waker;
        shared.asking.ask(connection, waker, &shared.topic)?;
    }
    shared.limits.ensure_slots(connection)?;
    let mut allowance = match shared.limits.before(connection, state.pace.size())? {
        Ok(allowance) => allowance,
        Err(wait) => return Ok(Worked::Idle(Some(wait))),
    };
    let worked = transactions(shared, connection, state, &mut allowance, stop);
    shared.limits.leave(allowance);
    if matches!(worked, Ok(Worked::Idle(_) | Worked::UsedUp(_))) || stop.is_set() {
        shared.limits.give_back(connection);
        shared.limits.give_back_keys(connection, &mut state.unspent);
    }
    match worked {
        Ok(Worked::Idle(None)) if !state.charges.is_empty() => Ok(Worked::Idle(Some(blame::OWED))),
        worked => worked,
    }
}

/// Runs transactions until nothing is ready, the allowance is spent, or the stop is set.
fn transactions(
    shared: &SharedState,
    connection: &mut Connection,
    state: &mut WorkerState<'_>,
    allowance: &mut Allowance,
    stop: &Stop,
) -> Result<Worked> {
    let pulse = connection.pulse.clone();
    let transaction = connection
        .begin(Some(IsolationLevel::ReadCommitted))
        .map_err(|error| classify(error, "beginning a transaction"))?;
    // What several messages share has no result.
    let mut session =
        HandlerSession::begun(&shared.base.process, transaction, shared.batch.is_none());
    let is_careful = shared.receiver.is_some() && shared.station.is_suspect();
    let look = if is_careful { state.look } else { 0 };
    let size = allowance.size.max(look);
    let mut most = allowance.size;
    let mut taken = claim_messages(shared, &mut session, size)?;
    while !taken.messages.is_empty() {
        hold(shared, pulse.as_deref(), &taken);
        if stop.is_set() || shared.is_paused() {
            return let_all_go(shared, session);
        }
        if taken.is_full {
            // There may be more than one worker's share.
            shared.station.ring(1);
        }
        let mut _pass = None;
        let started = Instant::now();
        if notes::are_needed(shared, &taken, is_careful) {
            _pass = notes::write(shared, &mut session, state, &mut taken, is_careful, most)?;
            if taken.messages.is_empty() {
                end_empty(session)?;
                state.let_go(connection, &shared.topic)?;
                return Ok(after_nothing(state, &taken, size));
            }
            // In another transaction.
            hold(shared, pulse.as_deref(), &taken);
        }
        state.look = 0;
        let staging = is_careful.then(|| started.elapsed());
        state.pace.note_staging(staging.unwrap_or_default());
        let until = Until { stop, is_careful };
        let next = transact(shared, &mut session, state, allowance, &mut taken, until)
            .inspect_err(|_| blame::note_stray(state, &taken.messages));
        match next? {
            Some(next) => {
                taken = next;
                most = state.pace.size();
            }
            None => {
                session.committed();
                return Ok(Worked::Again);
            }
        }
    }
    end_empty(session)?;
    Ok(idle(&taken))
}

/// Lets go of what was claimed while the stop or a pause was asked for: it is free again with the
/// end of the transaction.
fn let_all_go(shared: &SharedState, session: HandlerSession<'_>) -> Result<Worked> {
    shared.floors().forget();
    end_empty(session)?;
    Ok(Worked::Again)
}

/// Notes one of the messages that the open transaction holds, where the server process is not
/// known: if the connection is lost, it is found by that. The note may stay when the transaction
/// has ended; who holds the message later began later.
fn hold(shared: &SharedState, pulse: Option<&Pulse>, taken: &Taken) {
    let Some(pulse) = pulse.filter(|pulse| pulse.process().is_none()) else {
        return;
    };
    pulse.set_hold(taken.messages.first().map(|message| Hold {
        topic: shared.topic.clone(),
        position: message.held.position,
        since: Instant::now(),
    }));
}

/// Says how long to wait for what could not be claimed.
fn idle(taken: &Taken) -> Worked {
    match taken.is_used_up {
        true => Worked::UsedUp(taken.wait),
        false => Worked::Idle(taken.wait),
    }
}

/// Says how to go on when nothing of what was claimed may begin, or others got all of it.
fn after_nothing(state: &mut WorkerState<'_>, taken: &Taken, looked_at: usize) -> Worked {
    if taken.is_used_up {
        return idle(taken);
    }
    if !taken.is_held_up {
        return Worked::Again;
    }
    let further = careful::look_further(looked_at);
    if taken.is_full && further > looked_at {
        state.look = further;
        return Worked::Again;
    }
    state.look = 0;
    Worked::Idle(Some(careful::COME_BACK))
}

/// What ends a worker's transactions beside what they find.
#[derive(Clone, Copy)]
struct Until<'a> {
    stop: &'a Stop,
    /// Whether the topic is suspect, which lets no transaction claim in the flight of another.
    is_careful: bool,
}

/// Returns whether a transaction that began then is to take no further message.
fn is_over(shared: &SharedState, state: &WorkerState<'_>, stop: &Stop, started: Instant) -> bool {
    let is_late = || started.elapsed() > state.pace.budget();
    stop.is_set() || shared.is_paused() || (shared.options.per_transaction.is_none() && is_late())
}

/// Handles what was claimed, settles and commits. Returns the next claim if the flight made one.
fn transact(
    shared: &SharedState,
    session: &mut HandlerSession<'_>,
    state: &mut WorkerState<'_>,
    allowance: &mut Allowance,
    taken: &mut Taken,
    until: Until<'_>,
) -> Result<Option<Taken>> {
    let Until { stop, is_careful } = until;
    let mut hand = Hand::default();
    let started = Instant::now();
    let grants = taken.grants.take();
    let taken = &*taken;
    let mut decided = Vec::with_capacity(taken.messages.len());
    let admitted = admit(shared, state, taken, grants, &mut decided);
    let split = Split::of(shared.batch, shared.terms().max_attempts, admitted, taken);
    for (begun, message) in split.alone.iter().enumerate() {
        let is_enough =
            begun >= split.most_alone || session.has_set() || is_over(shared, state, stop, started);
        let goes_apart = |begun: usize| blame::go_apart(shared, &split.alone[begun - 1..=begun]);
        if begun > 0 && (is_enough || goes_apart(begun)) {
            leave(shared, state, &split.alone[begun..]);
            break;
        }
        allowance.spend(1);
        shared.progress.take(&mut hand);
        shared.concurrency.handler_begins(state.worker);
        let sharing = Sharing::of(message, taken, &split);
        handle_alone(
            shared,
            session,
            state,
            taken,
            &mut decided,
            message,
            sharing,
        )?;
    }
    let together = split.together.as_slice();
    let begun_together = batch::handle(
        shared,
        session,
        state,
        together,
        stop,
        &mut hand,
        &mut decided,
    )
    .or_else(|error| {
        go_on(shared, session, state, taken, &mut decided, together, error).map(|()| together.len())
    })?;
    session.restore()?;
    allowance.spend(begun_together);
    state.pace.learn(decided.len(), started.elapsed());
    state.pace.note_thin(split.is_thin);
    let is_chained = may_chain(shared, state, stop, is_careful) && !session.is_spent();
    settle(shared, session, state, taken, decided, is_chained)
}

/// Returns which messages are to be handled now, and decides about the others. What is not to be
/// handled any more goes first: it has no need of a token, and must not be put off for want of one.
fn admit<'m>(
    shared: &SharedState,
    state: &mut WorkerState<'_>,
    taken: &'m Taken,
    mut grants: Option<HashMap<String, Grant>>,
    decided: &mut Vec<Decision<'m>>,
) -> Vec<&'m Claimed> {
    let fit = eligible(shared, state.worker, taken, decided);
    let admitted = shared.limits.after(&mut grants, fit, decided);
    state.unspent.extend(tokens::unspent(grants));
    admitted
}

/// Settles and commits, and says so to all whom it concerns. Returns the next claim if the flight
/// made one.
fn settle<'m>(
    shared: &SharedState,
    session: &mut HandlerSession<'_>,
    state: &mut WorkerState<'_>,
    taken: &'m Taken,
    decided: Vec<Decision<'m>>,
    is_chained: bool,
) -> Result<Option<Taken>> {
    let gave_back = decided.len() < taken.messages.len();
    let mut settled = Settlement::of(decided);
    let next = commit_or_charge(shared, session, state, taken, &mut settled, is_chained)?;
    announce(shared, &settled, next.is_some());
    if let Some(next) = &next {
        let is_done = |outcome: &&Outcome| matches!(outcome, Outcome::Done(_));
        let handled = settled.outcomes().filter(is_done).count();
        shared
            .concurrency
            .learn(handled, next.is_full, Instant::now());
    }
    if gave_back || settled.left > 0 {
        shared.station.ring(1);
    }
    Ok(next)
}

/// Handles one message and adds what becomes of it.
fn handle_alone<'m>(
    shared: &SharedState,
    session: &mut HandlerSession<'_>,
    state: &mut WorkerState<'_>,
    taken: &Taken,
    decided: &mut Vec<Decision<'m>>,
    message: &'m Claimed,
    sharing: Sharing,
) -> Result<()> {
    match handle(
        shared,
        session,
        state,
        message,
        taken.crashes(message),
        sharing,
    ) {
        Ok(outcome) => decided.push((&message.held, outcome)),
        Err(error) => go_on(shared, session, state, taken, decided, &[message], error)?,
    }
    if session.has_set() {
        // So it may be with the next one, and what is taken with it would only go back.
        state.pace.single();
    }
    Ok(())
}

/// Leaves messages that are not begun: they are free again with the commit, and the floor must not
/// hide them.
fn leave(shared: &SharedState, state: &mut WorkerState<'_>, unbegun: &[&Claimed]) {
    let places = unbegun.iter().map(|message| message.held.position);
    claim::lower(&shared.floors, places);
    state.unspent.extend(shared.limits.unbegun(unbegun));
}

/// Goes on with the other messages of a transaction that a handler committed; any other error ends
/// it.
fn go_on<'m>(
    shared: &SharedState,
    session: &mut HandlerSession<'_>,
    state: &mut WorkerState<'_>,
    taken: &Taken,
    decided: &mut Vec<Decision<'m>>,
    handled: &[&'m Claimed],
    error: Error,
) -> Result<()> {
    match is_committed(&error) {
        true => {
            // What it shared a check with is there for good, too.
            state
                .entered
                .iter_mut()
                .for_each(|charge| charge.is_bundled = false);
            take_up(shared, session, taken, decided, handled, &error).map_err(|_| error)
        }
        false => Err(error),
    }
}

/// Returns whether the flight that commits may claim what comes next.
fn may_chain(shared: &SharedState, state: &WorkerState<'_>, stop: &Stop, is_careful: bool) -> bool {
    // The slot of a limited topic goes with its transaction.
    let is_ordinary =
        !shared.options.is_strict && state.unspent.is_empty() && shared.limits.may_chain();
    let is_hindered = has_to_turn(shared, is_careful)
        || shared.is_paused()
        || shared.floors().is_sweep_due(Instant::now());
    let goes_on = !stop.is_set() && !is_hindered && !has_to_read(shared, state);
    is_ordinary && goes_on && !shared.concurrency.is_over()
}

/// Returns whether a worker that takes care, or does not, has to turn around before it claims
/// again: since it should not, or should, from now on, or since it is time to ask for the end of
/// the suspicion.
fn has_to_turn(shared: &SharedState, is_careful: bool) -> bool {
    let is_suspect = shared.station.is_suspect();
    is_suspect != is_careful || (is_suspect && shared.asking.is_time())
}

/// Returns whether the settings of topics are to be read between two transactions.
fn has_to_read(shared: &SharedState, state: &WorkerState<'_>) -> bool {
    state.reads_settings && !shared.base.process.configs.is_fresh()
}

/// Ends a transaction that claimed nothing.
fn end_empty(session: HandlerSession<'_>) -> Result<()> {
    session.end("ending a claim")
}
