//! `outtray peek --scheduled`: what waits for its time, is in work under a lease, or comes after
//! others.

use crate::failure::Failure;
use crate::global::Global;
use crate::known::looked_at;
use crate::output::Output;
use crate::table::{self, Side, age, moment};
use crate::topics::{Content, glance, key};
use outtray::{Headers, MessageId, ScheduledMessage};
use serde::Serialize;

/// A scheduled message for machines.
#[derive(Serialize)]
struct Scheduled<'m> {
    id: MessageId,
    reason: &'m str,
    due_at: Option<String>,
    due_in_ms: Option<u64>,
    after: &'m [MessageId],
    key: Option<&'m str>,
    priority: i16,
    attempts: u32,
    error: Option<&'m str>,
    sent_at: String,
    headers: &'m Headers,
    #[serde(flatten)]
    content: Content<'m>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unreadable: Option<&'m str>,
}

impl<'m> From<&'m ScheduledMessage> for Scheduled<'m> {
    fn from(message: &'m ScheduledMessage) -> Self {
        Scheduled {
            id: message.id,
            reason: message.reason.as_str(),
            due_at: message.due_at.map(moment),
            due_in_ms: message.due_in.map(|left| left.as_millis() as u64),
            after: &message.after,
            key: message.key.as_deref(),
            priority: message.priority,
            attempts: message.attempts,
            error: message.error.as_deref(),
            sent_at: moment(message.sent_at),
            headers: &message.headers,
            content: Content::from(&message.payload),
            unreadable: message.unreadable.as_deref(),
        }
    }
}

pub(crate) fn peek(
    topic: &str,
    limit: usize,
    global: &Global,
    output: &mut Output,
) -> Result<(), Failure> {
    let messaging = global.connect()?;
    let messages = looked_at(&messaging, topic)?.scheduled(limit)?;
    if output.is_json() {
        for message in &messages {
            output.object(&Scheduled::from(message))?;
        }
        return Ok(());
    }
    if messages.is_empty() {
        output.line("no scheduled message")?;
    }
    let columns = [
        ("ID", Side::Left),
        ("KEY", Side::Left),
        ("REASON", Side::Left),
        ("DUE IN", Side::Right),
        ("ATTEMPTS", Side::Right),
        ("ERROR", Side::Left),
        ("PAYLOAD", Side::Left),
    ];
    let rows: Vec<[String; 7]> = messages.iter().map(row).collect();
    Ok(table::print(output, columns, &rows)?)
}

fn row(message: &ScheduledMessage) -> [String; 7] {
    [
        message.id.to_string(),
        key(message.key.as_deref()),
        message.reason.to_string(),
        message.due_in.map_or("-".to_owned(), age),
        message.attempts.to_string(),
        message.error.as_deref().map_or("-".to_owned(), glance),
        glance(&message.payload.to_string()),
    ]
}
