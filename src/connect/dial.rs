//! Opening a connection within a bounded time.
//!
//! The driver's connect timeout ends when the TCP connection stands; a server that is frozen, or a
//! firewall that answers for it, would then be waited for without an end. The driver cannot be
//! interrupted, so it dials in a thread of its own, and who waits gives up in time. This is the one
//! thread below `wake`: it lives for one connect, and its number is bounded, so a server that
//! stays silent for hours costs no more than [`MAX_DIALS`] threads.

use crate::connect::greeting::Greeting;
use crate::connect::settings::configuration;
use crate::connect::tls::Dialer;
use crate::words::error::{Error, ErrorKind, Result};
use crossbeam_channel::{Receiver, Sender, bounded};
use postgres::Client;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::Builder;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// Connections that are opened at the same time; more wait for their turn.
const MAX_DIALS: usize = 32;

/// Opens connections to one place.
pub(crate) struct Dial {
    dialer: Arc<Dialer>,
    /// Holds one item for each thread that dials.
    turns: (Sender<()>, Receiver<()>),
    patience: Duration,
    greeting: Arc<Greeting>,
}

impl Dial {
    /// Makes a dial that waits for `patience` at most, and greets each connection.
    pub(crate) fn new(patience: Duration, dialer: Dialer, greeting: Greeting) -> Self {
        Dial {
            dialer: Arc::new(dialer),
            turns: bounded(MAX_DIALS),
            patience,
            greeting: Arc::new(greeting),
        }
    }

    /// Opens a connection. The inner error is the driver's; `target` names the place in the outer.
    ///
    /// # Errors
    /// `Unavailable` when there was no answer in time, or no room for another thread or connection; `Configuration`
    /// for a database that is not fit for use.
    pub(crate) fn connect(&self, target: &str) -> Result<Result<Client, postgres::Error>> {
        let unavailable = |what: &str| Error::new(ErrorKind::Unavailable, what);
        let silent = || {
            let waited = self.patience;
            unavailable(&format!(
                "{target} did not answer within {waited:?}: is it a PostgreSQL server, and alive?"
            ))
        };
        let deadline = Instant::now().checked_add(self.patience);
        let deadline = deadline.ok_or_else(|| configuration("connect_timeout is too long"))?;
        let (turn, done) = &self.turns;
        turn.send_deadline((), deadline).map_err(|_| silent())?;
        let (told, connected) = bounded(1);
        let (dialer, greeting) = (Arc::clone(&self.dialer), Arc::clone(&self.greeting));
        let done = done.clone();
        let dial = move || {
            let client = dial(&dialer, &greeting);
            let _ = done.try_recv();
            let _ = told.send(client);
        };
        let thread = Builder::new().name("outtray-dial".to_owned()).spawn(dial);
        if let Err(error) = thread {
            let _ = self.turns.1.try_recv();
            let text = format!("no thread to connect to {target} with");
            return Err(unavailable(&text).because(error));
        }
        match connected.recv_deadline(deadline) {
            Ok(Ok(Ok(client))) => client.map(Ok),
            Ok(Ok(Err(error))) => Ok(Err(error)),
            Ok(Err(error)) => {
                let text = format!("the driver has no event loop to connect to {target} with");
                Err(unavailable(&text).because(error))
            }
            Err(_) => Err(silent()),
        }
    }
}

/// Connects. The outer error says why the driver has no event loop.
///
/// Each connection has one, and where no file descriptor is left for it the driver panics. So one is
/// made and dropped first, a few system calls; the panic that is caught is that of a descriptor that
/// went in between.
fn dial(
    dialer: &Dialer,
    greeting: &Greeting,
) -> io::Result<Result<Result<Client>, postgres::Error>> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let connect = || {
        let mut client = dialer.connect()?;
        Ok(greeting.say(&mut client)?.map(|()| client))
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
