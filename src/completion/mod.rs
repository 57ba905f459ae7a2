//! Outcomes: how tracked messages ended, or that they have not ended yet.
//!
//! The row is stored with its message and changed in the transaction that ends it, so whoever sees
//! the end sees the outcome. Its consequences for dependent messages follow after the commit; see
//! [`dependencies`](crate::dependencies).

pub(crate) mod round;

use crate::connect::apart::apart;
use crate::connect::connection::Connection;
use crate::db::run::BATCH;
use crate::db::{Flight, Params, Run, Statement, Value, column, columns, execute, query, sql};
use crate::message::claimed::time;
use crate::message::end::End;
use crate::words::completion::{Completion, GroupProgress, How};
use crate::words::limits::millis;
use crate::words::{Error, ErrorKind, MessageId, OnEnd, Outgoing, Result};
use std::collections::HashSet;
use std::time::Duration;
use uuid::Uuid;

static END_OUTCOMES: Statement = sql!("end_outcomes", Kept);
static FORGET_OUTCOMES: Statement = sql!("forget_outcomes", Kept);
static GROUP_MEMBERS: Statement = sql!("group_members", Anew);
static GROUP_PROGRESS: Statement = sql!("group_progress", Anew);
static HOLD_OUTCOMES: Statement = sql!("hold_outcomes", Anew);
static OLD_OUTCOMES: Statement = sql!("old_outcomes", Kept);
static OUTCOMES: Statement = sql!("outcomes", Kept);
static TRACK: Statement = sql!("track", Kept);

/// What an error of removing outcomes says was being done.
pub(crate) const FORGETTING: &str = "removing old outcomes";

/// Returns whether storing these messages takes more than storing themselves.
pub(crate) fn has_tracked(messages: &[Outgoing]) -> bool {
    messages.iter().any(is_tracked)
}

fn is_tracked(outgoing: &Outgoing) -> bool {
    outgoing.on_end.has(OnEnd::TRACKED)
}

/// Stores that those of the messages are tracked that asked for it: one statement, if any did.
pub(crate) fn track(run: &mut dyn Run, messages: &[Outgoing]) -> Result<()> {
    let tracked: Vec<&Outgoing> = messages.iter().filter(|sent| is_tracked(sent)).collect();
    if tracked.is_empty() {
        return Ok(());
    }
    let topics: Vec<&str> = tracked
        .iter()
        .map(|sent| sent.message.topic.as_str())
        .collect();
    let ids: Vec<Uuid> = tracked.iter().map(|sent| sent.id.0).collect();
    let kept: Vec<i64> = tracked
        .iter()
        .map(|sent| sent.message.rare.tracked_for.map_or(0, kept_ms))
        .collect();
    let members: Vec<Option<i32>> = tracked
        .iter()
        .map(|sent| {
            let is_group = sent.message.rare.takes_any_end;
            is_group.then(|| i32::try_from(sent.message.rare.after.len()).unwrap_or(i32::MAX))
        })
        .collect();
    let params: Params<'_> = &[&topics, &ids, &kept, &members];
    execute(run, &TRACK, params, "storing what is to be tracked")?;
    Ok(())
}

/// Appends the outcomes of those of the ends of one topic that are tracked.
pub(crate) fn push_ended(flight: &mut Flight, topic: &str, ends: &[End]) {
    let tracked = || ends.iter().filter(|end| end.is_tracked());
    let values = [
        Value::Text(topic),
        Value::Uuids(tracked().map(|end| end.id.0).collect()),
        Value::Texts(tracked().map(|end| Some(end.how.as_str())).collect()),
        Value::Texts(tracked().map(|end| end.result.as_deref()).collect()),
    ];
    flight.call(&END_OUTCOMES, &values);
}

/// What is known of a tracked message.
#[derive(Debug)]
pub(crate) struct TrackedEnd {
    pub(crate) id: MessageId,
    /// `None` while it has not ended. What its handler recorded may be unreadable, which concerns
    /// those alone who ask for this message.
    pub(crate) end: Option<Result<Completion>>,
}

/// Returns the outcomes of those of the messages that are tracked.
pub(crate) fn outcomes(run: &mut dyn Run, ids: &[Uuid]) -> Result<Vec<TrackedEnd>> {
    query(run, &OUTCOMES, &[&ids], "looking for the ends of messages")?
        .iter()
        .map(|row| {
            let id: Uuid = column(row, "id")?;
            let result: Option<&str> = column(row, "result")?;
            let ended_at_us: Option<i64> = column(row, "ended_at_us")?;
            let end = How::parse(column(row, "state")?).map(|how| {
                Ok(Completion {
                    how,
                    result: result.map(|text| parse(id, text)).transpose()?,
                    ended_at: time(ended_at_us.unwrap_or_default()),
                })
            });
            Ok(TrackedEnd {
                id: MessageId(id),
                end,
            })
        })
        .collect()
}

fn parse(id: Uuid, text: &str) -> Result<serde_json::Value> {
    serde_json::from_str(text).map_err(|error| {
        let text = format!("message {id} ended, and its result cannot be read");
        Error::new(ErrorKind::Database, text).because(error)
    })
}

/// Keeps the outcomes of messages from being forgotten until the transaction ends: who sends a
/// message that comes after others is seen by nobody until it commits. Returns which of them are
/// known.
pub(crate) fn hold(run: &mut dyn Run, ids: &[Uuid]) -> Result<HashSet<Uuid>> {
    let doing = "looking for what messages come after";
    columns(&query(run, &HOLD_OUTCOMES, &[&ids], doing)?, "id")
}

/// Removes a batch of outcomes whose time is over; returns whether there may be more. In a READ
/// COMMITTED transaction of its own.
fn forget_some(run: &mut dyn Run) -> Result<bool> {
    let rows = query(run, &OLD_OUTCOMES, &[&BATCH], FORGETTING)?;
    if rows.is_empty() {
        return Ok(false);
    }
    let (mut topics, mut ids): (Vec<&str>, Vec<Uuid>) = Default::default();
    for row in &rows {
        topics.push(column(row, "topic")?);
        ids.push(column(row, "id")?);
    }
    let forgetting = &FORGET_OUTCOMES;
    execute(run, forgetting, &[&topics, &ids], FORGETTING)?;
    Ok(i64::try_from(rows.len()).is_ok_and(|rows| rows >= BATCH))
}

/// Returns how far a group is; `None` if there is none of this id.
pub(crate) fn group_progress(run: &mut dyn Run, id: MessageId) -> Result<Option<GroupProgress>> {
    let doing = "counting the members of a group";
    let rows = query(run, &GROUP_PROGRESS, &[&id.0], doing)?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let members = column::<i64>(row, "members")?.max(0).unsigned_abs();
    let pending = column::<i64>(row, "pending")?.unsigned_abs();
    Ok(Some(GroupProgress::new(
        members,
        members.saturating_sub(pending),
    )))
}

/// Returns the members of a group that have not ended for good.
pub(crate) fn group_members(run: &mut dyn Run, id: MessageId) -> Result<Vec<Uuid>> {
    let doing = "looking for the members of a group";
    columns(&query(run, &GROUP_MEMBERS, &[&id.0], doing)?, "id")
}

/// Returns how long something is kept: at least a millisecond, so that it is kept at all.
fn kept_ms(duration: Duration) -> i64 {
    millis(duration).max(1)
}

/// Removes a batch of outcomes whose time is over; returns whether there may be more.
pub(crate) fn forget(connection: &mut Connection) -> Result<bool> {
    apart(connection, FORGETTING, |open| forget_some(open))
}
