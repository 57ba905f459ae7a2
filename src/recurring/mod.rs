//! Messages that are sent again and again, as they are stored.

pub(crate) mod recurrence;
pub(crate) mod round;

use crate::db::{Params, Run, Statement, column, execute, first, query, sql};
use crate::expiry::distance;
use crate::message::claimed::time;
use crate::message::columns::shown;
use crate::message::written::{content, rank};
use crate::recurring::recurrence::{Missed, Recurrence, Runs, written};
use crate::schedule;
use crate::words::headers;
use crate::words::limits::micros;
use crate::words::payload::serialize_flat;
use crate::words::{Error, ErrorKind, Headers, NewMessage, Payload, Result};
use postgres::Row;
use serde::Serialize;
use std::time::{Duration, SystemTime};

static CORRECT_RECURRING: Statement = sql!("correct_recurring", Kept);
static DEFINE_RECURRING: Statement = sql!("define_recurring", Kept);
static DISTANT_RECURRING: Statement = sql!("distant_recurring", Kept);
static DUE_RECURRING: Statement = sql!("due_recurring", Kept);
static NEXT_RECURRING: Statement = sql!("next_recurring", Kept);
static PAUSE_RECURRING: Statement = sql!("pause_recurring", Kept);
static RECURRING: Statement = sql!("recurring", Kept);
static REMOVE_RECURRING: Statement = sql!("remove_recurring", Kept);
static RESUME_RECURRING: Statement = sql!("resume_recurring", Kept);
static RESCHEDULE: Statement = sql!("reschedule", Kept);

/// The header that tells a handler which run its message is of: the time at which it was due.
pub(crate) const SCHEDULED_FOR: &str = "outtray-scheduled-for";

/// A message that is sent again and again.
///
/// Its JSON is that of `outtray recurring list --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Recurring {
    /// When it is sent, as a cron expression.
    pub cron: String,
    /// The dedupe key that each of its messages has until it has ended; no other is sent meanwhile.
    pub dedupe_key: Option<String>,
    /// How long each of its messages is worth handling, or `None` if that is left to the topic.
    #[serde(rename = "expires_in_ms", with = "crate::words::millis::optional")]
    pub expires_in: Option<Duration>,
    /// The headers of each of its messages, besides `outtray-scheduled-for`.
    pub headers: Headers,
    /// The key of its messages.
    pub key: Option<String>,
    /// The time of its last run, or `None` before the first one.
    #[serde(with = "crate::words::moment::optional")]
    pub last_at: Option<SystemTime>,
    /// What happens to missed runs.
    pub missed: Missed,
    /// Its name, unique in the topic.
    pub name: String,
    /// Whether it is [paused](crate::Topic::pause_recurring): then it is not sent.
    #[serde(rename = "paused")]
    pub is_paused: bool,
    /// When it is sent next, by the database's clock.
    #[serde(with = "crate::words::moment")]
    pub next_at: SystemTime,
    /// The priority of its messages.
    pub priority: i16,
    /// The time zone of the expression.
    pub time_zone: String,
    /// The topic it is sent to.
    pub topic: String,
    /// The payload of its messages, undecoded.
    #[serde(flatten, serialize_with = "serialize_flat")]
    pub payload: Payload,
    /// Why part of it cannot be read, if so, since another program or a person wrote it; then it is
    /// not sent. The rest is shown as far as possible.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<String>,
}

/// A recurring message that is due, and locked by the caller; what it says may be unreadable.
pub(crate) struct DueRun {
    pub(crate) topic: String,
    pub(crate) name: String,
    pub(crate) due: Result<DueMessage>,
}

/// What a recurring message that is due says.
pub(crate) struct DueMessage {
    pub(crate) recurring: Recurring,
    next_us: i64,
    now_us: i64,
}

impl DueMessage {
    /// Returns what is to be sent.
    pub(crate) fn runs(&self) -> Result<Runs> {
        Recurrence::cron(&self.recurring.cron)?
            .time_zone(&self.recurring.time_zone)?
            .missed(self.recurring.missed)
            .runs(self.next_us, self.now_us)
    }

    /// Returns the message of a run.
    pub(crate) fn message(&self, run: i64) -> NewMessage {
        self.recurring.message(run)
    }
}

impl Recurring {
    /// Returns the message of a run at this time, in microseconds since 1970.
    pub(crate) fn message(&self, run: i64) -> NewMessage {
        let mut message = NewMessage::payload(&self.topic, &self.payload);
        message.priority = self.priority;
        message.rare.key.clone_from(&self.key);
        message.rare.expires_in = self.expires_in;
        if let Some(key) = &self.dedupe_key {
            message = message.dedupe_until_end(key);
        }
        message.headers.clone_from(&self.headers);
        message.header(SCHEDULED_FOR, written(run))
    }
}

/// Defines a recurring message, or changes it; returns when it is sent next.
pub(crate) fn define(
    run: &mut dyn Run,
    name: &str,
    recurrence: &Recurrence,
    message: &NewMessage,
    next_us: i64,
) -> Result<SystemTime> {
    let (payload, body) = content(message);
    let expires_us = message.rare.expires_in.map(micros);
    let dedupe_key = message.rare.dedupe.as_ref().map(|(key, _)| key);
    let params: Params<'_> = &[
        &message.topic,
        &name,
        &recurrence.cron,
        &recurrence.time_zone,
        &recurrence.missed.as_str(),
        &rank(message.priority),
        &message.rare.key,
        &expires_us,
        &headers::written(&message.headers, &message.rare.null_headers),
        &payload,
        &body,
        &next_us,
        &dedupe_key,
    ];
    let rows = query(
        run,
        &DEFINE_RECURRING,
        params,
        "defining a recurring message",
    )?;
    let next_us = first(&rows, "next_us")?.map(time);
    next_us.ok_or_else(|| odd("next time of a recurring message"))
}

/// Returns the recurring messages of a topic, or of all.
pub(crate) fn list(run: &mut dyn Run, topic: Option<&str>) -> Result<Vec<Recurring>> {
    query(run, &RECURRING, &[&topic], "listing recurring messages")?
        .iter()
        .map(recurring)
        .collect()
}

/// Removes a recurring message; returns whether it was there.
pub(crate) fn remove(run: &mut dyn Run, topic: &str, name: &str) -> Result<bool> {
    let doing = "removing a recurring message";
    let removed = execute(run, &REMOVE_RECURRING, &[&topic, &name], doing)?;
    Ok(removed > 0)
}

/// Pauses a recurring message; returns whether it was there.
pub(crate) fn pause(run: &mut dyn Run, topic: &str, name: &str) -> Result<bool> {
    let doing = "pausing a recurring message";
    Ok(execute(run, &PAUSE_RECURRING, &[&topic, &name], doing)? > 0)
}

/// Has a recurring message go on that is paused, with the first run after now, or as it was if its
/// times cannot be read; returns whether it was paused, and came at these times.
pub(crate) fn resume(run: &mut dyn Run, one: &Recurring) -> Result<bool> {
    let now = schedule::clock(run)?;
    let recurrence = Recurrence::cron(&one.cron);
    let next = recurrence
        .and_then(|recurrence| recurrence.time_zone(&one.time_zone))
        .and_then(|recurrence| recurrence.next_after(now));
    let params: Params<'_> = &[&one.topic, &one.name, &next.ok(), &one.cron, &one.time_zone];
    let doing = "resuming a recurring message";
    Ok(execute(run, &RESUME_RECURRING, params, doing)? > 0)
}

/// Locks the recurring message that is due first, but for some, by topic and name.
pub(crate) fn take_due(run: &mut dyn Run, left_out: &[(String, String)]) -> Result<Option<DueRun>> {
    let (topics, names) = columns(left_out);
    let doing = "looking for recurring messages";
    let rows = query(run, &DUE_RECURRING, &[&topics, &names], doing)?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    Ok(Some(DueRun {
        topic: column(row, "topic")?,
        name: column(row, "name")?,
        due: due(row),
    }))
}

fn columns(named: &[(String, String)]) -> (Vec<&str>, Vec<&str>) {
    let pairs = named.iter();
    pairs
        .map(|(topic, name)| (topic.as_str(), name.as_str()))
        .unzip()
}

fn due(row: &Row) -> Result<DueMessage> {
    let recurring = recurring(row)?;
    if let Some(why) = recurring.unreadable {
        return Err(Error::new(ErrorKind::Database, why));
    }
    Ok(DueMessage {
        recurring,
        next_us: column(row, "next_us")?,
        now_us: column(row, "now_us")?,
    })
}

/// Notes the last run that was sent, if any was, and the next.
pub(crate) fn reschedule(run: &mut dyn Run, due: &DueMessage, runs: &Runs) -> Result<()> {
    let Recurring { topic, name, .. } = &due.recurring;
    let params: Params<'_> = &[topic, name, &runs.due.last(), &runs.next];
    execute(run, &RESCHEDULE, params, "scheduling a recurring message").map(drop)
}

/// A recurring message that is not due for a while.
pub(crate) struct Distant {
    pub(crate) topic: String,
    pub(crate) name: String,
    cron: String,
    time_zone: String,
    noted_us: i64,
    last_us: Option<i64>,
    now_us: i64,
}

/// Returns up to `limit` recurring messages after the one of this topic and name that are not due
/// for a while.
pub(crate) fn distant(
    run: &mut dyn Run,
    after: &(String, String),
    limit: i64,
) -> Result<Vec<Distant>> {
    let doing = "looking at recurring messages";
    let params: Params<'_> = &[&after.0, &after.1, &limit];
    query(run, &DISTANT_RECURRING, params, doing)?
        .iter()
        .map(|row| {
            Ok(Distant {
                topic: column(row, "topic")?,
                name: column(row, "name")?,
                cron: column(row, "cron")?,
                time_zone: column(row, "time_zone")?,
                noted_us: column(row, "next_us")?,
                last_us: column(row, "last_us")?,
                now_us: column(row, "now_us")?,
            })
        })
        .collect()
}

impl Distant {
    /// Notes when it is sent next, if the time that is noted is from before the clock was set back;
    /// returns whether it was. One that cannot be read is left alone.
    pub(crate) fn correct(&self, run: &mut dyn Run) -> Result<bool> {
        let recurrence = Recurrence::cron(&self.cron);
        let corrected = recurrence
            .and_then(|recurrence| recurrence.time_zone(&self.time_zone))
            .and_then(|recurrence| recurrence.corrected(self.noted_us, self.last_us, self.now_us));
        let Ok(Some(next_us)) = corrected else {
            return Ok(false);
        };
        let doing = "correcting the time of a recurring message";
        let params: Params<'_> = &[&self.topic, &self.name, &self.noted_us, &next_us];
        let corrected = execute(run, &CORRECT_RECURRING, params, doing)?;
        Ok(corrected > 0)
    }
}

/// Returns in how long the next recurring message is due, but for some; zero if it is.
pub(crate) fn next(run: &mut dyn Run, left_out: &[(String, String)]) -> Result<Option<Duration>> {
    let (topics, names) = columns(left_out);
    let doing = "looking for recurring messages";
    let rows = query(run, &NEXT_RECURRING, &[&topics, &names], doing)?;
    rows.first()
        .map(|row| column(row, "due_us").map(distance))
        .transpose()
}

fn recurring(row: &Row) -> Result<Recurring> {
    let topic: String = column(row, "topic")?;
    let name: String = column(row, "name")?;
    let missed: String = column(row, "missed")?;
    let policy = Missed::parse(&missed);
    let odd_policy = || {
        let what = format!("policy \"{missed}\" for missed runs of {name} of topic {topic}");
        odd(&what).to_string()
    };
    let shown = shown(row, &topic)?;
    let last_us: Option<i64> = column(row, "last_us")?;
    let expires_us: Option<i64> = column(row, "expires_us")?;
    let unreadable = policy.is_none().then(odd_policy).or(shown.unreadable);
    Ok(Recurring {
        name,
        cron: column(row, "cron")?,
        time_zone: column(row, "time_zone")?,
        missed: policy.unwrap_or_default(),
        is_paused: column(row, "is_paused")?,
        next_at: time(column(row, "next_us")?),
        last_at: last_us.map(time),
        priority: column::<i16>(row, "rank")?.saturating_neg(),
        key: column(row, "key")?,
        expires_in: expires_us.map(distance),
        dedupe_key: column(row, "dedupe_key")?,
        headers: shown.headers,
        payload: shown.payload,
        unreadable,
        topic,
    })
}

fn odd(what: &str) -> Error {
    Error::new(
        ErrorKind::Database,
        format!("the {what} cannot be read: was it made by a newer release?"),
    )
}
