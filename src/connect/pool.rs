//! The pool for sessions, behind a type of ours: our own pool, or one of the caller's.
//!
//! Workers do not take from it, so a handler that opens a session of its own can never wait for a
//! connection that another worker holds.

use crate::connect::connection::Connection;
use crate::connect::dial::refuse_async_task;
use crate::connect::lender::Lender;
use crate::connect::settings::ConnectionSettings;
use crate::threads::mutex::Mutex;
use crate::words::{Error, ErrorKind, Result};
use r2d2::{ManageConnection, PooledConnection};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
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

/// Connections that are shared by all sessions of a process.
pub(crate) struct Pool {
    source: Source,
    checkout_timeout: Duration,
}

enum Source {
    Ours(OwnPool),
    /// Of the caller's.
    Borrowed {
        lender: Arc<dyn Lender>,
        settings: Arc<ConnectionSettings>,
    },
}

/// Connections that are opened when needed.
struct OwnPool {
    pool: r2d2::Pool<Manager>,
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
        settings: Arc<ConnectionSettings>,
        checkout_timeout: Duration,
    ) -> Self {
        Pool {
            source: Source::Borrowed { lender, settings },
            checkout_timeout: checkout_timeout.min(MAX_CHECKOUT_TIMEOUT),
        }
    }

    /// Makes a pool of at most `size` connections; opens none.
    pub(crate) fn new(
        settings: Arc<ConnectionSettings>,
        size: u32,
        checkout_timeout: Duration,
    ) -> Result<Self> {
        Pool::check(size, checkout_timeout)?;
        let last_error = Arc::new(Mutex::new(None));
        let manager = Manager {
            settings,
            last_error: Arc::clone(&last_error),
        };
        let pool = r2d2::Pool::builder()
            .max_size(size)
            .min_idle(Some(0))
            .connection_timeout(RETRY)
            // Failures to connect come back from `get` with their cause; no log of its own.
            .error_handler(Box::new(r2d2::NopErrorHandler))
            .build_unchecked(manager);
        Ok(Pool {
            source: Source::Ours(OwnPool { pool, last_error }),
            checkout_timeout: checkout_timeout.min(MAX_CHECKOUT_TIMEOUT),
        })
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
        match &self.source {
            Source::Ours(pool) => pool.get_within(waited).map(LentConnection::Ours),
            Source::Borrowed { lender, settings } => match lender.lend(waited) {
                Ok(client) => Ok(LentConnection::Borrowed(Connection::borrowed(
                    client, settings,
                ))),
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
    fn get_within(&self, waited: Duration) -> Result<PooledConnection<Manager>> {
        let deadline = Instant::now() + waited;
        // What was the matter before may be over.
        self.last_error.lock().take();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            // Each call has r2d2 open one connection more if there is room, so the looks become
            // rarer.
            let look = LOOK.max(waited.saturating_sub(left));
            if let Ok(lent) = self.pool.get_timeout(look.min(left)) {
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
                None if is_over => return Err(self.exhausted(waited)),
                _ => {}
            }
        }
    }

    fn exhausted(&self, waited: Duration) -> Error {
        let size = self.pool.max_size();
        if self.pool.state().connections < size {
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
    settings: Arc<ConnectionSettings>,
    last_error: Arc<Mutex<Option<(ErrorKind, String)>>>,
}

impl ManageConnection for Manager {
    type Connection = Connection;
    type Error = Error;

    fn connect(&self) -> Result<Connection> {
        let opened = Connection::open(&self.settings);
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
