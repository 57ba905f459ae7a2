//! The numbers of a log, and its newest entries, for people: counted as far as that is cheap, and
//! estimated beyond, as those of queues.

use crate::db::{Params, Run, Statement, column, query, sql};
use crate::log::segments::segments;
use crate::message::columns::COUNT_LIMIT;
use crate::topics::peek::{self, WaitingMessage};
use crate::topics::stats::{LogStats, PAGES};
use crate::words::Result;
use crate::words::outcome::MessageState;
use std::time::Duration;

static COUNT_ENTRIES: Statement = sql!("count_entries", Anew);
static ESTIMATE_ENTRIES: Statement = sql!("estimate_entries", Anew);
static NEWEST_ENTRIES: Statement = sql!("newest_entries", Anew);

const DOING: &str = "looking at a log";

/// Returns the numbers of a log; `None` for a topic that is none.
pub(crate) fn stats(run: &mut dyn Run, topic: &str) -> Result<Option<LogStats>> {
    let Some((kept, bytes)) = kept(run, topic)? else {
        return Ok(None);
    };
    // One more says that there are more.
    let limit = COUNT_LIMIT + 1;
    let rows = query(run, &COUNT_ENTRIES, &[&topic, &kept, &limit], DOING)?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let counted: i64 = column(row, "entries")?;
    let is_estimated = counted > COUNT_LIMIT;
    let entries = match is_estimated {
        true => estimate(run, &kept)?.max(limit),
        false => counted,
    };
    let oldest_us: Option<i64> = column(row, "oldest_us")?;
    Ok(Some(LogStats {
        entries: entries.unsigned_abs(),
        is_estimated,
        bytes,
        segments: kept.len() as u64,
        readers: column::<i64>(row, "readers")?.unsigned_abs(),
        oldest_age: oldest_us.map(|us| Duration::from_micros(us.unsigned_abs())),
    }))
}

/// Returns the newest entries of a log, `limit` at most, in the order of sending; `None` for a
/// topic that is none.
pub(crate) fn newest(
    run: &mut dyn Run,
    topic: &str,
    limit: i64,
) -> Result<Option<Vec<WaitingMessage>>> {
    let Some((kept, _)) = kept(run, topic)? else {
        return Ok(None);
    };
    let params: Params<'_> = &[&topic, &kept, &limit];
    let rows = query(run, &NEWEST_ENTRIES, params, DOING)?;
    let mut newest: Vec<WaitingMessage> = rows
        .iter()
        .map(|row| peek::message(row, topic, MessageState::Kept))
        .collect::<Result<_>>()?;
    newest.reverse();
    Ok(Some(newest))
}

/// Returns the segments of a log that hold what is kept, and how many bytes they have; `None` for a
/// topic that is no log.
pub(crate) fn kept(run: &mut dyn Run, topic: &str) -> Result<Option<(Vec<i64>, u64)>> {
    let all = segments(run, &[topic], DOING)?;
    let is_kept = |last: Option<i64>, begins| last.is_none_or(|last| last >= begins);
    let kept = all.iter().filter(|one| is_kept(one.last_tick, one.begins));
    let bytes = kept.clone().map(|one| one.bytes).sum();
    let kept: Vec<i64> = kept.map(|one| one.segment).collect();
    Ok((!all.is_empty()).then_some((kept, bytes)))
}

fn estimate(run: &mut dyn Run, segments: &[i64]) -> Result<i64> {
    let rows = query(run, &ESTIMATE_ENTRIES, &[&segments, &PAGES], DOING)?;
    rows.first().map_or(Ok(0), |row| column(row, "entries"))
}
