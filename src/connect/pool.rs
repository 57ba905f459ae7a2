//! The pool for sessions.
//!
//! Workers do not take from it: a handler that opens a session of its own can never wait for a
//! connection that another worker holds. Who finds none idle opens one, and tries until its time is over: nobody is told
//! late that the database is back.

use crate::connect::connection::Connection;
use crate::connect::dial::refuse_async_task;
use crate::connect::settings::Settings;
use crate::words::error::{Error, ErrorKind, Result};
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A connection that was used this recently is lent out untested: a test costs a round trip.
const FRESH: Duration = Duration::from_secs(1);
/// Most connections of a pool. Far more than a PostgreSQL server can have; a larger number is a mistake.
const MAX_SIZE: u32 = 10_000;
/// Longest wait for a connection, a year: a deadline past the end of time overflows.
const MAX_CHECKOUT_TIMEOUT: Duration = Duration::from_secs(365 * 86_400);
/// How long a connection is kept that nobody uses, and one at all.
const IDLE_TIMEOUT: Duration = Duration::from_secs(600);
const LIFETIME: Duration = Duration::from_secs(1800);
/// The waits between tries to connect, at first and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(500));

/// Connections that are opened when needed and shared by all sessions of a process.
pub(crate) struct Pool {
    shared: Arc<Shared>,
    size: u32,
    checkout_timeout: Duration,
}

struct Shared {
    settings: Arc<Settings>,
    state: Mutex<State>,
    /// Told when a connection comes back or is closed.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// The latest used on top.
    idle: Vec<Idle>,
    /// Those that are lent, idle, or being opened.
    count: u32,
}

struct Idle {
    since: Instant,
    opened: Instant,
    connection: Connection,
}

/// A connection lent by the pool; goes back when it is dropped.
pub(crate) struct Lent {
    connection: Option<Connection>,
    opened: Instant,
    shared: Arc<Shared>,
}

/// Room for one connection; given back when it is dropped.
struct Room(Option<Arc<Shared>>);

impl Pool {
    /// Makes a pool of at most `size` connections; opens none.
    pub(crate) fn new(
        settings: Arc<Settings>,
        size: u32,
        checkout_timeout: Duration,
    ) -> Result<Self> {
        if size == 0 || size > MAX_SIZE {
            return Err(Error::invalid(format!(
                "pool_size is {size}, it must be 1 to {MAX_SIZE}"
            )));
        }
        if checkout_timeout.is_zero() {
            return Err(Error::invalid("checkout_timeout must be longer than zero"));
        }
        Ok(Pool {
            shared: Arc::new(Shared {
                settings,
                state: Mutex::default(),
                changed: Condvar::new(),
            }),
            size,
            checkout_timeout: checkout_timeout.min(MAX_CHECKOUT_TIMEOUT),
        })
    }

    /// Lends a connection. Blocks while all are in use, up to the checkout timeout.
    ///
    /// # Errors
    /// `PoolExhausted` when all stayed in use, `Unavailable` when none could be opened, `Invalid`
    /// inside an async task, and what else a server has against it.
    pub(crate) fn get(&self) -> Result<Lent> {
        self.get_within(self.checkout_timeout)
    }

    /// Like [`get`](Self::get), blocking no longer than this.
    pub(crate) fn get_within(&self, timeout: Duration) -> Result<Lent> {
        refuse_async_task()?;
        let waited = timeout.min(self.checkout_timeout);
        let deadline = Instant::now() + waited;
        let mut pause = PAUSE.0;
        loop {
            let (room, idle) = self.claim(waited, deadline)?;
            if let Some(Idle {
                mut connection,
                opened,
                ..
            }) = idle
            {
                match connection.check(FRESH) {
                    Ok(()) => return Ok(room.lend(connection, opened)),
                    Err(_) => continue,
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match Connection::open_within(&self.shared.settings, left) {
                Ok(connection) => return Ok(room.lend(connection, Instant::now())),
                Err(error) if error.kind() != ErrorKind::Unavailable => return Err(error),
                Err(error) if Instant::now() + pause >= deadline => {
                    let text = format!("no connection within {waited:?}: {error}");
                    return Err(Error::new(ErrorKind::Unavailable, text).because(error));
                }
                Err(_) => {}
            }
            drop(room);
            self.shared.wait(pause);
            pause = (pause * 2).min(PAUSE.1);
        }
    }

    /// Closes what nobody took for a while.
    pub(crate) fn close_idle(&self) {
        let old = {
            let mut state = self.shared.lock();
            let fresh = state
                .idle
                .partition_point(|idle| idle.since.elapsed() > IDLE_TIMEOUT);
            let old: Vec<Idle> = state.idle.drain(..fresh).collect();
            state.count -= u32::try_from(old.len()).unwrap_or_default();
            old
        };
        // Closing talks to the server: not while others wait for the lock.
        drop(old);
    }

    /// Waits for an idle connection, or room for one more.
    fn claim(&self, waited: Duration, deadline: Instant) -> Result<(Room, Option<Idle>)> {
        let mut state = self.shared.lock();
        loop {
            if let Some(idle) = state.idle.pop() {
                return Ok((Room(Some(Arc::clone(&self.shared))), Some(idle)));
            }
            if state.count < self.size {
                state.count += 1;
                return Ok((Room(Some(Arc::clone(&self.shared))), None));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let size = self.size;
                return Err(Error::new(
                    ErrorKind::PoolExhausted,
                    format!(
                        "all {size} connections of the pool stayed in use for {waited:?}: raise pool_size"
                    ),
                ));
            }
            let waiting = self.shared.changed.wait_timeout(state, left);
            state = waiting.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for this long, less if a connection comes back.
    fn wait(&self, pause: Duration) {
        let waiting = self.changed.wait_timeout(self.lock(), pause);
        drop(waiting.unwrap_or_else(PoisonError::into_inner));
    }
}

impl Room {
    /// Fills the room with a connection.
    fn lend(mut self, connection: Connection, opened: Instant) -> Lent {
        Lent {
            connection: Some(connection),
            opened,
            shared: self.0.take().expect("room is filled once"),
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if let Some(shared) = self.0.take() {
            shared.lock().count -= 1;
            shared.changed.notify_one();
        }
    }
}

impl Deref for Lent {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection.as_ref().expect("it is lent until the end")
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut Connection {
        self.connection.as_mut().expect("it is lent until the end")
    }
}

impl Drop for Lent {
    /// One that the server has just ended may not look closed yet. Only a session that committed
    /// calls its connection fresh, so that any other is tested before it is lent again.
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else {
            return;
        };
        let is_old = self.opened.elapsed() > LIFETIME;
        if connection.is_closed() || connection.is_outdated() || is_old {
            let _room = Room(Some(Arc::clone(&self.shared)));
            // Closing talks to the server: before the room is given back.
            drop(connection);
            return;
        }
        let idle = Idle {
            since: Instant::now(),
            opened: self.opened,
            connection,
        };
        self.shared.lock().idle.push(idle);
        self.shared.changed.notify_one();
    }
}
