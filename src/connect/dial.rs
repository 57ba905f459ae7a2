//! Opens a connection within a bounded time.
//!
//! The driver's connect timeout ends when the TCP connection is established, and it cannot be
//! interrupted. So the driver dials in a thread of its own, and the waiting thread gives up in
//! time. No other code below `wake` starts a thread: this one lives for one connect, and the number
//! of such threads is bounded.
//!
//! Packets that a silent network swallowed are resent at growing intervals, so a connect that began
//! before the network came back may need many more seconds. So whoever waits also starts a new try
//! each second, which lasts a second ([`Kind::Quick`]), beside the try that has all the configured
//! time ([`Kind::Patient`]), which a slow server may need. The first that succeeds ends the other.

use crate::connect::connector::Unwired;
use crate::connect::greeting::Greeting;
use crate::connect::lender::{Borrowed, HeldClient};
use crate::connect::pulse::{Pulse, Pulses};
use crate::connect::tls::Dialer;
use crate::connect::url_error::configuration;
use crate::connect::wired::Wiring;
use crate::threads::spawn;
use crate::words::{DriverResult, Error, ErrorKind, Result};
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use std::error::Error as StdError;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// Patient tries at the same time; more wait for their turn.
const MAX_PATIENT: usize = 28;
/// Quick ones of all who wait: enough to find out, and no burden for a server that is slow.
const MAX_QUICK: usize = 4;
/// How long a quick try may take, and how often there is one.
const QUICK: Duration = Duration::from_secs(1);
/// How often a thread that waits for its turn checks.
const TURN: Duration = Duration::from_millis(50);

/// How a connect is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Patient,
    Quick,
}

/// A connection that was opened.
pub(crate) struct Dialed {
    pub(crate) client: HeldClient,
    /// `None` for one through a file.
    pub(crate) pulse: Option<Arc<Pulse>>,
    /// The statements that set what was set; `None` for one that was lent.
    pub(crate) settings: Option<String>,
    /// Whether the tables may be on other servers; unknown, and so false, for one that was lent.
    pub(crate) is_distributed: bool,
}

impl Dialed {
    /// One that somebody else dialled.
    pub(crate) fn borrowed(client: Borrowed) -> Self {
        Dialed {
            client: HeldClient::Borrowed(client),
            pulse: None,
            settings: None,
            is_distributed: false,
        }
    }
}

/// What came of a try: no event loop, no connection, a database that is not fit for use, or a
/// connection.
type DialOutcome = io::Result<DriverResult<Result<Dialed>>>;

/// Opens connections to one place.
pub(crate) struct Dial {
    caller: Arc<Caller>,
    patient: DialTurns,
    quick: DialTurns,
    patience: Duration,
    /// How long a patient try waits for an answer.
    answer: Duration,
}

/// What a thread that dials needs.
struct Caller {
    dialer: Dialer,
    greeting: Greeting,
    pulses: Arc<Pulses>,
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
        Dial {
            caller: Arc::new(Caller {
                dialer,
                greeting,
                pulses: Arc::default(),
            }),
            patient: DialTurns(bounded(MAX_PATIENT)),
            quick: DialTurns(bounded(MAX_QUICK)),
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
        let mut quick_at = started + QUICK;
        loop {
            if tries.patient == 0
                && let Some(turn) = self.patient.take()
            {
                tries.begin(Kind::Patient, Some(turn), self.answer)?;
            }
            let now = Instant::now();
            if quick_at <= now
                && tries.quick == 0
                && let Some(turn) = self.quick.take()
            {
                tries.begin(Kind::Quick, Some(turn), QUICK)?;
                quick_at = now + QUICK;
            }
            let is_waiting = tries.patient == 0 || quick_at <= now;
            let next = if is_waiting { now + TURN } else { quick_at };
            match tries.next(next.min(deadline)) {
                Some(outcome) => return heard(outcome, target, started.elapsed()),
                None if deadline <= Instant::now() => return Err(silent(target, patience)),
                None => {}
            }
        }
    }

    /// Opens a connection for the thread that looks after the others: without waiting for a turn,
    /// and with a limit for each answer as long as it is there.
    pub(crate) fn connect_limited(
        &self,
        target: &str,
        limit: Duration,
    ) -> Result<DriverResult<Dialed>> {
        self.limited(Tries::new(&self.caller, target), limit)
    }

    /// Like [`connect_limited`](Self::connect_limited), also to a server that takes no writes.
    pub(crate) fn connect_to_look(
        &self,
        target: &str,
        limit: Duration,
    ) -> Result<DriverResult<Dialed>> {
        let mut tries = Tries::new(&self.caller, target);
        tries.takes_standby = true;
        self.limited(tries, limit)
    }

    fn limited(&self, mut tries: Tries<'_>, limit: Duration) -> Result<DriverResult<Dialed>> {
        let target = tries.target;
        tries.is_limited = true;
        tries.begin(Kind::Patient, None, limit)?;
        match tries.next(Instant::now() + 2 * limit) {
            Some(outcome) => heard(outcome, target, limit),
            None => Err(silent(target, limit)),
        }
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

/// Turns for threads that dial.
struct DialTurns((Sender<()>, Receiver<()>));

/// One of them; given back when it is dropped.
struct Turn(Receiver<()>);

impl DialTurns {
    fn take(&self) -> Option<Turn> {
        let (turn, done) = &self.0;
        turn.try_send(()).ok().map(|()| Turn(done.clone()))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let _ = self.0.try_recv();
    }
}

/// The tries of one who wants a connection. Those that are left are ended when it is dropped.
struct Tries<'a> {
    caller: &'a Arc<Caller>,
    target: &'a str,
    tell: Sender<(Kind, DialOutcome)>,
    told: Receiver<(Kind, DialOutcome)>,
    wirings: Vec<Wiring>,
    patient: usize,
    quick: usize,
    is_limited: bool,
    takes_standby: bool,
}

impl<'a> Tries<'a> {
    fn new(caller: &'a Arc<Caller>, target: &'a str) -> Self {
        let (tell, told) = unbounded();
        Tries {
            caller,
            target,
            tell,
            told,
            wirings: Vec::new(),
            patient: 0,
            quick: 0,
            is_limited: false,
            takes_standby: caller.dialer.takes_standby(),
        }
    }

    /// Begins a try, which waits `limit` for each answer.
    fn begin(&mut self, kind: Kind, turn: Option<Turn>, limit: Duration) -> Result<()> {
        let wiring = Wiring::new(&self.caller.pulses, limit, self.takes_standby);
        let (caller, tell) = (Arc::clone(self.caller), self.tell.clone());
        let (most, is_limited) = (
            (kind == Kind::Quick || self.is_limited).then_some(limit),
            self.is_limited,
        );
        let (wired, takes_standby) = (wiring.clone(), self.takes_standby);
        let dial = move || {
            let outcome = dial(&caller, most, &wired, is_limited, takes_standby);
            drop(turn);
            // Nobody wants it any more if it cannot be told; it is closed then.
            let _ = tell.send((kind, outcome));
        };
        spawn("outtray-dial".to_owned(), dial).map_err(|error| {
            let text = format!("no thread to connect to {} with", self.target);
            Error::new(ErrorKind::Unavailable, text).because(error)
        })?;
        self.wirings.push(wiring);
        match kind {
            Kind::Patient => self.patient += 1,
            Kind::Quick => self.quick += 1,
        }
        Ok(())
    }

    /// Returns what came of a try that decides, if one ends until then. A quick one that fails
    /// decides nothing: it had little time, and maybe not for all hosts.
    fn next(&mut self, deadline: Instant) -> Option<DialOutcome> {
        let (kind, outcome) = self.told.recv_deadline(deadline).ok()?;
        if kind == Kind::Quick && !matches!(outcome, Ok(Ok(Ok(_)))) {
            self.quick -= 1;
            return None;
        }
        Some(outcome)
    }
}

impl Drop for Tries<'_> {
    fn drop(&mut self) {
        self.wirings.iter().for_each(Wiring::cancel);
    }
}

/// Connects. The outer error says why the driver has no event loop.
///
/// Each connection has one, and where no file descriptor is left for it the driver panics. So one
/// is made and dropped first, a few system calls; the panic that is caught is that of a descriptor
/// that went in between.
fn dial(
    caller: &Caller,
    most: Option<Duration>,
    wiring: &Wiring,
    is_limited: bool,
    takes_standby: bool,
) -> DialOutcome {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let connect = || {
        let mut client = caller.dialer.connect(most, wiring)?;
        let pulse = wiring.made();
        let announced = pulse.as_ref().and_then(|pulse| pulse.announced_process());
        let greeted = caller.greeting.say(&mut client, announced, takes_standby)?;
        Ok(greeted.map(|greeted| {
            wiring.release();
            if let Some(pulse) = &pulse {
                pulse.set_process(greeted.process.unwrap_or_default());
                if !is_limited {
                    pulse.settle();
                }
            }
            Dialed {
                client: HeldClient::Ours(Box::new(client)),
                pulse,
                settings: Some(greeted.settings),
                is_distributed: greeted.is_distributed,
            }
        }))
    };
    catch_unwind(AssertUnwindSafe(connect))
        .map_err(|_| io::Error::other("the driver panicked: out of file descriptors?"))
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
