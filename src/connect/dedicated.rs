//! Connections that one thread holds while it is busy, and leaves here when it is not.
//!
//! Workers and the threads that wake them take connections from here without waiting: when none is
//! idle, one is opened. So there are as many connections as busy threads, and a hundred parked
//! workers hold none.

use crate::connect::connection::Connection;
use crate::connect::dial::refuse_async_task;
use crate::connect::settings::ConnectionSettings;
use crate::connect::signs::Signs;
use crate::threads::mutex::Mutex;
use crate::words::Result;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Idle connections that are kept; more are closed at once. Enough for a burst over a few topics.
const MAX_IDLE: usize = 16;
/// How long an idle connection is kept.
pub(crate) const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// A connection that was used this recently is taken untested.
const FRESH: Duration = Duration::from_secs(1);

/// Idle connections, the latest used on top.
pub(crate) struct Dedicated {
    settings: Arc<ConnectionSettings>,
    idle: Mutex<Vec<(Instant, Connection)>>,
    /// What the threads say that use connections.
    pub(crate) signs: Signs,
}

impl Dedicated {
    pub(crate) fn new(settings: Arc<ConnectionSettings>) -> Self {
        Dedicated {
            settings,
            idle: Mutex::new(Vec::new()),
            signs: Signs::default(),
        }
    }

    pub(crate) fn settings(&self) -> &ConnectionSettings {
        &self.settings
    }

    /// Takes an idle connection, or opens one.
    pub(crate) fn take(&self) -> Result<Connection> {
        refuse_async_task()?;
        match self.take_idle() {
            Some(connection) => Ok(connection),
            None => Connection::open(&self.settings),
        }
    }

    /// Takes an idle connection, if there is one that works.
    pub(crate) fn take_idle(&self) -> Option<Connection> {
        loop {
            let (_, mut connection) = self.idle.lock().pop()?;
            if connection.check(FRESH).is_ok() {
                return Some(connection);
            }
        }
    }

    /// Leaves a connection for the next; one that broke, or one too many, is closed.
    pub(crate) fn give_back(&self, mut connection: Connection) {
        if connection.is_closed() || connection.is_outdated() {
            return;
        }
        connection.touch();
        let mut idle = self.idle.lock();
        if idle.len() < MAX_IDLE {
            idle.push((Instant::now(), connection));
        }
    }

    /// Closes what nobody took for a while.
    pub(crate) fn close_idle(&self) {
        let old = {
            let mut idle = self.idle.lock();
            let fresh = idle.partition_point(|(since, _)| since.elapsed() > IDLE_TIMEOUT);
            idle.drain(..fresh).collect::<Vec<_>>()
        };
        // Closing talks to the server: not while others wait for the lock.
        drop(old);
    }
}
