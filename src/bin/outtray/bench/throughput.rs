//! Messages a second: sending, draining, handling.

use super::bed::work::{BULK, CONNECTIONS, Task, send_in_calls};
use super::bed::{Bed, Result, plain};
use super::counters::Counters;
use super::plan::Effort;
use super::report::Report;
use serde_json::json;
use std::cell::Cell;

pub(crate) fn send_one_case(bed: &Bed, plan: &Effort) -> Result<Report> {
    compared(bed, plan, "send-one", Task::SendOne, 5_000)
}

pub(crate) fn send_bulk_case(bed: &Bed, plan: &Effort) -> Result<Report> {
    compared(bed, plan, "send-bulk", Task::SendBulk, 200_000)
}

pub(crate) fn drain_case(bed: &Bed, plan: &Effort) -> Result<Report> {
    compared(bed, plan, "drain", Task::Drain, 200_000)
}

pub(crate) fn handle_single_case(bed: &Bed, plan: &Effort) -> Result<Report> {
    compared(bed, plan, "handle-single", Task::HandleSingle, 16_000)
}

pub(crate) fn handle_adaptive_case(bed: &Bed, plan: &Effort) -> Result<Report> {
    compared(bed, plan, "handle-adaptive", Task::HandleAdaptive, 64_000)
}

/// Runs both sides in turns, and ours once more with the counters read before and after.
fn compared(
    bed: &Bed,
    plan: &Effort,
    name: &'static str,
    work: Task,
    messages: u64,
) -> Result<Report> {
    let messages = plan.scaled(messages);
    // A slow plain side is measured on fewer.
    let few = if work == Task::HandleAdaptive {
        messages.div_ceil(4)
    } else {
        messages
    };
    let way = Cell::new(plain::PREPARED);
    let mut each = Vec::new();
    let filled = |messages: u64| work.fill(bed, messages).and_then(|()| bed.settle());
    let (ours, theirs) = plan.compare(
        bed,
        messages,
        || {
            filled(messages)?;
            let mut took = work.ours(bed, messages)?;
            each.append(&mut took.each);
            Ok(took.all)
        },
        || {
            filled(few)?;
            let (took, by) = work.plain(bed, few)?;
            way.set(by);
            Ok(took.mul_f64(messages as f64 / few as f64))
        },
    )?;
    let report = Report::new(name, messages).rates(ours, theirs, way.get());
    // Without a checkpoint before: the first change to a page after one writes the whole page.
    work.fill(bed, messages)?;
    let before = Counters::read(bed)?;
    work.ours(bed, messages)?;
    let after = Counters::read(bed)?;
    bed.clear()?;
    Ok(report.times(each).counted(&before, &after))
}

/// Measures what is written for a message on its whole way, on the second pass: the first writes
/// whole pages after the checkpoint.
pub(crate) fn wal_case(bed: &Bed, plan: &Effort) -> Result<Report> {
    let messages = plan.scaled(50_000);
    let text = "x".repeat(90);
    let pass = || -> Result<()> {
        send_in_calls(bed, "work", messages, BULK, |_| json!({ "text": text }))?;
        bed.receive(messages, CONNECTIONS, None, |_, _| Ok(()))?;
        Ok(())
    };
    pass()?;
    let before = Counters::read(bed)?;
    pass()?;
    let after = Counters::read(bed)?;
    bed.clear()?;
    Ok(Report::new("wal", messages)
        .counted(&before, &after)
        .note("sent in bulk, claimed and acked; 101 bytes each"))
}
