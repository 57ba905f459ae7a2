//! Handling all that is ready on the caller's own thread: for tests and batch jobs.

use crate::cancel::ends;
use crate::connect::connection::Connection;
use crate::dependencies::Place;
use crate::dependencies::release;
use crate::keys::stalled;
use crate::on_end::push_ended;
use crate::receive::charge::judge;
use crate::receive::handler::Handler;
use crate::receive::haste::Haste;
use crate::receive::lease::{heartbeat, shift};
use crate::receive::line::Line;
use crate::receive::progress::Progress;
use crate::receive::state::State;
use crate::receive::work::Worked;
use crate::receive::worker::turn;
use crate::schedule;
use crate::session::caller_sql::Ended;
use crate::threads::pause::{self, Pause};
use crate::threads::{Stop, stop_signal};
use crate::words::error::{Error, ErrorKind, Result};
use crate::words::message::MessageId;
use crate::words::outcome::DrainReport;
use crossbeam_channel::{Sender, bounded};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Troubles in a row after which a drain gives up: about five seconds.
const MAX_TROUBLES: u32 = 10;

/// How long others have to use up the topic's limit for a drain to end. For a moment they may seem
/// to that only ask whether they may work.
const USED_UP_FOR: Duration = Duration::from_secs(1);

/// How much of a topic a drain handles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// What is ready or due.
    Due,
    /// What waits for its time, too.
    Scheduled,
}

/// Handles messages until none is ready or due, or all that may be in work are in other hands.
pub(crate) fn drain<'h>(
    line: Line,
    extent: Extent,
    handler: &'h mut Handler<'h>,
) -> Result<DrainReport> {
    let line = Arc::new(line);
    // Never set: a drain ends by itself.
    let (_stopper, stop) = stop_signal();
    let (alive, worker) = bounded(0);
    let _heartbeat = match line.options.is_leasing {
        true => Some(heartbeat::start(&line, worker, stop.clone())?),
        false => None,
    };
    // Goes before the heartbeat, which ends by it.
    let _alive: Sender<Infallible> = alive;
    let mut state = State::new(0, line.per_transaction(), handler);
    state.reads_settings = true;
    let drained = until_empty(&line, extent, &mut state, &stop);
    drained
        .map(|()| report(&line.progress))
        .map_err(|error| paid(&line, &mut state, error))
}

/// Writes the ends of leases that are owed, since the connection broke: that spares their messages
/// another delivery. Returns what is left to be said.
fn paid(line: &Line, state: &mut State<'_>, error: Error) -> Error {
    if state.owed.is_empty() {
        return error;
    }
    // A new one: what befell the other may have befallen those that are idle.
    let opened = Connection::open(line.base.dedicated.settings());
    match opened.and_then(|mut connection| shift::pay(line, &mut connection, state)) {
        Ok(()) => {
            let text = "the connection broke; what was handled is settled";
            Error::new(ErrorKind::Unavailable, text).because(error)
        }
        Err(_) => error,
    }
}

fn until_empty(line: &Line, extent: Extent, state: &mut State<'_>, stop: &Stop) -> Result<()> {
    let mut haste = Haste::default();
    let mut pause = Pause::new();
    let mut troubles = 0;
    let mut used_up_at = None;
    let mut connection = line.base.dedicated.take()?;
    let kit = &line.base.kit;
    kit.configs.read(&mut connection)?;
    give_up(line, &mut connection)?;
    loop {
        if connection.is_closed() {
            // A handler left it in a state that cannot be put back.
            connection = line.base.dedicated.take()?;
        }
        // It may take hours. A connection that is gone is met below.
        let _ = kit.configs.refresh(&mut connection);
        let has_moved = make_ready(line, &mut connection)?;
        // No thread may be there that releases what comes after others.
        let released = release(&mut connection)?;
        if released > 0 {
            continue;
        }
        let retried = line.progress.retried.load(Ordering::Relaxed);
        let worked = turn(line, &mut connection, state, stop);
        if !matches!(worked, Ok(Worked::UsedUp(_))) {
            used_up_at = None;
        }
        match worked {
            Ok(Worked::UsedUp(wait)) => {
                let since = used_up_at.get_or_insert_with(Instant::now);
                if since.elapsed() >= USED_UP_FOR {
                    break;
                }
                let _ = pause::wait(stop, wait.unwrap_or(USED_UP_FOR));
            }
            // A sweep is owed before "nothing" is certain; it is owed for milliseconds. The head of
            // a strict topic may wait for hours, but a drain is not strict.
            Ok(Worked::Idle(Some(wait))) => drop(pause::wait(stop, wait)),
            Ok(Worked::Idle(None)) => {
                // What failed just now may be due at once.
                let is_retried = line.progress.retried.load(Ordering::Relaxed) > retried;
                let has_more = has_moved
                    || is_retried
                    || find_rest(line, &mut connection)?
                    || (extent == Extent::Scheduled && haste.make_due(line, &mut connection)?);
                if !has_more {
                    break;
                }
            }
            Ok(_) => troubles = 0,
            Err(error) => {
                // One that is of no more use for what a handler left there is replaced above.
                let is_lost = connection.client().is_closed();
                let is_theirs = error.cause::<Ended>().is_some();
                if judge(line, state, &error) && !is_lost || is_theirs {
                    continue;
                }
                troubles += 1;
                if troubles > MAX_TROUBLES || is_lost {
                    return Err(error);
                }
                pause.wait(stop);
            }
        }
    }
    line.base.dedicated.give_back(connection);
    Ok(())
}

fn report(progress: &Progress) -> DrainReport {
    DrainReport {
        handled: progress.handled.load(Ordering::Relaxed),
        retried: progress.retried.load(Ordering::Relaxed),
        dead: progress.dead.load(Ordering::Relaxed),
        dropped: progress.dropped.load(Ordering::Relaxed),
    }
}

/// Makes messages ready that are due, or next of their key; returns whether there were any.
fn make_ready(line: &Line, connection: &mut Connection) -> Result<bool> {
    let moved = schedule::move_due(connection, None)?;
    if !moved.is_empty() {
        // Leases may be among them whose messages somebody cancelled.
        give_up(line, connection)?;
    }
    let tended = stalled::tend_all(connection, push_ended)?;
    let has_moved = !moved.is_empty() || !tended.topics.is_empty();
    for topic in moved
        .topics
        .into_iter()
        .map(|(topic, _)| topic)
        .chain(tended.topics.into_iter().map(|(topic, _)| topic))
    {
        // Of all topics: others may be received elsewhere.
        line.base.waker.ready(&topic, usize::MAX);
    }
    Ok(has_moved)
}

/// Learns which messages are to be given up, and removes those that wait: no thread may be there
/// that does.
fn give_up(line: &Line, connection: &mut Connection) -> Result<()> {
    let waker = &line.base.waker;
    let (ids, removed) = ends::remove_asked(connection)?;
    waker
        .asked
        .replace(ids.into_iter().map(MessageId).collect());
    removed.announce(waker);
    Ok(())
}

/// Looks for what no thread may be there to find: messages of all topics that come after others
/// which have ended, and keys that are stuck. Returns whether there may be more to handle now.
fn find_rest(line: &Line, connection: &mut Connection) -> Result<bool> {
    let released = release(connection)?;
    Ok(released > 0 || stalled::sweep_topic(connection, &line.topic)? > 0)
}

/// Releases messages of all topics that come after others which have ended; returns how many.
fn release(connection: &mut Connection) -> Result<usize> {
    let mut released = 0;
    let mut place = Some(Place::default());
    while let Some(from) = place {
        let (looked, next) = release::sweep(connection, &from)?;
        released += looked.released;
        place = next;
    }
    Ok(released)
}
