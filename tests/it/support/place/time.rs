//! Time passes by moving rows.

use super::Place;

impl Place {
    /// Makes the recurring messages due, so long ago.
    pub(crate) fn make_recurring_due(&mut self, ago: &str) {
        self.sql(&format!(
            "UPDATE outtray.recurring SET next_at = date_trunc('day', now(), 'UTC') - interval '{ago}'"
        ));
    }

    /// Lets the time pass until the time of every message that has an end is over.
    pub(crate) fn make_expired(&mut self) {
        for table in ["message", "scheduled", "follower"] {
            self.sql(&format!(
                "UPDATE outtray.{table} SET expires_at = now() WHERE expires_at IS NOT NULL"
            ));
        }
    }
}
