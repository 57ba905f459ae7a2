//! Tries to open a connection: each has a thread of its own, and tells what came of it.

use crate::connect::greeting::Greeting;
use crate::connect::lender::{Borrowed, HeldClient};
use crate::connect::pulse::{Pulse, Pulses};
use crate::connect::tls::Dialer;
use crate::connect::wiring::Wiring;
use crate::threads::spawn;
use crate::words::{DriverResult, Error, ErrorKind, Result};
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How a connect is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Patient,
    /// Of the server with this number.
    Quick(usize),
    /// With a limit for each answer as long as the connection is there.
    Limited,
    /// The same, also to a server that takes no writes.
    Look,
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
    /// The number that connections bear from this one on, since it leads to another server than
    /// those before it.
    pub(crate) generation: Option<u64>,
    /// To which server it leads, as far as that is known.
    pub(crate) server: Option<i64>,
}

impl Dialed {
    /// One that somebody else dialled.
    pub(crate) fn borrowed(client: Borrowed) -> Self {
        Dialed {
            client: HeldClient::Borrowed(client),
            pulse: None,
            settings: None,
            is_distributed: false,
            generation: None,
            server: None,
        }
    }
}

/// What came of a try: no event loop, no connection, a database that is not fit for use, or a
/// connection.
pub(crate) type DialOutcome = io::Result<DriverResult<Result<Dialed>>>;

/// What a thread that dials needs.
pub(crate) struct Caller {
    pub(crate) dialer: Dialer,
    pub(crate) greeting: Greeting,
    pub(crate) pulses: Arc<Pulses>,
}

/// Turns for threads that dial.
pub(crate) struct DialTurns((Sender<()>, Receiver<()>));

/// One of them; given back when it is dropped.
pub(crate) struct Turn(Receiver<()>);

impl DialTurns {
    /// Makes so many.
    pub(crate) fn new(most: usize) -> Self {
        DialTurns(bounded(most))
    }

    pub(crate) fn take(&self) -> Option<Turn> {
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
pub(crate) struct Tries<'a> {
    caller: &'a Arc<Caller>,
    target: &'a str,
    tell: Sender<(Kind, Option<usize>, DialOutcome)>,
    told: Receiver<(Kind, Option<usize>, DialOutcome)>,
    wirings: Vec<Wiring>,
    pub(crate) patient: usize,
}

/// What is heard of the tries.
pub(crate) enum DialHeard {
    Nothing,
    /// A quick one of this server failed, which decides nothing: it had little time.
    Failed(usize),
    Decided(DialOutcome),
}

impl<'a> Tries<'a> {
    pub(crate) fn new(caller: &'a Arc<Caller>, target: &'a str) -> Self {
        let (tell, told) = unbounded();
        Tries {
            caller,
            target,
            tell,
            told,
            wirings: Vec::new(),
            patient: 0,
        }
    }

    /// Begins a try of some servers, one after the other, which waits `limit` for each answer.
    pub(crate) fn begin(
        &mut self,
        kind: Kind,
        servers: Vec<usize>,
        turn: Option<Turn>,
        limit: Duration,
    ) -> Result<()> {
        let is_any_fit = kind == Kind::Look || self.caller.dialer.is_any_fit();
        let wiring = Wiring::new(&self.caller.pulses, limit, is_any_fit);
        let (caller, tell) = (Arc::clone(self.caller), self.tell.clone());
        let wired = wiring.clone();
        let dial = move || {
            let outcome = dial(&caller, &servers, kind, limit, &wired);
            let server = wired.end();
            drop(turn);
            // Nobody wants it any more if it cannot be told; it is closed then.
            let _ = tell.send((kind, server, outcome));
        };
        spawn("outtray-dial".to_owned(), dial).map_err(|error| {
            let text = format!("no thread to connect to {} with", self.target);
            Error::new(ErrorKind::Unavailable, text).because(error)
        })?;
        self.wirings.push(wiring);
        self.patient += usize::from(kind == Kind::Patient);
        Ok(())
    }

    /// Returns what came of a try, if one ends until then.
    pub(crate) fn next(&mut self, deadline: Instant) -> DialHeard {
        let Ok((kind, server, outcome)) = self.told.recv_deadline(deadline) else {
            return DialHeard::Nothing;
        };
        match (kind, &outcome) {
            (_, Ok(Ok(Ok(_)))) => self.leave_others(server),
            (Kind::Quick(server), _) => return DialHeard::Failed(server),
            _ => {}
        }
        DialHeard::Decided(outcome)
    }

    /// Notes that a server let us in while others have said nothing yet.
    fn leave_others(&self, reached: Option<usize>) {
        let tried = self.wirings.iter().filter_map(Wiring::server);
        let others = tried.filter(|server| Some(*server) != reached);
        others.for_each(|server| self.caller.dialer.preference.note_failed(server));
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
    servers: &[usize],
    kind: Kind,
    limit: Duration,
    wiring: &Wiring,
) -> DialOutcome {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let most = (kind != Kind::Patient).then_some(limit);
    let is_limited = matches!(kind, Kind::Limited | Kind::Look);
    let takes_standby = kind == Kind::Look || caller.dialer.takes_standby();
    let connect = || {
        let mut client = caller.dialer.connect(servers, most, wiring)?;
        let pulse = wiring.made();
        let announced = pulse.as_ref().and_then(|pulse| pulse.announced_process());
        let greeted = caller.greeting.say(&mut client, announced, takes_standby)?;
        Ok(greeted.map(|greeted| {
            wiring.release();
            if let Some(pulse) = &pulse {
                pulse.set_process(greeted.process.unwrap_or_default());
                pulse.set_server(greeted.server);
                if !is_limited {
                    pulse.settle();
                }
            }
            let is_one = kind != Kind::Look && caller.dialer.has_one_primary();
            let server = greeted.server.filter(|_| is_one);
            Dialed {
                client: HeldClient::Ours(Box::new(client)),
                pulse,
                settings: Some(greeted.settings),
                is_distributed: greeted.is_distributed,
                server: greeted.server,
                generation: server.and_then(|server| caller.pulses.reached(server)),
            }
        }))
    };
    catch_unwind(AssertUnwindSafe(connect))
        .map_err(|_| io::Error::other("the driver panicked: out of file descriptors?"))
}
