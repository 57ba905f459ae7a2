//! The pool for sessions, behind a type of ours: our own pool, or one of the caller's.
//!
//! Workers do not take from it, so a handler that opens a session of its own can never wait for a
//! connection that another worker holds.

use crate::connect::connection::Connection;
use crate::connect::dedicated::{Dedicated, IDLE_TIMEOUT};
use crate::connect::dial::refuse_async_task;
use crate::connect::lender::Lender;
use crate::threads::mutex::Mutex;
use crate::words::{Error, ErrorKind, Result};
use r2d2::{ManageConnection, PooledConnection};
use scheduled_thread_pool::{OnPoolDropBehavior, ScheduledThreadPool};
use std::ops::{Deref, DerefMut};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// A connection that was used this recently is lent out untested: a test costs a round trip.
const FRESH: Duration = Duration::from_secs(1);
/// Most connections of a pool, which keeps room for all from the start. Far more than a PostgreSQL
/// server can have; a larger number is a mistake.
const MAX_SIZE: u32 = 10_000;
/// Longest wait for a connection, a year: a deadline past the end of time overflows.
const MAX_CHECKOUT_TIMEOUT: Duration = Duration::from_secs(365 * 86_400);
/// r2d2 waits half of this at most between two tries to connect, and 0.2 s at first: senders are to
/// be back as soon as receivers.
const RETRY: Duration = Duration::from_secs(1);
/// How often a waiting thread checks whether the server refused a connection for good.
const LOOK: Duration = Duration::from_millis(250);
/// Threads that open connections, so that a burst of sessions does not wait for one after the
/// other. As many as r2d2 has where nobody says otherwise.
const THREADS: usize = 3;

/// Connections that are shared by all sessions of a process.
pub(crate) struct Pool {
    source: Source,
    dedicated: Arc<Dedicated>,
    checkout_timeout: Duration,
}

enum Source {
    Ours(OwnPool),
    /// Of the caller's.
    Borrowed(Arc<dyn Lender>),
}

/// Connections that are opened when needed, and so are the threads that open them.
struct OwnPool {
    size: u32,
    dedicated: Arc<Dedicated>,
    pool: OnceLock<r2d2::Pool<Manager>>,
    last_error: Arc<Mutex<Option<(ErrorKind, String)>>>,
}

/// A connection lent by the pool; goes back when it is dropped.
pub(crate) enum LentConnection {
    Ours(PooledConnection<Manager>),
    Borrowed(Connection),
}

impl Deref for LentConnection {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        match self {
            LentConnection::Ours(connection) => connection,
            LentConnection::Borrowed(connection) => connection,
        }
    }
}

impl DerefMut for LentConnection {
    fn deref_mut(&mut self) -> &mut Connection {
        match self {
            LentConnection::Ours(connection) => connection,
            LentConnection::Borrowed(connection) => connection,
        }
    }
}

impl Pool {
    /// Makes one that takes its connections from a pool of the caller's.
    pub(crate) fn of(
        lender: Arc<dyn Lender>,
        dedicated: Arc<Dedicated>,
        checkout_timeout: Duration,
    ) -> Self {
        Pool {
            dedicated,
            source: Source::Borrowed(lender),
            checkout_timeout: checkout_timeout.min(MAX_CHECKOUT_TIMEOUT),
        }
    }

    /// Makes a pool of at most `size` connections; opens none, and starts no thread. Idle ones of
    /// `dedicated` are taken over before one is opened.
    pub(crate) fn new(
        dedicated: Arc<Dedicated>,
        size: u32,
        checkout_timeout: Duration,
    ) -> Result<Self> {
        Pool::check(size, checkout_timeout)?;
        Ok(Pool {
            dedicated: Arc::clone(&dedicated),
            source: Source::Ours(OwnPool {
                size,
                dedicated,
                pool: OnceLock::new(),
                last_error: Arc::default(),
            }),
            checkout_timeout: checkout_timeout.min(MAX_CHECKOUT_TIMEOUT),
        })
    }

    /// Returns how many connections there are, how many are idle, and how many there may be.
    pub(crate) fn numbers(&self) -> (u32, u32, u32) {
        match &self.source {
            Source::Ours(own) => {
                let state = own.pool.get().map(r2d2::Pool::state);
                let (open, idle) = state.map_or((0, 0), |s| (s.connections, s.idle_connections));
                (open, idle, own.size)
            }
            Source::Borrowed(lender) => {
                let (open, most) = lender.size();
                (open, lender.idle(), most)
            }
        }
    }

    /// Returns whether the connections are the caller's.
    pub(crate) fn is_lent(&self) -> bool {
        matches!(self.source, Source::Borrowed(_))
    }

    /// Refuses what no pool can have.
    pub(crate) fn check(size: u32, checkout_timeout: Duration) -> Result<()> {
        if size == 0 || size > MAX_SIZE {
            return Err(Error::invalid(format!(
                "pool_size is {size}, it must be 1 to {MAX_SIZE}"
            )));
        }
        if checkout_timeout.is_zero() {
            return Err(Error::invalid("checkout_timeout must be longer than zero"));
        }
        Ok(())
    }

    /// Lends a connection. Blocks while all are in use, up to the checkout timeout.
    ///
    /// # Errors
    /// `PoolExhausted` when all stayed in use, `Unavailable` when none could be opened, `Invalid`
    /// inside an async task, and what else a server has against it.
    pub(crate) fn get(&self) -> Result<LentConnection> {
        self.get_within(self.checkout_timeout)
    }

    /// Like [`get`](Self::get), blocking no longer than this.
    pub(crate) fn get_within(&self, timeout: Duration) -> Result<LentConnection> {
        refuse_async_task()?;
        let waited = timeout.min(self.checkout_timeout);
        let begun = Instant::now();
        let lent = self.lend(waited);
        self.dedicated.signs.note_checkout(begun.elapsed());
        lent
    }

    fn lend(&self, waited: Duration) -> Result<LentConnection> {
        match &self.source {
            Source::Ours(pool) => pool.get_within(waited).map(LentConnection::Ours),
            Source::Borrowed(lender) => match lender.lend(waited) {
                Ok(client) => {
                    let settings = self.dedicated.settings();
                    Ok(LentConnection::Borrowed(Connection::borrowed(
                        client, settings,
                    )))
                }
                Err(error) => Err(not_lent(&**lender, waited, &error)),
            },
        }
    }
}

/// Says why the caller's pool lent nothing.
fn not_lent(lender: &dyn Lender, waited: Duration, error: &r2d2::Error) -> Error {
    let (open, most) = lender.size();
    if open < most {
        let text = format!("no connection within {waited:?} from the pool that was lent: {error}");
        return Error::new(ErrorKind::Unavailable, text);
    }
    let text = format!(
        "all {most} connections of the pool that was lent stayed in use for {waited:?}: raise its max_size"
    );
    Error::new(ErrorKind::PoolExhausted, text)
}

impl OwnPool {
    /// Returns the pool, which is made with the first use: a process that only receives needs none.
    ///
    /// # Errors
    /// `Unavailable` when the operating system has no room for its threads, where their crate
    /// panics.
    fn pool(&self) -> Result<&r2d2::Pool<Manager>> {
        let made = AssertUnwindSafe(|| self.pool.get_or_init(|| self.make()));
        catch_unwind(made).map_err(|_| {
            Error::new(
                ErrorKind::Unavailable,
                "cannot start the threads of the pool",
            )
        })
    }

    fn make(&self) -> r2d2::Pool<Manager> {
        let threads = ScheduledThreadPool::builder()
            .num_threads(THREADS)
            .thread_name_pattern("r2d2-worker-{}")
            // With the pool, not after what is planned for the next half minute.
            .on_drop_behavior(OnPoolDropBehavior::DiscardPendingScheduled);
        let manager = Manager {
            dedicated: Arc::clone(&self.dedicated),
            last_error: Arc::clone(&self.last_error),
        };
        r2d2::Pool::builder()
            .max_size(self.size)
            .min_idle(Some(0))
            .idle_timeout(Some(IDLE_TIMEOUT))
            .connection_timeout(RETRY)
            .thread_pool(Arc::new(threads.build()))
            // Failures to connect come back from `get` with their cause; no log of its own.
            .error_handler(Box::new(r2d2::NopErrorHandler))
            .build_unchecked(manager)
    }

    fn get_within(&self, waited: Duration) -> Result<PooledConnection<Manager>> {
        let deadline = Instant::now() + waited;
        let pool = self.pool()?;
        // What was the matter before may be over.
        self.last_error.lock().take();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            // Each call has r2d2 open one connection more if there is room, so the looks become
            // rarer.
            let look = LOOK.max(waited.saturating_sub(left));
            if let Ok(lent) = pool.get_timeout(look.min(left)) {
                return Ok(lent);
            }
            let refused = self.last_error.lock().clone();
            let is_over = deadline <= Instant::now();
            match refused {
                Some((kind, why)) if kind != ErrorKind::Unavailable => {
                    return Err(Error::new(kind, why));
                }
                Some((kind, why)) if is_over => {
                    return Err(Error::new(
                        kind,
                        format!("no connection within {waited:?}: {why}"),
                    ));
                }
                None if is_over => return Err(self.exhausted(pool, waited)),
                _ => {}
            }
        }
    }

    fn exhausted(&self, pool: &r2d2::Pool<Manager>, waited: Duration) -> Error {
        let size = self.size;
        if pool.state().connections < size {
            let text = format!("no connection within {waited:?}: the server has not answered yet");
            return Error::new(ErrorKind::Unavailable, text);
        }
        Error::new(
            ErrorKind::PoolExhausted,
            format!(
                "all {size} connections of the pool stayed in use for {waited:?}: raise pool_size"
            ),
        )
    }
}

/// Opens and checks connections for r2d2, which would hide why opening failed.
pub(crate) struct Manager {
    dedicated: Arc<Dedicated>,
    last_error: Arc<Mutex<Option<(ErrorKind, String)>>>,
}

impl ManageConnection for Manager {
    type Connection = Connection;
    type Error = Error;

    fn connect(&self) -> Result<Connection> {
        let opened = self.dedicated.take();
        let failure = opened.as_ref().err();
        let mut last = self.last_error.lock();
        *last = failure.map(|error| (error.kind(), error.to_string()));
        drop(last);
        opened
    }

    fn is_valid(&self, connection: &mut Connection) -> Result<()> {
        connection.check(FRESH)
    }

    /// One that the server has just ended may not look closed yet. Only a session that committed
    /// calls its connection fresh, so that any other is tested before it is lent again.
    fn has_broken(&self, connection: &mut Connection) -> bool {
        connection.is_closed() || connection.is_outdated()
    }
}
