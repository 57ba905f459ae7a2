//! Ends the waits of other threads.

use crate::threads::mutex::Mutex;
use crate::threads::{Stop, Stopper, stop_signal};
use crate::words::{Error, ErrorKind, Result};
use crossbeam_channel::{Receiver, RecvTimeoutError, never, select};
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longest wait, a year: a deadline past the end of time overflows.
const LONGEST: Duration = Duration::from_secs(365 * 86_400);

/// Ends the waits of other threads. Clones share their state; an interrupt is permanent.
///
/// Pass one of its [waits](Self::within) to a call that waits:
/// [`receive_timeout`](crate::Topic::receive_timeout) and its variants, or
/// [`wait_for_completion`](crate::Messaging::wait_for_completion). After an interrupt the call
/// fails with [`Interrupted`](ErrorKind::Interrupted), and no message is taken. A message that
/// arrives at the same moment is returned.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use outtray::{ErrorKind, Interrupt, Messaging, testing::Server};
/// use std::time::Duration;
///
/// # let server = Server::start()?;
/// # let messaging = Messaging::connect(&server.database()?)?;
/// # messaging.migrate()?;
/// let interrupt = Interrupt::new();
/// let (jobs, wait) = (messaging.topic("jobs"), interrupt.within(Duration::from_secs(3600)));
/// std::thread::scope(|scope| {
///     let waiting = scope.spawn(|| jobs.receive_timeout::<String>(wait, None).map(drop));
///     interrupt.interrupt();
///     let error = waiting.join().expect("no panic").unwrap_err();
///     assert_eq!(error.kind(), ErrorKind::Interrupted);
/// });
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Interrupt(Arc<Shared>);

struct Shared {
    /// Gone once it was interrupted.
    stopper: Mutex<Option<Stopper>>,
    stop: Stop,
}

impl Interrupt {
    /// Makes one that is not interrupted yet.
    pub fn new() -> Self {
        let (stopper, stop) = stop_signal();
        Interrupt(Arc::new(Shared {
            stopper: Mutex::new(Some(stopper)),
            stop,
        }))
    }

    /// Ends all waits made from it or its clones, and those that begin later. Does not block;
    /// interrupting twice changes nothing.
    pub fn interrupt(&self) {
        let stopper = &self.0.stopper;
        stopper.lock().take();
    }

    /// Returns whether it was interrupted.
    pub fn is_interrupted(&self) -> bool {
        self.0.stop.is_set()
    }

    /// Makes a wait of at most this length, which ends when this is interrupted.
    pub fn within(&self, timeout: Duration) -> Wait {
        Wait {
            timeout,
            interrupt: Some(self.clone()),
        }
    }
}

impl Default for Interrupt {
    fn default() -> Self {
        Interrupt::new()
    }
}

impl fmt::Debug for Interrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interrupt")
            .field("is_interrupted", &self.is_interrupted())
            .finish()
    }
}

/// How long to wait: a [`Duration`], or one that [an interrupt](Interrupt::within) may end. More
/// than a year counts as a year.
#[derive(Debug, Clone)]
pub struct Wait {
    timeout: Duration,
    interrupt: Option<Interrupt>,
}

impl From<Duration> for Wait {
    fn from(timeout: Duration) -> Self {
        Wait {
            timeout,
            interrupt: None,
        }
    }
}

impl Wait {
    /// Returns when it is over, if it begins now.
    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.timeout.min(LONGEST)
    }

    /// Returns how long it is.
    pub(crate) fn length(&self) -> Duration {
        self.timeout.min(LONGEST)
    }

    /// Returns the same, no longer than this.
    pub(crate) fn at_most(&self, most: Duration) -> Wait {
        Wait {
            timeout: self.timeout.min(most),
            interrupt: self.interrupt.clone(),
        }
    }

    /// Returns whether there is anything to wait for.
    pub(crate) fn is_zero(&self) -> bool {
        self.timeout.is_zero()
    }

    /// Checks that nobody interrupted it.
    ///
    /// # Errors
    /// `Interrupted`.
    pub(crate) fn check(&self) -> Result<()> {
        match &self.interrupt {
            Some(interrupt) if interrupt.is_interrupted() => Err(interrupted()),
            _ => Ok(()),
        }
    }

    /// Waits for a bell, or for something that is told, until a time.
    ///
    /// # Errors
    /// `Interrupted`.
    pub(crate) fn until<T>(
        &self,
        bell: &Receiver<T>,
        at: Instant,
    ) -> Result<std::result::Result<T, RecvTimeoutError>> {
        let never = never::<Infallible>();
        let interrupt = self
            .interrupt
            .as_ref()
            .map_or(&never, |interrupt| interrupt.0.stop.signal());
        select! {
            recv(interrupt) -> _ => Err(interrupted()),
            recv(bell) -> rung => Ok(rung.map_err(|_| RecvTimeoutError::Disconnected)),
            default(at.saturating_duration_since(Instant::now())) => Ok(Err(RecvTimeoutError::Timeout)),
        }
    }
}

fn interrupted() -> Error {
    Error::new(ErrorKind::Interrupted, "another thread ended the wait")
}
