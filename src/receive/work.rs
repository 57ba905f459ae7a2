//! One worker's transactions: claim, handle, settle, commit, and on to the next.
//!
//! The hot path. A transaction is three parts: a claim; the handlers, each in a savepoint that is
//! opened when it first uses its session; and one last flight,
//! `RELEASE …; send…; acknowledge; COMMIT; BEGIN; claim`, which ends this transaction and begins
//! the next in one round trip. More than a few messages that handlers sent are stored just before,
//! in one statement. Only failures cost more.
//!
//! If any step fails, the transaction is gone with all in it, and the error says why; `charge`
//! decides what that means for the messages that had been in hand.

use crate::connect::connection::Connection;
use crate::connect::pulse::Pulse;
use crate::db::silence::Hold;
use crate::message::claimed::Claimed;
use crate::message::outcome::{Decision, Outcome};
use crate::receive::batch::{self, Split};
use crate::receive::bundle::{Way, handle};
use crate::receive::careful;
use crate::receive::charge;
use crate::receive::charged;
use crate::receive::claim::{self, Taken};
use crate::receive::ended;
use crate::receive::last_flight::{announce, commit_or_charge};
use crate::receive::line::Line;
use crate::receive::progress::Hand;
use crate::receive::ration::{self, Ration};
use crate::receive::settle::Settlement;
use crate::receive::sift::sift;
use crate::receive::slots;
use crate::receive::stage;
use crate::receive::state::State;
use crate::receive::take;
use crate::session::handler_session::HandlerSession;
use crate::threads::Stop;
use crate::words::error::{Error, Result};
use crate::words::sqlstate::classify;
use postgres::IsolationLevel;
use std::time::{Duration, Instant};

/// Why [`work`] ended.
#[derive(Debug)]
pub(crate) enum Worked {
    /// Nothing is ready, or not before this time is over.
    Idle(Option<Duration>),
    /// As many messages as the topic may have are in work: come back after this time, or when
    /// woken.
    UsedUp(Option<Duration>),
    /// There may be more: come back.
    Again,
}

/// Runs transactions on `connection` until nothing is ready or the stop is set.
///
/// # Errors
/// What ended a transaction other than a commit. Nothing of it happened, or, if the connection
/// broke during COMMIT, all of it; either way the messages' rows say which.
pub(crate) fn work(
    line: &Line,
    connection: &mut Connection,
    state: &mut State<'_>,
    stop: &Stop,
) -> Result<Worked> {
    line.end_transaction(state.worker);
    charged::settle(line, connection, state)?;
    careful::let_go(line, connection, state)?;
    ration::give_back_keys(line, connection, &mut state.unspent);
    if line.is_paused() {
        return Ok(Worked::Idle(None));
    }
    if line.station.is_suspect() {
        careful::ask_for_the_end(line, connection)?;
    }
    slots::ensure(line, connection)?;
    let mut ration = match Ration::take(line, connection, state.pace.size())? {
        Ok(ration) => ration,
        Err(wait) => return Ok(Worked::Idle(Some(wait))),
    };
    let worked = transactions(line, connection, state, &mut ration, stop);
    ration.leave(line);
    if matches!(worked, Ok(Worked::Idle(_) | Worked::UsedUp(_))) || stop.is_set() {
        ration::give_back(line, connection);
        ration::give_back_keys(line, connection, &mut state.unspent);
    }
    match worked {
        Ok(Worked::Idle(None)) if !state.charges.is_empty() => Ok(Worked::Idle(Some(charge::OWED))),
        worked => worked,
    }
}

/// Runs transactions until nothing is ready, the ration is spent, or the stop is set.
fn transactions(
    line: &Line,
    connection: &mut Connection,
    state: &mut State<'_>,
    ration: &mut Ration,
    stop: &Stop,
) -> Result<Worked> {
    let pulse = connection.pulse.clone();
    let transaction = connection
        .begin(Some(IsolationLevel::ReadCommitted))
        .map_err(|error| classify(error, "beginning a transaction"))?;
    // What several messages share has no result.
    let mut session = HandlerSession::begun(&line.base.process, transaction, line.batch.is_none());
    let is_careful = line.receiver.is_some() && line.station.is_suspect();
    let look = if is_careful { state.look } else { 0 };
    let size = ration.size.max(look);
    let mut most = ration.size;
    let mut taken = take::take(line, &mut session, size)?;
    while !taken.messages.is_empty() {
        hold(line, pulse.as_deref(), &taken);
        if stop.is_set() || line.is_paused() {
            // Claimed while the stop or a pause was asked for: free again with the end of the
            // transaction.
            line.floors().forget();
            end_empty(session)?;
            return Ok(Worked::Again);
        }
        if taken.is_full {
            // There may be more than one worker's share.
            line.station.ring(1);
        }
        let mut _pass = None;
        let started = Instant::now();
        if stage::is_needed(line, &taken, is_careful) {
            _pass = stage::stage(line, &mut session, state, &mut taken, is_careful, most)?;
            if taken.messages.is_empty() {
                end_empty(session)?;
                careful::let_go(line, connection, state)?;
                return Ok(after_nothing(state, &taken, size));
            }
            // In another transaction.
            hold(line, pulse.as_deref(), &taken);
        }
        state.look = 0;
        let staging = is_careful.then(|| started.elapsed());
        state.pace.note_staging(staging.unwrap_or_default());
        let next = transact(
            line,
            &mut session,
            state,
            ration,
            &mut taken,
            stop,
            is_careful,
        )
        .inspect_err(|_| charge::note_stray(state, &taken.messages));
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

/// Notes one of the messages that the open transaction holds, where the server process is not
/// known: if the connection is lost, it is found by that. The note may stay when the transaction
/// has ended; who holds the message later began later.
fn hold(line: &Line, pulse: Option<&Pulse>, taken: &Taken) {
    let Some(pulse) = pulse.filter(|pulse| pulse.process().is_none()) else {
        return;
    };
    pulse.set_hold(taken.messages.first().map(|message| Hold {
        topic: line.topic.clone(),
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
fn after_nothing(state: &mut State<'_>, taken: &Taken, looked_at: usize) -> Worked {
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

/// Handles what was claimed, settles and commits. Returns the next claim if the flight made one.
fn transact(
    line: &Line,
    session: &mut HandlerSession<'_>,
    state: &mut State<'_>,
    ration: &mut Ration,
    taken: &mut Taken,
    stop: &Stop,
    is_careful: bool,
) -> Result<Option<Taken>> {
    let mut hand = Hand::default();
    let started = Instant::now();
    let mut grants = taken.grants.take();
    let taken = &*taken;
    let mut decided = Vec::with_capacity(taken.messages.len());
    // Before tokens are taken: what is not to be handled any more has no need of one, and must not
    // be put off.
    let fit = sift(line, state.worker, taken, &mut decided);
    let admitted = ration::admit(line, &mut grants, fit, &mut decided);
    state.unspent.extend(ration::unspent(grants));
    let split = Split::of(line, admitted, taken);
    for (begun, message) in split.alone.iter().enumerate() {
        let is_enough = stop.is_set()
            || line.is_paused()
            || begun >= split.most_alone
            || session.has_set()
            || (line.options.per_transaction.is_none() && started.elapsed() > state.pace.budget());
        let goes_apart = |begun: usize| charge::go_apart(line, &split.alone[begun - 1..=begun]);
        if begun > 0 && (is_enough || goes_apart(begun)) {
            leave(line, state, &split.alone[begun..]);
            break;
        }
        ration.spend(1);
        line.progress.take(&mut hand);
        line.crew.handler_begins(state.worker);
        let way = Way::of(line, message, taken, &split);
        handle_alone(line, session, state, taken, &mut decided, message, way)?;
    }
    let together = split.together.as_slice();
    let begun_together = batch::handle(
        line,
        session,
        state,
        together,
        stop,
        &mut hand,
        &mut decided,
    )
    .or_else(|error| {
        go_on(line, session, state, taken, &mut decided, together, error).map(|()| together.len())
    })?;
    session.restore()?;
    ration.spend(begun_together);
    state.pace.learn(decided.len(), started.elapsed());
    state.pace.note_thin(split.is_thin);
    let gave_back = decided.len() < taken.messages.len();
    let mut settled = Settlement::of(decided);
    let is_chained = may_chain(line, state, stop, is_careful) && !session.is_spent();
    let next = commit_or_charge(line, session, state, taken, &mut settled, is_chained)?;
    announce(line, &settled, next.is_some());
    if let Some(next) = &next {
        let is_done = |outcome: &&Outcome| matches!(outcome, Outcome::Done(_));
        let handled = settled.outcomes().filter(is_done).count();
        line.crew.learn(handled, next.is_full, Instant::now());
    }
    if gave_back || settled.left > 0 {
        line.station.ring(1);
    }
    Ok(next)
}

/// Handles one message and adds what becomes of it.
fn handle_alone<'m>(
    line: &Line,
    session: &mut HandlerSession<'_>,
    state: &mut State<'_>,
    taken: &Taken,
    decided: &mut Vec<Decision<'m>>,
    message: &'m Claimed,
    way: Way,
) -> Result<()> {
    match handle(line, session, state, message, taken.crashes(message), way) {
        Ok(outcome) => decided.push((&message.held, outcome)),
        Err(error) => go_on(line, session, state, taken, decided, &[message], error)?,
    }
    if session.has_set() {
        // So it may be with the next one, and what is taken with it would only go back.
        state.pace.single();
    }
    Ok(())
}

/// Leaves messages that are not begun: they are free again with the commit, and the floor must not
/// hide them.
fn leave(line: &Line, state: &mut State<'_>, unbegun: &[&Claimed]) {
    let places = unbegun.iter().map(|message| message.held.position);
    claim::lower(&line.floors, places);
    state.unspent.extend(ration::unbegun(line, unbegun));
}

/// Goes on with the other messages of a transaction that a handler committed; any other error ends
/// it.
fn go_on<'m>(
    line: &Line,
    session: &mut HandlerSession<'_>,
    state: &mut State<'_>,
    taken: &Taken,
    decided: &mut Vec<Decision<'m>>,
    handled: &[&'m Claimed],
    error: Error,
) -> Result<()> {
    match ended::is_committed(&error) {
        true => {
            // What it shared a check with is there for good, too.
            state
                .entered
                .iter_mut()
                .for_each(|charge| charge.is_bundled = false);
            ended::take_up(line, session, taken, decided, handled, &error).map_err(|_| error)
        }
        false => Err(error),
    }
}

/// Returns whether the flight that commits may claim what comes next.
fn may_chain(line: &Line, state: &State<'_>, stop: &Stop, is_careful: bool) -> bool {
    // The slot of a limited topic goes with its transaction.
    let is_ordinary =
        !line.options.is_strict && state.unspent.is_empty() && line.max_in_work().is_none();
    let is_hindered = careful::has_to_turn(line, is_careful)
        || line.is_paused()
        || line.rate().is_some()
        || line.floors().is_sweep_due(Instant::now());
    let goes_on = !stop.is_set() && !is_hindered && !has_to_read(line, state);
    is_ordinary && goes_on && !line.crew.is_over()
}

/// Returns whether the settings of topics are to be read between two transactions.
fn has_to_read(line: &Line, state: &State<'_>) -> bool {
    state.reads_settings && !line.base.process.configs.is_fresh()
}

/// Ends a transaction that claimed nothing.
fn end_empty(session: HandlerSession<'_>) -> Result<()> {
    session.end("ending a claim")
}
