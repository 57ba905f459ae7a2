//! What a case measured.

use super::counters::Counters;
use serde::Serialize;
use std::time::Duration;

/// The figures of one case. What it did not measure is `None`.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Report {
    /// The case's name.
    pub(crate) case: &'static str,
    /// Messages in one round.
    pub(crate) messages: u64,
    /// Our messages a second, the median of the rounds.
    pub(crate) per_second: Option<f64>,
    /// The other side's, in the same run.
    pub(crate) raw_per_second: Option<f64>,
    /// Ours through the other's.
    pub(crate) ratio: Option<f64>,
    /// What the other side was.
    pub(crate) raw: Option<&'static str>,
    /// Microseconds, median.
    pub(crate) p50_us: Option<f64>,
    /// Microseconds, 99th percentile.
    pub(crate) p99_us: Option<f64>,
    /// WAL written for each message by our side.
    pub(crate) wal_bytes_per_message: Option<f64>,
    /// Transactions committed for each message by our side.
    pub(crate) commits_per_message: Option<f64>,
    /// What else was seen.
    pub(crate) note: Option<String>,
    /// Messages a second over time, for plots: seconds since the start, and the rate.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) series: Vec<(f64, f64)>,
}

impl Report {
    /// A report without figures.
    pub(crate) fn new(case: &'static str, messages: u64) -> Self {
        Report {
            case,
            messages,
            ..Report::default()
        }
    }

    /// Sets both rates and their ratio.
    pub(crate) fn rates(mut self, ours: f64, theirs: f64, raw: &'static str) -> Self {
        self.per_second = Some(ours);
        self.raw_per_second = Some(theirs);
        self.ratio = Some(ours / theirs);
        self.raw = Some(raw);
        self
    }

    /// Sets the percentiles.
    pub(crate) fn times(mut self, mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let at = |share: usize| {
            let index = (times.len() * share / 100).min(times.len().saturating_sub(1));
            times.get(index).map(|time| time.as_secs_f64() * 1e6)
        };
        self.p50_us = at(50);
        self.p99_us = at(99);
        self
    }

    /// Sets what was written and committed for each message between two looks.
    pub(crate) fn counted(mut self, before: &Counters, after: &Counters) -> Self {
        let each = |count: i64| count as f64 / self.messages as f64;
        self.wal_bytes_per_message = Some(each(after.wal_bytes - before.wal_bytes));
        self.commits_per_message = Some(each(after.commits - before.commits));
        self
    }

    /// Says what else was seen.
    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }
}
