//! Handling all that is ready on the caller's own thread: for tests and batch jobs.

use crate::cancel;
use crate::connect::connection::Connection;
use crate::dependencies::round::release_all;
use crate::receive::handler::{Attempt, Handler};
use crate::receive::lease::heartbeat;
use crate::receive::lease::settle_ended::{Settler, settle_ended};
use crate::receive::leases_in_hand::WhichEnded;
use crate::receive::progress::Progress;
use crate::receive::ran::{Ran, RunLog};
use crate::receive::receivers::make_due::MadeDue;
use crate::receive::receivers::worker::turn;
use crate::receive::shared_state::SharedState;
use crate::receive::telling::look_at_clock;
use crate::receive::transaction::blame::judge;
use crate::receive::transaction::write_charges::write_owed;
use crate::receive::worker_state::{Worked, WorkerState};
use crate::session::caller_sql::EndedTransaction;
use crate::session::messaging_session::MessagingSession;
use crate::tallies;
use crate::threads::pause::{self, Pause};
use crate::threads::{Stop, stop_signal};
use crate::upkeep::catch_up::{catch_up, find_rest};
use crate::wake::round::Work;
use crate::words::outcome::DrainReport;
use crate::words::{Error, ErrorKind, Result};
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

/// How soon a drain looks again for leases that go back at present.
const RETURNED_WITHIN: Duration = Duration::from_millis(5);

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
    shared: SharedState,
    extent: Extent,
    handler: &'h mut Handler<'h>,
) -> Result<DrainReport> {
    let shared = Arc::new(shared);
    work_off(&shared, extent, handler)?;
    Ok(report(&shared.progress))
}

/// Does the same with what is ready or due and, if `is_single`, ends after one message. Adds to
/// `ran` what became of each, also before an error.
pub(crate) fn run_each<'h>(
    mut shared: SharedState,
    is_single: bool,
    ran: &mut Vec<Ran>,
    handler: &'h mut Handler<'h>,
) -> Result<()> {
    shared.progress.runs = Some(RunLog::new(is_single));
    if is_single {
        shared.options.per_transaction = Some(1);
        shared.batch = shared.batch.map(|_| 1);
    }
    let shared = Arc::new(shared);
    let log = || shared.progress.runs.as_ref();
    let mut noting = |session: &mut MessagingSession<'_>, deliveries: &[Attempt<'_>]| {
        if let Some(log) = log() {
            let seen = deliveries.iter();
            log.begin(seen.map(|delivery| (delivery.message.held.id, delivery.attempt)));
        }
        handler(session, deliveries)
    };
    let worked = work_off(&shared, Extent::Due, &mut noting);
    ran.extend(log().map(RunLog::take).unwrap_or_default());
    worked
}

/// Handles messages on this thread.
fn work_off<'h>(
    shared: &Arc<SharedState>,
    extent: Extent,
    handler: &'h mut Handler<'h>,
) -> Result<()> {
    // Never set: a drain ends by itself.
    let (_stopper, stop) = stop_signal();
    let (alive, worker) = bounded(0);
    let _heartbeat = match shared.options.is_leasing {
        true => Some(heartbeat::start(shared, worker, stop.clone())?),
        false => None,
    };
    // Goes before the heartbeat, which ends by it.
    let _alive: Sender<Infallible> = alive;
    let mut state = WorkerState::new(0, shared.per_transaction(), handler);
    state.reads_settings = true;
    let drained = until_empty(shared, extent, &mut state, &stop);
    write_owed(shared, &mut state);
    drained.map_err(|error| settled(shared, &state, error))
}

/// Settles leases that ended when the connection broke: that spares their messages another
/// delivery. Returns what is left to be said.
fn settled(shared: &SharedState, state: &WorkerState<'_>, error: Error) -> Error {
    if !shared.heartbeat.has_ended(state.worker) {
        return error;
    }
    // A new one: what befell the other may have befallen those that are idle.
    let opened = Connection::open(shared.base.dedicated.settings());
    let settled = opened.and_then(|mut connection| {
        let ended = WhichEnded::By(state.worker);
        let ended = shared.heartbeat.take_ended(ended);
        settle_ended(shared, &mut connection, Settler::Worker, ended)
    });
    match settled {
        Ok(()) => {
            let text = "the connection broke; what was handled is settled";
            Error::new(ErrorKind::Unavailable, text).because(error)
        }
        Err(_) => error,
    }
}

fn until_empty(
    shared: &SharedState,
    extent: Extent,
    state: &mut WorkerState<'_>,
    stop: &Stop,
) -> Result<()> {
    let mut made_due = MadeDue::default();
    let mut troubles = DrainTroubles::new();
    let mut used_up_at = None;
    let mut connection = connected(shared, &mut troubles, stop)?;
    while !shared.progress.is_over() {
        let looked = troubles.look_after(shared, &mut connection, stop)?;
        let Some((has_moved, trouble)) = looked else {
            continue;
        };
        let retried = shared.progress.retried.load(Ordering::Relaxed);
        let worked = take_turn(shared, &mut connection, state, stop);
        used_up_at = used_up_at.filter(|_| matches!(worked, Ok(Worked::UsedUp(_))));
        match worked {
            Ok(Worked::UsedUp(wait)) => {
                let since = used_up_at.get_or_insert_with(Instant::now);
                if since.elapsed() >= USED_UP_FOR {
                    trouble.map_or(Ok(()), Err)?;
                    break;
                }
                let _ = pause::wait(stop, wait.unwrap_or(USED_UP_FOR));
            }
            // A sweep is owed before "nothing" is certain; it is owed for milliseconds. The head of
            // a strict topic may wait for hours, but a drain is not strict.
            Ok(Worked::Idle(Some(wait))) => drop(pause::wait(stop, wait)),
            Ok(Worked::Idle(None)) => {
                // What failed just now may be due at once.
                let is_retried = shared.progress.retried.load(Ordering::Relaxed) > retried;
                if has_moved || is_retried {
                    continue;
                }
                let has_rest = || has_rest(shared, &mut connection, extent, &mut made_due);
                match trouble.map_or_else(has_rest, Err) {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(error) => troubles.meet(error, connection.client().is_closed(), stop)?,
                }
            }
            Ok(_) => troubles.in_a_row = 0,
            Err(error) => {
                let is_lost = connection.client().is_closed();
                if !is_of_messages(shared, state, &error, is_lost) {
                    troubles.meet(error, is_lost, stop)?;
                }
            }
        }
    }
    give_back(shared, connection);
    Ok(())
}

/// Returns a connection, once it is known how the topic is set up and what is to be given up.
fn connected(
    shared: &SharedState,
    troubles: &mut DrainTroubles,
    stop: &Stop,
) -> Result<Connection> {
    let mut connection = shared.base.dedicated.take()?;
    shared.base.process.configs.read(&mut connection)?;
    shared.base.process.configs.refuse_log(&shared.topic)?;
    while let Err(error) = give_up(&mut shared.base.upkeep(&mut connection)) {
        troubles.meet(error, connection.client().is_closed(), stop)?;
    }
    Ok(connection)
}

/// What keeps a drain from its work.
struct DrainTroubles {
    in_a_row: u32,
    pause: Pause,
}

impl DrainTroubles {
    fn new() -> Self {
        DrainTroubles {
            in_a_row: 0,
            pause: Pause::new(),
        }
    }

    /// Does what the drain owes others. Returns whether anything of that is to be handled, and the
    /// trouble with it, which is mostly about other topics: what is ready here need not wait for
    /// them. `None`: it is to be done again.
    ///
    /// # Errors
    /// See [`meet`](Self::meet).
    fn look_after(
        &mut self,
        shared: &SharedState,
        connection: &mut Connection,
        stop: &Stop,
    ) -> Result<Option<(bool, Option<Error>)>> {
        match look_after(shared, connection) {
            Ok(has_moved) => Ok(has_moved.map(|has_moved| (has_moved, None))),
            // Gone, or a handler left something there, and there is no other yet.
            Err(error) if connection.is_closed() => self
                .meet(error, connection.client().is_closed(), stop)
                .map(|()| None),
            Err(error) => Ok(Some((false, Some(error)))),
        }
    }

    /// Waits a while.
    ///
    /// # Errors
    /// The trouble, where it is one too many, or the connection is gone. One that is of no more use
    /// for what a handler left there is replaced.
    fn meet(&mut self, error: Error, is_lost: bool, stop: &Stop) -> Result<()> {
        self.in_a_row += 1;
        if self.in_a_row > MAX_TROUBLES || is_lost {
            return Err(error);
        }
        self.pause.wait(stop);
        Ok(())
    }
}

/// Gives the connection back, after it wrote what was counted: no thread may be there that does.
fn give_back(shared: &SharedState, mut connection: Connection) {
    tallies::write_if_due(&mut connection, shared.observers());
    shared.base.dedicated.give_back(connection);
}

/// Takes a turn. One that found nothing while the heartbeat gave leases back is to be taken again
/// soon: they were in hand here.
fn take_turn(
    shared: &SharedState,
    connection: &mut Connection,
    state: &mut WorkerState<'_>,
    stop: &Stop,
) -> Result<Worked> {
    let returns = shared.heartbeat.returns();
    let worked = turn(shared, connection, state, stop)?;
    Ok(match worked {
        Worked::Idle(None) if shared.heartbeat.has_returned_since(returns) => {
            Worked::Idle(Some(RETURNED_WITHIN))
        }
        worked => worked,
    })
}

/// Looks for messages that a drain has to make ready itself; returns whether there were any.
fn has_rest(
    shared: &SharedState,
    connection: &mut Connection,
    extent: Extent,
    made_due: &mut MadeDue,
) -> Result<bool> {
    Ok(
        find_rest(&mut shared.base.upkeep(connection), &shared.topic)?
            || (extent == Extent::Scheduled && made_due.make_due(shared, connection)?),
    )
}

/// Returns whether a failure was one of messages, which are charged with it: a drain goes on.
fn is_of_messages(
    shared: &SharedState,
    state: &mut WorkerState<'_>,
    error: &Error,
    is_lost: bool,
) -> bool {
    let is_theirs = error.cause::<EndedTransaction>().is_some();
    judge(shared, state, error) && !is_lost || is_theirs
}

/// Does before each turn what no thread may be there to do. Returns whether messages moved; `None`
/// where it is to be done again at once.
fn look_after(shared: &SharedState, connection: &mut Connection) -> Result<Option<bool>> {
    if connection.is_closed() {
        // A handler left it in a state that cannot be put back.
        *connection = shared.base.dedicated.take()?;
    }
    // A drain may take hours. A connection that is gone is met in the turn.
    let _ = shared.base.process.configs.refresh(connection);
    look_at_clock(shared.observers(), connection);
    tallies::write_if_due(connection, shared.observers());
    let mut upkeep = shared.base.upkeep(connection);
    let has_moved = catch_up(&mut upkeep, give_up)?;
    let has_released = release_all(&mut upkeep)? > 0;
    Ok((!has_released).then_some(has_moved))
}

fn report(progress: &Progress) -> DrainReport {
    DrainReport {
        handled: progress.handled.load(Ordering::Relaxed),
        retried: progress.retried.load(Ordering::Relaxed),
        dead: progress.dead.load(Ordering::Relaxed),
        dropped: progress.dropped.load(Ordering::Relaxed),
    }
}

/// Learns which messages are to be given up, and removes those that wait: no thread may be there
/// that does.
fn give_up(work: &mut Work<'_>) -> Result<()> {
    cancel::round::hear(work).map(drop)
}
