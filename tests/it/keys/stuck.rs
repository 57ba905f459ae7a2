//! Keys that are stuck cost the others nothing, and can be cleared away.

use super::{TOPIC, keyed};
use crate::support::{
    Gate, NO_POLLING, PATIENCE, Place, client, eventually, next, statement_text, telling,
};
use crossbeam_channel::unbounded;
use outtray::{Message, NewMessage, PoisonedKey, TopicConfig};

/// Looks for stuck keys among so many after one. Returns how many, and the last that was looked
/// at.
fn sweep(place: &mut Place, topic: &str, key: &str, limit: i64) -> (i64, Option<String>) {
    let sweep = statement_text("find_stalled");
    let found = place.client.query(&sweep, &[&topic, &key, &limit]).unwrap();
    let last = found.iter().find(|row| row.get("is_last"));
    let last = last.map(|row| row.get("key"));
    let stuck = found.iter().filter(|row| row.get("is_stuck"));
    let (topics, keys): (Vec<String>, Vec<String>) =
        stuck.map(|row| (row.get("topic"), row.get("key"))).unzip();
    let said_by = uuid::Uuid::from_u128(7);
    let mark = statement_text("mark_stalled");
    let marked = place.client.execute(&mark, &[&topics, &keys, &said_by]);
    (marked.unwrap() as i64, last)
}

/// Puts followers there, one of each of so many keys with nothing before them.
fn strand(place: &mut Place, keys: u32) {
    place.sql(&format!(
        "INSERT INTO outtray.follower (topic, key, rank, id, payload)
        SELECT '{TOPIC}', 'key-' || to_char(number, 'FM00000'), 0, gen_random_uuid(), '1'
        FROM generate_series(1, {keys}) AS number"
    ));
}

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
    place.send_new(keyed("key-1", 7));
    assert_eq!(next(&told, 1), [7]);
    receiver.stop(PATIENCE);
}

#[test]
fn a_purge_leaves_no_trace_of_keys() {
    let mut place = Place::new();
    for n in 0..6 {
        place.send_new(keyed("a", n));
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
    place.send_new(keyed("a", 1));
    place.send_new(keyed("a", 2));
    place.sql("DELETE FROM outtray.message; DELETE FROM outtray.lane");
    assert_eq!(place.count("outtray.follower"), 1);
    // What the sweep of the upkeep runs; it would take half a minute.
    assert_eq!(sweep(&mut place, "", "", 1000), (1, None));

    let (_receiver, told) = telling::<i32>(place.messaging.receiver(TOPIC));

    assert_eq!(next(&told, 1), [2]);
    place.await_no_trace();
}

#[test]
fn a_sweep_goes_on_where_it_stopped() {
    let mut place = Place::new();
    strand(&mut place, 5);

    assert_eq!(
        sweep(&mut place, "", "", 2),
        (2, Some("key-00002".to_owned()))
    );
    assert_eq!(
        sweep(&mut place, TOPIC, "key-00002", 2),
        (2, Some("key-00004".to_owned()))
    );
    assert_eq!(sweep(&mut place, TOPIC, "key-00004", 2), (1, None));

    assert_eq!(place.count("outtray.stalled"), 5);
    assert_eq!(sweep(&mut place, "", "", 1000), (0, None));
}

#[test]
fn a_drain_finds_keys_that_are_stuck_against_all_odds() {
    let mut place = Place::new();
    strand(&mut place, 5);

    let report = place
        .messaging
        .drain(TOPIC, |_, _: Message| Ok(()))
        .unwrap();

    assert_eq!(report.handled, 5);
    place.await_no_trace();
}

#[test]
fn who_takes_messages_by_hand_finds_keys_that_are_stuck_against_all_odds() {
    let mut place = Place::new();
    strand(&mut place, 1);

    let delivery = place
        .messaging
        .topic(TOPIC)
        .receive::<i32>(PATIENCE)
        .unwrap();

    delivery.expect("it is found").ack().unwrap();
    place.await_no_trace();
}

#[test]
fn thousands_of_keys_in_the_hands_of_senders_do_not_keep_another_out() {
    for is_drained in [true, false] {
        let mut place = Place::polling(NO_POLLING);
        strand(&mut place, 2500);
        place.sql(
            "INSERT INTO outtray.lane (topic, key) SELECT topic, key FROM outtray.follower;
            INSERT INTO outtray.stalled (topic, key, said_by) SELECT topic, key, id FROM outtray.follower",
        );
        let mut other = client(&place.url);
        let mut open = other.transaction().unwrap();
        open.batch_execute("SELECT FROM outtray.lane WHERE key <> 'key-02500' FOR UPDATE")
            .unwrap();

        if is_drained {
            let report = place
                .messaging
                .drain(TOPIC, |_, _: Message| Ok(()))
                .unwrap();
            assert_eq!(report.handled, 1);
        } else {
            let (_receiver, told) = telling::<i32>(place.messaging.receiver(TOPIC));
            next(&told, 1);
        }

        assert_eq!(place.count("outtray.follower"), 2499);
        open.rollback().unwrap();
        let report = place
            .messaging
            .drain(TOPIC, |_, _: Message| Ok(()))
            .unwrap();
        assert!(!is_drained || report.handled == 2499);
        place.await_no_trace();
    }
}

#[test]
fn settings_that_say_nothing_of_keys_leave_them_alone() {
    let mut place = Place::new();
    strand(&mut place, 3);
    place.sql("INSERT INTO outtray.lane (topic, key) SELECT topic, key FROM outtray.follower");
    let mut other = client(&place.url);
    let mut open = other.transaction().unwrap();
    // Nobody can do what they are stalled for.
    open.batch_execute("SELECT FROM outtray.lane FOR UPDATE")
        .unwrap();
    let messaging = place.messaging.clone();
    let topic = messaging.topic(TOPIC);
    let mut config = TopicConfig {
        max_attempts: Some(3),
        poisoned_key: Some(PoisonedKey::Skip),
        max_in_work_per_key: Some(1),
        ..TopicConfig::default()
    };

    topic.configure(config.clone()).unwrap();
    topic.configure(TopicConfig::default()).unwrap();
    assert_eq!(place.count("outtray.stalled"), 0);

    for _ in 0..2 {
        config.max_in_work_per_key = Some(2);
        topic.configure(config.clone()).unwrap();
        assert_eq!(place.count("outtray.stalled"), 3);
    }
    config.poisoned_key = Some(PoisonedKey::Block);
    topic.configure(config).unwrap();
    assert_eq!(place.count("outtray.stalled"), 6);
    open.rollback().unwrap();
}

#[test]
fn the_next_of_a_key_comes_at_once_also_without_polls() {
    let mut place = Place::polling(NO_POLLING);
    let (_receiver, told) = telling::<i32>(place.messaging.receiver(TOPIC));
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
