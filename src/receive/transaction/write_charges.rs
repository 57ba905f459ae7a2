//! Writes charges: each in a transaction of its own, which waits for whoever has the message by
//! now.

use crate::connect::apart::apart;
use crate::connect::connection::Connection;
use crate::connect::transaction::OpenTransaction;
use crate::crashes::attempt;
use crate::keys;
use crate::message::claimed::Held;
use crate::message::settle::{self, MovedTo};
use crate::observe::delivered::Deliveries;
use crate::observe::fields::told;
use crate::on_end;
use crate::receive::charge::Charge;
use crate::receive::claim;
use crate::receive::decide::decide;
use crate::receive::handler::Ending;
use crate::receive::settle::Settlement;
use crate::receive::shared_state::SharedState;
use crate::receive::transaction::last_flight::announce;
use crate::receive::worker_state::WorkerState;
use crate::words::sqlstate::{Said, failure_of, is_miscounted};
use crate::words::{Doing, Error, ErrorKind, Failure, HandlerError, Result, chain};
use std::time::Duration;

/// How long a charge waits for another holder of its message: the first time, and each later time.
/// The other holder is mostly done soon, and no further attempt should begin before this one
/// counts.
const PATIENCE: [&str; 2] = [
    "SET LOCAL lock_timeout = 2000",
    "SET LOCAL lock_timeout = 50",
];

/// How often a message is looked for that moves meanwhile, before its charge is written another
/// time. Each turn takes a move by somebody else.
const MOST_MOVES: usize = 20;

/// Writes the charges that `blame::judge` made, each in a transaction of its own.
pub(crate) fn write_all(
    shared: &SharedState,
    connection: &mut Connection,
    state: &mut WorkerState<'_>,
) -> Result<()> {
    let mut owed = Vec::new();
    while let Some(charge) = state.charges.last() {
        let written = match charge.aside {
            None => write(shared, connection, charge),
            Some(delay) => set_aside(&shared.topic, connection, &charge.held, delay),
        };
        let Err(error) = written else {
            state.charges.pop();
            continue;
        };
        if error.kind() == ErrorKind::Unavailable || connection.is_closed() {
            state.charges.append(&mut owed);
            return Err(error);
        }
        let is_conflict = error.kind() == ErrorKind::Conflict && !is_miscounted(&error);
        if is_conflict || failure_of(&error) == Some(Failure::Hindered) {
            // Others hold it. What they do with it is another attempt; this one is written after.
            owed.extend(state.charges.pop().and_then(Charge::once_more));
            continue;
        }
        // Whatever the database has against it will be there the next time. Nothing else may wait
        // for that.
        let (topic, why) = (&shared.topic, chain(&error));
        tracing::warn!(
            topic = told(topic),
            error = told(&why),
            "topic {topic}: {why}"
        );
        let Some(charge) = state.charges.pop() else {
            break;
        };
        if charge.aside.is_none() {
            let delay = shared.set_aside(charge.held.id);
            state.charges.push(charge.aside(delay));
        }
    }
    state.charges = owed;
    Ok(())
}

/// Writes what is owed on a connection of its own, once: nobody comes after this who would.
pub(crate) fn write_owed(shared: &SharedState, state: &mut WorkerState<'_>) {
    if state.charges.is_empty() {
        return;
    }
    let written = shared.base.dedicated.take().and_then(|mut connection| {
        let written = write_all(shared, &mut connection, state);
        shared.base.dedicated.give_back(connection);
        written
    });
    if let Err(error) = written {
        let topic = &shared.topic;
        tracing::warn!(
            topic = told(topic),
            error = told(&error),
            "topic {topic}: a failed attempt was not counted: {error}"
        );
    }
}

/// Postpones a message in its place.
fn set_aside(topic: &str, connection: &mut Connection, held: &Held, delay: Duration) -> Result<()> {
    apart(connection, "setting a message aside", |open| {
        if let Some(attempts) = settle::hold(open, topic, held.position, held.id)? {
            settle::postpone_head(open, topic, held, attempts, delay, None)?;
        }
        Ok(())
    })
}

/// A message that is locked for its charge.
struct FoundAgain {
    held: Held,
    attempts: u32,
    /// Whether it waits for its next attempt.
    is_waiting: bool,
}

/// Locks a message, wherever it is by now. If another worker was quicker and failed too, which
/// makes two attempts, the message waits or is back at the end of its topic. While this waits for
/// one holder, the next may have moved it once more: it is looked for until it is gone, since an
/// attempt that is not counted is one more than the message may have.
fn hold(
    open: &mut OpenTransaction<'_>,
    topic: &str,
    charge: &Charge,
) -> Result<Option<FoundAgain>> {
    let mut held = charge.held.clone();
    let mut at = MovedTo::Ready(held.position);
    for _ in 0..MOST_MOVES {
        let attempts = match at {
            MovedTo::Ready(position) => {
                held.position = position;
                settle::hold_in_turn(open, topic, &held)?
            }
            MovedTo::Waiting => settle::hold_waiting(open, topic, held.id)?,
        };
        if let Some(attempts) = attempts {
            let is_waiting = at == MovedTo::Waiting;
            return Ok(Some(FoundAgain {
                held,
                attempts,
                is_waiting,
            }));
        }
        match settle::find_again(open, topic, &held)? {
            Some(found) => at = found,
            None => return Ok(None),
        }
    }
    let text = format!("topic {topic}: message {} moves all the time", held.id);
    Err(Error::new(ErrorKind::Database, text).because(Said(Failure::Hindered)))
}

fn write(shared: &SharedState, connection: &mut Connection, charge: &Charge) -> Result<()> {
    let doing = "counting a failed attempt";
    let topic = &shared.topic;
    let mut found = None;
    let settled = apart(connection, doing, |open| {
        open.run(PATIENCE[usize::from(charge.tries > 0)])
            .doing(doing)?;
        let Some(found) = found.insert(hold(open, topic, charge)?) else {
            return Ok(Settlement::default());
        };
        let why = charge.error.clone();
        let ending = Ending::failed(&match charge.is_final {
            true => HandlerError::reject(why),
            false => HandlerError::failed(why),
        });
        // An attempt that somebody else counted meanwhile counted the deaths, too.
        let crashes = match found.attempts == charge.attempts {
            true => charge.crashes,
            false => 0,
        };
        let outcome = decide(&shared.terms(), found.attempts + crashes, ending);
        let settled = Settlement::of(vec![(&found.held, outcome)]);
        match found.is_waiting {
            false => {
                let is_strict = shared.options.is_strict;
                settled.move_failed(open, topic, is_strict, Duration::ZERO)?;
            }
            true => settled.move_waiting(open, topic)?,
        }
        write_ends(shared, open, &settled)?;
        if charge.crashes > 0 {
            // They are among the message's own attempts from now on.
            attempt::forget(open, topic, &[charge.held.id.0])?;
        }
        Ok(settled)
    })?;
    announce(shared, &settled, false);
    settled.tell(shared, &mut Deliveries::default());
    Ok(())
}

/// Writes what follows from the ends of messages.
fn write_ends(
    shared: &SharedState,
    open: &mut OpenTransaction<'_>,
    settled: &Settlement<'_>,
) -> Result<()> {
    let ends = settled.ends();
    if ends.is_empty() {
        return Ok(());
    }
    let mut flight = open.flight().seldom();
    on_end::push_ended(&mut flight, &shared.topic, &ends);
    let mut rows = open.fly(flight).doing("writing how a message ended")?;
    let promoted = keys::take_promoted(&mut rows);
    claim::note_promoted(&shared.floors, &promoted, settled.ended());
    Ok(())
}
