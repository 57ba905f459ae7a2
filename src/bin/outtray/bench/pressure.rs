//! What happens under pressure: many workers, a deep backlog, a transaction that stays open.

use super::bed::work::Task;
use super::bed::{Bed, Result};
use super::plan::Effort;
use super::report::Report;
use crossbeam_channel::after;
use outtray::Message;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Sent each second while another transaction stays open.
const RATE: u64 = 800;

/// Doubles the workers from 1 to 64, adaptive batches; the best number beside one.
pub(crate) fn ladder_case(bed: &Bed, plan: &Effort) -> Result<Report> {
    let messages = plan.scaled(128_000);
    let mut steps = Vec::new();
    for workers in [1, 2, 4, 8, 16, 32, 64] {
        let took = filled_and_handled(bed, Task::HandleAdaptive, messages, workers)?;
        bed.clear()?;
        steps.push((workers, messages as f64 / took.as_secs_f64()));
    }
    let best = steps.iter().map(|(_, rate)| *rate).fold(0.0, f64::max);
    let text: Vec<String> = steps
        .iter()
        .map(|(workers, rate)| format!("{workers}: {rate:.0}"))
        .collect();
    Ok(Report::new("workers", messages)
        .rates(best, steps[0].1, "one worker")
        .note(text.join(", ")))
}

/// 64 workers beside 16, one message to a transaction.
pub(crate) fn workers_single_case(bed: &Bed, plan: &Effort) -> Result<Report> {
    let messages = plan.scaled(32_000);
    many_workers(bed, plan, "workers-64-single", Task::HandleSingle, messages)
}

/// 64 workers beside 16, adaptive batches.
pub(crate) fn workers_case(bed: &Bed, plan: &Effort) -> Result<Report> {
    let messages = plan.scaled(128_000);
    many_workers(bed, plan, "workers-64", Task::HandleAdaptive, messages)
}

fn many_workers(
    bed: &Bed,
    plan: &Effort,
    name: &'static str,
    work: Task,
    messages: u64,
) -> Result<Report> {
    let with = |workers: usize| filled_and_handled(bed, work, messages, workers);
    let (many, few) = plan.compare(bed, messages, || with(64), || with(16))?;
    Ok(Report::new(name, messages).rates(many, few, "16 workers"))
}

fn filled_and_handled(bed: &Bed, work: Task, messages: u64, workers: usize) -> Result<Duration> {
    bed.fill(messages)?;
    bed.settle()?;
    Ok(work.with_workers(bed, messages, workers)?.all)
}

/// Drains a deep backlog; compares the last tenth with the first. The round in the middle counts.
pub(crate) fn backlog_case(bed: &Bed, plan: &Effort) -> Result<Report> {
    let messages = plan.scaled(5_000_000);
    let mut rounds = (0..plan.rounds.max(1))
        .map(|_| drain_backlog(bed, messages))
        .collect::<Result<Vec<Report>>>()?;
    let ratio = |report: &Report| report.ratio.unwrap_or_default();
    rounds.sort_by(|one, other| ratio(one).total_cmp(&ratio(other)));
    Ok(rounds.swap_remove(rounds.len() / 2))
}

fn drain_backlog(bed: &Bed, messages: u64) -> Result<Report> {
    bed.fill(messages)?;
    bed.settle()?;
    let marks = Arc::new(Mutex::new(Vec::with_capacity(101)));
    let times = Arc::clone(&marks);
    let seen = AtomicU64::new(0);
    let part = (messages / 100).max(1);
    let started = Instant::now();
    bed.receive(messages, 8, None, move |_, _| {
        if seen.fetch_add(1, Ordering::Relaxed).is_multiple_of(part) {
            let mut times = times.lock().unwrap_or_else(PoisonError::into_inner);
            times.push(started.elapsed().as_secs_f64());
        }
        Ok(())
    })?;
    let total = started.elapsed().as_secs_f64();
    bed.clear()?;
    let times = marks.lock().unwrap_or_else(PoisonError::into_inner);
    let rate = |from: usize, to: usize| {
        let took = times.get(to).unwrap_or(&total) - times.get(from).unwrap_or(&0.0);
        part as f64 * (to - from) as f64 / took.max(1e-9)
    };
    let mut report =
        Report::new("backlog", messages).rates(rate(90, 100), rate(0, 10), "the first tenth");
    let at = |mark: usize| times.get(mark).copied().unwrap_or(total);
    report.series = (0..99)
        .map(|mark| (at(mark + 1), rate(mark, mark + 1)))
        .collect();
    Ok(report.note(format!("{:.0} a second over all", messages as f64 / total)))
}

/// Sends and handles at a steady rate while another transaction, which has written, stays open.
pub(crate) fn held_case(bed: &Bed, plan: &Effort) -> Result<Report> {
    let seconds = plan.scaled(180);
    let calm = steadily(bed, seconds.div_ceil(6))?;
    let mut holder = bed.client()?;
    let mut held = holder.transaction()?;
    held.batch_execute("INSERT INTO thing (n) VALUES (0)")?;
    let pressed = steadily(bed, seconds)?;
    drop(held);
    bed.clear()?;

    let sent = seconds * RATE;
    let mut report = Report::new("held", sent).rates(
        pressed.handled as f64 / seconds as f64,
        RATE as f64,
        "what was sent",
    );
    report.series = pressed.series;
    let calm_p99 = Report::default()
        .times(calm.waits)
        .p99_us
        .unwrap_or_default();
    Ok(report.times(pressed.waits).note(format!(
        "waiting at the end {}, p99 before {calm_p99:.0} µs",
        sent.saturating_sub(pressed.handled)
    )))
}

/// What a steady flow looked like.
struct Flow {
    handled: u64,
    waits: Vec<Duration>,
    series: Vec<(f64, f64)>,
}

/// Sends [`RATE`] messages a second for so long, and handles them meanwhile.
fn steadily(bed: &Bed, seconds: u64) -> Result<Flow> {
    let begun = Instant::now();
    let waits = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&waits);
    let receiver =
        bed.messaging
            .receiver("steady")
            .workers(8)
            .start(move |_, message: Message<u64>| {
                let wait = begun
                    .elapsed()
                    .saturating_sub(Duration::from_micros(message.payload));
                noted
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(wait);
                Ok(())
            })?;
    let count = || waits.lock().unwrap_or_else(PoisonError::into_inner).len() as u64;
    let (mut sent, mut series, mut before) = (0, Vec::new(), 0);
    for tick in 0..seconds * RATE {
        let due = Duration::from_secs_f64(tick as f64 / RATE as f64);
        if let Some(early) = due.checked_sub(begun.elapsed()) {
            let _ = after(early).recv();
        }
        let now = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        bed.messaging
            .session(|session| Ok(session.send_message("steady", &now)?))?;
        sent += 1;
        if sent % RATE == 0 {
            let handled = count();
            series.push((begun.elapsed().as_secs_f64(), (handled - before) as f64));
            before = handled;
        }
    }
    receiver.stop(Duration::from_secs(60));
    let handled = count();
    let waits = std::mem::take(&mut *waits.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(Flow {
        handled,
        waits,
        series,
    })
}
