//! Who writes tallies, and when.

use super::sums;
use crate::support::{
    PATIENCE, Place, client, done, eventually, next, pass_time, process, telling,
};
use outtray::{Message, Messaging};
use std::time::Duration;

#[test]
fn a_receiver_that_stops_leaves_nothing_uncounted() {
    let place = Place::new();
    let (receiver, told) = telling::<i32>(place.messaging.receiver("jobs"));
    place.send_all("jobs", 0..3);
    next(&told, 3);

    receiver.stop(PATIENCE);

    let other = Messaging::connect(&place.url).unwrap();
    assert_eq!(sums(&other, "jobs"), [3, 0, 0, 0, 0]);
}

#[test]
fn upkeep_writes_by_itself_what_was_counted() {
    let place = Place::new();
    let (_receiver, told) = telling::<i32>(place.messaging.receiver("jobs"));
    // It has looked in vain once.
    pass_time(Duration::from_secs(5));
    place.send_all("jobs", 0..3);
    next(&told, 3);
    let other = Messaging::connect(&place.url).unwrap();

    eventually("what was handled is written", || {
        sums(&other, "jobs")[0] == 3
    });
}

#[test]
fn what_several_processes_counted_is_summed_up() {
    let place = Place::new();
    let other = process(&place.url, Duration::from_secs(2));
    for messaging in [&place.messaging, &other] {
        place.send_all("jobs", 0..3);
        messaging.drain("jobs", done).unwrap();
    }

    sums(&other, "jobs");
    assert_eq!(sums(&place.messaging, "jobs"), [6, 0, 0, 0, 0]);
}

#[test]
fn a_drain_writes_what_it_counted_but_not_each_time() {
    let mut place = Place::new();
    for drains in 1..=3 {
        place.send("jobs", &drains);
        place.drained("jobs");
    }

    let written = place.count("outtray.tally WHERE done = 1");

    assert_eq!(written, 1);
    assert_eq!(sums(&place.messaging, "jobs"), [3, 0, 0, 0, 0]);
}

#[test]
fn tallies_are_removed_after_a_day_and_an_hour() {
    let mut place = Place::new();
    place.sql(
        "INSERT INTO outtray.tally (topic, minute, done, failed, dead, expired, cancelled, handled_us)
        SELECT 'old', floor(extract(epoch FROM now()) / 60)::bigint - ago, 1, 0, 0, 0, 0, 0
        FROM generate_series(1490, 1510) AS ago",
    );
    let (_receiver, told) = telling::<i32>(place.messaging.receiver("jobs"));
    place.send("jobs", &1);
    next(&told, 1);

    eventually("the old ones are gone", || {
        (9..=11).contains(&place.count("outtray.tally WHERE topic = 'old'"))
    });
}

#[test]
fn a_table_that_cannot_be_written_keeps_no_handler_from_its_work() {
    let mut place = Place::new();
    let mut other = client(&place.url);
    let mut holder = other.transaction().unwrap();
    holder.batch_execute("LOCK TABLE outtray.tally").unwrap();
    let (receiver, told) = telling::<i32>(place.messaging.receiver("jobs"));

    place.send_all("jobs", 0..3);

    assert_eq!(next(&told, 3).len(), 3);
    holder.rollback().unwrap();
    receiver.stop(PATIENCE);
    place.await_growth("outtray.tally WHERE done = 3", 1);
}

#[test]
fn topics_that_end_with_their_holders_are_not_counted() {
    let mut place = Place::new();
    let answering = place
        .messaging
        .start_receiving_messages("quotes", |session, message: Message<i32>| {
            session.reply(&message, &(message.payload * 2))?;
            Ok(())
        })
        .unwrap();
    let answer: i32 = place.messaging.request("quotes", &21, PATIENCE).unwrap();
    answering.stop(PATIENCE);

    assert_eq!(answer, 42);
    place.await_growth("outtray.tally WHERE topic = 'quotes'", 1);
    assert_eq!(place.count("outtray.tally WHERE topic <> 'quotes'"), 0);
}
