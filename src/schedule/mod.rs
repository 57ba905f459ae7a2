//! Scheduled messages, and how they become due.

pub(crate) mod round;
pub(crate) mod scheduled;

use crate::db::{Params, Run, Statement, column, execute, query, sql};
use crate::expiry::distance;
use crate::keys;
use crate::words::{ClaimPlace, Result};
use std::collections::HashMap;
use std::time::Duration;
use uuid::Uuid;

static BEGIN_IN_PLACE: Statement = sql!("begin_in_place", Anew);
static CLOCK: Statement = sql!("clock", Kept);
static MAKE_DUE: Statement = sql!("make_due", Anew);
static MOVE_DUE: Statement = sql!("move_due", Kept);
static MOVE_DUE_BETWEEN: Statement = sql!("move_due_between", Kept);
static NEXT_DUE: Statement = sql!("next_due", Kept);
static WAITING_FOR_TIME: Statement = sql!("waiting_for_time", Anew);
static WAITING_IN_PLACE: Statement = sql!("waiting_in_place", Anew);

/// Messages moved by one statement: large enough for 100,000 a second, small enough to hold its
/// locks for milliseconds only.
pub(crate) const MOVE_LIMIT: i64 = 1000;

/// What follows a topic's name in the least name behind it. No topic's name has this character.
const LEAST: char = '\u{1}';

/// Topics by name, from one on up to another, which is not among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Between {
    pub(crate) from: String,
    pub(crate) before: String,
}

impl Between {
    /// Returns what lies between these topics and on either side, in the order of their names.
    pub(crate) fn all<'t>(topics: impl IntoIterator<Item = &'t String>) -> Vec<Between> {
        let mut topics: Vec<&String> = topics.into_iter().collect();
        topics.sort_unstable();
        let mut from = String::new();
        let mut all = Vec::with_capacity(topics.len() + 1);
        for topic in topics {
            all.push(Between {
                from,
                before: topic.clone(),
            });
            from = format!("{topic}{LEAST}");
        }
        // No topic's name begins with the last of all characters.
        let before = char::MAX.to_string();
        all.push(Between { from, before });
        all
    }
}

/// Due messages that were moved.
#[derive(Debug, Default)]
pub(crate) struct Moved {
    /// How many of each topic.
    pub(crate) topics: Vec<(String, i64)>,
    /// Messages that are in the lines of their keys now, which are stalled, by topic.
    pub(crate) lined_up: Vec<String>,
}

impl Moved {
    pub(crate) fn is_empty(&self) -> bool {
        self.topics.is_empty() && self.lined_up.is_empty()
    }

    /// Returns whether there may be more.
    pub(crate) fn is_full(&self) -> bool {
        let moved: i64 = self.topics.iter().map(|(_, messages)| messages).sum();
        moved + i64::try_from(self.lined_up.len()).unwrap_or(i64::MAX) >= MOVE_LIMIT
    }

    /// Returns the topics that make up a large part of a full batch.
    pub(crate) fn crowds(&self) -> Vec<String> {
        let mut count = HashMap::<&String, i64>::new();
        for (topic, messages) in &self.topics {
            *count.entry(topic).or_default() += messages;
        }
        for topic in &self.lined_up {
            *count.entry(topic).or_default() += 1;
        }
        let is_crowd = |messages: i64| messages >= MOVE_LIMIT / 8;
        let crowds = count
            .into_iter()
            .filter(|(_, messages)| is_crowd(*messages));
        crowds.map(|(topic, _)| topic.clone()).collect()
    }
}

/// Moves one batch of due messages, those first that were due first: of all topics, or of some.
pub(crate) fn move_due(run: &mut dyn Run, between: Option<&Between>) -> Result<Moved> {
    let doing = "moving due messages";
    let rows = match between {
        None => query(run, &MOVE_DUE, &[&MOVE_LIMIT], doing)?,
        Some(Between { from, before }) => {
            let params: Params<'_> = &[&MOVE_LIMIT, from, before];
            query(run, &MOVE_DUE_BETWEEN, params, doing)?
        }
    };
    let mut moved = Moved::default();
    for row in rows {
        match column::<Option<String>>(&row, "topic")? {
            Some(topic) => moved.topics.push((topic, column(&row, "messages")?)),
            None => {
                let topics: Vec<String> = column(&row, "line_topics")?;
                let ids: Vec<Uuid> = column(&row, "line_ids")?;
                keys::line_up_due(run, &topics, &ids)?;
                moved.lined_up = topics;
            }
        }
    }
    Ok(moved)
}

/// A message that waits for its time.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) id: Uuid,
    pub(crate) attempts: i16,
    /// When it is due, in microseconds since 1970.
    pub(crate) due_us: i64,
}

/// Returns messages of a topic that wait for their time, `limit` at most, in the order of their ids
/// from the first after `after` on.
pub(crate) fn waiting(
    run: &mut dyn Run,
    topic: &str,
    after: Uuid,
    limit: i64,
) -> Result<Vec<Waiting>> {
    let doing = "looking for scheduled messages";
    query(run, &WAITING_FOR_TIME, &[&topic, &after, &limit], doing)?
        .iter()
        .map(|row| {
            Ok(Waiting {
                id: column(row, "id")?,
                attempts: column(row, "attempts")?,
                due_us: column(row, "due_us")?,
            })
        })
        .collect()
}

/// Makes those of these messages due that wait for their time, in this order; returns how many.
pub(crate) fn make_due(run: &mut dyn Run, topic: &str, ids: &[Uuid]) -> Result<u64> {
    let doing = "making messages due";
    execute(run, &MAKE_DUE, &[&topic, &ids], doing)
}

/// A message that waits for its time in its place among the ready ones.
#[derive(Debug)]
pub(crate) struct InPlace {
    pub(crate) id: Uuid,
    pub(crate) attempts: i16,
    pub(crate) place: ClaimPlace,
}

/// Returns messages of a topic that wait so, `limit` at most, from the first after `after` on.
pub(crate) fn waiting_in_place(
    run: &mut dyn Run,
    topic: &str,
    after: ClaimPlace,
    limit: i64,
) -> Result<Vec<InPlace>> {
    let doing = "looking for messages that wait in their places";
    let params: Params<'_> = &[&topic, &after.rank, &after.seq, &limit];
    query(run, &WAITING_IN_PLACE, params, doing)?
        .iter()
        .map(|row| {
            Ok(InPlace {
                id: column(row, "id")?,
                attempts: column(row, "attempts")?,
                place: ClaimPlace {
                    rank: column(row, "rank")?,
                    seq: column(row, "seq")?,
                },
            })
        })
        .collect()
}

/// Makes those of these messages ready that wait so and that nobody has in hand; returns how many.
pub(crate) fn begin_in_place(
    run: &mut dyn Run,
    topic: &str,
    waiting: &[&InPlace],
) -> Result<usize> {
    let doing = "making messages ready in their places";
    let ranks: Vec<i16> = waiting.iter().map(|one| one.place.rank).collect();
    let seqs: Vec<i64> = waiting.iter().map(|one| one.place.seq).collect();
    let ids: Vec<Uuid> = waiting.iter().map(|one| one.id).collect();
    let params: Params<'_> = &[&topic, &ranks, &seqs, &ids];
    Ok(query(run, &BEGIN_IN_PLACE, params, doing)?.len())
}

/// Returns in how long the next scheduled message is due.
pub(crate) fn next_due(run: &mut dyn Run) -> Result<Option<Duration>> {
    let rows = query(run, &NEXT_DUE, &[], "looking for due messages")?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    column(row, "due_us").map(|us| Some(distance(us)))
}

/// Returns the database's time in microseconds since 1970.
pub(crate) fn clock(run: &mut dyn Run) -> Result<i64> {
    let rows = query(run, &CLOCK, &[], "asking for the time")?;
    // A statement without tables returns a row.
    rows.first().map_or(Ok(0), |row| column(row, "now_us"))
}
