//! What a client may take of the server, as options with defaults.
//!
//! A limit that is reached slows the client down where that is enough (it is not read from until
//! its replies are taken and its puts are stored), and closes the connection where it is not.

use crate::serve::dsmq::wire::RequestBounds;
use clap::Args;
use std::time::Duration;

/// Replies that wait for their client; more are not worked out before these are taken.
pub(crate) const MOST_UNREAD: usize = 64 << 10;
/// What is read from one connection before the next has its turn.
pub(crate) const READ_AT_ONCE: usize = 64 << 10;
/// Requests of one connection that are served before the next has its turn.
pub(crate) const SERVED_AT_ONCE: usize = 64;
/// How long a get waits for messages that this server has taken and not stored yet.
pub(crate) const LONGEST_GET: Duration = Duration::from_secs(1);
/// Queues from which one connection has got something: each is a place to remember.
pub(crate) const MOST_QUEUES: usize = 10_000;
/// Puts of one connection that are not stored yet.
pub(crate) const MOST_UNSTORED: usize = 4 << 20;

#[derive(Debug, Clone, Args)]
pub(crate) struct ClientLimits {
    /// Connections at the same time; more are closed at once
    #[arg(long, default_value_t = 4096, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    most_connections: u32,

    /// Bytes of a request; a longer one closes its connection
    #[arg(long, default_value_t = 1 << 20, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(1024..=1 << 20))]
    most_request_bytes: u32,

    /// How long a request may be on its way, and how long a reply may remain unread
    #[arg(long, default_value = "30s", value_name = "TIME", value_parser = positive)]
    client_timeout: Duration,

    /// How long a connection may be silent [default: for ever]
    #[arg(long, value_name = "TIME", value_parser = positive)]
    idle_timeout: Option<Duration>,

    /// MiB for messages that were stored lately, and as many for puts that are not stored yet
    #[arg(long, default_value_t = 64, value_name = "MIB", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    buffer: u32,

    /// How long a stop waits until all puts are stored
    #[arg(long, default_value = "30s", value_name = "TIME", value_parser = positive)]
    stop_timeout: Duration,
}

fn positive(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration.is_zero() => Err("more than zero, such as 30s".to_owned()),
        Ok(duration) if duration > Duration::from_secs(366 * 86_400) => {
            Err("at most a year".to_owned())
        }
        Ok(duration) => Ok(duration),
        Err(error) => Err(error.to_string()),
    }
}

impl ClientLimits {
    pub(crate) fn most_connections(&self) -> usize {
        self.most_connections as usize
    }

    pub(crate) fn bounds(&self) -> RequestBounds {
        // The message in a request is one level down, and the library reads 127.
        RequestBounds {
            largest: self.most_request_bytes as usize,
            deepest: 128,
        }
    }

    pub(crate) fn client_timeout(&self) -> Duration {
        self.client_timeout
    }

    pub(crate) fn idle_timeout(&self) -> Option<Duration> {
        self.idle_timeout
    }

    /// Returns the bytes for each of the two buffers.
    pub(crate) fn buffer(&self) -> usize {
        (self.buffer as usize) << 20
    }

    pub(crate) fn stop_timeout(&self) -> Duration {
        self.stop_timeout
    }
}
