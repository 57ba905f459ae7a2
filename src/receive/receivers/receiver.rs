//! A running receiver, and how it is stopped.

use crate::receive::handler::SharedHandler;
use crate::receive::lease::heartbeat;
use crate::receive::receivers::worker;
use crate::receive::shared_state::SharedState;
use crate::threads::mutex::Mutex;
use crate::threads::{Service, Stop, Stopper, spawn, stop_signal};
use crate::words::Result;
use crate::words::outcome::StopReport;
use crate::words::panics::CallersValue;
use crossbeam_channel::{Receiver as Channel, RecvTimeoutError, bounded};
use std::convert::Infallible;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long dropping a receiver waits for the handlers in hand.
const DROP_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a stop waits for the receiver to be signed off: a statement, if the database is well.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(1);

/// What is done once when a receiver has stopped, and how long it may take.
pub(crate) type Farewell = Box<dyn FnOnce(Duration) + Send>;

/// A pool of threads that runs a handler for each message of a topic.
///
/// Call [`stop`](Receiver::stop) to end it in order. Dropping a receiver that was not stopped stops
/// it too, and waits up to 5 s for running handlers. A receiver continues when the
/// [`Messaging`](crate::Messaging) that it came from is dropped.
#[must_use = "dropping a receiver stops it"]
pub struct Receiver {
    shared: Arc<SharedState>,
    /// What it receives, as its user calls it.
    topic: String,
    stopper: Mutex<Option<Stopper>>,
    /// Messages in hand when a stop was requested, but for those that `stop` said were finished.
    requested_with: Mutex<Option<usize>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Closed when the last worker has ended.
    alive: Channel<Infallible>,
    farewell: Mutex<Option<Farewell>>,
    /// Goes on as long as a worker does, abandoned ones too.
    heartbeat: Mutex<Option<Service>>,
}

// Handlers run on its own threads, each of which catches their panics; here they are only kept.
impl UnwindSafe for Receiver {}
impl RefUnwindSafe for Receiver {}

/// A thread that works beside the workers, and ends with them.
pub(crate) struct Companion {
    pub(crate) name: String,
    pub(crate) body: Box<dyn FnOnce(&Stop) + Send>,
}

impl Receiver {
    /// Starts the workers.
    pub(crate) fn start(
        shared: SharedState,
        handler: Box<SharedHandler>,
        farewell: Farewell,
    ) -> Result<Self> {
        let topic = shared.topic.clone();
        Receiver::start_with(Arc::new(shared), handler, farewell, &topic, Vec::new())
    }

    /// Starts the workers, and threads beside them, under the name of what they receive together.
    pub(crate) fn start_with(
        shared: Arc<SharedState>,
        handler: Box<SharedHandler>,
        farewell: Farewell,
        topic: &str,
        companions: Vec<Companion>,
    ) -> Result<Self> {
        let handler = Arc::new(CallersValue::new(handler));
        let (stopper, stop) = stop_signal();
        let (alive, ended) = bounded(0);
        let receiver = Receiver {
            shared: Arc::clone(&shared),
            topic: topic.to_owned(),
            stopper: Mutex::new(Some(stopper)),
            requested_with: Mutex::default(),
            threads: Mutex::default(),
            alive: ended,
            farewell: Mutex::new(Some(farewell)),
            heartbeat: Mutex::default(),
        };
        if shared.options.is_leasing {
            let workers = receiver.alive.clone();
            let heartbeat = heartbeat::start(&shared, workers, stop.clone())?;
            *receiver.heartbeat.lock() = Some(heartbeat);
        }
        shared.base.waker.board.add(&shared.station);
        shared.base.crews.add(&shared);
        for number in 1..=shared.options.workers {
            let (shared, stop, alive) = (Arc::clone(&shared), stop.clone(), alive.clone());
            let handler = Arc::clone(&handler);
            let name = format!("outtray-{}-{number}", shared.topic);
            // If a thread cannot start, dropping the receiver stops those that could.
            let thread = spawn(name, move || {
                let _alive = alive;
                worker::run(&shared, &***handler, number - 1, &stop);
            })?;
            receiver.threads.lock().push(thread);
        }
        for Companion { name, body } in companions {
            let (stop, alive) = (stop.clone(), alive.clone());
            let thread = spawn(name, move || {
                let _alive = alive;
                body(&stop);
            })?;
            receiver.threads.lock().push(thread);
        }
        shared.wake_first();
        Ok(receiver)
    }

    /// Returns the topic.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Asks the workers to end, without waiting: no new message is started. To stop several
    /// receivers at the same time, call this on each, and then [`stop`](Receiver::stop) on each.
    pub fn request_stop(&self) {
        // Counted now: a handler that ends before `stop` is called has finished in time, too.
        self.requested_with
            .lock()
            .get_or_insert_with(|| self.shared.progress.in_hand());
        self.stopper.lock().take();
    }

    /// Stops the receiver: running handlers finish and commit, then the threads end. Blocks until
    /// they have ended or `timeout` is over, whichever comes first. May be called again: what was
    /// abandoned before and has ended since counts as finished then.
    ///
    /// A handler that is still running then is abandoned: its thread continues and may still
    /// commit.
    pub fn stop(&self, timeout: Duration) -> StopReport {
        let deadline = Instant::now() + timeout.min(Duration::from_secs(86_400 * 365));
        self.request_stop();
        let in_hand = self.requested_with.lock().take().unwrap_or_default();
        let ended = self.alive.recv_deadline(deadline);
        let abandoned = self.shared.progress.in_hand();
        *self.requested_with.lock() = Some(abandoned);
        if ended == Err(RecvTimeoutError::Disconnected) {
            for thread in self.threads.lock().drain(..) {
                let _ = thread.join();
            }
            self.heartbeat.lock().take();
        }
        if let Some(farewell) = self.farewell.lock().take() {
            let left = deadline.saturating_duration_since(Instant::now());
            farewell(left.min(FAREWELL_TIMEOUT));
        }
        StopReport {
            finished: in_hand.saturating_sub(abandoned),
            abandoned,
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // Who called `stop` said how long to wait.
        let was_stopped = self.farewell.lock().is_none();
        if !was_stopped {
            self.stop(DROP_TIMEOUT);
        }
        // Handlers that were abandoned keep it, and it ends with them.
        if let Some(heartbeat) = self.heartbeat.lock().take() {
            heartbeat.leave();
        }
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("topic", &self.topic)
            .field("workers", &self.shared.options.workers)
            .finish_non_exhaustive()
    }
}
