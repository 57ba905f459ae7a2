//! A reader with several lanes handles entries of different keys at the same time, and those of one
//! key in order.

use super::{await_effects, books, enter, entering, reader, telling, told};
use crate::support::{A_WHILE, Gate, NO_POLLING, PATIENCE, Place, pass_time, process};
use outtray::{HandlerError, Message, NewMessage, Position};
use std::collections::BTreeSet;

const LANES: usize = 4;

fn send_keyed(place: &Place, count: i32) {
    place
        .messaging
        .session(|session| {
            for n in 0..count {
                session.send(NewMessage::json("ledger", &n)?.key(format!("{}", n % 20)))?;
            }
            Ok(())
        })
        .unwrap();
}

/// Checks that the entries of each key were read in order.
#[track_caller]
fn check_order(place: &mut Place, count: i32, but: &[i32]) {
    for key in 0..20 {
        let query = format!("SELECT n FROM effect WHERE key = '{key}' ORDER BY at");
        let rows = place.client.query(&query, &[]).unwrap();
        let read: Vec<i32> = rows.iter().map(|row| row.get(0)).collect();
        let of_key = (0..count).filter(|n| n % 20 == key && !but.contains(n));
        assert_eq!(read, of_key.collect::<Vec<_>>(), "key {key}");
    }
}

#[test]
fn lanes_work_side_by_side_and_each_key_is_in_order() {
    let mut place = books();
    send_keyed(&place, 400);
    let gate = Gate::new();
    let at_gate = gate.clone();
    let receiver = reader(&place.messaging, "one")
        .lanes(LANES)
        .batch_size(7)
        .start(move |session, entries: &[Message<i32>]| {
            at_gate.pass();
            enter(session, "one", entries)
        })
        .unwrap();

    gate.await_arrivals(LANES);
    gate.open_for(1000);
    await_effects(&mut place, 400);
    receiver.stop(PATIENCE);

    check_order(&mut place, 400, &[]);
    assert_eq!(place.count("effect"), 400);
}

#[test]
fn who_reads_in_other_lanes_leaves_a_reader_alone_that_was_made_anew() {
    let mut place = books();
    let (old, by_old) = telling(place.messaging.reader("ledger", "one").lanes(LANES));
    place.send("ledger", &-1);
    assert_eq!(told(&by_old, 1), [-1]);
    place
        .messaging
        .topic("ledger")
        .remove_reader("one")
        .unwrap();
    let other = process(&place.url, NO_POLLING);
    // It is there, and nobody reads for it.
    let few = || {
        other
            .reader("ledger", "one")
            .lanes(LANES / 2)
            .from(Position::Now)
    };
    entering(few()).stop(PATIENCE);

    send_keyed(&place, 100);
    pass_time(2 * A_WHILE);
    let new = entering(few());
    await_effects(&mut place, 100);

    check_order(&mut place, 100, &[]);
    new.stop(PATIENCE);
    old.stop(PATIENCE);
    assert_eq!(by_old.len(), 0);
}

#[test]
fn entries_without_a_key_are_spread_over_the_lanes() {
    let mut place = books();
    place.send_all("ledger", 0..200);
    let receiver = reader(&place.messaging, "one")
        .lanes(LANES)
        .start(|session, entries: &[Message<i32>]| {
            let thread = std::thread::current().name().unwrap().to_owned();
            enter(session, &thread, entries)
        })
        .unwrap();
    await_effects(&mut place, 200);
    receiver.stop(PATIENCE);

    let rows = place
        .client
        .query("SELECT n, reader FROM effect", &[])
        .unwrap();
    let numbers: BTreeSet<i32> = rows.iter().map(|row| row.get(0)).collect();
    let threads: BTreeSet<String> = rows.iter().map(|row| row.get(1)).collect();
    assert_eq!(
        (rows.len(), numbers.len(), threads.len()),
        (200, 200, LANES)
    );
}

#[test]
fn an_entry_at_fault_in_one_lane_holds_up_its_key_alone() {
    let mut place = books();
    send_keyed(&place, 200);
    let receiver = reader(&place.messaging, "one")
        .lanes(LANES)
        .max_attempts(2)
        .start(|session, entries: &[Message<i32>]| {
            enter(session, "one", entries)?;
            match entries.iter().any(|entry| entry.payload == 47) {
                true => Err(HandlerError::failed("no")),
                false => Ok(()),
            }
        })
        .unwrap();
    await_effects(&mut place, 199);
    receiver.stop(PATIENCE);

    check_order(&mut place, 200, &[47]);
    assert_eq!(place.dead_letters("ledger@one").len(), 1);
}
