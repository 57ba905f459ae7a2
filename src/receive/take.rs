//! Claiming: how a worker gets its next messages, in each of the three ways.
//!
//! - Ordinary: as many as the pace allows, from the floor, in the flight that commits what came
//!   before if there is one.
//! - Strict: the topic's turn first (a row lock that one worker of all processes can have), then,
//!   in a statement of its own so that it sees all that the last holder did, the head.
//!
//! What has to be written before handlers run is written between two claims, see `stage`.

use crate::db::flight::Flight;
use crate::db::statement::{Statement, sql};
use crate::db::value::Value;
use crate::message::claimed;
use crate::message::floor::Search;
use crate::receive::claim::{self, Looked, Taken};
use crate::receive::line::Line;
use crate::receive::slots;
use crate::session::handler_session::HandlerSession;
use crate::words::error::Result;
use crate::words::sqlstate::classify;
use postgres::SimpleQueryRow;
use std::time::{Duration, Instant};

static CLAIM: Statement = sql!("claim", Head);
static CLAIM_FILTERED: Statement = sql!("claim_filtered", Head);
static CLAIM_HEAD: Statement = sql!("claim_head", Order);
static PROMOTE_FIRST: Statement = sql!("promote_first", Kept);
static TAKE_TURN: Statement = sql!("take_turn", Kept);

/// Appends an ordinary claim to a flight.
pub(crate) fn push_claim(line: &Line, flight: &mut Flight, size: usize) -> Search {
    let plan = line.floors().plan(Instant::now());
    push_plan(line, flight, size, &plan);
    plan
}

/// Returns a flight for a claim alone. What a filter asks for is the caller's.
fn claim_flight(line: &Line, session: &mut HandlerSession<'_>) -> Result<Flight> {
    let flight = session.open()?.flight();
    Ok(match line.sieve {
        None => flight.of_names(),
        Some(_) => flight,
    })
}

fn push_plan(line: &Line, flight: &mut Flight, size: usize, plan: &Search) {
    let values = claimed::parameters(&line.topic, &plan.spans, size);
    match &line.sieve {
        None => flight.call(&CLAIM, &values),
        Some(sieve) => {
            let values = claimed::filtered(values, &sieve.program);
            flight.call(&CLAIM_FILTERED, &values);
        }
    }
}

/// Claims up to `size` messages in the session's open transaction.
pub(crate) fn take(line: &Line, session: &mut HandlerSession<'_>, size: usize) -> Result<Taken> {
    let Some(limit) = line.max_in_work() else {
        return take_any(line, session, size);
    };
    let Some(mut slot) = slots::take(line, session, limit)? else {
        return Ok(Taken::used_up(slots::ask_again(line)));
    };
    let mut share = slots::share(line, session, &mut slot, size)?;
    let mut taken = take_any(line, session, share)?;
    while let Some(fewer) = slots::fit(line, session, &mut slot, taken.messages.len())? {
        taken.keep(&line.floors, |_| false);
        share = slots::share(line, session, &mut slot, fewer)?;
        taken = take_any(line, session, share)?;
    }
    if !taken.messages.is_empty() {
        slots::have_work(line);
    }
    Ok(taken)
}

fn take_any(line: &Line, session: &mut HandlerSession<'_>, size: usize) -> Result<Taken> {
    match line.options.is_strict {
        true => take_head(line, session),
        false => take_some(line, session, size),
    }
}

fn take_some(line: &Line, session: &mut HandlerSession<'_>, size: usize) -> Result<Taken> {
    let started = Instant::now();
    if let Some(too_early) = line.too_early(started) {
        return Ok(Taken::later(Some(too_early)));
    }
    let plan = line.floors().plan(started);
    taken(line, session, size, plan, None)
}

/// Claims where `plan` says, and further back if there is nothing. The rows of the first look are
/// there if it was in the flight that committed what came before, with when that began.
pub(crate) fn taken(
    line: &Line,
    session: &mut HandlerSession<'_>,
    size: usize,
    plan: Search,
    mut first: Option<(Vec<SimpleQueryRow>, Instant)>,
) -> Result<Taken> {
    let began = first
        .as_ref()
        .map_or_else(Instant::now, |(_, began)| *began);
    let taken = claim::claim(&line.floors, plan, |plan| {
        let (rows, started) = match first.take() {
            Some(first) => first,
            None => {
                let started = Instant::now();
                let mut flight = claim_flight(line, session)?;
                push_plan(line, &mut flight, size, plan);
                (fly(session, flight)?, started)
            }
        };
        Ok(Some(Looked {
            messages: rows.iter().map(claimed::read).collect::<Result<_>>()?,
            asked: size,
            started,
        }))
    })?;
    if let Some(sieve) = &line.sieve {
        sieve.learn(began, Instant::now(), !taken.messages.is_empty());
    }
    Ok(taken)
}

fn take_head(line: &Line, session: &mut HandlerSession<'_>) -> Result<Taken> {
    let topic = [Value::Text(&line.topic)];
    if !take_turn(line, session)? {
        return Ok(Taken::default());
    }
    let mut flight = session.open()?.flight();
    flight.call(&CLAIM_HEAD, &topic);
    let rows = fly(session, flight)?;
    let Some(head) = rows.first().map(claimed::read_head).transpose()? else {
        let mut flight = session.open()?.flight();
        flight.call_once(&PROMOTE_FIRST, &topic);
        let is_promoted = !fly(session, flight)?.is_empty();
        // Committed first: the lines of keys are moved on by others, too, who must not wait for a
        // handler.
        return Ok(Taken::later(is_promoted.then_some(Duration::ZERO)));
    };
    // Nobody waits for the retry of a message whose time is over.
    if head.wait.is_some() && !head.is_expired {
        return Ok(Taken::later(head.wait));
    }
    Ok(Taken {
        messages: vec![head],
        ..Taken::default()
    })
}

/// Takes the turn of a strict topic; returns whether it was free.
pub(crate) fn take_turn(line: &Line, session: &mut HandlerSession<'_>) -> Result<bool> {
    let mut flight = session.open()?.flight();
    flight.call(&TAKE_TURN, &[Value::Text(&line.topic)]);
    Ok(!fly(session, flight)?.is_empty())
}

pub(crate) fn fly(session: &mut HandlerSession<'_>, flight: Flight) -> Result<Vec<SimpleQueryRow>> {
    let answered = session.open()?.fly(flight);
    answered.map_err(|error| classify(error, "claiming messages"))
}
