//! What is looked at of a topic shows what a log keeps.

use super::{follow, log, place};
use crate::support::{PATIENCE, Place};
use outtray::{ErrorKind, LogStats, MessageState, Position, TopicConfig};
use std::time::Duration;

fn stats(place: &Place) -> LogStats {
    let stats = place.messaging.topic("ledger").stats().unwrap();
    assert_eq!((stats.ready, stats.scheduled, stats.dead), (0, 0, 0));
    stats.log.unwrap()
}

fn peek(place: &Place, limit: usize) -> Vec<String> {
    let peeked = place.messaging.topic("ledger").peek(limit).unwrap();
    let states = peeked.iter().map(|one| one.state.as_str());
    assert!(states.into_iter().all(|state| state == "kept"));
    peeked.iter().map(|one| one.payload.to_string()).collect()
}

#[test]
fn a_log_says_how_many_messages_and_bytes_it_keeps() {
    let place = place();
    let empty = stats(&place);
    assert!(place.is_empty("ledger"));

    place.send_all("ledger", 0..250);
    place.send_all("jobs", 0..3);
    let started = place.messaging.reader("ledger", "one");
    let started = started.start(|_, _: &[outtray::Message]| Ok(()));
    started.unwrap().stop(PATIENCE);
    let full = stats(&place);

    assert_eq!((empty.entries, empty.oldest_age), (0, None));
    assert_eq!((full.entries, full.is_estimated), (250, false));
    assert_eq!((full.segments, full.readers), (1, 1));
    assert!(full.bytes > empty.bytes, "{full:?}");
    assert!(full.oldest_age.unwrap() < Duration::from_secs(3600));
    assert!(!place.is_empty("ledger"));
    assert_eq!(place.messaging.topic("jobs").stats().unwrap().log, None);
    let all = place.messaging.topics().unwrap();
    let logs: Vec<_> = all.iter().filter(|one| one.log.is_some()).collect();
    assert_eq!(logs.len(), 1);
    assert_eq!(logs[0].log.as_ref().unwrap().entries, 250);
}

#[test]
fn many_messages_of_a_log_are_estimated_whatever_the_statistics_say() {
    let mut place = place();
    place.sql(
        "INSERT INTO outtray.log_entry (topic, segment, id, payload)
        SELECT 'ledger', segment, gen_random_uuid(), '1' FROM outtray.log, generate_series(1, 300000);
        UPDATE pg_class SET reltuples = 1, relpages = 1
        WHERE relnamespace = 'outtray'::regnamespace AND relkind = 'r'",
    );

    let stats = stats(&place);

    assert!(stats.is_estimated);
    assert!(stats.entries.abs_diff(300_000) < 45_000, "{stats:?}");
}

#[test]
fn a_look_at_a_log_shows_its_newest_messages_in_order() {
    let mut place = place();
    assert!(peek(&place, 3).is_empty());
    place.send_all("ledger", 0..5);
    place.sql("SELECT outtray.log_open_segment('ledger', (SELECT segment FROM outtray.log))");
    place.send_all("ledger", 5..7);
    place.sql(
        "INSERT INTO outtray.log_entry (topic, segment, id, headers, payload)
        SELECT 'ledger', segment, gen_random_uuid(), '[1]', '7' FROM outtray.log",
    );

    assert_eq!(peek(&place, 4), ["4", "5", "6", "7"]);
    assert_eq!(peek(&place, 100).len(), 8);
    let last = place.messaging.topic("ledger").peek(1).unwrap().remove(0);
    assert_eq!(last.state, MessageState::Kept);
    assert!(last.unreadable.is_some());
    // Nothing is taken.
    let mut tail = place.messaging.tail("ledger", Position::Start).unwrap();
    assert_eq!(follow(&mut tail, 7), (0..7).collect::<Vec<_>>());
}

#[test]
fn what_is_past_the_retention_is_not_shown() {
    let mut place = place();
    place.send_all("ledger", 0..5);
    place.sql("SELECT outtray.log_open_segment('ledger', (SELECT segment FROM outtray.log))");
    place.sql("SELECT outtray.log_seal_segment('ledger', min(segment)) FROM outtray.log_segment");
    place.send_all("ledger", 5..7);
    place.sql("UPDATE outtray.log SET begins = 2");

    assert_eq!(peek(&place, 100), ["5", "6"]);
    assert_eq!(stats(&place).entries, 2);
}

#[test]
fn a_log_is_not_purged_and_what_a_reader_put_aside_is() {
    let place = place();
    place.send_all("ledger", 0..5);
    let ledger = place.messaging.topic("ledger");
    place.send("ledger@one", &1);

    let error = ledger.purge().unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("keep_for"), "{error}");
    assert_eq!(stats(&place).entries, 5);
    assert_eq!(place.messaging.topic("ledger@one").purge().unwrap(), 1);
    let keep = TopicConfig {
        keep_bytes: Some(1 << 30),
        ..log()
    };
    ledger.configure(keep).unwrap();
    assert!(ledger.purge().is_err());
}
