//! Writing into logs.

use crate::db::flight::Flight;
use crate::db::run::{Run, column, execute, query};
use crate::db::statement::{Statement, sql};
use crate::db::value::Value;
use crate::message::copy;
use crate::message::send::STORING;
use crate::message::written::{content, headers};
use crate::words::error::{Error, ErrorKind, Result};
use crate::words::outgoing::Outgoing;
use crate::words::sqlstate::classify;
use std::borrow::Cow;
use uuid::Uuid;

static APPEND: Statement = sql!("append", Kept);
static APPEND_COPY: Statement = sql!("append_copy", Kept);
static APPEND_ONE: Statement = sql!("append_one", Kept);
static LOG_SEGMENT_NOW: Statement = sql!("log_segment_now", Kept);

/// Entries from which on COPY is quicker, as with messages.
const COPY_FROM: usize = 2_500;

/// Writes messages into their logs, in the order given: a statement for each log.
pub(crate) fn append(run: &mut dyn Run, messages: &[Outgoing]) -> Result<()> {
    let mut rest: Vec<&Outgoing> = messages.iter().collect();
    while let Some(first) = rest.first() {
        let topic = first.message.topic.as_str();
        let (mine, others) = rest.into_iter().partition(|one| one.message.topic == topic);
        append_to(run, topic, mine)?;
        rest = others;
    }
    Ok(())
}

/// Returns how many statements write these messages.
pub(crate) fn statements(messages: &[Outgoing]) -> usize {
    let Some(first) = messages.first() else {
        return 0;
    };
    let is_first = |one: &Outgoing| one.message.topic == first.message.topic;
    // One, or more.
    1 + usize::from(!messages.iter().all(is_first))
}

fn append_to(run: &mut dyn Run, topic: &str, messages: Vec<&Outgoing>) -> Result<()> {
    if let [only] = messages.as_slice() {
        let (payload, body) = content(&only.message);
        let (key, headers) = (only.message.rare.key.as_deref(), headers(only));
        let params: [&(dyn postgres::types::ToSql + Sync); 6] =
            [&topic, &only.id.0, &key, &headers, &payload, &body];
        return execute(run, &APPEND_ONE, &params, STORING)
            .map(drop)
            .map_err(|error| no_segment(error, topic));
    }
    if messages.len() >= COPY_FROM
        && let Some(copied) = append_by_copy(run, topic, &messages)
    {
        return copied;
    }
    let ids: Vec<Uuid> = messages.iter().map(|one| one.id.0).collect();
    let keys: Vec<Option<&str>> = messages
        .iter()
        .map(|one| one.message.rare.key.as_deref())
        .collect();
    let headers: Vec<Option<Cow<'_, str>>> = messages.iter().map(|one| headers(one)).collect();
    let (payloads, bodies): (Vec<_>, Vec<_>) =
        messages.iter().map(|one| content(&one.message)).unzip();
    let params: [&(dyn postgres::types::ToSql + Sync); 6] =
        [&topic, &ids, &keys, &headers, &payloads, &bodies];
    execute(run, &APPEND, &params, STORING)
        .map(drop)
        .map_err(|error| no_segment(error, topic))
}

/// Writes many entries of one log; `None`, with nothing written, where nothing can stay prepared.
fn append_by_copy(run: &mut dyn Run, topic: &str, messages: &[&Outgoing]) -> Option<Result<()>> {
    let rows = query(run, &LOG_SEGMENT_NOW, &[&topic], STORING);
    let segment = rows.and_then(|rows| match rows.first() {
        Some(row) => column::<i64>(row, "segment"),
        None => Err(changed(topic)),
    });
    let segment = match segment {
        Ok(segment) => segment,
        Err(error) => return Some(Err(error)),
    };
    let rows = || copy::entries(messages, segment);
    let copied = run.copy(&APPEND_COPY, &rows)?;
    Some(copied.map_err(|error| no_segment(classify(error, STORING), topic)))
}

/// Appends the writing of one entry to a flight.
pub(crate) fn push_append(flight: &mut Flight, outgoing: &Outgoing) {
    let message = &outgoing.message;
    let (payload, body) = content(message);
    let (key, headers) = (message.rare.key.as_deref(), headers(outgoing));
    flight.call(
        &APPEND_ONE,
        &[
            Value::Text(&message.topic),
            Value::Uuid(outgoing.id.0),
            key.map_or(Value::Null, Value::Text),
            headers.as_deref().map_or(Value::Null, Value::Text),
            payload.map_or(Value::Null, Value::Text),
            body.map_or(Value::Null, Value::Bytes),
        ],
    );
}

/// Explains that there is no segment to write into (23502, 23514).
fn no_segment(error: Error, topic: &str) -> Error {
    let code = error
        .cause::<postgres::Error>()
        .and_then(|cause| cause.code())
        .map(|code| code.code());
    match code {
        Some("23502" | "23514") => changed(topic).because(error),
        _ => error,
    }
}

fn changed(topic: &str) -> Error {
    let text = format!(
        "topic {topic} was a log, and what it is was changed meanwhile, or its segment closed: run the session again"
    );
    Error::new(ErrorKind::Conflict, text)
}
