//! The work of the throughput cases, done by outtray or in plain SQL.

use super::{Bed, Result, plain};
use outtray::{HandlerError, Message, MessagingSession};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Connections of the work that uses several: enough to share a disk flush between commits.
pub(crate) const CONNECTIONS: usize = 8;
/// Messages to a transaction of the work that sends in bulk.
pub(crate) const BULK: u64 = 1000;

/// Something to be done many times, by outtray or in plain SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Task {
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
pub(crate) struct Took {
    /// All of it.
    pub(crate) all: Duration,
    /// Each call that sends, or each handler that does something.
    pub(crate) each: Vec<Duration>,
}

impl Task {
    /// Puts into the topic what there is to handle; nothing for work that sends.
    pub(crate) fn fill(self, bed: &Bed, messages: u64) -> Result<()> {
        match self {
            Task::SendOne | Task::SendBulk => Ok(()),
            // A few to spare, for claims of plain SQL that race for the last ones.
            _ => bed.fill(messages + CONNECTIONS as u64),
        }
    }

    /// Does it with outtray, after [`fill`](Self::fill); returns how long that took.
    pub(crate) fn ours(self, bed: &Bed, messages: u64) -> Result<Took> {
        match self {
            Task::SendOne => send_in_calls(bed, "send", messages, 1, numbered),
            Task::SendBulk => send_in_calls(bed, "send", messages, BULK, numbered),
            _ => self.with_workers(bed, messages, CONNECTIONS),
        }
    }

    /// Does it in plain SQL, after [`fill`](Self::fill); returns how long that took, and by what.
    pub(crate) fn plain(self, bed: &Bed, messages: u64) -> Result<(Duration, &'static str)> {
        match self {
            Task::SendOne => plain::send_one(bed, messages),
            Task::SendBulk => Ok((plain::send_bulk(bed, messages, BULK)?, plain::PREPARED)),
            Task::Drain => Ok((plain::drain(bed, CONNECTIONS)?, plain::PREPARED)),
            Task::HandleSingle | Task::HandleAdaptive => plain::handle(bed, messages, CONNECTIONS),
        }
    }

    /// Handles what is there with so many workers.
    pub(crate) fn with_workers(self, bed: &Bed, messages: u64, workers: usize) -> Result<Took> {
        let size = (self == Task::HandleSingle).then_some(1);
        if self == Task::Drain {
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
pub(crate) fn send_in_calls(
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

/// A handler that inserts a row and sends a message.
pub(crate) fn insert_and_send(
    session: &mut MessagingSession<'_>,
    message: Message<Value>,
) -> Result<(), HandlerError> {
    let number = message.payload["n"].as_i64().unwrap_or_default();
    session.execute("INSERT INTO thing (n) VALUES ($1)", &[&number])?;
    session.send_message("next", &message.payload)?;
    Ok(())
}
