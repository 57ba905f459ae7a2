//! Time that a test lets pass, without waiting: every time that the database has noted moves into
//! the past. The clock itself stays, so everything goes on as it does in production.

use crate::schema::name::SchemaName;
use crate::surface::messaging::Messaging;
use crate::words::{Result, classify};
use std::fmt::Write;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The columns with times, by table; `true`: microseconds since 1970. A test compares them with the
/// schema.
const TIMES: [(&str, &[(&str, bool)]); 19] = [
    (
        "message",
        &[
            ("due_at", false),
            ("not_before", false),
            ("sent_at", false),
            ("expires_at", false),
        ],
    ),
    ("follower", &[("sent_at", false), ("expires_at", false)]),
    (
        "scheduled",
        &[
            ("due_at", false),
            ("sent_at", false),
            ("expires_at", false),
            ("until_us", true),
        ],
    ),
    ("topic", &[("suspect_until", false), ("paused_at", false)]),
    ("dedupe", &[("expires_at", false)]),
    ("bucket", &[("full_at", false), ("asked_at", false)]),
    ("outcome", &[("ended_at", false)]),
    ("cancellation", &[("asked_at", false)]),
    (
        "dead_letter",
        &[
            ("sent_at", false),
            ("died_at", false),
            ("expires_at", false),
        ],
    ),
    ("recurring", &[("next_at", false), ("last_at", false)]),
    ("log_segment", &[("opened_at", false)]),
    ("log_entry", &[("sent_at", false)]),
    ("log_tick", &[("at", false)]),
    ("log_reader", &[("made_at", false)]),
    ("log_place", &[("moved_at", false)]),
    (
        "subscription",
        &[("expires_at", false), ("subscribed_at", false)],
    ),
    ("attempt", &[("begun_at", false)]),
    ("change", &[("at", false)]),
    (
        "history",
        &[
            ("ended_at", false),
            ("sent_at", false),
            ("due_at", false),
            ("started_at", false),
        ],
    ),
];

/// Lets time pass for everything that the database of `messaging` keeps, without waiting: moves
/// every time that is noted there into the past. Delayed messages and retries become due, messages
/// expire, leases end, dedupe keys are forgotten, buckets of rate limits fill, logs drop what they
/// kept long enough. Recurring messages become due as if no process had run meanwhile.
///
/// The database's clock stays as it is, and your own tables too. Running receivers go on, and
/// notice what is due within their poll interval. Blocks for a round trip.
///
/// ```no_run
/// # fn f(messaging: &outtray::Messaging) -> outtray::Result<()> {
/// use std::time::Duration;
///
/// outtray::testing::advance(messaging, Duration::from_secs(3 * 86_400))?;
/// # Ok(()) }
/// ```
///
/// # Errors
/// `SchemaMissing`, `Unavailable`, `PoolExhausted`.
pub fn advance(messaging: &Messaging, duration: Duration) -> Result<()> {
    messaging.advance(duration)
}

impl Messaging {
    /// Lets so much time pass for everything that this database keeps, without waiting.
    pub(crate) fn advance(&self, duration: Duration) -> Result<()> {
        let doing = "letting time pass";
        self.with_connection(|connection, base| {
            let text = shift(&base.process.schema, duration);
            let client = connection.client();
            client
                .batch_execute(&text)
                .map_err(|error| classify(error, doing))?;
            let us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
            base.process.skipped_us.fetch_add(us, Ordering::Relaxed);
            base.waker.due_in(Duration::ZERO);
            Ok(())
        })
    }
}

/// Returns the statements that move all times into the past, as one transaction.
fn shift(schema: &SchemaName, duration: Duration) -> String {
    let us = duration.as_micros();
    let mut text = String::new();
    for (table, columns) in TIMES {
        let moved = columns.iter().map(|(column, is_number)| match is_number {
            true => format!("{column} = {column} - {us}"),
            // An infinite time stays infinite.
            false => format!("{column} = {column} - {us} * interval '1 microsecond'"),
        });
        let moved: Vec<String> = moved.collect();
        let _ = writeln!(text, "UPDATE outtray.{table} SET {};", moved.join(", "));
    }
    schema.place(&text).into_owned()
}
