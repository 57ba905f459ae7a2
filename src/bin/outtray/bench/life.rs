//! What a receiver costs when it does nothing, starts, stops, and loses its connection.

use super::bed::{Bed, Result};
use super::counters::Counters;
use super::plan::Effort;
use super::report::Report;
use crossbeam_channel::{after, bounded};
use outtray::Message;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);

/// Counts what the database commits while 64 workers on 64 topics wait.
pub(crate) fn idle_case(bed: &Bed, plan: &Effort) -> Result<Report> {
    let seconds = plan.scaled(20);
    let receivers: Vec<_> = (0..64)
        .map(|number| {
            let builder = bed.messaging.receiver(&format!("idle-{number}")).workers(1);
            builder.start(|_, _: Message| Ok(()))
        })
        .collect::<Result<_, outtray::Error>>()?;
    // Starting is work too, and backends that have gone quiet report theirs after ten seconds.
    let _ = after(Duration::from_secs(12)).recv();
    let before = Counters::read(bed)?;
    let _ = after(Duration::from_secs(seconds)).recv();
    let counted = Counters::read(bed)?;
    for receiver in &receivers {
        receiver.request_stop();
    }
    let mut report = Report::new("idle", seconds).counted(&before, &counted);
    // The look at the counters is a transaction too, and takes a second.
    report.per_second = report.commits_per_message.take();
    report.wal_bytes_per_message = None;
    report.messages = 0;
    Ok(report.note("transactions a second, the two that measure included"))
}

pub(crate) fn start_stop_case(bed: &Bed, plan: &Effort) -> Result<Report> {
    let rounds = plan.scaled(50);
    let mut times = Vec::new();
    for _ in 0..rounds {
        let started = Instant::now();
        let builder = bed.messaging.receiver("start-stop").workers(8);
        builder.start(|_, _: Message| Ok(()))?.stop(PATIENCE);
        times.push(started.elapsed());
    }
    Ok(Report::new("start-stop", rounds).times(times))
}

/// Cuts the connection of the worker that holds a message, as the death of its process would, and
/// measures until the handler runs again.
pub(crate) fn recovery_case(bed: &Bed, plan: &Effort) -> Result<Report> {
    let rounds = plan.scaled(50);
    let mut killer = bed.client()?;
    let mut waits = Vec::new();
    for _ in 0..rounds {
        let (inside, begun) = bounded(2);
        let runs = AtomicU32::new(0);
        let receiver =
            bed.messaging
                .receiver("recover")
                .workers(2)
                .start(move |session, _: Message| {
                    let pid: i32 = session
                        .query_one("SELECT pg_backend_pid()", &[])?
                        .try_get(0)?;
                    let is_first = runs.fetch_add(1, Ordering::Relaxed) == 0;
                    let _ = inside.send((pid, Instant::now()));
                    if is_first {
                        // Found cut as soon as it asks.
                        session.query("SELECT pg_sleep(30)", &[])?;
                    }
                    Ok(())
                })?;
        bed.messaging
            .session(|session| Ok(session.send_message("recover", &1)?))?;
        let silence = |_| "the message did not come back";
        let (pid, _) = begun.recv_timeout(PATIENCE).map_err(silence)?;
        let cut = Instant::now();
        killer.execute("SELECT pg_terminate_backend($1)", &[&pid])?;
        let (_, again) = begun.recv_timeout(PATIENCE).map_err(silence)?;
        waits.push(again.saturating_duration_since(cut));
        receiver.stop(PATIENCE);
    }
    Ok(Report::new("recovery", rounds).times(waits))
}
