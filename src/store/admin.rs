//! Looking at topics, and what an operator does to them.

use crate::store::claim::headers;
use crate::store::lanes::{self, Gone};
use crate::store::run::{Params, Run, column, query};
use crate::store::statement::Statement;
use crate::store::statements;
use crate::words::Result;
use crate::words::decode::Stored;
use crate::words::error::chain;
use crate::words::headers::{self, Headers};
use crate::words::message::MessageId;
use crate::words::payload::Payload;
use crate::words::selection::Selection;
use postgres::Row;
use std::time::Duration;
use uuid::Uuid;

/// Returns the names of all topics that are known, sorted by bytes.
pub(crate) fn topics(run: &mut dyn Run) -> Result<Vec<String>> {
    query(run, &statements::TOPICS, &[], "listing topics")?
        .iter()
        .map(|row| column(row, "topic"))
        .collect()
}

/// What of a topic is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sign {
    /// A message that is ready, in work or scheduled.
    Message,
    /// Whatever is known of it.
    Any,
}

/// Returns whether there is a sign of a topic.
pub(crate) fn is_there(run: &mut dyn Run, topic: &str, sign: Sign) -> Result<bool> {
    let only_messages = sign == Sign::Message;
    let params: Params<'_> = &[&topic, &only_messages];
    let rows = query(run, &statements::IS_KNOWN, params, "looking for a topic")?;
    rows.first()
        .map_or(Ok(false), |row| column(row, "is_there"))
}

/// Messages that one slice of a redrive or a purge takes of each kind: its locks are held for tens
/// of milliseconds.
pub(crate) const SLICE: usize = 1000;

/// What one slice did.
#[derive(Debug)]
pub(crate) struct Slice {
    pub(crate) messages: u64,
    /// Those of them whose end matters; their keys are stalled.
    pub(crate) gone: Vec<Gone>,
    /// The last id, to go on after, if there may be more.
    last: Option<Uuid>,
}

/// What is left of a redrive or a purge of dead letters: each is taken once, also if it comes back
/// meanwhile.
pub(crate) struct Rest<'w> {
    which: &'w Selection,
    /// Of those that are chosen by their ids, which are left.
    ids: Option<&'w [Uuid]>,
    after: Uuid,
    is_over: bool,
}

impl<'w> Rest<'w> {
    pub(crate) fn of(which: &'w Selection) -> Self {
        Rest {
            which,
            ids: which.ids(),
            after: Uuid::nil(),
            is_over: false,
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }

    /// Runs a statement on the next slice.
    fn take(
        &self,
        run: &mut dyn Run,
        statement: &Statement,
        topic: &str,
        doing: &str,
    ) -> Result<Slice> {
        let ids = self.ids.map(|ids| &ids[..ids.len().min(SLICE)]);
        let (key, limit, said_by) = (self.which.key_chosen(), SLICE as i64, Uuid::now_v7());
        let params: Params<'_> = &[&topic, &ids, &key, &self.after, &limit, &said_by];
        slice(&query(run, statement, params, doing)?)
    }

    /// Goes on after a slice that was committed.
    pub(crate) fn go_on(&mut self, slice: &Slice) {
        match &mut self.ids {
            Some(ids) => {
                *ids = &ids[ids.len().min(SLICE)..];
                self.is_over = ids.is_empty();
            }
            None => {
                self.after = slice.last.unwrap_or_default();
                self.is_over = slice.last.is_none();
            }
        }
    }
}

/// Moves a slice of dead letters back. Those with keys become stalled.
pub(crate) fn redrive(run: &mut dyn Run, topic: &str, rest: &Rest<'_>) -> Result<Slice> {
    rest.take(run, &statements::REDRIVE, topic, "redriving dead letters")
}

pub(crate) fn purge_dead(run: &mut dyn Run, topic: &str, rest: &Rest<'_>) -> Result<Slice> {
    rest.take(run, &statements::PURGE_DEAD, topic, "purging dead letters")
}

/// Removes a slice of the dead letters of a topic that died longer ago than this, the oldest first.
pub(crate) fn prune_dead(run: &mut dyn Run, topic: &str, retention: Duration) -> Result<Slice> {
    let kept_ms = i64::try_from(retention.as_millis()).unwrap_or(i64::MAX);
    let (limit, said_by) = (SLICE as i64, Uuid::now_v7());
    let params: Params<'_> = &[&topic, &kept_ms, &limit, &said_by];
    let doing = "removing dead letters";
    slice(&query(run, &statements::PRUNE_DEAD, params, doing)?)
}

/// Removes a slice of the messages that are ready, scheduled, or behind others of their key. Those
/// in work stay. Returns it, and whether there may be more.
pub(crate) fn purge(run: &mut dyn Run, topic: &str) -> Result<(Slice, bool)> {
    let params: Params<'_> = &[&topic, &(SLICE as i64), &Uuid::now_v7()];
    let slice = slice(&query(run, &statements::PURGE, params, "purging a topic")?)?;
    let may_be_more = slice.messages >= SLICE as u64;
    Ok((slice, may_be_more))
}

fn slice(rows: &[Row]) -> Result<Slice> {
    let mut slice = Slice {
        messages: 0,
        gone: Vec::new(),
        last: None,
    };
    for row in rows {
        if column::<Option<Uuid>>(row, "id")?.is_some() {
            slice.gone.push(lanes::gone(row)?);
        } else {
            slice.messages = column::<i64>(row, "messages")?.unsigned_abs();
            slice.last = column(row, "last")?;
        }
    }
    Ok(slice)
}

pub(crate) fn id(row: &Row) -> Result<MessageId> {
    column(row, "id").map(MessageId)
}

pub(crate) fn priority(row: &Row) -> Result<i16> {
    column::<i16>(row, "rank").map(i16::saturating_neg)
}

pub(crate) fn attempts(row: &Row) -> Result<u32> {
    column::<i16>(row, "attempts").map(|attempts| u32::try_from(attempts).unwrap_or_default())
}

/// What can be shown of a message, and why that is not all.
pub(crate) struct Shown {
    pub(crate) headers: Headers,
    pub(crate) payload: Payload,
    pub(crate) unreadable: Option<String>,
}

/// Reads what a message carries as far as it can be read.
pub(crate) fn shown(row: &Row, topic: &str) -> Result<Shown> {
    let mut unreadable = None;
    let mut note = |error| {
        unreadable.get_or_insert_with(|| chain(&error));
    };
    let stored: Option<&str> = column(row, "headers")?;
    let headers = headers(stored).unwrap_or_else(|error| {
        note(error);
        stored.map(headers::shown).unwrap_or_default()
    });
    let payload = match column::<Option<String>>(row, "payload")? {
        Some(json) => Stored::Json(json.clone())
            .into_payload(topic)
            .unwrap_or_else(|error| {
                note(error);
                Payload::Bytes(json.into_bytes())
            }),
        None => Payload::Bytes(column::<Option<Vec<u8>>>(row, "body")?.unwrap_or_default()),
    };
    Ok(Shown {
        headers,
        payload,
        unreadable,
    })
}
