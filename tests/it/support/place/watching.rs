//! What others do in the database, seen from outside.

use super::{Place, eventually};
use postgres::Client;

/// Waits until at least so many connections to the database wait for locks.
#[track_caller]
pub(crate) fn await_lock_waits(client: &mut Client, count: i64) {
    let waiting = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'";
    eventually("somebody waits for a lock", || {
        client.query_one(waiting, &[]).unwrap().get::<_, i64>(0) >= count
    });
}

impl Place {
    /// Waits until at least so many connections wait for locks.
    #[track_caller]
    pub(crate) fn await_lock_waits(&mut self, count: i64) {
        await_lock_waits(&mut self.client, count);
    }

    /// Counts the transactions that are open in this database, but for our own.
    pub(crate) fn open_transactions(&mut self) -> i64 {
        self.count("pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'")
    }

    /// Waits until nothing is left of any key: no message, no lane, nothing to look after.
    #[track_caller]
    pub(crate) fn await_no_trace(&mut self) {
        for table in ["message", "scheduled", "follower", "stalled", "lane"] {
            eventually(&format!("{table} is empty"), || {
                self.count(&format!("outtray.{table}")) == 0
            });
        }
    }

    /// Waits until somebody who has a place waits for a table.
    #[track_caller]
    pub(crate) fn await_waiting_for(&mut self, table: &str) {
        let waiting = format!(
            "pg_locks AS waiting
            JOIN pg_locks AS held USING (pid)
            WHERE waiting.relation = '{table}'::regclass AND NOT waiting.granted
                AND held.relation = 'outtray.slot'::regclass AND held.mode = 'RowShareLock' AND held.granted"
        );
        eventually("it waits", || self.count(&waiting) > 0);
    }

    /// Waits until somebody waits for a lock; not a worker that prepares its statements.
    #[track_caller]
    pub(crate) fn await_waiter(&mut self) {
        let waiters = "pg_stat_activity WHERE datname = current_database()
            AND wait_event_type = 'Lock' AND wait_event = 'relation' AND query NOT LIKE 'PREPARE %'";
        eventually("somebody waits", || self.count(waiters) == 1);
    }
}
