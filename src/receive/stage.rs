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
//! Only some claims are staged: on suspect topics (what is in hand), of keys with a rate (tokens),
//! and the first claim of a receiver that was idle, which notes that it may have messages in hand
//! from now on.
//!
//! The notes need not survive the server: its crash frees all messages, and what is lost is a hint.
//! So they do not wait for the disk.

use crate::crashes::attempt;
use crate::crashes::presence;
use crate::db::commands;
use crate::db::flight::Flight;
use crate::db::statement::{Statement, sql};
use crate::db::value::Value;
use crate::message::claimed::{self, Claimed};
use crate::receive::careful::{self, Pass};
use crate::receive::claim::Taken;
use crate::receive::line::Line;
use crate::receive::ration;
use crate::receive::slots;
use crate::receive::state::State;
use crate::receive::take::{fly, take_turn};
use crate::session::handler_session::HandlerSession;
use crate::words::Result;
use crate::words::position::Position;
use postgres::SimpleQueryRow;
use std::collections::HashSet;
use uuid::Uuid;

static HOLD_AGAIN: Statement = sql!("hold_again", Fenced);

/// Returns whether a claim has to be staged.
pub(crate) fn is_needed(line: &Line, taken: &Taken, is_careful: bool) -> bool {
    is_careful || line.shift_to_note().is_some() || ration::needs_tokens(line, &taken.messages)
}

/// Writes what has to be written before the handlers run, and claims again what may begin, `most`
/// at most. Leaves nothing if none of it may begin now. Returns the right to a careful delivery.
pub(crate) fn stage<'a>(
    line: &'a Line,
    session: &mut HandlerSession<'_>,
    state: &mut State<'_>,
    taken: &mut Taken,
    is_careful: bool,
    most: usize,
) -> Result<Option<Pass<'a>>> {
    let mut pass = None;
    let mut flight = session.open()?.flight();
    flight.command(&commands::WAIT_FOR_NO_DISK);
    if let Some(holder) = line.holder(state.worker).filter(|_| is_careful) {
        pass = careful::choose(line, session, taken, holder.receiver, most)?;
        if let Some(pass) = &pass {
            let ids = to_begin(line, taken).map(|message| message.held.id.0);
            let ids: Vec<Uuid> = ids.collect();
            let is_alone = pass.is_alone();
            let topic = &line.topic;
            attempt::push_take_in_hand(&mut flight, topic, holder, ids, is_alone);
            state.has_noted = true;
        }
    }
    if taken.messages.is_empty() {
        taken.is_held_up = true;
        return Ok(None);
    }
    let messages: Vec<&Claimed> = to_begin(line, taken).collect();
    taken.grants = ration::ask(line, session.open()?, &messages)?;
    let shift = line.shift_to_note();
    if let Some((receiver, shift)) = shift {
        presence::push_note_shift(&mut flight, &line.topic, receiver, shift);
    }
    flight.commit();
    flight.begin();
    hold_again(line, session, taken, flight)?;
    if let Some((_, shift)) = shift {
        line.hands.wrote(shift);
    }
    if taken.messages.is_empty() {
        state.unspent.extend(ration::unspent(taken.grants.take()));
    }
    Ok(pass)
}

/// Returns the messages whose handlers are to run.
fn to_begin<'t>(line: &Line, taken: &'t Taken) -> impl Iterator<Item = &'t Claimed> {
    let terms = line.terms();
    taken
        .messages
        .iter()
        .filter(move |message| !careful::is_over(message, taken.crashes(message), &terms))
}

/// Ends the transaction of the notes, begins the one of the handlers, and claims the same messages
/// in it, with all that a claim needs in this topic. Leaves those it got.
fn hold_again(
    line: &Line,
    session: &mut HandlerSession<'_>,
    taken: &mut Taken,
    mut flight: Flight,
) -> Result<()> {
    let limit = line.max_in_work();
    if limit.is_none() && !line.options.is_strict {
        push_hold_again(line, &mut flight, taken.messages.iter());
        let rows = fly(session, flight)?;
        session.note_begun();
        return keep_held(line, taken, &rows);
    }
    fly(session, flight)?;
    session.note_begun();
    let slot = match limit {
        None => None,
        Some(limit) => {
            let slot = slots::take(line, session, limit)?;
            if slot.is_none() {
                taken.wait = slots::ask_again(line);
                taken.is_used_up = true;
                taken.keep(&line.floors, |_| false);
                return Ok(());
            }
            slot
        }
    };
    if line.options.is_strict && !take_turn(line, session)? {
        taken.keep(&line.floors, |_| false);
        return Ok(());
    }
    let Some(mut slot) = slot else {
        return hold_first(line, session, taken, usize::MAX);
    };
    let mut most = taken.messages.len();
    loop {
        let share = slots::share(line, session, &mut slot, most)?;
        hold_first(line, session, taken, share)?;
        match slots::fit(line, session, &mut slot, taken.messages.len())? {
            Some(fewer) => most = fewer,
            None => break,
        }
    }
    if !taken.messages.is_empty() {
        slots::have_work(line);
    }
    Ok(())
}

/// Claims the first `most` of the messages again, and leaves those it got.
fn hold_first(
    line: &Line,
    session: &mut HandlerSession<'_>,
    taken: &mut Taken,
    most: usize,
) -> Result<()> {
    let mut flight = session.open()?.flight();
    push_hold_again(line, &mut flight, taken.messages.iter().take(most));
    let rows = fly(session, flight)?;
    keep_held(line, taken, &rows)
}

/// Keeps what was claimed again. What is not held is in other hands, which may let go of it, or
/// free.
fn keep_held(line: &Line, taken: &mut Taken, rows: &[SimpleQueryRow]) -> Result<()> {
    let held: HashSet<Position> = rows
        .iter()
        .map(claimed::read_position)
        .collect::<Result<_>>()?;
    taken.keep(&line.floors, |message| {
        held.contains(&message.held.position)
    });
    Ok(())
}

/// Appends a claim of exactly these messages.
pub(crate) fn push_hold_again<'m>(
    line: &Line,
    flight: &mut Flight,
    messages: impl Iterator<Item = &'m Claimed> + Clone,
) {
    let numbers = |read: fn(&Claimed) -> i64| Value::Numbers(messages.clone().map(read).collect());
    let ids = messages.clone().map(|message| message.held.id.0).collect();
    let values = [
        Value::Text(&line.topic),
        numbers(|message| message.held.position.rank.into()),
        numbers(|message| message.held.position.seq),
        Value::Uuids(ids),
        numbers(|message| message.attempts.into()),
    ];
    flight.call(&HOLD_AGAIN, &values);
}
