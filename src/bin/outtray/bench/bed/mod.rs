//! The test bed: a server, a database on it, and what is done there by both sides.
//!
//! It stands on the library's public API alone and imports its own files by `super`, since the
//! criterion bench in `benches/throughput` takes this folder by its path.

pub(crate) mod plain;
pub(crate) mod plain_leases;
pub(crate) mod work;

use crossbeam_channel::bounded;
use outtray::postgres::{Client, NoTls};
use outtray::testing::Server;
use outtray::{HandlerError, Message, Messaging, MessagingSession, Receiver, ReceiverBuilder};
use serde_json::Value;
use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What was measured, or whatever ended the work early: an error of outtray, of the driver, or of a
/// program.
pub(crate) type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

/// How long a round may take before something must be wrong.
const PATIENCE: Duration = Duration::from_secs(1800);

/// A server with one database, which has the schema and a table `thing` for handlers to write to.
pub(crate) struct Bed {
    pub(crate) messaging: Messaging,
    pub(crate) url: String,
    pub(crate) server: Server,
}

impl Bed {
    /// Starts a throwaway server with fsync and synchronous_commit on, and a database with the
    /// schema.
    ///
    /// # Errors
    /// `Server` when no server binaries are installed.
    pub(crate) fn new() -> Result<Self> {
        let server = Server::builder()
            .always_embedded()
            .durable(true)
            .setting("shared_buffers", "512MB")
            .setting("max_wal_size", "8GB")
            .setting("checkpoint_timeout", "30min")
            .start()?;
        let url = server.database()?;
        let bed = Bed {
            messaging: Messaging::connect(&url)?,
            url,
            server,
        };
        bed.sql("CREATE TABLE thing (n bigint NOT NULL)")?;
        Ok(bed)
    }

    /// Opens a connection of its own, for plain SQL.
    pub(crate) fn client(&self) -> Result<Client> {
        Ok(Client::connect(&self.url, NoTls)?)
    }

    /// Runs SQL on a connection of its own.
    pub(crate) fn sql(&self, sql: &str) -> Result<()> {
        Ok(self.client()?.batch_execute(sql)?)
    }

    /// Returns the version of the server, in its own words.
    pub(crate) fn server_version(&self) -> Result<String> {
        let row = self.client()?.query_one("SHOW server_version", &[])?;
        Ok(row.try_get(0)?)
    }

    /// Returns where the server's pgbench is, or `None` if it came without.
    pub(crate) fn pgbench(&self) -> Option<PathBuf> {
        let path = self.server.bin_dir()?.join("pgbench");
        path.exists().then_some(path)
    }

    /// Empties all tables.
    pub(crate) fn clear(&self) -> Result<()> {
        self.sql(
            "TRUNCATE outtray.message, outtray.scheduled, outtray.dead_letter, outtray.follower,
                 outtray.lane, outtray.history, outtray.stalled, outtray.dedupe, outtray.outcome, outtray.dependency, thing",
        )
    }

    /// Puts this many messages on topic `work`, with ids that begin with the time, as all have that
    /// outtray makes.
    pub(crate) fn fill(&self, messages: u64) -> Result<()> {
        self.sql(&format!(
            "INSERT INTO outtray.message (topic, rank, id, payload)
             SELECT 'work', 0, outtray.new_id(n), json_build_object('n', n)
             FROM generate_series(1, {messages}) AS n"
        ))
    }

    /// Sees to it that the planner knows what is there, and that no checkpoint is due.
    pub(crate) fn settle(&self) -> Result<()> {
        self.sql("VACUUM ANALYZE outtray.message")?;
        self.sql("CHECKPOINT")
    }

    /// Handles the messages of topic `work` with a receiver and returns how long that took.
    pub(crate) fn receive<F>(
        &self,
        messages: u64,
        workers: usize,
        per_transaction: Option<usize>,
        handler: F,
    ) -> Result<Duration>
    where
        F: Fn(&mut MessagingSession<'_>, Message<Value>) -> Result<(), HandlerError>
            + Send
            + Sync
            + 'static,
    {
        let mut receiver = self.messaging.receiver("work").workers(workers);
        if let Some(count) = per_transaction {
            receiver = receiver.messages_per_transaction(count);
        }
        self.receive_with(receiver, messages, handler)
    }

    /// The same with a receiver as it is built.
    pub(crate) fn receive_with<F>(
        &self,
        receiver: ReceiverBuilder<'_>,
        messages: u64,
        handler: F,
    ) -> Result<Duration>
    where
        F: Fn(&mut MessagingSession<'_>, Message<Value>) -> Result<(), HandlerError>
            + Send
            + Sync
            + 'static,
    {
        let left = Arc::new(AtomicU64::new(messages));
        let (done, end) = bounded(1);
        let started = Instant::now();
        let receiver: Receiver = receiver.start(move |session, message| {
            handler(session, message)?;
            if left.fetch_sub(1, Ordering::Relaxed) == 1 {
                let _ = done.send(());
            }
            Ok(())
        })?;
        if end.recv_timeout(PATIENCE).is_err() {
            return Err("not all messages were handled in time".into());
        }
        // The last commits count too.
        receiver.stop(Duration::from_secs(60));
        Ok(started.elapsed())
    }
}
