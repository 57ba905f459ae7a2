//! Keys that are stuck cost the others nothing, and can be cleared away.

use super::{TOPIC, keyed};
use crate::support::{Gate, NO_POLLING, PATIENCE, Place, eventually, next};
use crossbeam_channel::unbounded;
use outtray::{Message, NewMessage};

#[test]
fn ten_thousand_stuck_messages_are_not_where_claims_look() {
    let mut place = Place::new();
    let gate = Gate::new();
    place
        .messaging
        .session(|session| {
            for n in 0..10_000 {
                session.send(keyed(&format!("key-{}", n % 3), n))?;
            }
            Ok(())
        })
        .unwrap();
    let (tell, told) = unbounded();
    let handler_gate = gate.clone();
    let receiver = place
        .messaging
        .receiver(TOPIC)
        .workers(4)
        .messages_per_transaction(1)
        .start(move |_, message: Message<i32>| {
            if message.key.is_some() {
                handler_gate.pass();
            }
            Ok(tell.send(message.payload)?)
        })
        .unwrap();
    gate.await_arrivals(3);

    place.send_all(TOPIC, 0..100);
    next(&told, 100);

    // The last of the others was told of before its commit.
    eventually("heads only", || place.count("outtray.message") == 3);
    assert_eq!(place.count("outtray.follower"), 9_997);
    let stats = place.messaging.topic(TOPIC).stats().unwrap();
    assert_eq!((stats.ready, stats.behind), (3, 9_997));
    // Those in work stay, and their keys are free afterwards.
    let purged = place.messaging.topic(TOPIC).purge().unwrap();
    assert_eq!(purged, 9_997);
    gate.open_for(3);
    next(&told, 3);
    place.await_no_trace();
    gate.open_for(1);
    place.send_keyed("key-1", 7);
    assert_eq!(next(&told, 1), [7]);
    receiver.stop(PATIENCE);
}

#[test]
fn a_purge_leaves_no_trace_of_keys() {
    let mut place = Place::new();
    for n in 0..6 {
        place.send_keyed("a", n);
        place.send_new(keyed("b", n).delay(std::time::Duration::from_secs(60)));
    }
    place.send_new(NewMessage::json("other", &1).unwrap().key("a"));

    assert_eq!(place.messaging.topic(TOPIC).purge().unwrap(), 12);

    assert_eq!(place.count("outtray.lane"), 1, "of the other topic");
    assert_eq!(place.count("outtray.stalled"), 0);
    assert_eq!(place.count("outtray.message"), 1);
}

#[test]
fn a_key_that_is_stuck_against_all_odds_is_found() {
    let mut place = Place::watchful();
    place.send_keyed("a", 1);
    place.send_keyed("a", 2);
    place.sql("DELETE FROM outtray.message; DELETE FROM outtray.lane");
    assert_eq!(place.count("outtray.follower"), 1);
    // What the sweep of the upkeep runs; it would take half a minute.
    let sweep = include_str!("../../../src/store/sql/find_stalled.sql");
    place.client.execute(sweep, &[&outtray_id()]).unwrap();
    let (tell, told) = unbounded();

    let _receiver = place
        .messaging
        .start_receiving_messages(TOPIC, move |_, message: Message<i32>| {
            Ok(tell.send(message.payload)?)
        })
        .unwrap();

    assert_eq!(next(&told, 1), [2]);
    place.await_no_trace();
}

fn outtray_id() -> uuid::Uuid {
    uuid::Uuid::from_u128(7)
}

#[test]
fn the_next_of_a_key_comes_at_once_also_without_polls() {
    let mut place = Place::polling(NO_POLLING);
    let (tell, told) = unbounded();
    let _receiver = place
        .messaging
        .start_receiving_messages(TOPIC, move |_, message: Message<i32>| {
            Ok(tell.send(message.payload)?)
        })
        .unwrap();
    place
        .messaging
        .session(|session| {
            for n in 0..500 {
                session.send(keyed("a", n))?;
            }
            Ok(())
        })
        .unwrap();

    assert_eq!(next(&told, 500), (0..500).collect::<Vec<_>>());
    eventually("gone", || place.count("outtray.lane") == 0);
}
