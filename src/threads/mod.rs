//! The one place where threads are made: each has a name, an owner, and an end.

pub(crate) mod cost;
pub(crate) mod mutex;
pub(crate) mod pause;
pub(crate) mod timed_lock;

use crate::words::{Error, ErrorKind, Result};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, bounded};
use std::convert::Infallible;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// Tells threads to end, by being dropped.
pub(crate) struct Stopper(
    #[expect(dead_code, reason = "dropping it is the signal")] Sender<Infallible>,
);

/// What a thread watches to know when to end.
#[derive(Clone)]
pub(crate) struct Stop(Receiver<Infallible>);

/// Makes a stop signal and its trigger.
pub(crate) fn stop_signal() -> (Stopper, Stop) {
    let (sender, receiver) = bounded(0);
    (Stopper(sender), Stop(receiver))
}

impl Stop {
    /// Returns the channel to select on: it is ready, with an error, once the stop was asked for.
    pub(crate) fn signal(&self) -> &Receiver<Infallible> {
        &self.0
    }

    pub(crate) fn is_set(&self) -> bool {
        matches!(self.0.try_recv(), Err(TryRecvError::Disconnected))
    }
}

/// Starts a named thread.
///
/// # Errors
/// `Unavailable` when the operating system has no room for another.
pub(crate) fn spawn(name: String, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    Builder::new()
        .name(name.clone())
        .spawn(body)
        .map_err(|error| {
            Error::new(
                ErrorKind::Unavailable,
                format!("cannot start thread {name}"),
            )
            .because(error)
        })
}

/// How long the owner of a service waits for its end. One that is still in a call to the database
/// then ends by itself a little later.
const LAST_CALL: Duration = Duration::from_secs(1);

/// A thread that serves the whole process; stops when it is dropped, and is waited for.
pub(crate) struct Service {
    stopper: Option<Stopper>,
    thread: Option<JoinHandle<()>>,
    /// Closed when the thread has ended.
    alive: Receiver<Infallible>,
}

impl Service {
    /// Starts a service; `body` has to return soon after its stop signal.
    pub(crate) fn start(name: &str, body: impl FnOnce(Stop) + Send + 'static) -> Result<Self> {
        let (stopper, stop) = stop_signal();
        let (alive, ended) = bounded(0);
        let thread = spawn(name.to_owned(), move || {
            let _alive = alive;
            body(stop);
        })?;
        Ok(Service {
            stopper: Some(stopper),
            thread: Some(thread),
            alive: ended,
        })
    }
}

impl Service {
    /// Asks the thread to end when it can, and does not wait for it.
    pub(crate) fn leave(mut self) {
        self.stopper.take();
        self.thread.take();
    }

    /// Asks the thread to end; dropping the service waits for it.
    pub(crate) fn request_stop(&mut self) {
        self.stopper.take();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stopper.take();
        let Some(thread) = self.thread.take() else {
            return;
        };
        // A service may itself drop the last owner; it cannot wait for itself.
        let is_own = thread.thread().id() == std::thread::current().id();
        if !is_own && self.alive.recv_timeout(LAST_CALL) == Err(RecvTimeoutError::Disconnected) {
            let _ = thread.join();
        }
    }
}
