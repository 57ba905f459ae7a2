//! Old segments of a log go as a whole, and slow readers hold them back, or lose them.

use super::{follow, log, rest};
use crate::support::{HOUR, Place, eventually};
use outtray::{ErrorKind, Position, SlowReaders, Tail, TopicConfig};
use std::time::Duration;

/// Returns a place with a log that is kept for an hour, and a tail, with which upkeep runs.
fn kept(config: TopicConfig) -> (Place, Tail) {
    let place = Place::watchful();
    place.messaging.topic("ledger").configure(config).unwrap();
    let tail = place.messaging.tail("ledger", Position::Start).unwrap();
    (place, tail)
}

fn hour() -> TopicConfig {
    TopicConfig {
        keep_for: Some(HOUR),
        ..log()
    }
}

/// Lets so much time pass for what is there.
fn age(place: &mut Place, hours: u32) {
    place.sql(&format!(
        "UPDATE outtray.log_segment SET opened_at = opened_at - {hours} * interval '1 hour';
        UPDATE outtray.log_tick SET at = at - {hours} * interval '1 hour'"
    ));
    hurry(place);
}

/// Has the process look at once: a changed setting is read at the next poll.
fn hurry(place: &Place) {
    let topic = place.messaging.topic("hurry");
    let short = TopicConfig {
        keep_for: Some(Duration::from_secs(1)),
        ..log()
    };
    topic.configure(short).unwrap();
}

/// Returns how many pages the segments of the log have, which are tables of their own.
fn pages(place: &mut Place) -> Vec<i64> {
    let query = "SELECT pg_relation_size(format('outtray.log_%s', segment)::regclass) / 8192
        FROM outtray.log_segment WHERE topic = 'ledger' ORDER BY segment";
    let rows = place.client.query(query, &[]).unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// Lets time pass until something happens to the log.
#[track_caller]
fn age_until(place: &mut Place, what: &str, mut happened: impl FnMut(&mut Place) -> bool) {
    eventually(what, || {
        age(place, 1);
        happened(place)
    });
}

/// Waits until so many segments are there that were closed and not emptied.
#[track_caller]
fn await_sealed(place: &mut Place, count: i64) {
    let sealed = "outtray.log_segment JOIN outtray.log_tick USING (topic)
        WHERE topic = 'ledger' AND last_tick = tick";
    eventually("segments are closed", || place.count(sealed) == count);
}

fn begin_reader(place: &mut Place, reader: &str) {
    let (topic, name) = ("ledger", reader);
    place.sql(&format!(
        "INSERT INTO outtray.log_reader (topic, reader, lanes) VALUES ('{topic}', '{name}', 1);
        INSERT INTO outtray.log_lane (topic, reader, lane) VALUES ('{topic}', '{name}', 0);
        INSERT INTO outtray.log_place (topic, reader, lane, moved, tick, seq) VALUES ('{topic}', '{name}', 0, 1, 1, 0)"
    ));
}

#[test]
fn what_is_older_than_a_log_keeps_goes_as_a_whole_and_what_is_younger_stays() {
    let (mut place, mut tail) = kept(hour());
    place.send_all("ledger", 0..500);
    assert_eq!(follow(&mut tail, 500).len(), 500);
    age(&mut place, 1);
    await_sealed(&mut place, 1);
    place.send_all("ledger", 500..600);
    assert_eq!(follow(&mut tail, 100).len(), 100);
    let before = pages(&mut place);
    assert!(
        before.len() == 2 && before.iter().all(|pages| *pages > 0),
        "{before:?}"
    );

    place.sql(
        "UPDATE outtray.log_tick SET at = at - interval '1 hour'
        WHERE topic = 'ledger' AND tick <= (SELECT min(last_tick) FROM outtray.log_segment WHERE topic = 'ledger')",
    );
    hurry(&place);

    eventually("the old segment is empty", || pages(&mut place)[0] == 0);
    assert!(pages(&mut place)[1] > 0);
    let mut start = place.messaging.tail("ledger", Position::Start).unwrap();
    assert!(rest(&mut start).into_iter().eq(500..600));
}

#[test]
fn a_segment_that_was_emptied_is_used_again() {
    let (mut place, mut tail) = kept(hour());
    for round in 0..4 {
        place.send_all("ledger", round * 10..round * 10 + 10);
        assert_eq!(follow(&mut tail, 10).len(), 10);
        let used = "outtray.log_segment WHERE topic = 'ledger' AND opened_at IS NOT NULL";
        let emptied = "outtray.log_segment WHERE topic = 'ledger' AND opened_at IS NULL";
        age_until(&mut place, "an old one is emptied", |place| {
            place.count(emptied) > 0
        });
        eventually("only the one in use is left", || place.count(used) == 1);
    }

    // Else each round had made one.
    assert!(pages(&mut place).len() <= 4);
    place.send("ledger", &100);
    assert_eq!(follow(&mut tail, 1), [100]);
}

/// Sends so many long messages, which cannot be compressed.
fn send_long(place: &mut Place, count: usize) {
    let query = "SELECT string_agg(md5(n::text), '') FROM generate_series(1, 50) AS n";
    let long: String = place.client.query_one(query, &[]).unwrap().get(0);
    place.send_all("ledger", (0..count).map(|_| long.clone()));
}

/// Sends long messages, and waits until the segment that they fill is closed.
fn fill_segment(place: &mut Place, count: usize) {
    let current = "SELECT segment FROM outtray.log WHERE topic = 'ledger'";
    let before = place.number(current);
    send_long(place, count);
    hurry(place);
    eventually("another one is written into", || {
        place.number(current) != before
    });
    let open = "outtray.log_segment WHERE topic = 'ledger' AND opened_at IS NOT NULL AND last_tick IS NULL";
    eventually("the full one is closed", || place.count(open) == 1);
}

/// Returns how many messages there are from the start on. Reads until there are no more: a batch
/// need not be full.
fn kept_messages(place: &Place) -> usize {
    let mut start = place.messaging.tail("ledger", Position::Start).unwrap();
    let mut kept = 0;
    loop {
        match start.next_batch::<String>(5000, Duration::ZERO) {
            Ok(batch) if batch.is_empty() => return kept,
            Ok(batch) => kept += batch.len(),
            // What came next was let go meanwhile.
            Err(error) if error.kind() == ErrorKind::PositionGone => return kept_messages(place),
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn a_log_keeps_no_more_than_so_many_bytes() {
    let (mut place, _tail) = kept(TopicConfig {
        keep_bytes: Some(2 << 20),
        ..log()
    });
    for _ in 0..12 {
        fill_segment(&mut place, 150);
    }

    eventually("old ones are gone", || kept_messages(&place) < 12 * 150);
    eventually("it is smaller", || {
        pages(&mut place).iter().sum::<i64>() * 8192 < 3 << 20
    });
    let left = kept_messages(&place);
    assert!(left > 300, "{left}");
}

#[test]
fn a_segment_that_grew_larger_than_all_that_a_log_keeps_goes_only_when_enough_came_after_it() {
    let (mut place, _tail) = kept(TopicConfig {
        keep_bytes: Some(1 << 20),
        ..log()
    });
    // As where nobody looked after it for long.
    fill_segment(&mut place, 1200);
    fill_segment(&mut place, 150);
    assert!(kept_messages(&place) >= 1350, "the only one before");

    for _ in 0..6 {
        fill_segment(&mut place, 150);
    }

    eventually("the large one is gone", || kept_messages(&place) < 1200);
    assert!(kept_messages(&place) > 300);
}

#[test]
fn a_named_reader_holds_back_what_it_has_not_read_and_only_that() {
    let (mut place, mut tail) = kept(hour());
    begin_reader(&mut place, "slow");
    place.send_all("ledger", 0..100);
    assert_eq!(follow(&mut tail, 100).len(), 100);
    age(&mut place, 2);
    await_sealed(&mut place, 1);
    place.send("ledger", &100);
    assert_eq!(follow(&mut tail, 1), [100]);
    age(&mut place, 2);
    await_sealed(&mut place, 2);
    let reader = place.messaging.log_readers().unwrap().remove(0);
    assert_eq!((reader.reader.as_str(), reader.lanes), ("slow", 1));
    assert!(
        reader.lag >= 100 && reader.behind.unwrap() > HOUR,
        "{reader:?}"
    );

    place
        .messaging
        .topic("ledger")
        .seek("slow", Position::Now)
        .unwrap();
    age(&mut place, 2);

    await_sealed(&mut place, 0);
    let reader = place.messaging.topic("ledger").readers().unwrap().remove(0);
    assert_eq!((reader.lag, reader.behind), (0, None));
    place
        .messaging
        .topic("ledger")
        .remove_reader("slow")
        .unwrap();
    assert!(
        place
            .messaging
            .topic("ledger")
            .readers()
            .unwrap()
            .is_empty()
    );
}

#[test]
fn a_slow_reader_loses_what_is_old_where_it_is_to_and_hears_that_it_is_gone() {
    let (mut place, mut tail) = kept(TopicConfig {
        slow_readers: SlowReaders::Lose,
        ..hour()
    });
    begin_reader(&mut place, "slow");
    place.send_all("ledger", 0..100);
    assert_eq!(follow(&mut tail, 100).len(), 100);
    let mut behind = place.messaging.tail("ledger", Position::Start).unwrap();
    assert_eq!(follow(&mut behind, 1), [0]);
    let place_of_old = behind.position();
    let mut old = place.messaging.tail("ledger", place_of_old).unwrap();
    let begun = "outtray.log WHERE topic = 'ledger' AND begins > 1";
    age_until(&mut place, "the log begins later", |place| {
        place.count(begun) == 1
    });
    eventually("it is empty", || pages(&mut place)[0] == 0);

    let error = old.next::<i32>(Duration::ZERO).unwrap_err();

    assert_eq!(error.kind(), ErrorKind::PositionGone);
    let begins = place
        .messaging
        .tail("ledger", Position::Start)
        .unwrap()
        .position();
    assert!(error.to_string().contains(&begins.to_string()), "{error}");
    let error = place.messaging.tail("ledger", place_of_old).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PositionGone);
    let error = place
        .messaging
        .topic("ledger")
        .seek("slow", place_of_old)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PositionGone);
    assert_eq!(
        place
            .messaging
            .topic("ledger")
            .seek("slow", Position::Start)
            .unwrap(),
        begins
    );
}

#[test]
fn a_transaction_that_is_held_open_is_not_lost_with_its_segment() {
    let (mut place, mut tail) = kept(hour());
    let mut slow = crate::support::client(&place.url);
    let mut held = slow.transaction().unwrap();
    outtray::MessagingSession::join(&place.messaging, &mut held)
        .unwrap()
        .send_message("ledger", &1)
        .unwrap();
    place.send("ledger", &2);
    assert_eq!(follow(&mut tail, 1), [2]);
    age(&mut place, 2);
    let opened = "outtray.log_segment WHERE topic = 'ledger' AND opened_at IS NOT NULL";
    eventually("another segment is open", || place.count(opened) == 2);
    place.send("ledger", &3);
    assert_eq!(follow(&mut tail, 1), [3]);

    held.commit().unwrap();
    place.messaging.wake("ledger");

    assert_eq!(follow(&mut tail, 1), [1]);
    await_sealed(&mut place, 1);
    let mut start = place.messaging.tail("ledger", Position::Start).unwrap();
    assert_eq!(rest(&mut start), [2, 3, 1]);
}
