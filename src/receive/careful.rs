//! Careful deliveries, while a topic is suspect: counted before the handler runs, in a transaction
//! apart, so that the count outlives the process.
//!
//! The claim's row lock is held all the while, so nobody can get the message between the count and
//! the handler.
//!
//! A process that dies takes all that it had in hand with it, and one of them did it. So a
//! delivery whose message saw a process die before runs alone among the careful ones of its process:
//! if that dies again, there is no doubt. Messages that were only near are counted once, and never
//! suffer for their neighbour's deeds.

use crate::receive::line::Line;
use crate::receive::state::State;
use crate::receive::take::Taken;
use crate::store::attempt;
use crate::store::run::Run;
use crate::wake::threads::Stop;
use crate::words::Result;
use crate::words::message::MessageId;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// The careful deliveries of a process: many at a time, or one alone.
#[derive(Debug, Default)]
pub(crate) struct Quarantine(RwLock<()>);

/// The right to a careful delivery; ends when it is dropped.
pub(crate) enum Pass<'a> {
    Shared(#[expect(dead_code, reason = "held for its drop")] RwLockReadGuard<'a, ()>),
    Alone(#[expect(dead_code, reason = "held for its drop")] RwLockWriteGuard<'a, ()>),
}

impl Quarantine {
    fn share(&self) -> Pass<'_> {
        Pass::Shared(self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn be_alone(&self) -> Pass<'_> {
        Pass::Alone(self.0.write().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Counts the delivery of the one message that was taken, and returns the right to it; none if the
/// stop was asked for meanwhile. Waits for careful handlers in hand if it has to be alone, or for
/// one that is; a stop waits for these, too.
pub(crate) fn admit<'a>(
    line: &'a Line,
    state: &mut State,
    taken: &mut Taken,
    stop: &Stop,
) -> Result<Option<Pass<'a>>> {
    let Some(message) = taken.messages.first() else {
        return Ok(None);
    };
    let quarantine = &line.base.quarantine;
    let (statements, topic) = (&line.base.kit.statements, &line.topic);
    // A connection apart: the claim's own transaction must stay open, and its rollback must not
    // undo the count.
    let mut apart = line.base.dedicated.take()?;
    let deaths = attempt::counted(&mut apart, statements, topic, message.held.id)?;
    // Before counting: to wait for one's turn is not to be delivered.
    let pass = match deaths {
        0 => quarantine.share(),
        _ => quarantine.be_alone(),
    };
    if stop.is_set() {
        // Free again with the end of the transaction; the floor must not hide it.
        line.floors().lower(message.held.position);
        return Ok(None);
    }
    taken.counted = Some(attempt::begin(
        &mut apart,
        statements,
        topic,
        message.held.id,
    )?);
    state.counted = Some(message.held.id);
    line.base.dedicated.give_back(apart);
    Ok(Some(pass))
}

/// Takes back the count of a delivery that ended while its process lived, but in a rollback. Called
/// before the message's lock goes, so that nobody takes the count for a death.
pub(crate) fn take_back(line: &Line, state: &mut State) {
    let Some(id) = state.counted.take() else {
        return;
    };
    state.uncounted.push(id);
    let taken_back = line.base.dedicated.take().and_then(|mut apart| {
        take_back_all(line, &mut apart, &mut state.uncounted)?;
        line.base.dedicated.give_back(apart);
        Ok(())
    });
    if let Err(error) = taken_back {
        log::debug!("topic {}: {error}", line.topic);
    }
}

/// Takes back what could not be taken back at once, since the database was away.
pub(crate) fn take_back_all(
    line: &Line,
    run: &mut dyn Run,
    uncounted: &mut Vec<MessageId>,
) -> Result<()> {
    while let Some(&id) = uncounted.last() {
        attempt::take_back(run, &line.base.kit.statements, &line.topic, id)?;
        uncounted.pop();
    }
    Ok(())
}
