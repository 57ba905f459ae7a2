//! Recurring messages in time that a test lets pass. Who sends one notes its next time by the
//! database's clock, which stays. So it is put right here, by the clock as it would be: a message
//! of every hour that was sent after 25 minutes were skipped comes again after an hour, not after
//! 25 minutes.

use crate::connect::connection::Connection;
use crate::receive::shared_state::Base;
use crate::recurring::recurrence::Recurrence;
use crate::recurring::round::Recurrences;
use crate::wake::round::Round;
use crate::words::{Result, classify};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// When a recurring message is sent next, in microseconds since 1970.
struct NextRun {
    cron: String,
    time_zone: String,
    next_us: i64,
    now_us: i64,
}

/// The topic and the name of a recurring message.
type Named = (String, String);

/// Sends the recurring messages that are due.
pub(crate) fn send_due(connection: &mut Connection, base: &Base) -> Result<()> {
    let skipped_us = base.process.skipped_us.load(Ordering::Relaxed);
    let skipped_us = i64::try_from(skipped_us).unwrap_or(i64::MAX);
    let before = match skipped_us {
        0 => HashMap::new(),
        _ => noted(connection, base)?,
    };
    Recurrences::new(Arc::clone(&base.process)).run(&mut base.upkeep(connection))?;
    if before.is_empty() {
        return Ok(());
    }
    for (name, now) in noted(connection, base)? {
        let was = before.get(&name).map(|noted| noted.next_us);
        if was.is_some_and(|was| was != now.next_us) {
            put_right(connection, base, &name, &now, skipped_us)?;
        }
    }
    Ok(())
}

fn noted(connection: &mut Connection, base: &Base) -> Result<HashMap<Named, NextRun>> {
    let sql = "SELECT topic, name, cron, time_zone, \
        (extract(epoch FROM next_at) * 1000000)::bigint, \
        (extract(epoch FROM clock_timestamp()) * 1000000)::bigint \
        FROM outtray.recurring WHERE isfinite(next_at) AND paused_at IS NULL";
    let sql = base.process.schema.place(sql).into_owned();
    let failed = |error| classify(error, "looking at recurring messages");
    let rows = connection.client().query(&sql, &[]).map_err(failed)?;
    let read = rows.iter().map(|row| {
        let noted = NextRun {
            cron: row.try_get(2)?,
            time_zone: row.try_get(3)?,
            next_us: row.try_get(4)?,
            now_us: row.try_get(5)?,
        };
        Ok(((row.try_get(0)?, row.try_get(1)?), noted))
    });
    read.collect::<Result<_, postgres::Error>>().map_err(failed)
}

/// Notes when a message that was just sent is sent next, by the clock as it would be.
fn put_right(
    connection: &mut Connection,
    base: &Base,
    (topic, name): &Named,
    noted: &NextRun,
    skipped_us: i64,
) -> Result<()> {
    let recurrence = Recurrence::cron(&noted.cron)?.time_zone(&noted.time_zone)?;
    let next_us = recurrence.next_after(noted.now_us.saturating_add(skipped_us))?;
    let sql = "UPDATE outtray.recurring \
        SET next_at = timestamptz '1970-01-01 00:00:00+00' + $3::bigint * interval '1 microsecond' \
        WHERE topic = $1::text AND name = $2::text";
    let sql = base.process.schema.place(sql).into_owned();
    connection
        .client()
        .execute(&sql, &[topic, name, &(next_us - skipped_us)])
        .map_err(|error| classify(error, "noting when a recurring message is sent next"))?;
    Ok(())
}
