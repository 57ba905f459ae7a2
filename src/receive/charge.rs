//! Whose fault it was: what the failure of a whole transaction means for its messages.
//!
//! A rollback also undoes "one more failed attempt", so that is written in a transaction of its own.
//! Charged is only who is to blame for sure:
//!
//! - COMMIT was refused (a deferred constraint): the message, if it was alone in the transaction; if
//!   there were several, nobody, and they go one by one for a while.
//! - A conflict (serialization failure, deadlock): nobody, the transaction runs again; after ten in
//!   a row it counts as refused.
//! - A message could not be settled, without a reason (its row is gone, or something keeps it): nobody. The one that
//!   cannot be settled even alone is set aside for a while, in its place, so that it holds up nobody.
//! - The connection broke: nobody, for servers restart; but a message in whose handler it broke
//!   three times is charged, for it may be what breaks it (an idle-in-transaction timeout, a
//!   query that brings its server process down).

use crate::connect::connection::Connection;
use crate::connect::transaction::OpenTransaction;
use crate::receive::careful;
use crate::receive::ending::decide;
use crate::receive::handler::Ending;
use crate::receive::line::Line;
use crate::receive::settled::Settled;
use crate::receive::state::State;
use crate::session::messaging_session::MessagingSession;
use crate::store::aftermath::{self, End};
use crate::store::attempt;
use crate::store::call::CallMode;
use crate::store::claim::{Claimed, Held};
use crate::store::lanes;
use crate::store::run::Run;
use crate::store::settle::{self, Burial, Retry};
use crate::words::error::{Error, ErrorKind, Result, chain};
use crate::words::handler_error::HandlerError;
use crate::words::sqlstate::{classify, is_miscounted};
use postgres::IsolationLevel;
use std::time::Duration;

/// Conflicts in a row that are nobody's fault.
pub(crate) const MAX_CONFLICTS: u32 = 10;
/// Broken connections in the handler of one message that are nobody's fault.
pub(crate) const MAX_LOSSES: u32 = 2;

/// A message that was in a handler when its transaction failed.
#[derive(Debug, Clone)]
pub(crate) struct Charge {
    held: Held,
    /// Deliveries that ended with the death of their process.
    crashes: u32,
    error: String,
    /// Whether its handler had others in hand at the same time.
    is_shared: bool,
    /// It is left alone for this long, and no attempt is spent.
    aside: Option<Duration>,
}

impl Charge {
    pub(crate) fn of(message: &Claimed, crashes: u32) -> Self {
        Charge {
            held: message.held.clone(),
            crashes,
            error: String::new(),
            is_shared: false,
            aside: None,
        }
    }

    /// Sets the message aside instead.
    fn aside(mut self, delay: Duration) -> Self {
        self.aside = Some(delay);
        self
    }

    /// Says whether the message is in a handler together with others.
    pub(crate) fn shared(mut self, is_shared: bool) -> Self {
        self.is_shared = is_shared;
        self
    }
}

/// Decides who is charged with `error`, which ended the open transaction.
///
/// Returns whether the messages in it were to blame: then the database is well, and the next
/// transaction need not wait. Meanwhile the one at fault is free, and others would run it again.
pub(crate) fn judge(line: &Line, state: &mut State, error: &Error) -> bool {
    line.floors().forget();
    let mut entered = std::mem::take(&mut state.entered);
    let mut stray = std::mem::take(&mut state.stray);
    if is_miscounted(error) {
        match stray.as_mut_slice() {
            [charge] => {
                let delay = line.set_aside(charge.held.id);
                log::warn!(
                    "topic {}: message {} cannot be settled and is left alone for {delay:?}",
                    line.topic,
                    charge.held.id
                );
                state.charges.push(charge.clone().aside(delay));
            }
            _ => state.pace.single(),
        }
        return false;
    }
    let is_charged = match error.kind() {
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
                .is_some_and(|charge| line.count_loss(charge.held.id) > MAX_LOSSES)
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
        state.charges.append(&mut entered);
    } else {
        state.pace.single();
    }
    is_about_messages
}

/// A handler met another transaction: all of this one is to run again.
pub(crate) fn conflict(line: &Line, text: &str) -> Error {
    Error::new(
        ErrorKind::Conflict,
        format!("conflict in a handler of topic {}: {text}", line.topic),
    )
}

/// Writes the charges of [`judge`], each in a transaction of its own, after taking back what was
/// counted ahead of them.
pub(crate) fn settle(line: &Line, connection: &mut Connection, state: &mut State) -> Result<()> {
    careful::take_back_all(line, connection, &mut state.uncounted)?;
    while let Some(charge) = state.charges.last() {
        let written = match charge.aside {
            None => write(line, connection, charge),
            Some(delay) => set_aside(line, connection, charge, delay),
        };
        let Err(error) = written else {
            state.charges.pop();
            continue;
        };
        if error.kind() == ErrorKind::Unavailable || connection.is_closed() {
            return Err(error);
        }
        // Whatever the database has against it will be there the next time. Nothing else may wait for that.
        log::warn!("topic {}: {}", line.topic, chain(&error));
        let Some(charge) = state.charges.pop() else {
            break;
        };
        if charge.aside.is_none() {
            let delay = line.set_aside(charge.held.id);
            state.charges.push(charge.aside(delay));
        }
    }
    Ok(())
}

/// Notes what was taken in a transaction that failed since something of it could not be settled.
pub(crate) fn note_stray(state: &mut State, taken: &[Claimed], error: &Error) {
    if is_miscounted(error) {
        state.stray = taken.iter().map(|message| Charge::of(message, 0)).collect();
    }
}

/// Leaves a message in its place, and alone for a while.
fn set_aside(
    line: &Line,
    connection: &mut Connection,
    charge: &Charge,
    delay: Duration,
) -> Result<()> {
    let doing = "setting a message aside";
    let statements = &line.base.kit.statements;
    let mut open = connection
        .begin(Some(IsolationLevel::ReadCommitted))
        .map_err(|error| classify(error, doing))?;
    let Held { position, id, .. } = charge.held;
    if let Some(attempts) = settle::hold(&mut open, statements, &line.topic, position, id)? {
        let retry = Retry {
            held: charge.held.clone(),
            attempts,
            delay,
            error: String::new(),
        };
        settle::postpone_head(&mut open, statements, &line.topic, &retry, Duration::ZERO)?;
    }
    open.transaction
        .commit()
        .map_err(|error| classify(error, doing))?;
    Ok(())
}

fn write(line: &Line, connection: &mut Connection, charge: &Charge) -> Result<()> {
    let doing = "counting a failed attempt";
    let statements = &line.base.kit.statements;
    let mut open = connection
        .begin(Some(IsolationLevel::ReadCommitted))
        .map_err(|error| classify(error, doing))?;
    let mut settled = Settled::default();
    let held = settle::hold(
        &mut open,
        statements,
        &line.topic,
        charge.held.position,
        charge.held.id,
    )?;
    // Else it is in other hands, or gone: whoever has it will find out.
    if let Some(attempts) = held {
        let ending = Ending::failed(&HandlerError::failed(charge.error.clone()));
        let attempts = attempts + charge.crashes;
        let fate = decide(&line.terms(), charge.held.clone(), attempts, ending);
        settled = Settled::sort(vec![fate]);
        let (retries, burials) = (&settled.retries, &settled.burials);
        move_failed(line, &mut open, retries, burials, Duration::ZERO)?;
        write_ends(line, &mut open, &settled.ends())?;
        if charge.crashes > 0 {
            // They are among the message's own attempts from now on.
            attempt::forget(&mut open, statements, &line.topic, charge.held.id)?;
        }
    }
    open.transaction
        .commit()
        .map_err(|error| classify(error, doing))?;
    settled.announce(line, false);
    Ok(())
}

/// Writes what the ends of messages call for.
fn write_ends(line: &Line, open: &mut OpenTransaction<'_>, ends: &[End]) -> Result<()> {
    if ends.is_empty() {
        return Ok(());
    }
    let mut sql = String::new();
    let statements = &line.base.kit.statements;
    aftermath::push_ended(&mut sql, CallMode::Inline, statements, &line.topic, ends);
    let mut rows = open
        .flight(&sql)
        .map_err(|error| classify(error, "writing how a message ended"))?;
    line.lower(&lanes::take_promoted(&mut rows));
    Ok(())
}

/// Moves failed messages to where they wait or stay, at the top level of the transaction.
pub(crate) fn settle_failures(
    line: &Line,
    session: &mut MessagingSession<'_>,
    retries: &[Retry],
    burials: &[Burial],
) -> Result<()> {
    if retries.is_empty() && burials.is_empty() {
        return Ok(());
    }
    session.leave_savepoint()?;
    let since_begin = session.begun_at.elapsed();
    move_failed(line, session.lent.own()?, retries, burials, since_begin)
}

/// Moves messages that are held to where they wait or stay.
pub(crate) fn move_failed(
    line: &Line,
    run: &mut dyn Run,
    retries: &[Retry],
    burials: &[Burial],
    since_begin: Duration,
) -> Result<()> {
    let statements = &line.base.kit.statements;
    if line.options.is_strict {
        for retry in retries {
            settle::postpone_head(run, statements, &line.topic, retry, since_begin)?;
        }
    } else if !retries.is_empty() {
        settle::retry(run, statements, &line.topic, retries)?;
    }
    if !burials.is_empty() {
        settle::bury(run, statements, &line.topic, burials)?;
    }
    Ok(())
}
