//! What a receiver can be told.

use crate::words::retry::Backoff;
use crate::words::topic_config::Expired;
use crate::words::{Error, Filter, Result, TopicConfig};
use std::time::Duration;

/// More messages in one transaction than this would overflow the server's cache of
/// subtransactions (64 for each session), which slows down every other session's snapshots.
pub(crate) const MAX_PER_TRANSACTION: usize = 64;
/// Threads of one receiver; a connection each while busy. PostgreSQL's own default is 100 in all.
const MAX_WORKERS: usize = 1024;

/// How long messages are leased where nobody says it.
pub(crate) const DEFAULT_LEASE: Duration = Duration::from_secs(30);

/// Settings of a receiver.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) workers: usize,
    pub(crate) max_attempts: u32,
    pub(crate) backoff: Backoff,
    /// A fixed number of messages for each transaction, or as many as handlers' speed suggests.
    pub(crate) per_transaction: Option<usize>,
    pub(crate) is_strict: bool,
    pub(crate) slow_handler: Duration,
    /// Which messages the receiver wants; `None` for all.
    pub(crate) filter: Option<Filter>,
    /// Messages are leased instead of being held by a transaction.
    pub(crate) is_leasing: bool,
    /// How long messages are leased; `None` for the topic's setting.
    pub(crate) lease: Option<Duration>,
}

/// What a receiver does with messages that fail or come too late: what the topic is configured to,
/// else what the receiver was told.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    pub(crate) max_attempts: u32,
    pub(crate) backoff: Backoff,
    pub(crate) expired: Expired,
}

impl Options {
    pub(crate) fn terms(&self, config: Option<&TopicConfig>) -> Terms {
        let max_attempts = config.and_then(|config| config.max_attempts);
        let backoff = config.and_then(|config| config.backoff.clone());
        Terms {
            max_attempts: max_attempts.unwrap_or(self.max_attempts),
            backoff: backoff.unwrap_or_else(|| self.backoff.clone()),
            expired: config
                .and_then(|config| config.expired)
                .unwrap_or(Expired::DeadLetter),
        }
    }

    /// Returns for how long messages are leased at present.
    pub(crate) fn lease(&self, config: Option<&TopicConfig>) -> Duration {
        let topics = config.and_then(|config| config.lease);
        self.lease.or(topics).unwrap_or(DEFAULT_LEASE)
    }
}

impl Default for Options {
    fn default() -> Self {
        Options {
            workers: 4,
            max_attempts: 10,
            backoff: Backoff::default(),
            per_transaction: None,
            is_strict: false,
            slow_handler: Duration::from_secs(10),
            filter: None,
            is_leasing: false,
            lease: None,
        }
    }
}

impl Options {
    pub(crate) fn check(&self) -> Result<()> {
        if self.workers == 0 || self.workers > MAX_WORKERS {
            return Err(out_of_range("workers", self.workers, MAX_WORKERS));
        }
        if self.max_attempts == 0 || self.max_attempts > i16::MAX as u32 {
            let found = self.max_attempts as usize;
            return Err(out_of_range("max_attempts", found, i16::MAX as usize));
        }
        match self.per_transaction {
            Some(count) if count == 0 || count > MAX_PER_TRANSACTION => Err(out_of_range(
                "messages_per_transaction",
                count,
                MAX_PER_TRANSACTION,
            )),
            _ => Ok(()),
        }
    }
}

fn out_of_range(what: &str, found: usize, most: usize) -> Error {
    Error::invalid(format!("{what} is {found}, it must be 1 to {most}"))
}
