//! Messages a second: sending, draining, handling.

use crate::bench::Plan;
use crate::bench::bed::Bed;
use crate::bench::plain;
use crate::bench::report::Report;
use crate::session::messaging_session::MessagingSession;
use crate::words::error::Result;
use crate::words::handler_error::HandlerError;
use crate::words::message::Message;
use crate::words::new_message::NewMessage;
use serde_json::{Value, json};
use std::cell::Cell;
use std::time::{Duration, Instant};

/// Connections of the cases that use several: enough to share a disk flush between commits.
const CONNECTIONS: usize = 8;
const BULK: u64 = 1000;

/// Something to be done many times, by outtray or in plain SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// One message to a transaction, one connection.
    SendOne,
    /// 1,000 messages to a transaction, one connection.
    SendBulk,
    /// A handler that does nothing, adaptive batches, 8 workers.
    Drain,
    /// A handler that inserts a row and sends a message, one message to a transaction, 8 workers.
    HandleSingle,
    /// The same with adaptive batches; plain SQL stays at one: that is what people write.
    HandleAdaptive,
}

impl Work {
    /// Does it with outtray; returns how long that took, filling the topic before not counted.
    ///
    /// # Errors
    /// Those of sending and receiving.
    pub fn ours(self, bed: &Bed, messages: u64) -> Result<Duration> {
        match self {
            Work::SendOne => send_one(bed, messages),
            Work::SendBulk => send_bulk(bed, "send", messages),
            _ => self.with_workers(bed, messages, CONNECTIONS),
        }
    }

    /// Does it in plain SQL; returns how long that took, and by what.
    ///
    /// # Errors
    /// Those of the database.
    pub fn plain(self, bed: &Bed, messages: u64) -> Result<(Duration, &'static str)> {
        if !matches!(self, Work::SendOne | Work::SendBulk) {
            // A few to spare, for claims that race for the last ones.
            bed.fill(messages + CONNECTIONS as u64)?;
        }
        match self {
            Work::SendOne => plain::send_one(bed, messages),
            Work::SendBulk => Ok((plain::send_bulk(bed, messages, BULK)?, plain::PREPARED)),
            Work::Drain => Ok((plain::drain(bed, CONNECTIONS)?, plain::PREPARED)),
            Work::HandleSingle | Work::HandleAdaptive => plain::handle(bed, messages, CONNECTIONS),
        }
    }

    /// Fills the topic and handles it with so many workers.
    pub(crate) fn with_workers(self, bed: &Bed, messages: u64, workers: usize) -> Result<Duration> {
        bed.fill(messages)?;
        match self {
            Work::Drain => bed.receive(messages, workers, None, |_, _| Ok(())),
            Work::HandleSingle => bed.receive(messages, workers, Some(1), insert_and_send),
            _ => bed.receive(messages, workers, None, insert_and_send),
        }
    }
}

fn send_one(bed: &Bed, messages: u64) -> Result<Duration> {
    let started = Instant::now();
    for number in 0..messages {
        bed.messaging
            .session(|session| Ok(session.send_message("send", &json!({ "n": number }))?))?;
    }
    Ok(started.elapsed())
}

fn send_bulk(bed: &Bed, topic: &str, messages: u64) -> Result<Duration> {
    let started = Instant::now();
    let mut left = messages;
    while left > 0 {
        let some = left.min(BULK);
        bed.messaging.session(|session| {
            session.send_messages(topic, (0..some).map(|number| json!({ "n": number })))?;
            Ok(())
        })?;
        left -= some;
    }
    Ok(started.elapsed())
}

fn insert_and_send(
    session: &mut MessagingSession<'_>,
    message: Message<Value>,
) -> Result<(), HandlerError> {
    let number = message.payload["n"].as_i64().unwrap_or_default();
    session.execute("INSERT INTO thing (n) VALUES ($1)", &[&number])?;
    session.send(NewMessage::json("next", &message.payload)?)?;
    Ok(())
}

pub(crate) fn send_one_case(bed: &Bed, plan: &Plan) -> Result<Report> {
    compared(bed, plan, "send-one", Work::SendOne, 5_000)
}

pub(crate) fn send_bulk_case(bed: &Bed, plan: &Plan) -> Result<Report> {
    compared(bed, plan, "send-bulk", Work::SendBulk, 200_000)
}

pub(crate) fn drain_case(bed: &Bed, plan: &Plan) -> Result<Report> {
    compared(bed, plan, "drain", Work::Drain, 200_000)
}

pub(crate) fn handle_single_case(bed: &Bed, plan: &Plan) -> Result<Report> {
    compared(bed, plan, "handle-single", Work::HandleSingle, 16_000)
}

pub(crate) fn handle_adaptive_case(bed: &Bed, plan: &Plan) -> Result<Report> {
    compared(bed, plan, "handle-adaptive", Work::HandleAdaptive, 64_000)
}

/// Runs both sides in turns, and ours once more with the counters read before and after.
fn compared(
    bed: &Bed,
    plan: &Plan,
    name: &'static str,
    work: Work,
    messages: u64,
) -> Result<Report> {
    let messages = plan.scaled(messages);
    // A slow plain side is measured on fewer.
    let few = if work == Work::HandleAdaptive {
        messages.div_ceil(4)
    } else {
        messages
    };
    let way = Cell::new(plain::PREPARED);
    let (ours, theirs) = bed.compare(
        plan.rounds,
        messages,
        || work.ours(bed, messages),
        || {
            let (took, by) = work.plain(bed, few)?;
            way.set(by);
            Ok(took.mul_f64(messages as f64 / few as f64))
        },
    )?;
    Ok(Report::new(name, messages).rates(ours, theirs, way.get()))
}

/// Measures what is written for a message on its whole way, on the second pass: the first writes
/// whole pages after the checkpoint.
pub(crate) fn wal_case(bed: &Bed, plan: &Plan) -> Result<Report> {
    let messages = plan.scaled(50_000);
    let text = "x".repeat(90);
    let pass = || -> Result<()> {
        let mut left = messages;
        while left > 0 {
            let some = left.min(BULK);
            bed.messaging.session(|session| {
                session.send_messages("work", (0..some).map(|_| json!({ "text": text })))?;
                Ok(())
            })?;
            left -= some;
        }
        bed.receive(messages, CONNECTIONS, None, |_, _| Ok(()))?;
        Ok(())
    };
    pass()?;
    let before = bed.counters()?;
    pass()?;
    let mut report =
        Report::new("wal", messages).note("sent in bulk, claimed and acked; 101 bytes each");
    bed.counters()?.report(&before, &mut report);
    bed.clear()?;
    Ok(report)
}
