//! Statements by themselves under another default isolation.

use crate::support::{HOUR, Place, client, process};
use std::thread;

/// What an operator removes was changed, and committed, after the statement that removes it began.
#[test]
fn what_is_done_by_one_statement_bears_others_whatever_isolation_is_the_default() {
    for isolation in ["repeatable read", "serializable"] {
        let mut place = Place::watchful();
        place.sql(&format!(
            "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_isolation = %L',
                current_database(), '{isolation}'); END $$"
        ));
        let done = place.messaging.retrying("nightly", HOUR, |_| Ok(()));
        done.unwrap();
        let operator = process(&place.url, HOUR);
        let mut other = client(&place.url);
        let mut changing = other.transaction().unwrap();
        let change = "UPDATE outtray.dedupe SET expires_at = expires_at + interval '1 minute'";
        assert_eq!(changing.execute(change, &[]).unwrap(), 1);

        thread::scope(|scope| {
            let forgets = scope.spawn(|| operator.forget_work("nightly"));
            place.await_lock_waits(1);
            changing.commit().unwrap();
            assert!(forgets.join().unwrap().unwrap(), "{isolation}");
        });
    }
}
