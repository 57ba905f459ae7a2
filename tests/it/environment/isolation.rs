//! Statements by themselves under another default isolation.

use crate::support::{HOUR, Place, client, process};
use outtray::{Messaging, Position, TopicConfig, TopicKind};
use std::thread;
use std::time::Duration;

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

#[test]
fn many_follow_a_log_at_once_whatever_isolation_is_the_default() {
    for isolation in ["repeatable read", "serializable"] {
        let mut place = Place::watchful();
        let log = TopicConfig {
            kind: TopicKind::Log,
            ..TopicConfig::default()
        };
        place.messaging.topic("ledger").configure(log).unwrap();
        place.sql(&format!(
            "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_isolation = %L',
                current_database(), '{isolation}'); END $$"
        ));
        let readers: Vec<Messaging> = (0..4).map(|_| process(&place.url, HOUR)).collect();
        let sender = process(&place.url, HOUR);

        thread::scope(|scope| {
            for reader in &readers {
                scope.spawn(|| {
                    let mut tail = reader.tail("ledger", Position::Start).unwrap();
                    let mut seen = Vec::new();
                    while seen.len() < 300 {
                        // Together, as soon as something comes.
                        let batch = tail.next_batch::<i32>(50, Duration::ZERO).unwrap();
                        seen.extend(batch.iter().map(|message| message.payload));
                    }
                    assert_eq!(seen, (0..300).collect::<Vec<_>>(), "{isolation}");
                });
            }
            for number in 0..300 {
                sender
                    .session(|session| Ok(session.send_message("ledger", &number)?))
                    .unwrap();
            }
        });
    }
}
