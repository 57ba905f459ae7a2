//! The test bed: a durable throwaway server, one database, and how messages get in and out.

use outtray::testing::Server;
use outtray::{HandlerError, Message, Messaging, MessagingSession};
use postgres::{Client, NoTls};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What all cases use.
pub(crate) struct Bed {
    pub(crate) messaging: Messaging,
    url: String,
    #[expect(dead_code, reason = "it stops when it is dropped")]
    server: Server,
}

impl Bed {
    pub(crate) fn new() -> Self {
        let server = Server::builder()
            .always_embedded()
            .durable(true)
            .setting("shared_buffers", "512MB")
            .setting("max_wal_size", "4GB")
            .start()
            .expect("a PostgreSQL to measure on");
        let url = server.database().expect("a database");
        let messaging = Messaging::connect(&url).expect("a connection");
        let bed = Bed {
            messaging,
            url,
            server,
        };
        bed.client()
            .batch_execute("CREATE TABLE thing (n bigint NOT NULL)")
            .expect("a table for handlers");
        bed
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(&self.url, NoTls).expect("a connection")
    }

    /// Returns the time since `started`, and empties the tables for the next round.
    pub(crate) fn clear_after(&self, started: Instant) -> Duration {
        let took = started.elapsed();
        self.clear();
        took
    }

    fn clear(&self) {
        self.client()
            .batch_execute("TRUNCATE outtray.message, outtray.scheduled, thing")
            .expect("empty tables");
    }

    /// Fills topic `work`, and sees to it that the planner and vacuum know.
    pub(crate) fn fill(&self, messages: u64) {
        let mut client = self.client();
        client
            .execute(
                "INSERT INTO outtray.message (topic, rank, id, payload)
                 SELECT 'work', 0, gen_random_uuid(), json_build_object('n', n)
                 FROM generate_series(1, $1::bigint) AS n",
                &[&messages.cast_signed()],
            )
            .expect("messages to handle");
        for upkeep in ["VACUUM ANALYZE outtray.message", "CHECKPOINT"] {
            client.batch_execute(upkeep).expect("fresh statistics");
        }
    }

    /// Handles `messages` messages with a receiver and returns how long that took.
    pub(crate) fn receive<F>(
        &self,
        messages: u64,
        workers: usize,
        per_transaction: Option<usize>,
        handler: F,
    ) -> Duration
    where
        F: Fn(&mut MessagingSession<'_>, Message<Value>) -> Result<(), HandlerError>
            + Send
            + Sync
            + 'static,
    {
        self.fill(messages);
        let left = Arc::new(AtomicU64::new(messages));
        let (done, end) = crossbeam_channel::bounded(1);
        let mut receiver = self.messaging.receiver("work").workers(workers);
        if let Some(count) = per_transaction {
            receiver = receiver.messages_per_transaction(count);
        }
        let started = Instant::now();
        let receiver = receiver
            .start(move |session, message| {
                handler(session, message)?;
                if left.fetch_sub(1, Ordering::Relaxed) == 1 {
                    let _ = done.send(());
                }
                Ok(())
            })
            .expect("a receiver starts");
        end.recv_timeout(Duration::from_secs(600))
            .expect("all are handled");
        // The last commits count too.
        receiver.stop(Duration::from_secs(60));
        let took = self.clear_after(started);
        assert!(self.messaging.topic("work").is_empty().expect("an answer"));
        took
    }
}

/// Messages and time of one side of a case.
#[derive(Default)]
pub(crate) struct Tally {
    rates: Vec<f64>,
}

impl Tally {
    pub(crate) fn add(&mut self, messages: u64, took: Duration) -> Duration {
        self.rates.push(messages as f64 / took.as_secs_f64());
        took
    }

    /// Returns the median rate of the samples with enough messages to count.
    pub(crate) fn rate(&self) -> Option<f64> {
        // The last ten are the measured ones; those before warmed up.
        let mut rates: Vec<f64> = self.rates.iter().rev().take(10).copied().collect();
        rates.sort_unstable_by(f64::total_cmp);
        rates.get(rates.len() / 2).copied()
    }
}
