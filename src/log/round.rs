//! Segments: opened, closed, emptied.
//!
//! Entries are written into one segment of a log. When that is old or large enough, another one is
//! opened, and the old one is *sealed* as soon as nobody who writes into it is left: then it is
//! known which tick is the last that sees anything of it. When that tick is past the log's
//! retention, and named readers are past it where they hold segments back, the log *begins* after
//! it. A reader that is not past it hears so, in each statement that reads. Only a round later the
//! segment is emptied, by TRUNCATE, and waits to be used again. Nothing is deleted row by row, and
//! where somebody holds a lock, it is tried again later.

use crate::db::{Run, Statement, column, execute, query, sql};
use crate::log::configure::open_segment;
use crate::log::segments::{Segment, segments};
use crate::log::ticks::{tick, tick_now};
use crate::observe::fields::told;
use crate::wake::round::{Polled, Round, Work};
use crate::words::sqlstate::is_held_up;
use crate::words::topic_kind::{SlowReaders, TopicKind};
use crate::words::{Result, TopicConfig};
use std::collections::HashMap;
use std::time::{Duration, Instant};

static BEGIN_LATER: Statement = sql!("begin_later", Kept);
static EMPTY_SEGMENT: Statement = sql!("empty_segment", Kept);
static PRUNE_TICKS: Statement = sql!("prune_ticks", Anew);
static SEAL_SEGMENT: Statement = sql!("seal_segment", Kept);
static SLOWEST_READER: Statement = sql!("slowest_reader", Kept);

/// Segments in the time, or the size, that a log is kept.
const SEGMENTS: u32 = 8;
/// The largest segment of a log with a retention.
const MAX_BYTES: u64 = 256 << 20;
/// How often segments are looked at, and how often at most where logs are kept for a short time.
const EVERY: Duration = Duration::from_secs(10);
const LEAST_EVERY: Duration = Duration::from_millis(100);
/// Ticks that are removed at a time.
const TICKS: i64 = 4000;
/// How often a reader that holds segments back is told of.
const TELL_EVERY: Duration = Duration::from_secs(600);

const DOING: &str = "looking after the segments of logs";

/// Looks after the segments of logs that have a retention.
#[derive(Debug, Default)]
pub(crate) struct Segments {
    at: Option<Instant>,
    /// When it was last said of a log that a reader holds it back.
    told: HashMap<String, Instant>,
}

impl Round for Segments {
    fn at(&self) -> Option<Instant> {
        self.at
    }

    fn run(&mut self, work: &mut Work<'_>) -> Result<()> {
        let logs = work.settings.pick(kept);
        let shortest = logs.iter().filter_map(|(_, config)| config.keep_for).min();
        let every = shortest.map_or(EVERY, |keep| keep / (2 * SEGMENTS));
        self.at = (!logs.is_empty()).then(|| Instant::now() + every.clamp(LEAST_EVERY, EVERY));
        let topics: Vec<&str> = logs.iter().map(|(topic, _)| topic.as_str()).collect();
        if topics.is_empty() {
            return Ok(());
        }
        let segments = segments(work.connection, &topics, DOING)?;
        let mut first = Ok(());
        for (topic, config) in &logs {
            let mine: Vec<&Segment> = segments.iter().filter(|one| one.topic == *topic).collect();
            // Trouble with one log is none of the others'.
            first = first.and(self.tend(work.connection, topic, config, &mine));
        }
        first
    }

    fn polled(&mut self, _: &Polled, work: &mut Work<'_>) -> Result<()> {
        if self.at.is_none() && !work.settings.pick(kept).is_empty() {
            self.at = Some(Instant::now());
        }
        Ok(())
    }
}

/// Returns the settings of a log that is not kept for ever.
fn kept(config: &TopicConfig) -> Option<TopicConfig> {
    let has_end = config.keep_for.is_some() || config.keep_bytes.is_some();
    (config.kind == TopicKind::Log && has_end).then(|| config.clone())
}

impl Segments {
    /// Does what is to be done for one log, whose segments come by their last ticks. Trouble with
    /// one segment keeps no other waiting.
    fn tend(
        &mut self,
        run: &mut dyn Run,
        topic: &str,
        config: &TopicConfig,
        segments: &[&Segment],
    ) -> Result<()> {
        let mut first = Ok(());
        for one in segments {
            first = first.and(unless_held_up(tend_one(run, topic, config, one)));
        }
        let gone = self.let_go(run, topic, config, segments);
        first = first.and(unless_held_up(gone));
        let pruned = execute(run, &PRUNE_TICKS, &[&topic, &TICKS], DOING).map(drop);
        first.and(unless_held_up(pruned))
    }

    /// Lets the log begin after the segments that are past its retention.
    fn let_go(
        &mut self,
        run: &mut dyn Run,
        topic: &str,
        config: &TopicConfig,
        segments: &[&Segment],
    ) -> Result<()> {
        let is_kept = |one: &&&Segment| one.last_tick.is_none_or(|last| last >= one.begins);
        let kept = segments.iter().filter(is_kept);
        let mut bytes: u64 = kept.clone().map(|one| one.bytes).sum();
        let mut begins = None;
        for one in kept {
            let (Some(last), Some(ticked)) = (one.last_tick, one.ticked) else {
                continue;
            };
            let is_old = config.keep_for.is_some_and(|keep| ticked > keep);
            // What is left has to be enough: where upkeep came late, one may be larger than all
            // that is to be kept.
            bytes -= one.bytes;
            let is_much = config.keep_bytes.is_some_and(|keep| bytes >= keep);
            if is_old || is_much {
                begins = Some(last + 1);
            }
        }
        let Some(mut begins) = begins else {
            return Ok(());
        };
        if config.slow_readers == SlowReaders::Hold
            && let Some((reader, at)) = slowest(run, topic)?
            && at < begins
        {
            self.tell(topic, &reader);
            let read = segments.iter().filter_map(|one| one.last_tick);
            let Some(last) = read.filter(|last| *last < at).max() else {
                return Ok(());
            };
            begins = last + 1;
        }
        execute(run, &BEGIN_LATER, &[&topic, &begins], DOING).map(drop)
    }

    fn tell(&mut self, topic: &str, reader: &str) {
        let now = Instant::now();
        let was_told = self
            .told
            .get(topic)
            .is_some_and(|at| now - *at < TELL_EVERY);
        if !was_told {
            self.told.insert(topic.to_owned(), now);
            tracing::warn!(
                topic = told(&topic),
                "log {topic}: reader {reader} has not read what is past the log's retention, which is held back for it"
            );
        }
    }
}

fn tend_one(run: &mut dyn Run, topic: &str, config: &TopicConfig, one: &Segment) -> Result<()> {
    match one.last_tick {
        None if one.is_current && is_full(one, config) => {
            open_segment(run, topic, Some(one.segment))?;
        }
        None if !one.is_current => {
            query(run, &SEAL_SEGMENT, &[&topic, &one.segment], DOING)?;
            // Its last, if there is anything new: what is written later grows old later.
            tick(run, topic)?;
        }
        // Nobody reads, or nothing is written: what it has is to grow old all the same.
        Some(_) if one.ticked.is_none() => drop(tick_now(run, topic)?),
        Some(last) if last < one.begins => {
            query(run, &EMPTY_SEGMENT, &[&topic, &one.segment], DOING)?;
        }
        _ => {}
    }
    Ok(())
}

/// Somebody reads or writes there: the next round looks again.
fn unless_held_up(done: Result<()>) -> Result<()> {
    match done {
        Err(error) if is_held_up(&error) => Ok(()),
        done => done,
    }
}

/// Returns whether another segment is to be written into.
fn is_full(one: &Segment, config: &TopicConfig) -> bool {
    let is_old = config
        .keep_for
        .is_some_and(|keep| one.open_for > keep / SEGMENTS);
    let share = config.keep_bytes.map(|keep| keep / u64::from(SEGMENTS));
    let is_large = one.bytes > share.map_or(MAX_BYTES, |share| share.min(MAX_BYTES));
    one.has_entries && (is_old || is_large)
}

/// Returns the named reader that has read least, and the tick it is at.
fn slowest(run: &mut dyn Run, topic: &str) -> Result<Option<(String, i64)>> {
    let rows = query(run, &SLOWEST_READER, &[&topic], DOING)?;
    let row = rows.first();
    row.map(|row| Ok((column(row, "reader")?, column(row, "tick")?)))
        .transpose()
}
