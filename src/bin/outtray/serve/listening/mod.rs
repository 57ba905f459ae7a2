//! A listener of `serve`: a thread that serves an address until it is told to stop.
//!
//! `serve` starts several and stops them together, whatever they speak.

pub(crate) mod address;
pub(crate) mod token;

use crate::failure::CommandFailure;
use crossbeam_channel::{Receiver, bounded};
use outtray::dashboard::Stopping;
use std::net::SocketAddr;
use std::thread::{Builder, JoinHandle};

/// What it is called, and where it listens.
pub(crate) struct Listener {
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
}

/// A listener that runs.
pub(crate) struct Listening {
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    stop: Box<dyn Fn(Stopping) + Send>,
    /// How it ended, once it has.
    pub(crate) ended: Receiver<Result<(), String>>,
    thread: JoinHandle<()>,
}

impl Listener {
    /// Starts the thread. `serve` returns when it has stopped, with what went wrong; `stop` tells
    /// it to.
    pub(crate) fn start(
        self,
        serve: impl FnOnce() -> Result<(), String> + Send + 'static,
        stop: impl Fn(Stopping) + Send + 'static,
    ) -> Result<Listening, CommandFailure> {
        let (end, ended) = bounded(1);
        let thread = named(self.name, move || {
            let _ = end.send(serve());
        })?;
        Ok(Listening {
            name: self.name,
            address: self.address,
            stop: Box::new(stop),
            ended,
            thread,
        })
    }
}

impl Listening {
    /// Has it stop, and does not wait for that.
    pub(crate) fn stop(&self, stopping: Stopping) {
        (self.stop)(stopping);
    }

    /// Waits for its thread, which has ended or is about to.
    pub(crate) fn join(self) {
        let _ = self.thread.join();
    }
}

/// Starts a thread with a name.
pub(crate) fn named(
    name: &str,
    body: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, CommandFailure> {
    Builder::new()
        .name(format!("outtray-{name}"))
        .spawn(body)
        .map_err(|error| CommandFailure::failed(format!("cannot start a thread: {error}")))
}
