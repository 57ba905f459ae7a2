//! The life of a worker thread: parked, at work, or waiting for the database to come back.

use crate::connect::connection::Connection;
use crate::receive::charge::judge;
use crate::receive::crew::{Entry, QUICK};
use crate::receive::handler::{Delivery, SharedHandler};
use crate::receive::lease::shift;
use crate::receive::line::Line;
use crate::receive::slots;
use crate::receive::state::State;
use crate::receive::work::{Worked, work};
use crate::session::messaging_session::MessagingSession;
use crate::threads::Stop;
use crate::threads::pause::Pause;
use crate::words::Result;
use crate::words::error::chain;
use crossbeam_channel::{after, never, select};
use std::time::{Duration, Instant};

/// Works until stopped. `worker` is its number in the crew.
pub(crate) fn run(line: &Line, handler: &SharedHandler, worker: usize, stop: &Stop) {
    let mut handler = |session: &mut MessagingSession<'_>, deliveries: &[Delivery<'_>]| {
        handler(session, deliveries)
    };
    let mut state = State::new(worker, line.per_transaction(), &mut handler);
    let mut wait = None;
    let mut promise = None;
    let mut is_watching = false;
    while park(line, wait, stop) {
        wait = match line.crew.enter(worker, &mut is_watching) {
            Entry::Work => {
                line.hands.enter();
                let wait = shift(line, &mut state, stop);
                line.hands.leave();
                line.crew.leave(worker);
                come_back(&mut promise, wait, Instant::now())
            }
            Entry::Watch => Some(QUICK),
            // One that owes a sweep has to come back.
            Entry::Park => wait.and(Some(QUICK)),
        };
    }
}

/// Returns when a worker is to come back unasked that is to wait so long, and was to come back at
/// `promise`. One that was woken before, or has another reason to, keeps its promise: the others
/// rely on it.
fn come_back(
    promise: &mut Option<Instant>,
    wait: Option<Duration>,
    now: Instant,
) -> Option<Duration> {
    let asked = wait.and_then(|wait| now.checked_add(wait));
    let kept = promise.filter(|at| *at > now);
    *promise = asked.max(kept);
    let first = match (asked, kept) {
        (Some(asked), Some(kept)) => Some(asked.min(kept)),
        (asked, kept) => asked.or(kept),
    };
    first.map(|at| at.saturating_duration_since(now))
}

/// Waits until there may be messages, `wait` at most. Returns whether to go on.
fn park(line: &Line, wait: Option<Duration>, stop: &Stop) -> bool {
    let over = wait.map_or_else(never, after);
    select! {
        recv(stop.signal()) -> _ => false,
        recv(line.station.permits()) -> _ => !stop.is_set(),
        recv(over) -> _ => !stop.is_set(),
    }
}

/// Works until nothing is ready, through whatever happens to the database. Returns when to look
/// again unasked, if at all.
fn shift(line: &Line, state: &mut State<'_>, stop: &Stop) -> Option<Duration> {
    let mut pause = Pause::new();
    let mut is_troubled = false;
    while !stop.is_set() {
        match once(line, state, stop) {
            Ok(Worked::Again) => {
                pause.reset();
                is_troubled = false;
                if line.crew.leave_if_over(state.worker) {
                    slots::leave_watch(line);
                    return None;
                }
            }
            Ok(worked @ (Worked::Idle(wait) | Worked::UsedUp(wait))) => {
                if matches!(worked, Worked::Idle(_)) {
                    slots::leave_watch(line);
                }
                if wait.is_none() {
                    line.base.waker.board.note_parked();
                }
                return wait;
            }
            Err(error) => {
                let is_about_messages = judge(line, state, &error);
                let text = format!("topic {}: {}", line.topic, chain(&error));
                // Once for each trouble: it may last for hours.
                if is_troubled {
                    log::debug!("{text}");
                } else {
                    log::warn!("{text}");
                }
                is_troubled = true;
                if !is_about_messages && !pause.wait(stop) {
                    break;
                }
            }
        }
    }
    // Stopped at work: what is left, or was given back, is for others, who may all be parked.
    line.base.waker.ready(&line.topic, 1);
    None
}

/// Runs transactions on one connection, which goes back unless it broke.
fn once(line: &Line, state: &mut State<'_>, stop: &Stop) -> Result<Worked> {
    let mut connection = line.base.dedicated.take()?;
    let worked = turn(line, &mut connection, state, stop);
    line.base.dedicated.give_back(connection);
    worked
}

/// Works on `connection`, by transactions or under leases, until there is a reason to look around.
pub(crate) fn turn(
    line: &Line,
    connection: &mut Connection,
    state: &mut State<'_>,
    stop: &Stop,
) -> Result<Worked> {
    match line.options.is_leasing {
        false => work(line, connection, state, stop),
        true => shift::work(line, connection, state, stop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_is_woken_before_it_is_to_come_back_comes_back_all_the_same() {
        let now = Instant::now();
        let (soon, late) = (Duration::from_secs(1), Duration::from_secs(5));
        let mut promise = None;
        assert_eq!(come_back(&mut promise, None, now), None);
        assert_eq!(come_back(&mut promise, Some(late), now), Some(late));
        assert_eq!(come_back(&mut promise, None, now), Some(late));
        assert_eq!(come_back(&mut promise, Some(soon), now), Some(soon));
        assert_eq!(come_back(&mut promise, None, now + soon), Some(late - soon));
        assert_eq!(come_back(&mut promise, None, now + late), None, "it came");
    }
}
