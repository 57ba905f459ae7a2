//! What is looked at of a topic shows what a log keeps.

use super::{follow, log, place};
use crate::support::{PATIENCE, Place, client};
use crossbeam_channel::unbounded;
use outtray::{
    ErrorKind, LogStats, Message, MessageState, MessagingSession, Position, TopicConfig,
};
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

/// Returns how many messages the reader `billing` has not read, and whether that is for long.
fn unread(place: &Place) -> (u64, bool) {
    let readers = place.messaging.topic("ledger").readers().unwrap();
    let [reader] = readers.as_slice() else {
        panic!("{readers:?}");
    };
    assert_eq!(reader.behind.is_some(), reader.lag > 0, "{reader:?}");
    let is_long = |behind: Duration| behind >= Duration::from_secs(3_600);
    (reader.lag, reader.behind.is_some_and(is_long))
}

/// Has the reader `billing` read so many messages, and stop.
fn read(place: &Place, count: usize) {
    let (tell, told) = unbounded();
    let reader = place.messaging.reader("ledger", "billing");
    let reader = reader.from(Position::Start);
    let reader = reader.start(move |_, batch: &[Message<i32>]| {
        let mut payloads = batch.iter().map(|message| message.payload);
        Ok(payloads.try_for_each(|payload| tell.send(payload))?)
    });
    let reader = reader.unwrap();
    for _ in 0..count {
        told.recv_timeout(PATIENCE).unwrap();
    }
    reader.stop(PATIENCE);
}

#[test]
fn how_far_a_reader_is_behind_is_known_while_nobody_reads() {
    let mut place = place();
    read(&place, 0);
    assert_eq!(unread(&place), (0, false));

    place.send_all("ledger", 0..5);
    assert_eq!(unread(&place), (5, false));
    place.send_all("ledger", 5..8);
    place.sql("UPDATE outtray.log_entry SET sent_at = sent_at - interval '1 hour'");
    assert_eq!(unread(&place), (8, true));
    place.sql("UPDATE outtray.log_entry SET sent_at = '-infinity'");
    assert_eq!(unread(&place), (8, true));

    read(&place, 8);
    assert_eq!(unread(&place), (0, false));
}

#[test]
fn what_was_being_written_when_the_last_reader_stopped_is_unread() {
    let mut place = place();
    let mut slow = client(&place.url);
    let mut held = slow.transaction().unwrap();
    let mut joined = MessagingSession::join(&place.messaging, &mut held).unwrap();
    joined.send_messages("ledger", 0..50).unwrap();
    place.send("ledger", &50);
    read(&place, 1);
    assert_eq!(unread(&place), (0, false));

    drop(joined);
    held.commit().unwrap();
    place.sql("UPDATE outtray.log_entry SET sent_at = sent_at - interval '1 hour'");

    // The first of them stands for all.
    assert_eq!(unread(&place), (1, true));
    read(&place, 50);
    assert_eq!(unread(&place), (0, false));
}
