//! Time that a test lets pass, without waiting: every time that the database has noted moves into
//! the past. The clock itself stays, so everything goes on as it does in production.

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
    (
        "recurring",
        &[("next_at", false), ("last_at", false), ("paused_at", false)],
    ),
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
/// kept long enough. The history and the tallies move by whole days and minutes. Recurring messages
/// become due as if no process had run meanwhile.
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
            let us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
            let before = base.process.skipped_us.load(Ordering::Relaxed);
            let mut text = shift(duration);
            text.push_str(&shift_whole(before, us));
            let text = base.process.schema.place(&text);
            let client = connection.client();
            client
                .batch_execute(&text)
                .map_err(|error| classify(error, doing))?;
            base.process.skipped_us.fetch_add(us, Ordering::Relaxed);
            base.waker.due_in(Duration::ZERO);
            Ok(())
        })
    }
}

/// Returns the statements that move all times into the past, as one transaction.
fn shift(duration: Duration) -> String {
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
    // The one column with several times, "sent_ats".
    let _ = writeln!(
        text,
        "UPDATE outtray.history SET sent_ats = ARRAY (SELECT sent.at - {us} * interval '1 microsecond'
            FROM unnest(sent_ats) WITH ORDINALITY AS sent (at, n) ORDER BY sent.n) WHERE sent_ats IS NOT NULL;"
    );
    text
}

/// Returns the statements that move whole minutes and days, after so many microseconds that passed
/// before: as many of them as the clock would have come by.
fn shift_whole(before: u64, us: u64) -> String {
    let passed = |unit: u64| {
        let number = |passed: u64| {
            format!("floor((extract(epoch FROM now()) * 1000000 + {passed}) / {unit})")
        };
        let (now, then) = (number(before), number(before.saturating_add(us)));
        format!("(SELECT ({then} - {now})::bigint AS count) AS passed")
    };
    let (minutes, days) = (passed(60_000_000), passed(86_400_000_000));
    // By way of what is below zero: minutes are keys, and no two rows have the same on the way.
    format!(
        "UPDATE outtray.tally SET minute = -minute WHERE minute > 0;\n\
         UPDATE outtray.tally SET minute = -minute - passed.count FROM {minutes} WHERE minute < 0;\n\
         UPDATE outtray.history SET day = greatest(day - passed.count, 0) FROM {days} \
         WHERE passed.count > 0;\n"
    )
}
