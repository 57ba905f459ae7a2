//! Claiming: how a worker gets its next messages, in each of the three ways.
//!
//! - Ordinary: as many as the pace allows, from the floor, in the flight that commits what came
//!   before if there is one.
//! - Strict: the topic's turn first (a row lock that one worker of all processes can have), then,
//!   in a statement of its own so that it sees all that the last holder did, the head.
//!
//! What has to be written before handlers run is written between two claims, see `notes`.

use crate::db::flight::Flight;
use crate::db::statement::{Statement, sql};
use crate::db::value::Value;
use crate::message::claimed;
use crate::message::floor::Search;
use crate::receive::claim::{self, Looked, Taken};
use crate::receive::limits::InWork;
use crate::receive::shared_state::SharedState;
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
pub(crate) fn push_claim(shared: &SharedState, flight: &mut Flight, size: usize) -> Search {
    let plan = shared.floors().plan(Instant::now());
    push_plan(shared, flight, size, &plan);
    plan
}

/// Returns a flight for a claim alone. What a filter asks for is the caller's.
fn claim_flight(shared: &SharedState, session: &mut HandlerSession<'_>) -> Result<Flight> {
    let flight = session.open()?.flight();
    Ok(match shared.limits.filter {
        None => flight.of_names(),
        Some(_) => flight,
    })
}

fn push_plan(shared: &SharedState, flight: &mut Flight, size: usize, plan: &Search) {
    let values = claimed::parameters(&shared.topic, &plan.spans, size);
    match &shared.limits.filter {
        None => flight.call(&CLAIM, &values),
        Some(filter) => {
            let values = claimed::filtered(values, &filter.program);
            flight.call(&CLAIM_FILTERED, &values);
        }
    }
}

/// Claims up to `size` messages in the session's open transaction.
pub(crate) fn claim_messages(
    shared: &SharedState,
    session: &mut HandlerSession<'_>,
    size: usize,
) -> Result<Taken> {
    let mut in_work = shared.limits.inside(session.open()?)?;
    if matches!(in_work, InWork::UsedUp) {
        return Ok(Taken::used_up(shared.limits.ask_again()));
    }
    let size = share(shared, session, &mut in_work, size)?;
    let mut taken = take_any(shared, session, size)?;
    while let Some(fewer) = fit(session, &mut in_work, taken.messages.len())? {
        taken.keep(&shared.floors, |_| false);
        let size = share(shared, session, &mut in_work, fewer)?;
        taken = take_any(shared, session, size)?;
    }
    if !taken.messages.is_empty() {
        shared.limits.have_work(&shared.station);
    }
    Ok(taken)
}

/// Returns how many of `size` messages to claim with the slot in hand: one after the other they
/// need no more. Has to be followed by [`fit`].
pub(crate) fn share(
    shared: &SharedState,
    session: &mut HandlerSession<'_>,
    in_work: &mut InWork<'_>,
    size: usize,
) -> Result<usize> {
    match in_work {
        InWork::Slot(own) if shared.batch.is_some() => own.share(session.open()?, size),
        _ => Ok(size),
    }
}

/// Takes a slot for each of the messages that were claimed, where they need it; returns how many to
/// claim instead if there are no longer so many.
pub(crate) fn fit(
    session: &mut HandlerSession<'_>,
    in_work: &mut InWork<'_>,
    claimed: usize,
) -> Result<Option<usize>> {
    match in_work {
        InWork::Slot(own) => own.fit(session.open()?, claimed),
        _ => Ok(None),
    }
}

fn take_any(shared: &SharedState, session: &mut HandlerSession<'_>, size: usize) -> Result<Taken> {
    match shared.options.is_strict {
        true => take_head(shared, session),
        false => take_some(shared, session, size),
    }
}

fn take_some(shared: &SharedState, session: &mut HandlerSession<'_>, size: usize) -> Result<Taken> {
    let started = Instant::now();
    if let Some(too_early) = shared.limits.too_early(started) {
        return Ok(Taken::later(Some(too_early)));
    }
    let plan = shared.floors().plan(started);
    read_claim(shared, session, size, plan, None)
}

/// Claims where `plan` says, and further back if there is nothing. The rows of the first look are
/// there if it was in the flight that committed what came before, with when that began.
pub(crate) fn read_claim(
    shared: &SharedState,
    session: &mut HandlerSession<'_>,
    size: usize,
    plan: Search,
    mut first: Option<(Vec<SimpleQueryRow>, Instant)>,
) -> Result<Taken> {
    let began = first
        .as_ref()
        .map_or_else(Instant::now, |(_, began)| *began);
    let taken = claim::claim(&shared.floors, plan, |plan| {
        let (rows, started) = match first.take() {
            Some(first) => first,
            None => {
                let started = Instant::now();
                let mut flight = claim_flight(shared, session)?;
                push_plan(shared, &mut flight, size, plan);
                (fly(session, flight)?, started)
            }
        };
        Ok(Some(Looked {
            messages: rows.iter().map(claimed::read).collect::<Result<_>>()?,
            asked: size,
            started,
        }))
    })?;
    shared.limits.claimed(began, !taken.messages.is_empty());
    Ok(taken)
}

fn take_head(shared: &SharedState, session: &mut HandlerSession<'_>) -> Result<Taken> {
    let topic = [Value::Text(&shared.topic)];
    if !take_turn(shared, session)? {
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
pub(crate) fn take_turn(shared: &SharedState, session: &mut HandlerSession<'_>) -> Result<bool> {
    let mut flight = session.open()?.flight();
    flight.call(&TAKE_TURN, &[Value::Text(&shared.topic)]);
    Ok(!fly(session, flight)?.is_empty())
}

pub(crate) fn fly(session: &mut HandlerSession<'_>, flight: Flight) -> Result<Vec<SimpleQueryRow>> {
    let answered = session.open()?.fly(flight);
    answered.map_err(|error| classify(error, "claiming messages"))
}
