//! A message whose time is over is not handled: it becomes a dead letter, or is gone, as its topic
//! is set up.

mod held_up;

use crate::support::{
    Gate, HOUR, MINUTE, PATIENCE, Place, client, eventually, next, statement_text,
};
use crossbeam_channel::unbounded;
use outtray::{Backoff, DeadReason, Expired, HandlerError, Message, NewMessage, TopicConfig};
use std::time::Duration;

fn perishable(payload: i32) -> NewMessage {
    NewMessage::json("jobs", &payload).unwrap().expires_in(HOUR)
}

fn drop_expired(place: &Place) {
    let config = TopicConfig {
        expired: Some(Expired::Drop),
        ..TopicConfig::default()
    };
    place.messaging.topic("jobs").configure(config).unwrap();
}

/// Returns the payloads of the dead letters that expired, sorted.
fn expired(place: &Place) -> Vec<String> {
    let letters = place.dead_letters("jobs");
    assert!(
        letters
            .iter()
            .all(|letter| letter.reason == DeadReason::Expired)
    );
    let mut payloads: Vec<_> = letters
        .iter()
        .map(|letter| letter.payload.to_string())
        .collect();
    payloads.sort();
    payloads
}

#[test]
fn a_message_whose_time_is_over_is_not_handled_and_the_others_are() {
    let mut place = Place::new();
    place.send_new(perishable(1));
    place.send("jobs", &2);
    place.make_expired();
    place.send_new(perishable(3));
    let (tell, told) = unbounded();

    let report = place
        .messaging
        .drain("jobs", move |_, message: Message<i32>| {
            Ok(tell.send(message.payload)?)
        })
        .unwrap();

    assert_eq!((report.handled, report.dead, report.dropped), (2, 1, 0));
    assert_eq!(next(&told, 2), [2, 3]);
    let letters = place.dead_letters("jobs");
    assert_eq!(expired(&place), ["1"]);
    assert_eq!(letters[0].attempts, 0);
    assert_eq!(letters[0].error, "its time was over before it was handled");
}

#[test]
fn a_topic_can_drop_what_expires() {
    let mut place = Place::new();
    drop_expired(&place);
    place.send_new(perishable(1));
    place.send("jobs", &2);
    place.make_expired();

    let report = place
        .messaging
        .drain("jobs", |_, _: Message<i32>| Ok(()))
        .unwrap();

    assert_eq!((report.handled, report.dead, report.dropped), (1, 0, 1));
    assert!(place.is_empty("jobs"));
    assert!(place.dead_letters("jobs").is_empty());
}

#[test]
fn a_drain_under_leases_counts_what_its_topic_drops() {
    let mut place = Place::new();
    drop_expired(&place);
    place.send_new(perishable(1));
    place.send("jobs", &2);
    place.make_expired();

    let report = place
        .messaging
        .receiver("jobs")
        .lease(MINUTE)
        .drain(|_, _: Message<i32>| Ok(()))
        .unwrap();

    assert_eq!((report.handled, report.dead, report.dropped), (1, 0, 1));
    assert!(place.is_empty("jobs"));
}

#[test]
fn a_topic_says_for_how_long_messages_are_worth_handling_that_do_not() {
    let mut place = Place::new();
    let config = TopicConfig {
        expires_in: Some(HOUR),
        ..TopicConfig::default()
    };
    place.messaging.topic("jobs").configure(config).unwrap();

    place.send("jobs", &1);
    place.send_new(NewMessage::json("jobs", &2).unwrap().expires_in(HOUR * 2));

    let ends =
        "SELECT extract(epoch FROM expires_at - sent_at) FROM outtray.message WHERE payload::text";
    assert_eq!(place.number(&format!("{ends} = '1'")), 3600.0);
    assert_eq!(place.number(&format!("{ends} = '2'")), 7200.0);
}

#[test]
fn what_nobody_claims_expires_too_and_nothing_that_is_in_work() {
    let mut place = Place::watchful();
    place.sql(
        "INSERT INTO outtray.lane (topic, key) VALUES ('jobs', 'k'), ('jobs', 'held');
         INSERT INTO outtray.follower (topic, key, rank, id, expires_at, payload)
             VALUES ('jobs', 'k', 0, gen_random_uuid(), now() + interval '1 hour', '3'),
                    ('jobs', 'k', 0, gen_random_uuid(), NULL, '4'),
                    ('jobs', 'held', 0, gen_random_uuid(), now() + interval '1 hour', '5');
         INSERT INTO outtray.scheduled (topic, rank, id, due_at, expires_at, payload, receipt, seq)
             VALUES ('jobs', 0, gen_random_uuid(), now() + interval '1 day', now() + interval '1 hour', '6',
                 gen_random_uuid(), 1)",
    );
    place.send_new(perishable(1));
    place.send_new(perishable(2).delay(HOUR * 2));
    place.send_new(perishable(7));
    place.messaging.topic("jobs").pause().unwrap();
    place.make_expired();
    let mut holder = client(&place.url);
    let mut held = holder.transaction().unwrap();
    held.batch_execute(
        "SELECT FROM outtray.lane WHERE key = 'held' FOR UPDATE;
         SELECT FROM outtray.message WHERE payload::text = '7' FOR UPDATE",
    )
    .unwrap();

    // Any receiver of the process will do.
    let receiver = place.idle_receiver();
    eventually("they expire", || expired(&place) == ["1", "2", "3"]);

    let stats = place.messaging.topic("jobs").stats().unwrap();
    assert_eq!((stats.leased, stats.behind, stats.scheduled), (1, 2, 0));
    held.rollback().unwrap();
    eventually("the rest expires", || {
        expired(&place) == ["1", "2", "3", "5", "7"]
    });
    let stats = place.messaging.topic("jobs").stats().unwrap();
    assert_eq!((stats.leased, stats.behind, stats.ready), (1, 1, 0));
    receiver.stop(PATIENCE);
}

#[test]
fn what_nobody_claims_is_dropped_where_the_topic_says_so() {
    let mut place = Place::watchful();
    drop_expired(&place);
    place.messaging.topic("jobs").pause().unwrap();
    for payload in 0..50 {
        place.send_new(perishable(payload));
        place.send_new(perishable(payload).delay(HOUR * 2));
    }
    place.send("jobs", &100);
    let receiver = place.idle_receiver();

    place.make_expired();
    eventually("they are gone", || {
        let stats = place.messaging.topic("jobs").stats().unwrap();
        (stats.ready, stats.scheduled) == (1, 0)
    });
    receiver.stop(PATIENCE);

    assert!(place.dead_letters("jobs").is_empty());
}

#[test]
fn messages_expire_when_their_time_is_over_while_others_flow() {
    let mut place = Place::new();
    place.sql("CREATE TABLE effect (n integer)");
    let gate = Gate::new();
    let handler_gate = gate.clone();
    let receiver = place
        .messaging
        .receiver("jobs")
        .workers(1)
        .messages_per_transaction(1)
        .start(move |session, message: Message<i32>| {
            if message.payload == 0 {
                handler_gate.pass();
            }
            session.execute("INSERT INTO effect VALUES ($1)", &[&message.payload])?;
            Ok(())
        })
        .unwrap();
    place.send("jobs", &0);
    gate.await_arrivals(1);
    let soon = Duration::from_millis(300);
    for payload in 1..20 {
        place.send("jobs", &payload);
        place.send_new(perishable(-payload).expires_in(soon));
    }

    eventually("all of them are dead letters", || {
        expired(&place).len() == 19
    });
    gate.open_for(1);
    eventually("the others are handled", || place.is_empty("jobs"));
    receiver.stop(PATIENCE);

    assert_eq!(place.count("effect"), 20);
    assert_eq!(place.count("effect WHERE n < 0"), 0);
}

#[test]
fn a_message_in_work_whose_time_is_over_may_finish() {
    let mut place = Place::watchful();
    let gate = Gate::new();
    let receiver = gate.holding(place.messaging.receiver("jobs"));
    place.send_new(perishable(1).expires_in(Duration::from_millis(500)));
    gate.await_arrivals(1);

    let over = "SELECT (expires_at < clock_timestamp())::int FROM outtray.message";
    eventually("its time is over", || place.number(over) == 1.0);
    // Others come and go meanwhile.
    place.send_new(perishable(2).delay(HOUR));
    place.sql("UPDATE outtray.scheduled SET expires_at = now()");
    eventually("somebody looked", || expired(&place) == ["2"]);
    gate.open_for(1);
    eventually("it is done", || place.is_empty("jobs"));
    receiver.stop(PATIENCE);

    assert_eq!(expired(&place), ["2"]);
}

#[test]
fn a_message_whose_retry_would_come_too_late_expires_with_the_error_of_its_last_attempt() {
    let mut place = Place::watchful();
    let receiver = place
        .messaging
        .receiver("jobs")
        .backoff(Backoff::fixed(HOUR * 2))
        .start(|_, _: Message<i32>| Err(HandlerError::failed("the printer is on fire")))
        .unwrap();
    place.send_new(perishable(1));
    eventually("it waits", || place.count("outtray.scheduled") == 1);

    place.make_expired();
    eventually("it expires", || expired(&place) == ["1"]);
    receiver.stop(PATIENCE);

    let letter = &place.dead_letters("jobs")[0];
    assert_eq!(letter.attempts, 1);
    assert_eq!(
        letter.error,
        "its time was over before it was handled; before: the printer is on fire"
    );
}

#[test]
fn an_expired_head_of_a_strict_topic_holds_nobody_up() {
    let mut place = Place::watchful();
    let (tell, told) = unbounded();
    let receiver = place
        .messaging
        .receiver("jobs")
        .strict_order()
        .backoff(Backoff::fixed(HOUR * 2))
        .start(move |_, message: Message<i32>| {
            tell.send(message.payload)?;
            match message.payload {
                1 => Err(HandlerError::failed("again")),
                _ => Ok(()),
            }
        })
        .unwrap();
    place.send_new(perishable(1));
    place.send("jobs", &2);
    assert_eq!(next(&told, 1), [1]);
    eventually("it waits", || {
        place.count("outtray.message WHERE not_before IS NOT NULL") == 1
    });

    place.make_expired();

    assert_eq!(next(&told, 1), [2]);
    eventually("all done", || place.is_empty("jobs"));
    receiver.stop(PATIENCE);
    assert_eq!(expired(&place), ["1"]);
}

#[test]
fn a_redriven_message_expires_no_more() {
    let mut place = Place::new();
    place.send_new(perishable(1));
    place.make_expired();
    place
        .messaging
        .drain("jobs", |_, _: Message<i32>| Ok(()))
        .unwrap();
    assert_eq!(expired(&place), ["1"]);

    place.messaging.topic("jobs").redrive(..).unwrap();

    let report = place
        .messaging
        .drain("jobs", |_, _: Message<i32>| Ok(()))
        .unwrap();
    assert_eq!((report.handled, report.dead), (1, 0));
}

#[test]
fn two_processes_and_their_workers_end_each_expired_message_once() {
    let mut place = Place::watchful();
    let other = crate::support::process(&place.url, Duration::from_millis(50));
    for payload in 0..300 {
        place.send_new(perishable(payload));
        place.send_new(perishable(payload).delay(HOUR * 2));
    }
    place.make_expired();

    let receivers = [&place.messaging, &other].map(|messaging| {
        messaging
            .start_receiving_messages("jobs", |_, _: Message<i32>| {
                Err(HandlerError::reject("handled after its time"))
            })
            .unwrap()
    });
    eventually("all of them are dead letters", || place.is_empty("jobs"));
    for receiver in receivers {
        receiver.stop(PATIENCE);
    }

    assert_eq!(
        place.count("outtray.dead_letter WHERE reason = 'expired'"),
        600
    );
    assert_eq!(place.count("outtray.dead_letter"), 600);
}

#[test]
fn messages_whose_time_is_not_over_are_not_looked_at_when_that_of_others_is() {
    let mut place = Place::new();
    for (table, columns, values) in [
        ("message", "", ""),
        ("scheduled", ", due_at", ", now() + interval '1 day'"),
        ("follower", ", key", ", 'k'"),
    ] {
        place.sql(&format!(
            "INSERT INTO outtray.{table} (topic, rank, id, payload, expires_at{columns})
                 SELECT 'jobs', 0, gen_random_uuid(), '0', now() + interval '1 day'{values}
                 FROM generate_series(1, 20000);
             ANALYZE outtray.{table}"
        ));
    }

    for statement in [
        statement_text("expire_ready"),
        statement_text("expire_scheduled"),
        statement_text("lock_expired_lanes"),
    ] {
        let statement = statement
            .replace("$1::bigint", "1000")
            .replace("$2::text[]", "'{}'::text[]")
            .replace("$3::text", "''");
        let plan = place
            .client
            .query(&format!("EXPLAIN {statement}"), &[])
            .unwrap();
        let plan: Vec<String> = plan.iter().map(|row| row.get(0)).collect();
        let plan = plan.join("\n");
        assert!(plan.contains("Index Cond: (expires_at <="), "{plan}");
    }
}
