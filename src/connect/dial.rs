//! Opens a connection within a bounded time.
//!
//! The driver's connect timeout ends when the TCP connection is established, and it cannot be
//! interrupted. So the driver dials in a thread of its own, and the waiting thread gives up in
//! time. No other code below `wake` starts a thread: this one lives for one connect, and the number
//! of such threads is bounded.
//!
//! Packets that a silent network swallowed are resent at growing intervals, so a connect that began
//! before the network came back may need many more seconds. So whoever waits also starts a new try
//! each second, which lasts a second (`Kind::Quick`), beside the try that has all the configured
//! time (`Kind::Patient`), which a slow server may need. The first that succeeds ends the other.
//!
//! Of several servers the patient try takes one after the other, and each has quick tries of its
//! own, which begin a quarter of a second apart: one that says nothing costs the others no more
//! than that, and only until it is known (`preference`).

use crate::connect::connector::Unwired;
use crate::connect::endpoints::Endpoint;
use crate::connect::greeting::Greeting;
use crate::connect::pulse::Pulses;
use crate::connect::quick_tries::{QUICK, QuickTries, STAGGER};
use crate::connect::tls::Dialer;
use crate::connect::tries::{Caller, DialHeard, DialOutcome, DialTurns, Dialed, Kind, Tries};
use crate::connect::url_error::configuration;
use crate::words::{DriverResult, Error, ErrorKind, Result};
use std::error::Error as StdError;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// Patient tries at the same time; more wait for their turn.
const MAX_PATIENT: usize = 28;
/// Quick ones of all who wait for one server: enough to find out, and no burden if it is slow.
const MAX_QUICK: usize = 4;
/// How often a thread that waits for its turn checks.
const TURN: Duration = Duration::from_millis(50);

/// Opens connections to one place.
pub(crate) struct Dial {
    caller: Arc<Caller>,
    patient: DialTurns,
    /// Of each server.
    quick: Vec<DialTurns>,
    patience: Duration,
    /// How long a patient try waits for an answer.
    answer: Duration,
}

impl Dial {
    /// Makes a dial that waits for `patience` at most, for an answer no longer than `answer`, and
    /// greets each connection.
    pub(crate) fn new(
        patience: Duration,
        answer: Duration,
        dialer: Dialer,
        greeting: Greeting,
    ) -> Self {
        let quick = (0..dialer.count()).map(|_| DialTurns::new(MAX_QUICK));
        Dial {
            quick: quick.collect(),
            caller: Arc::new(Caller {
                dialer,
                greeting,
                pulses: Arc::default(),
            }),
            patient: DialTurns::new(MAX_PATIENT),
            patience,
            answer,
        }
    }

    /// Returns what is seen of the connections from outside.
    pub(crate) fn pulses(&self) -> &Arc<Pulses> {
        &self.caller.pulses
    }

    /// Says that a client keeps its server connection, whatever is between.
    pub(crate) fn trust(&self) {
        self.caller.greeting.trust();
    }

    /// Opens a connection, within `most`. The inner error is the driver's; `target` names the place
    /// in the outer.
    ///
    /// # Errors
    /// `Unavailable` when there was no answer in time, or no room for another thread or connection;
    /// `Configuration` for a database that is not fit for use.
    pub(crate) fn connect(&self, target: &str, most: Duration) -> Result<DriverResult<Dialed>> {
        let started = Instant::now();
        let patience = self.patience.min(most);
        let deadline = started.checked_add(patience);
        let deadline = deadline.ok_or_else(|| configuration("connect_timeout is too long"))?;
        let mut tries = Tries::new(&self.caller, target);
        let order = self.caller.dialer.preference.order();
        let mut quick = QuickTries::new(&order, started);
        loop {
            if tries.patient == 0
                && let Some(turn) = self.patient.take()
            {
                tries.begin(Kind::Patient, order.clone(), Some(turn), self.answer)?;
            }
            let now = Instant::now();
            while let Some(server) = quick.next_due(now) {
                let turn = self.quick[server].take();
                quick.note_begun(server, now, turn.is_none().then_some(TURN));
                if turn.is_some() {
                    tries.begin(Kind::Quick(server), vec![server], turn, QUICK)?;
                }
            }
            let next = match tries.patient {
                0 => quick.next_at(now).min(now + TURN),
                _ => quick.next_at(now),
            };
            match tries.next(next.min(deadline)) {
                DialHeard::Decided(outcome) => return heard(outcome, target, started.elapsed()),
                DialHeard::Failed(server) => quick.note_failed(server),
                DialHeard::Nothing if deadline <= Instant::now() => {
                    return Err(silent(target, patience));
                }
                DialHeard::Nothing => {}
            }
        }
    }

    /// Opens a connection for the thread that looks after the others: without waiting for a turn,
    /// and with a limit for each answer as long as it is there. Servers are tried a quarter of a
    /// second apart.
    pub(crate) fn connect_limited(
        &self,
        target: &str,
        limit: Duration,
    ) -> Result<DriverResult<Dialed>> {
        self.limited(Kind::Limited, target, limit)
    }

    /// Like [`connect_limited`](Self::connect_limited), also to a server that takes no writes.
    pub(crate) fn connect_to_look(
        &self,
        target: &str,
        limit: Duration,
    ) -> Result<DriverResult<Dialed>> {
        self.limited(Kind::Look, target, limit)
    }

    fn limited(&self, kind: Kind, target: &str, limit: Duration) -> Result<DriverResult<Dialed>> {
        let started = Instant::now();
        let mut tries = Tries::new(&self.caller, target);
        let mut left = self.caller.dialer.preference.order().into_iter();
        let mut next_at = started;
        let mut under_way = 0;
        loop {
            let now = Instant::now();
            if next_at <= now
                && let Some(server) = left.next()
            {
                tries.begin(kind, vec![server], None, limit)?;
                (under_way, next_at) = (under_way + 1, now + STAGGER);
                continue;
            }
            let deadline = started + 2 * limit;
            let until = if left.len() > 0 { next_at } else { deadline };
            match tries.next(until.min(deadline)) {
                DialHeard::Decided(Ok(Ok(Ok(dialed)))) => return Ok(Ok(dialed)),
                DialHeard::Decided(outcome) => {
                    (under_way, next_at) = (under_way - 1, Instant::now());
                    if under_way == 0 && left.len() == 0 {
                        return heard(outcome, target, limit);
                    }
                }
                _ if deadline <= Instant::now() => return Err(silent(target, limit)),
                _ => {}
            }
        }
    }

    /// Returns whether all connections are to lead to one server, the primary.
    pub(crate) fn has_one_primary(&self) -> bool {
        self.caller.dialer.has_one_primary()
    }

    /// Returns the names of servers that may be moved to others.
    pub(crate) fn names(&self) -> Vec<Endpoint> {
        self.caller.dialer.names.clone()
    }

    /// Returns whether another server may be found than the last one: there are several, or a name
    /// that may be moved.
    pub(crate) fn has_choice(&self) -> bool {
        self.caller.dialer.count() > 1 || !self.caller.dialer.names.is_empty()
    }
}

fn silent(target: &str, waited: Duration) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        format!(
            "{target} did not answer within {waited:.1?}: is it a PostgreSQL server, and alive?"
        ),
    )
}

/// Sorts what came of a try.
fn heard(outcome: DialOutcome, target: &str, waited: Duration) -> Result<DriverResult<Dialed>> {
    match outcome {
        Ok(Ok(dialed)) => dialed.map(Ok),
        Ok(Err(error)) if is_silence(&error) => Err(silent(target, waited).because(error)),
        Ok(Err(error)) => Ok(Err(error)),
        Err(error) => {
            let text = format!("the driver has no event loop to connect to {target} with");
            Err(Error::new(ErrorKind::Unavailable, text).because(error))
        }
    }
}

/// Returns whether a connect failed because its time was over.
fn is_silence(error: &postgres::Error) -> bool {
    let Some(source) = error.source() else {
        return false;
    };
    let lost = match source.downcast_ref::<Unwired>() {
        Some(Unwired::Lost(error)) => Some(error),
        Some(_) => None,
        None => source.downcast_ref::<io::Error>(),
    };
    lost.is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
}

/// Refuses a thread that runs async tasks, where the driver would panic.
///
/// # Errors
/// `Invalid`, from inside an async task.
pub(crate) fn refuse_async_task() -> Result<()> {
    // Threads that know no runtime, all of ours among them, are done with this.
    let Ok(runtime) = Handle::try_current() else {
        return Ok(());
    };
    // A thread of `spawn_blocking` knows one too, and may block. Only trying tells.
    catch_unwind(AssertUnwindSafe(|| runtime.block_on(async {}))).map_err(|_| {
        Error::invalid(
            "called from an async task, which must not block: use spawn_blocking, or a thread",
        )
    })
}
