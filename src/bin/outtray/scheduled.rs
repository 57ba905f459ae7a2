//! `outtray peek --scheduled`: what waits for its time, is in work under a lease, or comes after
//! others.

use crate::failure::CommandFailure;
use crate::global::Global;
use crate::known::looked_at;
use crate::output::Output;
use crate::table::{self, Side, age, glance, key};
use outtray::ScheduledMessage;

pub(crate) fn peek(
    topic: &str,
    limit: usize,
    global: &Global,
    output: &mut Output,
) -> Result<(), CommandFailure> {
    let messaging = global.connect()?;
    let messages = looked_at(&messaging, topic)?.scheduled(limit)?;
    if output.is_json() {
        return Ok(output.objects(&messages)?);
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
