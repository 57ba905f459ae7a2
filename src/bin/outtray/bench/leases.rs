//! What leases cost, beside the same in plain SQL.

use super::bed::work::{CONNECTIONS, insert_and_send};
use super::bed::{Bed, Result, plain, plain_leases};
use super::plan::Effort;
use super::report::Report;
use outtray::{HandlerError, Message, MessagingSession};
use serde_json::Value;
use std::time::{Duration, Instant};

/// Messages that are taken by hand at a time.
const BATCH: u64 = 100;
/// As many as a receiver takes at a time.
const MOST: u64 = 64;

const MINUTE: Duration = Duration::from_secs(60);

/// Takes messages under leases and acknowledges them, 100 at a time on one connection.
pub(crate) fn by_hand_case(bed: &Bed, plan: &Effort) -> Result<Report> {
    let take = || {
        let topic = bed.messaging.topic("work");
        let started = Instant::now();
        loop {
            let batch = topic.receive_batch::<Value>(BATCH as usize, MINUTE)?;
            if batch.is_empty() {
                return Ok(started.elapsed());
            }
            let lost = bed.messaging.ack_all(&batch)?;
            if !lost.is_empty() {
                return Err("leases of a minute were lost".into());
            }
        }
    };
    let plain = || plain_leases::lease(bed, BATCH, 1);
    compared(bed, plan, "lease", 50_000, take, plain)
}

/// A receiver under leases whose handler does nothing.
pub(crate) fn receiver_case(bed: &Bed, plan: &Effort) -> Result<Report> {
    let messages = plan.scaled(100_000);
    let ours = || receive(bed, messages, |_, _| Ok(()));
    let plain = || plain_leases::lease(bed, MOST, CONNECTIONS);
    compared(bed, plan, "lease-receiver", 100_000, ours, plain)
}

/// A receiver under leases whose handler inserts a row and sends a message.
pub(crate) fn handle_case(bed: &Bed, plan: &Effort) -> Result<Report> {
    let messages = plan.scaled(20_000);
    let ours = || receive(bed, messages, insert_and_send);
    let plain = || plain_leases::handle(bed, MOST, CONNECTIONS);
    compared(bed, plan, "lease-handle", 20_000, ours, plain)
}

fn receive<F>(bed: &Bed, messages: u64, handler: F) -> Result<Duration>
where
    F: Fn(&mut MessagingSession<'_>, Message<Value>) -> Result<(), HandlerError>
        + Send
        + Sync
        + 'static,
{
    let receiver = bed.messaging.receiver("work");
    let receiver = receiver.workers(CONNECTIONS).lease(MINUTE);
    bed.receive_with(receiver, messages, handler)
}

/// Runs both sides in turns, each on as many messages.
fn compared(
    bed: &Bed,
    plan: &Effort,
    name: &'static str,
    messages: u64,
    ours: impl Fn() -> Result<Duration>,
    plain: impl Fn() -> Result<Duration>,
) -> Result<Report> {
    let messages = plan.scaled(messages);
    let filled = || bed.fill(messages).and_then(|()| bed.settle());
    let (ours, theirs) = plan.compare(
        bed,
        messages,
        || filled().and_then(|()| ours()),
        || filled().and_then(|()| plain()),
    )?;
    Ok(Report::new(name, messages).rates(ours, theirs, plain::PREPARED))
}
