//! What must be known before handlers run and must outlive their transaction, without a second
//! connection.
//!
//! A worker that waits for a connection while it holds one in a transaction may wait for ever:
//! behind a pooler, or at the server's limit, all connections may be in the hands of workers that
//! wait too. So what must survive a rollback is written in a transaction of its own on the worker's
//! one connection, between two claims. The first claim finds out which messages there are. Then
//! come the notes, `COMMIT; BEGIN`, and a second claim of exactly those messages, all in one
//! flight. If another worker gets a message in between, the message is that worker's, and the note
//! of it has no effect.
//!
//! Only some claims need notes: those on suspect topics (what is in hand), of keys with a rate
//! (tokens), and the first claim of a receiver that was idle, which notes that it may have messages
//! in hand from now on.
//!
//! The notes need not survive the server: its crash frees all messages, and what is lost is a hint.
//! So they do not wait for the disk.

use crate::crashes::attempt::{self, Deaths, Liveness};
use crate::crashes::presence;
use crate::crashes::quarantine::Pass;
use crate::db::commands;
use crate::db::flight::Flight;
use crate::db::statement::{Statement, sql};
use crate::db::value::Value;
use crate::message::claimed::{self, Claimed};
use crate::rate_limit::tokens;
use crate::receive::claim::Taken;
use crate::receive::limits::InWork;
use crate::receive::shared_state::SharedState;
use crate::receive::transaction::careful;
use crate::receive::transaction::claim::{fit, fly, share, take_turn};
use crate::receive::worker_state::WorkerState;
use crate::session::handler_session::HandlerSession;
use crate::words::Result;
use crate::words::message::MessageId;
use crate::words::position::Position;
use postgres::SimpleQueryRow;
use std::collections::{HashMap, HashSet};
use uuid::Uuid;

static HOLD_AGAIN: Statement = sql!("hold_again", Fenced);

/// Returns whether there is something to write for a claim.
pub(crate) fn are_needed(shared: &SharedState, taken: &Taken, is_careful: bool) -> bool {
    is_careful || shared.shift_to_note().is_some() || shared.limits.need_tokens(&taken.messages)
}

/// Writes what has to be written before the handlers run, and claims again what may begin, `most`
/// at most. Leaves nothing if none of it may begin now. Returns the right to a careful delivery.
pub(crate) fn write<'a>(
    shared: &'a SharedState,
    session: &mut HandlerSession<'_>,
    state: &mut WorkerState<'_>,
    taken: &mut Taken,
    is_careful: bool,
    most: usize,
) -> Result<Option<Pass<'a>>> {
    let mut pass = None;
    let mut flight = session.open()?.flight();
    flight.command(&commands::WAIT_FOR_NO_DISK);
    if let Some(holder) = shared.holder(state.worker).filter(|_| is_careful) {
        taken.deaths = deaths(shared, session, taken, holder.receiver)?;
        let (quarantine, terms) = (&shared.base.quarantine, shared.terms());
        pass = careful::choose(quarantine, &shared.floors, &terms, taken, most);
        if let Some(pass) = &pass {
            let ids = to_begin(shared, taken).map(|message| message.held.id.0);
            let ids: Vec<Uuid> = ids.collect();
            let is_alone = pass.is_alone();
            let topic = &shared.topic;
            attempt::push_take_in_hand(&mut flight, topic, holder, ids, is_alone);
            state.noted = Some(holder);
        }
    }
    if taken.messages.is_empty() {
        taken.is_held_up = true;
        return Ok(None);
    }
    let messages: Vec<&Claimed> = to_begin(shared, taken).collect();
    taken.grants = shared.limits.ask(session.open()?, &messages)?;
    let shift = shared.shift_to_note();
    if let Some((receiver, shift)) = shift {
        presence::push_note_shift(&mut flight, &shared.topic, receiver, shift);
    }
    flight.commit();
    flight.begin();
    hold_again(shared, session, taken, flight)?;
    if let Some((_, shift)) = shift {
        shared.hands.wrote(shift);
    }
    if taken.messages.is_empty() {
        state.unspent.extend(tokens::unspent(taken.grants.take()));
    }
    Ok(pass)
}

/// Returns those of the messages that were in hand when a process died.
fn deaths(
    shared: &SharedState,
    session: &mut HandlerSession<'_>,
    taken: &Taken,
    me: i64,
) -> Result<HashMap<MessageId, Deaths>> {
    let messages = taken.messages.iter();
    let ids: Vec<Uuid> = messages.map(|message| message.held.id.0).collect();
    let settings = shared.base.dedicated.settings();
    let liveness = Liveness {
        namespace: settings.schema.lock_namespace(),
        unseen_s: presence::UNSEEN_S,
    };
    attempt::deaths(session.open()?, &shared.topic, &ids, me, liveness)
}

/// Returns the messages whose handlers are to run.
fn to_begin<'t>(shared: &SharedState, taken: &'t Taken) -> impl Iterator<Item = &'t Claimed> {
    let terms = shared.terms();
    taken
        .messages
        .iter()
        .filter(move |message| !careful::is_over(message, taken.crashes(message), &terms))
}

/// Ends the transaction of the notes, begins the one of the handlers, and claims the same messages
/// in it, with all that a claim needs in this topic. Leaves those it got.
fn hold_again(
    shared: &SharedState,
    session: &mut HandlerSession<'_>,
    taken: &mut Taken,
    mut flight: Flight,
) -> Result<()> {
    let is_limited = shared.limits.max_in_work().is_some();
    if !is_limited && !shared.options.is_strict {
        push_hold_again(shared, &mut flight, taken.messages.iter());
        let rows = fly(session, flight)?;
        session.note_begun();
        return keep_held(shared, taken, &rows);
    }
    fly(session, flight)?;
    session.note_begun();
    let mut in_work = shared.limits.inside(session.open()?)?;
    if matches!(in_work, InWork::UsedUp) {
        taken.wait = shared.limits.ask_again();
        taken.is_used_up = true;
        taken.keep(&shared.floors, |_| false);
        return Ok(());
    }
    if shared.options.is_strict && !take_turn(shared, session)? {
        taken.keep(&shared.floors, |_| false);
        return Ok(());
    }
    let mut most = taken.messages.len();
    loop {
        let share = share(shared, session, &mut in_work, most)?;
        hold_first(shared, session, taken, share)?;
        match fit(session, &mut in_work, taken.messages.len())? {
            Some(fewer) => most = fewer,
            None => break,
        }
    }
    if !taken.messages.is_empty() {
        shared.limits.have_work(&shared.station);
    }
    Ok(())
}

/// Claims the first `most` of the messages again, and leaves those it got.
fn hold_first(
    shared: &SharedState,
    session: &mut HandlerSession<'_>,
    taken: &mut Taken,
    most: usize,
) -> Result<()> {
    let mut flight = session.open()?.flight();
    push_hold_again(shared, &mut flight, taken.messages.iter().take(most));
    let rows = fly(session, flight)?;
    keep_held(shared, taken, &rows)
}

/// Keeps what was claimed again. What is not held is in other hands, which may let go of it, or
/// free.
fn keep_held(shared: &SharedState, taken: &mut Taken, rows: &[SimpleQueryRow]) -> Result<()> {
    let held: HashSet<Position> = rows
        .iter()
        .map(claimed::read_position)
        .collect::<Result<_>>()?;
    taken.keep(&shared.floors, |message| {
        held.contains(&message.held.position)
    });
    Ok(())
}

/// Appends a claim of exactly these messages.
pub(crate) fn push_hold_again<'m>(
    shared: &SharedState,
    flight: &mut Flight,
    messages: impl Iterator<Item = &'m Claimed> + Clone,
) {
    let numbers = |read: fn(&Claimed) -> i64| Value::Numbers(messages.clone().map(read).collect());
    let ids = messages.clone().map(|message| message.held.id.0).collect();
    let values = [
        Value::Text(&shared.topic),
        numbers(|message| message.held.position.rank.into()),
        numbers(|message| message.held.position.seq),
        Value::Uuids(ids),
        numbers(|message| message.attempts.into()),
    ];
    flight.call(&HOLD_AGAIN, &values);
}
