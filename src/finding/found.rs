//! A message as it is found: everything that is known of it, wherever it is.

use crate::db::{Params, Run, Statement, column, query, sql};
use crate::finding::place::{Located, MessagePlace};
use crate::history::ended::EndedMessage;
use crate::message::claimed::time;
use crate::message::columns::{attempts, failures, id, priority, shown};
use crate::topics::peek::{Holders, holders};
use crate::words::completion::Completion;
use crate::words::envelope;
use crate::words::failed_attempt::FailedAttempt;
use crate::words::outcome::MessageState;
use crate::words::payload::serialize_flat;
use crate::words::{DeadReason, Headers, MessageId, OnEnd, Payload, Result};
use postgres::Row;
use serde::Serialize;
use std::time::{Duration, SystemTime};
use uuid::Uuid;

static READ_FOUND: Statement = sql!("read_found", Anew);

/// A message with everything that is known of it, as [`Messaging::message`] and [`Topic::search`]
/// return it.
///
/// Its JSON is that of `outtray show --json`.
///
/// [`Messaging::message`]: crate::Messaging::message
/// [`Topic::search`]: crate::Topic::search
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct FoundMessage {
    /// The topic it was sent to.
    pub topic: String,
    /// Its id.
    pub id: MessageId,
    /// Where it is.
    pub place: MessagePlace,
    /// Whether it is ready, in work, scheduled, behind others of its key, dead, or kept in a log.
    #[serde(flatten)]
    pub state: MessageState,
    /// The key that it was sent with.
    pub key: Option<String>,
    /// The dedupe key of a dead letter, which it takes again when it is redriven.
    pub dedupe_key: Option<String>,
    /// Its priority; 0 of one that has ended, which the history does not have.
    pub priority: i16,
    /// Failed deliveries so far; for one that has ended all its deliveries, for a leased message
    /// including the one in work.
    pub attempts: u32,
    /// The error of its last failure or snooze, or the one for which it was given up.
    pub error: Option<String>,
    /// Its last failed attempts, the oldest first, at most ten.
    pub failures: Vec<FailedAttempt>,
    /// When it was sent, by the database's clock.
    #[serde(with = "crate::words::moment")]
    pub sent_at: SystemTime,
    /// When it is ready again, or its lease ends, by the database's clock.
    #[serde(with = "crate::words::moment::optional")]
    pub due_at: Option<SystemTime>,
    /// When it is no longer worth handling, by the database's clock.
    #[serde(with = "crate::words::moment::optional")]
    pub expires_at: Option<SystemTime>,
    /// When it was given up, by the database's clock.
    #[serde(with = "crate::words::moment::optional")]
    pub died_at: Option<SystemTime>,
    /// Unfinished dependencies, at most 100. May lag behind by one upkeep round.
    pub after: Vec<MessageId>,
    /// Whether somebody asked to cancel it while it was in work.
    #[serde(rename = "cancelled")]
    pub is_cancelled: bool,
    /// Whether it was sent as [`tracked`](crate::NewMessage::tracked).
    #[serde(rename = "tracked")]
    pub is_tracked: bool,
    /// How it ended, of a tracked message that is a dead letter. A search leaves it out.
    pub completion: Option<Completion>,
    /// How it ended, if it has: then it is nowhere any more, and this is what the history has. Its
    /// [`payload`](EndedMessage::payload) says whether headers and payload are known; where they
    /// are not, there are no headers here, and the payload is `null`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<Box<EndedMessage>>,
    /// Its headers: texts that the sender attached.
    pub headers: Headers,
    /// Its payload, undecoded.
    #[serde(flatten, serialize_with = "serialize_flat")]
    pub payload: Payload,
    /// Why part of it cannot be read, if so, since another program or a person wrote it. The rest
    /// is shown as far as possible.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<String>,
}

impl FoundMessage {
    /// Returns the header [`message-type`](envelope::MESSAGE_TYPE): what the message says.
    pub fn message_type(&self) -> Option<&str> {
        self.headers.get(envelope::MESSAGE_TYPE).map(String::as_str)
    }

    /// Returns the header [`traceparent`](envelope::TRACEPARENT). `None` also where it is not what
    /// W3C Trace Context allows.
    pub fn traceparent(&self) -> Option<&str> {
        envelope::traceparent(&self.headers)
    }

    /// Returns the header [`tracestate`](envelope::TRACESTATE). `None` also where it, or the
    /// [`traceparent`](Self::traceparent) that it belongs to, is missing or is not what W3C Trace
    /// Context allows.
    pub fn tracestate(&self) -> Option<&str> {
        envelope::tracestate(&self.headers)
    }
}

/// Returns a message that has ended, as the history has it.
pub(crate) fn from_history(ended: EndedMessage) -> FoundMessage {
    let payload = ended.payload.clone();
    FoundMessage {
        topic: ended.topic.clone(),
        id: ended.id,
        place: MessagePlace::Ended,
        state: MessageState::Ended { how: ended.how },
        key: ended.key.clone(),
        dedupe_key: None,
        priority: 0,
        attempts: ended.attempts,
        error: ended.error.clone(),
        failures: ended.failures.clone(),
        sent_at: ended.sent_at,
        due_at: None,
        expires_at: None,
        died_at: None,
        after: Vec::new(),
        is_cancelled: false,
        is_tracked: false,
        completion: None,
        headers: ended.headers.clone().unwrap_or_default(),
        payload: payload.unwrap_or_else(|| Payload::json("null".to_owned())),
        unreadable: None,
        ended: Some(Box::new(ended)),
    }
}

/// Reads messages of one topic in one place; those that are not there any more are left out.
pub(crate) fn read(
    run: &mut dyn Run,
    topic: &str,
    place: MessagePlace,
    located: &[Located],
) -> Result<Vec<FoundMessage>> {
    let ids: Vec<Uuid> = located.iter().map(|one| one.id).collect();
    let ranks: Vec<i16> = located.iter().map(|one| one.rank).collect();
    let seqs: Vec<i64> = located.iter().map(|one| one.seq).collect();
    let keys: Vec<Option<&str>> = located.iter().map(|one| one.key.as_deref()).collect();
    let segments: Vec<i64> = located.iter().map(|one| one.segment).collect();
    let word = place.as_str();
    let params: Params<'_> = &[&topic, &word, &ids, &ranks, &seqs, &keys, &segments];
    let rows = query(run, &READ_FOUND, params, "reading messages")?;
    let holders = holders(run, &rows)?;
    rows.iter()
        .map(|row| message(row, topic, place, &holders))
        .collect()
}

fn message(row: &Row, topic: &str, place: MessagePlace, holders: &Holders) -> Result<FoundMessage> {
    let shown = shown(row, topic)?;
    let moment = |name| Ok(column::<Option<i64>>(row, name)?.map(time));
    let after: Vec<Uuid> = column(row, "after")?;
    Ok(FoundMessage {
        topic: topic.to_owned(),
        id: id(row)?,
        place,
        state: state(row, place, holders)?,
        key: column(row, "key")?,
        dedupe_key: column(row, "dedupe_key")?,
        priority: priority(row)?,
        attempts: attempts(row)?,
        error: column(row, "error")?,
        failures: failures(row)?,
        sent_at: time(column(row, "sent_at_us")?),
        due_at: moment("due_at_us")?,
        expires_at: moment("expires_at_us")?,
        died_at: moment("died_at_us")?,
        after: after.into_iter().map(MessageId).collect(),
        is_cancelled: column(row, "is_cancelled")?,
        is_tracked: OnEnd::read(column(row, "on_end")?).has(OnEnd::TRACKED),
        completion: None,
        ended: None,
        headers: shown.headers,
        payload: shown.payload,
        unreadable: shown.unreadable,
    })
}

fn state(row: &Row, place: MessagePlace, holders: &Holders) -> Result<MessageState> {
    let left = column::<Option<i64>>(row, "due_in_us")?;
    let left = left.map(|us| Duration::from_micros(us.unsigned_abs()));
    let left_or_none = left.unwrap_or_default();
    let holder: Option<&str> = column(row, "holder")?;
    Ok(match place {
        MessagePlace::Ready => match (holder.and_then(|holder| holders.get(holder)), left) {
            (Some((server_process, program)), _) => MessageState::InWork {
                server_process: *server_process,
                program: program.clone(),
            },
            (None, Some(left)) => MessageState::Retrying { left },
            (None, None) => MessageState::Ready,
        },
        MessagePlace::Scheduled if column(row, "is_leased")? => {
            MessageState::Leased { left: left_or_none }
        }
        MessagePlace::Scheduled if column(row, "is_endless")? => MessageState::AfterOthers,
        MessagePlace::Scheduled => match column::<Option<&str>>(row, "error")? {
            Some(_) => MessageState::Retrying { left: left_or_none },
            None => MessageState::Delayed { left: left_or_none },
        },
        MessagePlace::Behind => MessageState::Behind,
        MessagePlace::Dead => {
            let word: Option<&str> = column(row, "reason")?;
            // One of a newer release reads as this.
            let reason = word.and_then(DeadReason::parse);
            MessageState::Dead {
                reason: reason.unwrap_or(DeadReason::Exhausted),
            }
        }
        // What has ended is not read from here.
        MessagePlace::Kept | MessagePlace::Ended => MessageState::Kept,
    })
}
