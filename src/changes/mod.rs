//! The list of changes: what operators did, who they were, and from where.
//!
//! A change is noted in the transaction that makes it, so that the list neither lacks one nor has
//! one that did not happen. Only what is done in the name of an operator is noted: a program that
//! configures its topics and subscribes at each start would fill the list with what nobody asked
//! about, and cancelling by a program is part of its work. Whoever notes a change removes some of
//! those that are too old, so that the list stays short and an idle process has nothing to do.

pub(crate) mod cursor;
pub(crate) mod operator;

use crate::changes::cursor::ChangeCursor;
use crate::changes::operator::Operator;
use crate::db::{Params, Run, Statement, column, execute, query, sql};
use crate::message::claimed::time;
use crate::words::{MessageId, Result};
use postgres::Row;
use serde::Serialize;
use serde_json::Value;
use std::time::SystemTime;
use uuid::Uuid;

static LIST_CHANGES: Statement = sql!("list_changes", Anew);
static PRUNE_CHANGES: Statement = sql!("prune_changes", Anew);
static WRITE_CHANGE: Statement = sql!("write_change", Anew);

/// How long changes are kept: a quarter of a year.
const KEPT_DAYS: i64 = 90;
/// How many that are older are removed with each that is noted.
const PRUNED_AT_A_TIME: i64 = 1000;
/// How many messages a change names; of more it has the number.
const MAX_IDS: usize = 100;

/// What an operator did, as [`Messaging::changes`](crate::Messaging::changes) returns it.
///
/// Its JSON is that of `outtray changes --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Change {
    /// When it was done, by the database's clock: the start of its transaction, or of the first of
    /// several.
    #[serde(with = "crate::words::moment")]
    pub at: SystemTime,
    /// Where a list goes on after this one:
    /// [`Messaging::changes_after`](crate::Messaging::changes_after).
    pub cursor: ChangeCursor,
    /// Who did it.
    pub operator: String,
    /// From where, as far as that is known: a host, or the address of a browser.
    pub address: Option<String>,
    /// What was done: `configured`, `paused`, `resumed`, `rate reset`, `redriven`, `edited`,
    /// `purged`, `dead letters purged`, `cancelled`, `run now`, `recurring set`, `recurring
    /// paused`, `recurring resumed`, `recurring removed`, `subscribed`, `unsubscribed`, `dedupe key
    /// forgotten`, `dedupe key kept`, `reader moved` or `reader removed`; of a later release
    /// others.
    pub what: String,
    /// The topic; `None` for what concerns no one topic, such as messages in work that are asked to
    /// stop.
    pub topic: Option<String>,
    /// How many messages were concerned, where it is about messages.
    pub messages: Option<u64>,
    /// Which messages these were, the first 100 of them, where they were named by their ids.
    pub ids: Vec<MessageId>,
    /// What else is known: settings before and after, the name of a recurring message, the pattern
    /// of a subscription. Never a payload.
    pub details: Value,
}

/// What kind of change it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    Cancelled,
    Configured,
    DeadPurged,
    DedupeForgotten,
    DedupeKept,
    Edited,
    Paused,
    Purged,
    RateReset,
    ReaderMoved,
    ReaderRemoved,
    #[cfg(feature = "cron")]
    RecurringPaused,
    #[cfg(feature = "cron")]
    RecurringRemoved,
    #[cfg(feature = "cron")]
    RecurringResumed,
    #[cfg(feature = "cron")]
    RecurringSet,
    Redriven,
    Resumed,
    RunNow,
    Subscribed,
    Unsubscribed,
}

impl What {
    fn as_str(self) -> &'static str {
        match self {
            What::Cancelled => "cancelled",
            What::Configured => "configured",
            What::DeadPurged => "dead letters purged",
            What::DedupeForgotten => "dedupe key forgotten",
            What::DedupeKept => "dedupe key kept",
            What::Edited => "edited",
            What::Paused => "paused",
            What::Purged => "purged",
            What::RateReset => "rate reset",
            What::ReaderMoved => "reader moved",
            What::ReaderRemoved => "reader removed",
            #[cfg(feature = "cron")]
            What::RecurringPaused => "recurring paused",
            #[cfg(feature = "cron")]
            What::RecurringResumed => "recurring resumed",
            #[cfg(feature = "cron")]
            What::RecurringRemoved => "recurring removed",
            #[cfg(feature = "cron")]
            What::RecurringSet => "recurring set",
            What::Redriven => "redriven",
            What::Resumed => "resumed",
            What::RunNow => "run now",
            What::Subscribed => "subscribed",
            What::Unsubscribed => "unsubscribed",
        }
    }
}

/// A change that is to be noted.
#[derive(Debug, Clone)]
pub(crate) struct Note {
    id: Uuid,
    what: What,
    messages: Option<i64>,
    ids: Vec<Uuid>,
    details: Option<Value>,
}

impl Note {
    pub(crate) fn new(what: What) -> Self {
        Note {
            id: Uuid::now_v7(),
            what,
            messages: None,
            ids: Vec::new(),
            details: None,
        }
    }

    /// Says how many messages are concerned.
    pub(crate) fn messages(mut self, messages: u64) -> Self {
        self.messages = Some(i64::try_from(messages).unwrap_or(i64::MAX));
        self
    }

    /// Says which messages are concerned.
    pub(crate) fn ids(mut self, ids: &[Uuid]) -> Self {
        self.ids = ids[..ids.len().min(MAX_IDS)].to_vec();
        self
    }

    /// Says what else is known.
    pub(crate) fn details(mut self, details: Value) -> Self {
        self.details = Some(details);
        self
    }
}

/// Notes a change of a topic, or of none in particular, in the transaction that makes it.
pub(crate) fn note(
    run: &mut dyn Run,
    operator: &Operator,
    topic: Option<&str>,
    note: &Note,
) -> Result<()> {
    let doing = "noting a change";
    let (name, address) = (operator.stored_name(), operator.stored_address());
    let topic = topic.unwrap_or_default();
    let what = note.what.as_str();
    let details = note.details.as_ref().map(Value::to_string);
    let params: Params<'_> = &[
        &topic,
        &note.id,
        &name,
        &address,
        &what,
        &note.messages,
        &note.ids,
        &details,
    ];
    execute(run, &WRITE_CHANGE, params, doing)?;
    execute(run, &PRUNE_CHANGES, &[&KEPT_DAYS, &PRUNED_AT_A_TIME], doing)?;
    Ok(())
}

/// Returns the latest changes on a topic, or on all, the latest first; those after one of them in
/// this order.
pub(crate) fn list(
    run: &mut dyn Run,
    topic: Option<&str>,
    after: Option<&ChangeCursor>,
    limit: i64,
) -> Result<Vec<Change>> {
    let at_us = after.map(|after| after.at_us);
    let id = after.map_or(Uuid::max(), |after| after.id);
    let params: Params<'_> = &[&topic, &limit, &at_us, &id];
    let rows = query(run, &LIST_CHANGES, params, "listing changes")?;
    rows.iter().map(change).collect()
}

fn change(row: &Row) -> Result<Change> {
    let ids: Option<Vec<Option<Uuid>>> = column(row, "ids")?;
    let ids = ids.unwrap_or_default().into_iter().flatten();
    let topic: String = column(row, "topic")?;
    let details: Option<&str> = column(row, "details")?;
    // What a hand wrote may be anything.
    let details = details.map(|text| serde_json::from_str(text).unwrap_or_default());
    let at_us = column(row, "at_us")?;
    Ok(Change {
        at: time(at_us),
        cursor: ChangeCursor {
            at_us,
            id: column(row, "id")?,
        },
        operator: column(row, "operator")?,
        address: column(row, "address")?,
        what: column(row, "what")?,
        topic: (!topic.is_empty()).then_some(topic),
        messages: column::<Option<i64>>(row, "messages")?.map(i64::unsigned_abs),
        ids: ids.map(MessageId).collect(),
        details: details.unwrap_or_default(),
    })
}
