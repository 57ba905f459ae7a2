//! What a case measured.

use serde::Serialize;
use std::time::Duration;

/// The figures of one case. What it did not measure is `None`.
#[derive(Debug, Clone, Default, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The case's name.
    pub case: &'static str,
    /// Messages in one round.
    pub messages: u64,
    /// Our messages a second, the median of the rounds.
    pub per_second: Option<f64>,
    /// The other side's, in the same run.
    pub raw_per_second: Option<f64>,
    /// Ours through the other's.
    pub ratio: Option<f64>,
    /// What the other side was.
    pub raw: Option<&'static str>,
    /// Microseconds, median.
    pub p50_us: Option<f64>,
    /// Microseconds, 99th percentile.
    pub p99_us: Option<f64>,
    /// WAL written for each message by our side.
    pub wal_bytes_per_message: Option<f64>,
    /// Transactions committed for each message by our side.
    pub commits_per_message: Option<f64>,
    /// What else was seen.
    pub note: Option<String>,
    /// Messages a second over time, for plots: seconds since the start, and the rate.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub series: Vec<(f64, f64)>,
}

impl Report {
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

    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }
}

/// Returns the middle value.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
