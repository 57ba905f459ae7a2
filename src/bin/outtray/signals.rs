//! Ctrl-C and SIGTERM, as messages on a channel.
//!
//! A handler may do next to nothing; so a thread takes the signals and passes them on to whoever
//! waits for several things at once.

use crate::failure::Failure;
use crossbeam_channel::{Receiver, bounded};
use rustix::process::Signal;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};
use std::thread::{Builder, JoinHandle};

/// More at once than this are not worth telling apart.
const MOST_PENDING: usize = 8;

/// SIGINT and SIGTERM, which do not end the process as long as this lives.
#[derive(Debug)]
pub(crate) struct Interrupts {
    received: Receiver<Signal>,
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

impl Interrupts {
    pub(crate) fn catch() -> Result<Self, Failure> {
        let cannot = |error| Failure::failed(format!("cannot catch signals: {error}"));
        let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(cannot)?;
        let handle = signals.handle();
        let (sender, received) = bounded(MOST_PENDING);
        let pass_on = move || {
            for signal in signals.forever() {
                let _ = sender.try_send(named(signal));
            }
        };
        let thread = Builder::new()
            .name("outtray-signals".to_owned())
            .spawn(pass_on)
            .map_err(cannot)?;
        Ok(Interrupts {
            received,
            handle,
            thread: Some(thread),
        })
    }

    /// Returns the channel on which they arrive.
    pub(crate) fn received(&self) -> &Receiver<Signal> {
        &self.received
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        self.handle.close();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Returns one of the signals that are caught under the name that it is sent by.
pub(crate) fn named(signal: i32) -> Signal {
    match signal {
        SIGINT => Signal::INT,
        _ => Signal::TERM,
    }
}
