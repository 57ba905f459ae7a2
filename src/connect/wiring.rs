//! One try to connect, as those see it who wait for it and the streams that it makes.

use crate::connect::pulse::{Pulse, Pulses};
use crate::threads::mutex::Mutex;
use std::sync::Arc;
use std::time::Duration;

/// What one try to connect has to know.
#[derive(Clone)]
pub(crate) struct Wiring {
    pub(crate) pulses: Arc<Pulses>,
    /// How long an answer may take until the connection is settled.
    pub(crate) limit: Duration,
    /// Whether a server that takes no writes will do.
    pub(crate) is_any_fit: bool,
    last: Arc<Mutex<Last>>,
}

/// The connection that was made last: the driver goes from address to address.
#[derive(Default)]
struct Last {
    pulse: Option<Arc<Pulse>>,
    is_cancelled: bool,
    /// The number of the server that is tried.
    server: Option<usize>,
}

impl Wiring {
    pub(crate) fn new(pulses: &Arc<Pulses>, limit: Duration, is_any_fit: bool) -> Self {
        Wiring {
            pulses: Arc::clone(pulses),
            limit,
            is_any_fit,
            last: Arc::default(),
        }
    }

    /// Notes which server is tried from now on.
    pub(crate) fn begin(&self, server: usize) {
        self.last.lock().server = Some(server);
    }

    /// Returns which server is tried, as long as the try lasts.
    pub(crate) fn server(&self) -> Option<usize> {
        self.last.lock().server
    }

    /// Says that the try is over; returns which server was tried last.
    pub(crate) fn end(&self) -> Option<usize> {
        self.last.lock().server.take()
    }

    /// Returns whether nobody waits for the try any more.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.last.lock().is_cancelled
    }

    /// Returns the connection that was made last.
    pub(crate) fn made(&self) -> Option<Arc<Pulse>> {
        self.last.lock().pulse.clone()
    }

    /// Says that the try is over: from now on its connection is its owner's.
    pub(crate) fn release(&self) {
        self.last.lock().pulse = None;
    }

    /// Ends the try, unless it is over.
    pub(crate) fn cancel(&self) {
        let mut last = self.last.lock();
        last.is_cancelled = true;
        if let Some(pulse) = last.pulse.take() {
            pulse.cut();
        }
    }

    /// Notes the connection that is made now.
    pub(crate) fn note_made(&self, pulse: &Arc<Pulse>) {
        self.pulses.add(pulse);
        let mut last = self.last.lock();
        if last.is_cancelled {
            pulse.cut();
        }
        last.pulse = Some(Arc::clone(pulse));
    }
}
