//! Stores messages.

use crate::db::{Flight, Params, Run, Statement, column, execute, query, sql};
use crate::message::copy;
use crate::message::written::{Columns, Only, Param};
use crate::words::limits::micros;
use crate::words::new_message::ReadyWhen;
use crate::words::rare::Remembered;
use crate::words::{Doing, MessageId, Outgoing, Result};
use std::collections::HashSet;

static SCHEDULE: Statement = sql!("schedule", Kept);
static SEND: Statement = sql!("send", Kept);
static SEND_COPY: Statement = sql!("send_copy", Kept);
static SEND_DEDUPED: Statement = sql!("send_deduped", Kept);
static SEND_FULL: Statement = sql!("send_full", Kept);
static SEND_ONE: Statement = sql!("send_one", Kept);

/// Messages from which on COPY is quicker than a statement with arrays, where its rows travel with
/// it: the server fills pages with rows at a time, and writes a record of the WAL for each page
/// (measured of the server's processor time: level at 5 rows, 0.75 at 20, 0.88 at 1,000, 0.65 at
/// 5,000, which is the most that a session keeps; of the WAL 0.78).
const COPY_AT_ONCE_FROM: usize = 16;
/// The same where the server has to ask for the rows: that costs a round trip more (measured in
/// turns: no gain at 100 to 1,000 rows, 1.15 times the messages at 2,500).
const COPY_FROM: usize = 2_500;

/// What those who store messages do.
pub(crate) const STORING: &str = "storing messages";

/// Stores messages that are ready at once and have no keys, in the order given: one statement.
pub(crate) fn send(run: &mut dyn Run, messages: &[Outgoing]) -> Result<()> {
    if !messages.iter().all(Outgoing::is_plain) {
        return execute(run, &SEND_FULL, &Columns::of(messages).full(), STORING).map(drop);
    }
    if let [only] = messages {
        return execute(run, &SEND_ONE, &Only::of(only).params(), STORING).map(drop);
    }
    let copied_from = match run.copies_at_once() {
        true => COPY_AT_ONCE_FROM,
        false => COPY_FROM,
    };
    if messages.len() >= copied_from
        && let Some(copied) = run.copy(&SEND_COPY, &|| copy::rows(messages))
    {
        return copied.doing(STORING);
    }
    execute(run, &SEND, &Columns::of(messages).plain(), STORING).map(drop)
}

/// Stores a plain message in a transaction of its own unless there is a row for its dedupe key;
/// returns whether it did.
pub(crate) fn send_deduped(
    run: &mut dyn Run,
    outgoing: &Outgoing,
    key: &str,
    remembered: Remembered,
) -> Result<bool> {
    let only = Only::of(outgoing);
    let [topic, rank, id, headers, payload, body] = only.params();
    let window = Some(remembered.micros()).filter(|window| *window > 0);
    let on_end = outgoing.on_end.stored();
    let params: Params<'_> = &[
        topic, rank, id, headers, payload, body, &key, &window, &on_end,
    ];
    Ok(execute(run, &SEND_DEDUPED, params, STORING)? > 0)
}

/// Stores messages that wait: one statement. Returns those that are ready, since their time is
/// past.
pub(crate) fn schedule(run: &mut dyn Run, messages: &[Outgoing]) -> Result<HashSet<MessageId>> {
    let columns = Columns::of(messages);
    let (delays, times): (Vec<_>, Vec<_>) = messages.iter().map(start).unzip();
    let mut params = columns.full().to_vec();
    params.extend([&delays as Param<'_>, &times]);
    let rows = query(run, &SCHEDULE, &params, STORING)?;
    rows.iter()
        .map(|row| column(row, "id").map(MessageId))
        .collect()
}

/// Appends the storing of a plain message to a flight.
pub(crate) fn push_send(flight: &mut Flight, outgoing: &Outgoing) {
    flight.call(&SEND_ONE, &Only::of(outgoing).values());
}

/// Appends the storing of messages that are ready at once and have no keys, in the order given.
pub(crate) fn push_sends(flight: &mut Flight, messages: &[Outgoing]) {
    match messages {
        [] => {}
        [only] if only.is_plain() => push_send(flight, only),
        _ if messages.iter().all(Outgoing::is_plain) => {
            flight.call(&SEND, &Columns::of(messages).plain_values());
        }
        _ => flight.call(&SEND_FULL, &Columns::of(messages).values()),
    }
}

/// Returns the delay, or the time; neither for a message that comes after others.
fn start(outgoing: &Outgoing) -> (Option<i64>, Option<i64>) {
    let message = &outgoing.message;
    match message.start {
        _ if !message.rare.after.is_empty() => (None, None),
        None => (Some(0), None),
        Some(ReadyWhen::After(delay)) => (Some(micros(delay)), None),
        Some(ReadyWhen::At(us)) => (None, Some(us)),
    }
}
