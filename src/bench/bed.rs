//! The test bed: a server, a database on it, and how messages get in and out.

use crate::bench::report::{Report, median};
use crate::receive::receiver::Receiver;
use crate::session::messaging_session::MessagingSession;
use crate::surface::messaging::Messaging;
use crate::testing::Server;
use crate::words::error::{Error, ErrorKind, Result};
use crate::words::handler_error::HandlerError;
use crate::words::message::Message;
use crate::words::sqlstate::classify;
use crossbeam_channel::bounded;
use postgres::{Client, NoTls};
use serde_json::Value;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long a round may take before something must be wrong.
const PATIENCE: Duration = Duration::from_secs(1800);

/// What all cases use.
pub struct Bed {
    pub(crate) messaging: Messaging,
    pub(crate) url: String,
    pub(crate) server: Server,
}

/// WAL position and commits, to be compared with a later look.
pub(crate) struct Counters {
    wal: i64,
    commits: i64,
}

impl Counters {
    /// Notes what was written and committed since `earlier`, for each message.
    pub(crate) fn report(&self, earlier: &Counters, report: &mut Report) {
        let each = |count: i64| count as f64 / report.messages as f64;
        let (wal, commits) = (
            each(self.wal - earlier.wal),
            each(self.commits - earlier.commits),
        );
        report.wal_bytes_per_message = Some(wal);
        report.commits_per_message = Some(commits);
    }
}

impl Bed {
    /// Starts a throwaway server with fsync and synchronous_commit on, and a database with the
    /// schema.
    ///
    /// # Errors
    /// `Server` when no server binaries are installed.
    pub fn new() -> Result<Self> {
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

    pub(crate) fn client(&self) -> Result<Client> {
        Client::connect(&self.url, NoTls).map_err(|error| classify(error, "connecting"))
    }

    pub(crate) fn sql(&self, sql: &str) -> Result<()> {
        self.client()?
            .batch_execute(sql)
            .map_err(|error| classify(error, "preparing a case"))
    }

    /// Returns the version of the server, in its own words.
    ///
    /// # Errors
    /// `Unavailable`.
    pub fn server_version(&self) -> Result<String> {
        let row = self.client()?.query_one("SHOW server_version", &[]);
        row.and_then(|row| row.try_get(0))
            .map_err(|error| classify(error, "asking for the version"))
    }

    pub(crate) fn pgbench(&self) -> Option<PathBuf> {
        let path = self.server.bin_dir()?.join("pgbench");
        path.exists().then_some(path)
    }

    /// Empties all tables.
    ///
    /// # Errors
    /// `Unavailable`.
    pub fn clear(&self) -> Result<()> {
        self.sql(
            "TRUNCATE outtray.message, outtray.scheduled, outtray.dead_letter, outtray.follower,
                 outtray.lane, outtray.stalled, outtray.dedupe, outtray.outcome, outtray.dependency, thing",
        )
    }

    /// Fills topic `work`.
    pub(crate) fn fill(&self, messages: u64) -> Result<()> {
        self.sql(&format!(
            "INSERT INTO outtray.message (topic, rank, id, payload)
             SELECT 'work', 0, gen_random_uuid(), json_build_object('n', n)
             FROM generate_series(1, {messages}) AS n"
        ))
    }

    /// Sees to it that the planner knows what is there, and that no checkpoint is due.
    ///
    /// # Errors
    /// `Unavailable`.
    pub fn settle(&self) -> Result<()> {
        self.sql("VACUUM ANALYZE outtray.message")?;
        self.sql("CHECKPOINT")
    }

    pub(crate) fn counters(&self) -> Result<Counters> {
        // Busy backends report their statistics each second, and those that end do so at once.
        let _ = crossbeam_channel::after(Duration::from_millis(1100)).recv();
        let failed = |error| classify(error, "reading counters");
        let row = self
            .client()?
            .query_one(
                "SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint, \
                        (SELECT xact_commit FROM pg_stat_database WHERE datname = current_database())",
                &[],
            )
            .map_err(failed)?;
        Ok(Counters {
            wal: row.try_get(0).map_err(failed)?,
            commits: row.try_get(1).map_err(failed)?,
        })
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
        let left = Arc::new(AtomicU64::new(messages));
        let (done, end) = bounded(1);
        let mut receiver = self.messaging.receiver("work").workers(workers);
        if let Some(count) = per_transaction {
            receiver = receiver.messages_per_transaction(count);
        }
        let started = Instant::now();
        let receiver: Receiver = receiver.start(move |session, message| {
            handler(session, message)?;
            if left.fetch_sub(1, Ordering::Relaxed) == 1 {
                let _ = done.send(());
            }
            Ok(())
        })?;
        if end.recv_timeout(PATIENCE).is_err() {
            return Err(Error::new(
                ErrorKind::Unavailable,
                "not all messages were handled in time",
            ));
        }
        // The last commits count too.
        receiver.stop(Duration::from_secs(60));
        Ok(started.elapsed())
    }

    /// Runs both sides of a case `rounds` times in turns; returns their median rates.
    pub(crate) fn compare(
        &self,
        rounds: usize,
        messages: u64,
        mut ours: impl FnMut() -> Result<Duration>,
        mut theirs: impl FnMut() -> Result<Duration>,
    ) -> Result<(f64, f64)> {
        let rate = |took: Duration| messages as f64 / took.as_secs_f64();
        let (mut our_rates, mut their_rates) = (Vec::new(), Vec::new());
        for _ in 0..rounds.max(1) {
            their_rates.push(rate(theirs()?));
            self.clear()?;
            our_rates.push(rate(ours()?));
            self.clear()?;
        }
        Ok((median(our_rates), median(their_rates)))
    }
}
