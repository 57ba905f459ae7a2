//! How much is measured, and how two sides are compared.

use super::bed::{Bed, Result};
use std::path::PathBuf;
use std::time::Duration;

/// How much is measured.
pub(crate) struct Effort {
    /// Multiplies the number of messages and the durations. 1 takes some minutes for all cases.
    pub(crate) scale: f64,
    /// How often each side of a throughput case runs; medians count.
    pub(crate) rounds: usize,
    /// This program, which is run again where a case needs a second process.
    pub(crate) program: PathBuf,
}

impl Effort {
    /// Returns `count` scaled, and at least one.
    pub(crate) fn scaled(&self, count: u64) -> u64 {
        ((count as f64 * self.scale) as u64).max(1)
    }

    /// Runs both sides of a case in turns, each as often as there are rounds; returns their median
    /// rates.
    pub(crate) fn compare(
        &self,
        bed: &Bed,
        messages: u64,
        mut ours: impl FnMut() -> Result<Duration>,
        mut theirs: impl FnMut() -> Result<Duration>,
    ) -> Result<(f64, f64)> {
        let rate = |took: Duration| messages as f64 / took.as_secs_f64();
        let (mut our_rates, mut their_rates) = (Vec::new(), Vec::new());
        for _ in 0..self.rounds.max(1) {
            their_rates.push(rate(theirs()?));
            bed.clear()?;
            our_rates.push(rate(ours()?));
            bed.clear()?;
        }
        Ok((median(our_rates), median(their_rates)))
    }
}

/// Returns the middle value.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
