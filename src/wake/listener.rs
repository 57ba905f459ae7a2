//! Hears the hints of other processes: one connection for all receivers of this one.
//!
//! It reconnects after any error, and after each connect wakes one worker everywhere, for hints
//! that were lost meanwhile. Two habits of the driver are handled here. On a dead connection its
//! iterator errors once and then returns `None` at once for ever. And a peer that silently vanished
//! is found only by asking.

use crate::connect::connection::Connection;
use crate::connect::dedicated::Dedicated;
use crate::connect::pulse::Pulse;
use crate::observe::connection_of::ConnectionOf;
use crate::observe::fields::told;
use crate::observe::link::Link;
use crate::observe::observers::Observers;
use crate::threads::mutex::Mutex;
use crate::threads::pause::Pause;
use crate::threads::{Service, Stop};
use crate::wake::hint::Hint;
use crate::words::{Result, classify};
use postgres::fallible_iterator::FallibleIterator;
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// How long one wait for notifications takes, after which the thread looks whether other
/// connections broke. No traffic.
const ONE_WAIT: Duration = Duration::from_millis(500);
/// The same through a socket file, where nobody can end a wait: what a stop waits for at most.
const WAIT_OF_FILES: Duration = Duration::from_millis(100);
/// The part of the time within which silence is to be noticed, after which a silent connection is
/// asked for a sign of life.
const CHECK: u32 = 3;
/// How often it is asked at least.
const CHECK_EVERY: Duration = Duration::from_secs(30);

/// What the listener tells.
pub(crate) enum Heard {
    /// Another process said something.
    Hint(Hint),
    /// The connection is new: hints may have been lost.
    Reconnected,
}

/// The running thread; dropping it ends the thread at once.
pub(crate) struct RunningListener {
    service: Service,
    ear: Arc<Ear>,
}

/// What the thread waits on.
#[derive(Default)]
struct Ear(Mutex<Option<Arc<Pulse>>>);

impl RunningListener {
    /// Starts the thread, which tells what it hears.
    pub(crate) fn start(
        dedicated: Arc<Dedicated>,
        me: Uuid,
        poll_interval: Duration,
        observers: Arc<Observers>,
        tell: impl Fn(Heard) + Send + 'static,
    ) -> Result<Self> {
        let ear = Arc::new(Ear::default());
        let listening = NotificationListener {
            check_every: check_every(&dedicated, poll_interval),
            dedicated,
            me,
            observers,
            ear: Arc::clone(&ear),
        };
        let listen = move |stop: Stop| listening.listen(&stop, &tell);
        let service = Service::start("outtray-listener", listen)?;
        Ok(RunningListener { service, ear })
    }
}

impl Drop for RunningListener {
    /// First the stop, then the end of the wait: a connection that is not in the ear yet finds the
    /// stop before it waits.
    fn drop(&mut self) {
        self.service.request_stop();
        if let Some(pulse) = self.ear.0.lock().take() {
            pulse.cut();
        }
    }
}

/// What the thread has.
struct NotificationListener {
    dedicated: Arc<Dedicated>,
    me: Uuid,
    check_every: Duration,
    observers: Arc<Observers>,
    ear: Arc<Ear>,
}

/// Returns how often the connection is asked for a sign of life. Who polls more often than that
/// notices silence by the poll, and what is not heard is found by it.
fn check_every(dedicated: &Dedicated, poll_interval: Duration) -> Duration {
    let soon = dedicated.settings().silence / CHECK;
    match poll_interval <= soon {
        true => soon.max(CHECK_EVERY),
        false => soon,
    }
}

impl NotificationListener {
    /// Listens until stopped.
    fn listen(&self, stop: &Stop, tell: &dyn Fn(Heard)) {
        let mut pause = Pause::new();
        let mut link = Link::default();
        while !stop.is_set() {
            let ended = Connection::open(self.dedicated.settings()).and_then(|connection| {
                let mut tell = |heard| {
                    if matches!(heard, Heard::Reconnected) {
                        link.works(&self.observers, ConnectionOf::Listener);
                    }
                    tell(heard);
                };
                self.hear(connection, stop, &mut pause, &mut tell)
            });
            self.dedicated.signs.note_listening(false);
            if let Err(error) = ended {
                link.lost(&self.observers, ConnectionOf::Listener, &error);
                tracing::debug!(
                    error = told(&error),
                    "not listening for notifications, polling instead: {error}"
                );
            }
            if !pause.wait(stop) {
                return;
            }
        }
    }

    fn hear(
        &self,
        mut connection: Connection,
        stop: &Stop,
        pause: &mut Pause,
        tell: &mut dyn FnMut(Heard),
    ) -> Result<()> {
        let lost = |error| classify(error, "listening for notifications");
        let one_wait = match &connection.pulse {
            Some(_) => ONE_WAIT.min(self.check_every),
            None => WAIT_OF_FILES,
        };
        self.ear.0.lock().clone_from(&connection.pulse);
        let client = connection.client();
        // The schema's name was checked; quoted, it names the channel as pg_notify does.
        let schema = &self.dedicated.settings().schema;
        let listen = format!("LISTEN \"{}\"", schema.as_str());
        client.batch_execute(&listen).map_err(lost)?;
        pause.reset();
        self.dedicated.signs.note_listening(true);
        tell(Heard::Reconnected);
        let mut checked = Instant::now();
        while !stop.is_set() {
            if connection.is_outdated() {
                tracing::debug!("listening anew: other connections broke");
                return Ok(());
            }
            let client = connection.client();
            let heard = client.notifications().timeout_iter(one_wait).next();
            if let Some(notification) = heard.map_err(lost)? {
                if let Some(hint) = Hint::decode(notification.payload(), self.me) {
                    tell(Heard::Hint(hint));
                }
            } else if client.is_closed() || checked.elapsed() > self.check_every {
                checked = Instant::now();
                // Once more changes nothing, and is answered.
                client.batch_execute(&listen).map_err(lost)?;
            }
        }
        Ok(())
    }
}
