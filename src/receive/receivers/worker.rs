//! The life of a worker thread: parked, at work, or waiting for the database to come back.

use crate::connect::connection::Connection;
use crate::observe::connection_of::ConnectionOf;
use crate::observe::fields::told;
use crate::observe::link::Link;
use crate::receive::concurrency::{Entry, QUICK};
use crate::receive::handler::{Attempt, SharedHandler};
use crate::receive::lease::run::run_leases;
use crate::receive::shared_state::SharedState;
use crate::receive::transaction::blame::judge;
use crate::receive::transaction::run::run_transactions;
use crate::receive::transaction::write_charges::write_owed;
use crate::receive::worker_state::{Worked, WorkerState};
use crate::session::messaging_session::MessagingSession;
use crate::threads::Stop;
use crate::threads::pause::Pause;
use crate::words::{Result, chain};
use crossbeam_channel::{after, never, select};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Works until stopped. `worker` is its number among the receiver's workers.
pub(crate) fn run(shared: &SharedState, handler: &SharedHandler, worker: usize, stop: &Stop) {
    let mut handler = |session: &mut MessagingSession<'_>, deliveries: &[Attempt<'_>]| {
        handler(session, deliveries)
    };
    let mut state = WorkerState::new(worker, shared.per_transaction(), &mut handler);
    let mut wait = None;
    let mut promise = None;
    let mut is_watching = false;
    while park(shared, wait, stop) {
        wait = match shared.concurrency.enter(worker, &mut is_watching) {
            Entry::Work => {
                shared.hands.enter();
                let wait = shift(shared, &mut state, stop);
                shared.hands.leave();
                shared.concurrency.leave(worker);
                come_back(&mut promise, wait, Instant::now())
            }
            Entry::Watch => Some(QUICK),
            // One that owes a sweep has to come back.
            Entry::Park => wait.and(Some(QUICK)),
        };
    }
    write_owed(shared, &mut state);
    if wait.is_some() {
        // It was to come back unasked. Others may rely on that.
        shared.base.waker.ready(&shared.topic, 1);
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
fn park(shared: &SharedState, wait: Option<Duration>, stop: &Stop) -> bool {
    let over = wait.map_or_else(never, after);
    select! {
        recv(stop.signal()) -> _ => false,
        recv(shared.station.permits()) -> _ => !stop.is_set(),
        recv(over) -> _ => !stop.is_set(),
    }
}

/// Works until nothing is ready, through whatever happens to the database. Returns when to look
/// again unasked, if at all.
fn shift(shared: &SharedState, state: &mut WorkerState<'_>, stop: &Stop) -> Option<Duration> {
    let mut pause = Pause::new();
    let mut is_troubled = false;
    let mut link = Link::default();
    let of = ConnectionOf::Worker {
        topic: &shared.topic,
    };
    while !stop.is_set() {
        let worked = once(shared, state, stop);
        link.learn(shared.observers(), of, &worked);
        match worked {
            Ok(Worked::Again) => {
                pause.reset();
                is_troubled = false;
                // Others wait for charges that are still to be written.
                if state.charges.is_empty() && shared.concurrency.leave_if_over(state.worker) {
                    shared.limits.leave_watch(&shared.station);
                    return None;
                }
            }
            Ok(worked @ (Worked::Idle(wait) | Worked::UsedUp(wait))) => {
                if matches!(worked, Worked::Idle(_)) {
                    shared.limits.leave_watch(&shared.station);
                }
                if wait.is_none() {
                    shared.base.waker.board.note_parked();
                }
                return wait;
            }
            Err(error) => {
                let is_about_messages = judge(shared, state, &error);
                let (topic, why) = (&shared.topic, chain(&error));
                // Once for each trouble: it may last for hours.
                if is_troubled {
                    tracing::debug!(
                        topic = told(topic),
                        error = told(&why),
                        "topic {topic}: {why}"
                    );
                } else {
                    tracing::warn!(
                        topic = told(topic),
                        error = told(&why),
                        "topic {topic}: {why}"
                    );
                }
                is_troubled = true;
                if !is_about_messages && !pause.wait(stop) {
                    break;
                }
            }
        }
    }
    // Stopped at work: what is left, or was given back, is for others, who may all be parked.
    shared.base.waker.ready(&shared.topic, 1);
    None
}

/// Runs transactions on one connection, which goes back unless it broke.
fn once(shared: &SharedState, state: &mut WorkerState<'_>, stop: &Stop) -> Result<Worked> {
    let mut connection = shared.base.dedicated.take()?;
    let process = connection.server_process().unwrap_or(0);
    shared.server_processes[state.worker].store(process, Ordering::Relaxed);
    let worked = turn(shared, &mut connection, state, stop);
    shared.base.dedicated.give_back(connection);
    worked
}

/// Works on `connection`, by transactions or under leases, until there is a reason to look around.
pub(crate) fn turn(
    shared: &SharedState,
    connection: &mut Connection,
    state: &mut WorkerState<'_>,
    stop: &Stop,
) -> Result<Worked> {
    match shared.options.is_leasing {
        false => run_transactions(shared, connection, state, stop),
        true => run_leases(shared, connection, state, stop),
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
