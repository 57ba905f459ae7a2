//! Claiming: how a worker gets its next messages, in each of the three ways.
//!
//! - Ordinary: as many as the pace allows, from the floor, in the flight that commits what came
//!   before if there is one.
//! - Strict: the topic's turn first (a row lock that one worker of all processes can have), then,
//!   in a statement of its own so that it sees all that the last holder did, the head.
//!
//! What has to be written before handlers run is written between two claims, see `stage`.

use crate::crashes::attempt::Deaths;
use crate::db::flight::Flight;
use crate::db::statement::{Statement, sql};
use crate::db::value::Value;
use crate::message::claimed::{self, Claimed};
use crate::message::floor::{Search, Start};
use crate::rate_limit::Grant;
use crate::receive::line::Line;
use crate::receive::slots;
use crate::session::handler_session::HandlerSession;
use crate::words::error::Result;
use crate::words::message::MessageId;
use crate::words::position::Position;
use crate::words::sqlstate::classify;
use postgres::SimpleQueryRow;
use std::collections::HashMap;
use std::time::{Duration, Instant};

static CLAIM: Statement = sql!("claim", Head);
static CLAIM_FILTERED: Statement = sql!("claim_filtered", Head);
static CLAIM_HEAD: Statement = sql!("claim_head", Order);
static PROMOTE_FIRST: Statement = sql!("promote_first", Kept);
static TAKE_TURN: Statement = sql!("take_turn", Kept);

/// Messages that were claimed, or how long to leave the topic alone.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    pub(crate) messages: Vec<Claimed>,
    /// Whether there were as many as were asked for, so that there may be more.
    pub(crate) is_full: bool,
    /// Of those that were in hand when a process died.
    pub(crate) deaths: HashMap<MessageId, Deaths>,
    /// Tokens of keys that were taken for them.
    pub(crate) grants: Option<HashMap<String, Grant>>,
    /// Nothing, and not for good: come back after this long. The failed head of a strict topic
    /// waits, or a sweep is owed.
    pub(crate) wait: Option<Duration>,
    /// Nothing, since none of what is there may begin now.
    pub(crate) is_held_up: bool,
    /// Nothing, since as many messages as the topic may have are in work.
    pub(crate) is_used_up: bool,
}

impl Taken {
    fn of(messages: Vec<Claimed>, asked: usize) -> Self {
        Taken {
            is_full: messages.len() == asked,
            messages,
            ..Taken::default()
        }
    }

    /// Returns how many processes a message has on its conscience.
    pub(crate) fn crashes(&self, message: &Claimed) -> u32 {
        let deaths = self.deaths.get(&message.held.id);
        deaths.map_or(0, |deaths| deaths.own())
    }

    /// Keeps only some of the messages. The others are free, or soon will be, and the floor must
    /// not hide them.
    pub(crate) fn keep(&mut self, line: &Line, is_kept: impl Fn(&Claimed) -> bool) {
        let (kept, left): (Vec<_>, Vec<_>) = self.messages.drain(..).partition(is_kept);
        self.messages = kept;
        let left: Vec<Position> = left.iter().map(|message| message.held.position).collect();
        line.lower(&left);
    }
}

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
        return Ok(Taken {
            wait: slots::ask_again(line),
            is_used_up: true,
            ..Taken::default()
        });
    };
    let mut share = slots::share(line, session, &mut slot, size)?;
    let mut taken = take_any(line, session, share)?;
    while let Some(fewer) = slots::fit(line, session, &mut slot, taken.messages.len())? {
        taken.keep(line, |_| false);
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
        return Ok(Taken {
            wait: Some(too_early),
            ..Taken::default()
        });
    }
    let mut flight = claim_flight(line, session)?;
    let plan = push_claim(line, &mut flight, size);
    let rows = fly(session, flight)?;
    taken(line, session, size, &plan, &rows, started)
}

/// Reads what a claim returned. One that got nothing is followed by one that looks further back, if
/// that is allowed now; else the worker is told when.
pub(crate) fn taken(
    line: &Line,
    session: &mut HandlerSession<'_>,
    size: usize,
    plan: &Search,
    rows: &[SimpleQueryRow],
    started: Instant,
) -> Result<Taken> {
    let mut start = plan.start;
    let mut messages = learn(line, start, rows, size, started)?;
    while messages.is_empty() && start != Start::Everything {
        let started = Instant::now();
        let further_back = match start {
            Start::Head => Ok(line.floors().look_back()),
            _ => line.floors().plan_sweep(started),
        };
        let plan = match further_back {
            Ok(plan) => plan,
            Err(too_early) => {
                return Ok(Taken {
                    // One worker that comes back for it is enough.
                    wait: line
                        .floors()
                        .owe_sweep(too_early, Instant::now())
                        .then_some(too_early),
                    ..Taken::default()
                });
            }
        };
        let mut flight = claim_flight(line, session)?;
        push_plan(line, &mut flight, size, &plan);
        let rows = fly(session, flight)?;
        start = plan.start;
        messages = learn(line, start, &rows, size, started)?;
    }
    Ok(Taken::of(messages, size))
}

fn learn(
    line: &Line,
    start: Start,
    rows: &[SimpleQueryRow],
    asked: usize,
    started: Instant,
) -> Result<Vec<Claimed>> {
    let messages: Vec<Claimed> = rows.iter().map(claimed::read).collect::<Result<_>>()?;
    line.floors().learn(
        start,
        messages.iter().map(|message| message.held.position),
        messages.len() == asked,
        Instant::now(),
        started.elapsed(),
    );
    if let Some(sieve) = &line.sieve {
        sieve.learn(started, Instant::now(), !messages.is_empty());
    }
    Ok(messages)
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
        return Ok(Taken {
            // Committed first: the lines of keys are moved on by others, too, who must not wait for
            // a handler.
            wait: is_promoted.then_some(Duration::ZERO),
            ..Taken::default()
        });
    };
    // Nobody waits for the retry of a message whose time is over.
    if head.wait.is_some() && !head.is_expired {
        return Ok(Taken {
            wait: head.wait,
            ..Taken::default()
        });
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
    let flown = session.open()?.fly(flight);
    flown.map_err(|error| classify(error, "claiming messages"))
}
