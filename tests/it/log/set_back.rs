//! A log that lacks what came last, as after a failover to a standby that did not have it: whoever
//! follows it goes on with what is there, and misses nothing of what comes.

use super::{follow, log, place, rest};
use crate::support::{PATIENCE, Place, eventually};
use outtray::{ErrorKind, Position, Tail};

fn send(place: &Place, numbers: impl IntoIterator<Item = i32>) {
    let sent = place
        .messaging
        .session(|session| Ok(session.send_messages("ledger", numbers)?));
    sent.unwrap();
}

/// Has the log lack the entries with these payloads and larger ones, and the last ticks.
fn set_back(place: &mut Place, first: i32, ticks: i64) {
    let remove = "DELETE FROM outtray.log_entry WHERE payload::text::integer >= $1";
    place.client.execute(remove, &[&first]).unwrap();
    let remove =
        "DELETE FROM outtray.log_tick WHERE tick > (SELECT max(tick) - $1 FROM outtray.log_tick)";
    place.client.execute(remove, &[&ticks]).unwrap();
}

/// Follows a log through six entries, of which it then lacks three.
#[track_caller]
fn followed_and_set_back() -> (Place, Tail) {
    let mut place = place();
    let mut tail = place.messaging.tail("ledger", Position::Now).unwrap();
    for number in 0..6 {
        send(&place, [number]);
        assert_eq!(follow(&mut tail, 1), [number]);
    }

    set_back(&mut place, 3, 3);
    (place, tail)
}

#[test]
fn who_follows_a_log_that_lacks_what_was_read_last_goes_on_with_what_is_there() {
    let (place, mut tail) = followed_and_set_back();

    assert_eq!(rest(&mut tail), [0; 0]);
    for number in 10..16 {
        send(&place, [number]);
        assert_eq!(follow(&mut tail, 1), [number]);
    }
    assert_eq!(rest(&mut tail), [0; 0]);
}

#[test]
fn entries_that_were_read_ahead_and_not_returned_are_not_missed() {
    let mut place = place();
    place.messaging.topic("other").configure(log()).unwrap();
    let mut tail = place.messaging.tail("ledger", Position::Now).unwrap();
    let mut other = place.messaging.tail("ledger", Position::Now).unwrap();
    for number in 0..9 {
        send(&place, [number]);
        assert_eq!(follow(&mut other, 1), [number]);
        if number == 0 {
            // Numbers of another log: so few to so many have it ask for more the next time.
            place.send_all("other", 0..3);
        }
    }
    let batches = [0, 1].map(|_| tail.next_batch::<i32>(4, PATIENCE).unwrap().len());
    assert_eq!(batches, [1, 4]);

    // The last is gone, which may be in memory with those before it.
    set_back(&mut place, 8, 1);
    let mut other = place.messaging.tail("ledger", Position::Now).unwrap();
    for number in 10..13 {
        send(&place, [number]);
        assert_eq!(follow(&mut other, 1), [number]);
    }
    place.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid()",
    );

    let mut seen = Vec::new();
    eventually(
        "it goes on, although several connections may be gone",
        || {
            match tail.next_batch::<i32>(6, PATIENCE) {
                Ok(batch) => seen.extend(batch.iter().map(|message| message.payload)),
                Err(lost) => assert_eq!(lost.kind(), ErrorKind::Unavailable),
            }
            seen.len() >= 6
        },
    );
    assert_eq!(seen, [5, 6, 7, 10, 11, 12]);
    assert_eq!(rest(&mut tail), [0; 0]);
}

#[test]
fn entries_that_came_meanwhile_under_the_numbers_of_those_that_are_gone_are_not_missed() {
    let (place, mut tail) = followed_and_set_back();
    // Somebody else reads them, and makes the ticks.
    let mut other = place.messaging.tail("ledger", Position::Now).unwrap();
    for number in 10..18 {
        send(&place, [number]);
        assert_eq!(follow(&mut other, 1), [number]);
    }

    assert_eq!(follow(&mut tail, 8), (10..18).collect::<Vec<_>>());
    assert_eq!(rest(&mut tail), [0; 0]);
}

#[test]
fn a_tail_that_has_read_nothing_yet_misses_nothing_either() {
    for ticks in [1, 2, 4] {
        let mut place = place();
        let mut other = place.messaging.tail("ledger", Position::Now).unwrap();
        for number in 0..6 {
            send(&place, [number]);
            assert_eq!(follow(&mut other, 1), [number]);
        }
        let mut tail = place.messaging.tail("ledger", Position::Now).unwrap();
        set_back(&mut place, 7 - i32::try_from(ticks).unwrap(), ticks);

        let mut other = place.messaging.tail("ledger", Position::Now).unwrap();
        for number in 10..18 {
            send(&place, [number]);
            assert_eq!(follow(&mut other, 1), [number]);
        }

        assert_eq!(follow(&mut tail, 8), (10..18).collect::<Vec<_>>());
        assert_eq!(rest(&mut tail), [0; 0]);
    }
}

#[test]
fn a_tail_goes_on_also_where_what_it_read_first_is_not_kept_any_more() {
    let mut place = place();
    let mut tail = place.messaging.tail("ledger", Position::Now).unwrap();
    for number in 0..6 {
        send(&place, [number]);
        assert_eq!(follow(&mut tail, 1), [number]);
    }
    place.sql(
        "UPDATE outtray.log SET begins = (SELECT max(tick) - 1 FROM outtray.log_tick);
        DELETE FROM outtray.log_tick WHERE tick < (SELECT begins - 1 FROM outtray.log)",
    );

    set_back(&mut place, 5, 1);

    let mut other = place.messaging.tail("ledger", Position::Now).unwrap();
    for number in 10..13 {
        send(&place, [number]);
        assert_eq!(follow(&mut other, 1), [number]);
    }
    assert_eq!(follow(&mut tail, 3), [10, 11, 12]);
}
