//! Handling all that is ready on the caller's own thread: for tests and batch jobs.

use crate::receive::charge::judge;
use crate::receive::line::Line;
use crate::receive::work::{State, Worked, work};
use crate::session::lanes;
use crate::store::schedule;
use crate::wake::pause::{self, Pause};
use crate::wake::threads::stop_signal;
use crate::words::Result;
use crate::words::outcome::DrainReport;
use std::sync::atomic::Ordering;

/// Troubles in a row after which a drain gives up: about five seconds.
const MAX_TROUBLES: u32 = 10;

/// Handles messages until none is ready or due.
pub(crate) fn drain(line: &Line) -> Result<DrainReport> {
    // Never set: a drain ends by itself.
    let (_stopper, stop) = stop_signal();
    let mut state = State::new(0, line.options.per_transaction);
    let mut pause = Pause::new();
    let mut troubles = 0;
    let mut connection = line.base.dedicated.take()?;
    let kit = &line.base.kit;
    kit.configs.refresh(&mut connection, &kit.statements)?;
    loop {
        let statements = &line.base.kit.statements;
        let moved = schedule::move_due(&mut connection, statements)?;
        let tended = lanes::tend(&mut connection, statements)?;
        let has_moved = moved.messages > 0 || !tended.topics.is_empty();
        for topic in moved
            .topics
            .into_iter()
            .chain(tended.topics.into_iter().map(|(topic, _)| topic))
        {
            // Of all topics: others may be received elsewhere.
            line.base.waker.ready(&topic, usize::MAX);
        }
        match work(line, &mut connection, &mut state, &stop) {
            // A sweep is owed before "nothing" is certain; it is owed for milliseconds. The head of
            // a strict topic may wait for hours, but a drain is not strict.
            Ok(Worked::Idle(Some(wait))) => drop(pause::wait(&stop, wait)),
            Ok(Worked::Idle(None)) if !has_moved => break,
            Ok(_) => troubles = 0,
            Err(error) => {
                if judge(line, &mut state, &error) && !connection.is_closed() {
                    continue;
                }
                troubles += 1;
                if troubles > MAX_TROUBLES || connection.is_closed() {
                    return Err(error);
                }
                pause.wait(&stop);
            }
        }
    }
    line.base.dedicated.give_back(connection);
    let progress = &line.progress;
    Ok(DrainReport {
        handled: progress.handled.load(Ordering::Relaxed),
        retried: progress.retried.load(Ordering::Relaxed),
        dead: progress.dead.load(Ordering::Relaxed),
    })
}
