//! Messages a second: sending, draining, handling.

use crate::bench::Plan;
use crate::bench::bed::Bed;
use crate::bench::plain;
use crate::bench::report::Report;
use crate::session::messaging_session::MessagingSession;
use crate::words::error::Result;
use crate::words::handler_error::HandlerError;
use crate::words::message::Message;
use serde_json::{Value, json};
use std::cell::Cell;
use std::sync::{Arc, Mutex, PoisonError};
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

/// What a round took.
#[derive(Debug)]
pub struct Took {
    /// All of it.
    pub all: Duration,
    /// Each call that sends, or each handler that does something.
    pub(crate) each: Vec<Duration>,
}

impl Work {
    /// Puts into the topic what there is to handle; nothing for work that sends.
    ///
    /// # Errors
    /// Those of the database.
    pub fn fill(self, bed: &Bed, messages: u64) -> Result<()> {
        match self {
            Work::SendOne | Work::SendBulk => Ok(()),
            // A few to spare, for claims of plain SQL that race for the last ones.
            _ => bed.fill(messages + CONNECTIONS as u64),
        }
    }

    /// Does it with outtray, after [`fill`](Self::fill); returns how long that took.
    ///
    /// # Errors
    /// Those of sending and receiving.
    pub fn ours(self, bed: &Bed, messages: u64) -> Result<Took> {
        match self {
            Work::SendOne => send_in_calls(bed, "send", messages, 1, numbered),
            Work::SendBulk => send_in_calls(bed, "send", messages, BULK, numbered),
            _ => self.with_workers(bed, messages, CONNECTIONS),
        }
    }

    /// Does it in plain SQL, after [`fill`](Self::fill); returns how long that took, and by what.
    ///
    /// # Errors
    /// Those of the database.
    pub fn plain(self, bed: &Bed, messages: u64) -> Result<(Duration, &'static str)> {
        match self {
            Work::SendOne => plain::send_one(bed, messages),
            Work::SendBulk => Ok((plain::send_bulk(bed, messages, BULK)?, plain::PREPARED)),
            Work::Drain => Ok((plain::drain(bed, CONNECTIONS)?, plain::PREPARED)),
            Work::HandleSingle | Work::HandleAdaptive => plain::handle(bed, messages, CONNECTIONS),
        }
    }

    /// Handles what is there with so many workers.
    pub(crate) fn with_workers(self, bed: &Bed, messages: u64, workers: usize) -> Result<Took> {
        let size = (self == Work::HandleSingle).then_some(1);
        if self == Work::Drain {
            let all = bed.receive(messages, workers, size, |_, _| Ok(()))?;
            let each = Vec::new();
            return Ok(Took { all, each });
        }
        let each = Arc::new(Mutex::new(Vec::with_capacity(messages as usize)));
        let noted = Arc::clone(&each);
        let all = bed.receive(messages, workers, size, move |session, message| {
            let begun = Instant::now();
            insert_and_send(session, message)?;
            let mut noted = noted.lock().unwrap_or_else(PoisonError::into_inner);
            noted.push(begun.elapsed());
            Ok(())
        })?;
        let each = std::mem::take(&mut *each.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(Took { all, each })
    }
}

/// Sends `messages`, `some` to a call, which is a transaction.
fn send_in_calls(
    bed: &Bed,
    topic: &str,
    messages: u64,
    some: u64,
    payload: impl Fn(u64) -> Value,
) -> Result<Took> {
    let mut each = Vec::new();
    let started = Instant::now();
    let mut left = messages;
    while left > 0 {
        let begun = Instant::now();
        let count = left.min(some);
        bed.messaging.session(|session| {
            session.send_messages(topic, (0..count).map(&payload))?;
            Ok(())
        })?;
        each.push(begun.elapsed());
        left -= count;
    }
    let all = started.elapsed();
    Ok(Took { all, each })
}

fn numbered(number: u64) -> Value {
    json!({ "n": number })
}

fn insert_and_send(
    session: &mut MessagingSession<'_>,
    message: Message<Value>,
) -> Result<(), HandlerError> {
    let number = message.payload["n"].as_i64().unwrap_or_default();
    session.execute("INSERT INTO thing (n) VALUES ($1)", &[&number])?;
    session.send_message("next", &message.payload)?;
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
    let mut each = Vec::new();
    let filled = |messages: u64| work.fill(bed, messages).and_then(|()| bed.settle());
    let (ours, theirs) = bed.compare(
        plan.rounds,
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
    let mut report = Report::new(name, messages).rates(ours, theirs, way.get());
    // Without a checkpoint before: the first change to a page after one writes the whole page.
    work.fill(bed, messages)?;
    let before = bed.counters()?;
    work.ours(bed, messages)?;
    bed.counters()?.report(&before, &mut report);
    bed.clear()?;
    Ok(report.times(each))
}

/// Measures what is written for a message on its whole way, on the second pass: the first writes
/// whole pages after the checkpoint.
pub(crate) fn wal_case(bed: &Bed, plan: &Plan) -> Result<Report> {
    let messages = plan.scaled(50_000);
    let text = "x".repeat(90);
    let pass = || -> Result<()> {
        send_in_calls(bed, "work", messages, BULK, |_| json!({ "text": text }))?;
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
