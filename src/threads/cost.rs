//! The cost of repeated work that may only take its share of the time.

use std::time::Duration;

/// What the first time is believed to have taken at most is twice this.
const LEAST: Duration = Duration::from_millis(5);

/// What something took lately.
///
/// A long time is believed only when it comes again: at most twice what was believed the last time.
/// A network that was silent for a while, a pooler that had no connection, and a machine that was
/// busy look just like work for the database, and say nothing about the next time. Without this, a
/// hundred times such a silence would be waited out.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cost(Duration);

impl Cost {
    /// Learns what the last time took; returns what of it is believed.
    pub(crate) fn learn(&mut self, took: Duration) -> Duration {
        self.0 = took.min(self.0.max(LEAST) * 2);
        self.0
    }

    pub(crate) fn get(self) -> Duration {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_time_is_believed_only_when_it_comes_again() {
        let ms = Duration::from_millis;
        let mut cost = Cost::default();
        let mut learn = |took| cost.learn(ms(took)).as_millis();

        assert_eq!(learn(2), 2);
        assert_eq!(learn(9_000), 10);
        assert_eq!(learn(2), 2);
        let believed = [200, 200, 200, 200, 200, 200].map(&mut learn);
        assert_eq!(believed, [10, 20, 40, 80, 160, 200]);
        assert_eq!(learn(9_000), 400);
    }
}
