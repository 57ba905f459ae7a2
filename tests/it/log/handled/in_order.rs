//! A reader gets every entry once, in the order of the log, in batches.

use super::{await_effects, books, effects, enter, entering, reader, telling, told};
use crate::support::{
    A_WHILE, Gate, NO_POLLING, PATIENCE, Place, by_socket, deaf_process, eventually, pass_time,
    process, send,
};
use crossbeam_channel::unbounded;
use outtray::{
    ErrorKind, HandlerError, LogPosition, Message, Messaging, NewMessage, Payload, Position,
};
use std::time::Duration;

#[test]
fn a_reader_gets_all_entries_in_the_order_of_sending() {
    let place = books();
    place.send_all("ledger", 0..1234);
    place.send("ledger", &1234);

    let (receiver, batches) = telling(place.messaging.reader("ledger", "one").batch_size(100));
    let seen = told(&batches, 1235);
    receiver.stop(PATIENCE);

    assert_eq!(seen, (0..1235).collect::<Vec<_>>());
    assert_eq!(batches.len(), 0);
}

#[test]
fn a_batch_has_as_many_entries_as_are_there_and_no_more_than_asked_for() {
    let place = books();
    place.send_all("ledger", 0..25);

    let (receiver, batches) = telling(place.messaging.reader("ledger", "one").batch_size(10));
    let sizes: Vec<usize> = batches.iter().take(3).map(|batch| batch.len()).collect();
    receiver.stop(PATIENCE);

    assert_eq!(sizes, [10, 10, 5]);
}

#[test]
fn what_is_sent_while_a_reader_waits_wakes_it() {
    let place = books();
    let elsewhere = process(&place.url, NO_POLLING);
    let (receiver, batches) = telling(elsewhere.reader("ledger", "one"));
    for n in 0..5 {
        // From this process, and from that of the reader.
        send(
            if n % 2 == 0 {
                &place.messaging
            } else {
                &elsewhere
            },
            "ledger",
            &n,
        );
        assert_eq!(told(&batches, 1), [n]);
    }
    receiver.stop(PATIENCE);
}

#[test]
fn what_no_hint_tells_of_is_found_by_polling() {
    let place = books();
    let deaf = deaf_process(&place.url, A_WHILE);
    let (receiver, batches) = telling(deaf.reader("ledger", "one"));
    place.send("ledger", &1);
    assert_eq!(told(&batches, 1), [1]);
    place.send("ledger", &2);
    assert_eq!(told(&batches, 1), [2]);
    receiver.stop(PATIENCE);
}

/// Checks that a reader which has nothing to do hears that it was moved from another process.
#[track_caller]
fn check_moved(place: &Place, messaging: &Messaging, idle: Duration) {
    let (receiver, batches) = telling(messaging.reader("ledger", "one"));
    place.send("ledger", &1);
    let ledger = place.messaging.topic("ledger");
    let mut at = None;
    for _ in 0..2 {
        assert_eq!(told(&batches, 1), [1]);
        pass_time(idle);
        at = Some(ledger.seek("one", Position::Start).unwrap());
    }
    assert_eq!(told(&batches, 1), [1]);
    pass_time(idle);
    ledger.seek("one", at.unwrap()).unwrap();
    assert_eq!(told(&batches, 1), [1]);
    receiver.stop(PATIENCE);
}

#[test]
fn a_reader_that_has_nothing_to_do_hears_that_it_was_moved() {
    for idle in [Duration::ZERO, A_WHILE, 3 * A_WHILE] {
        let place = books();
        check_moved(&place, &process(&place.url, NO_POLLING), idle);
        let place = books();
        check_moved(&place, &place.messaging, idle);
    }
}

#[test]
fn a_reader_that_was_moved_finds_that_out_by_polling() {
    let place = books();
    check_moved(&place, &deaf_process(&place.url, A_WHILE), 3 * A_WHILE);
}

#[test]
fn each_reader_reads_all_of_it() {
    let place = books();
    place.send_all("ledger", 0..100);

    let started =
        ["one", "two", "three"].map(|name| telling(place.messaging.reader("ledger", name)));
    for (_, batches) in &started {
        assert_eq!(told(batches, 100), (0..100).collect::<Vec<_>>());
    }
    drop(started);
}

#[test]
fn a_new_reader_begins_where_it_is_told_and_an_old_one_goes_on_where_it_was() {
    let place = books();
    place.send_all("ledger", 0..10);
    let (tell, positions) = unbounded();
    let first =
        place
            .messaging
            .reader("ledger", "all")
            .start(move |_, entries: &[Message<i32>]| {
                for entry in entries {
                    tell.send((entry.payload, entry.log_position()))?;
                }
                Ok(())
            });
    let position = |wanted: i32| -> LogPosition {
        let mut told = positions.iter();
        told.find(|(n, _)| *n == wanted)
            .and_then(|(_, at)| at)
            .unwrap()
    };
    let at = position(4);
    first.unwrap().stop(PATIENCE);

    let (late, from_there) = telling(
        place
            .messaging
            .reader("ledger", "late")
            .from(Position::At(at)),
    );
    let (new, from_now) = telling(place.messaging.reader("ledger", "new").from(Position::Now));
    assert_eq!(told(&from_there, 5), [5, 6, 7, 8, 9]);
    place.send("ledger", &10);
    assert_eq!(told(&from_now, 1), [10]);
    assert_eq!(told(&from_there, 1), [10]);
    late.stop(PATIENCE);
    new.stop(PATIENCE);

    // Where it is said to begin counts only once.
    place.send("ledger", &11);
    let (late, from_there) = telling(
        place
            .messaging
            .reader("ledger", "late")
            .from(Position::Start),
    );
    assert_eq!(told(&from_there, 1), [11]);
    late.stop(PATIENCE);
}

#[test]
fn what_a_handler_does_commits_with_the_place_or_not_at_all() {
    let mut place = books();
    place.send_all("ledger", 0..10);
    let gate = Gate::new();
    let at_gate = gate.clone();

    let receiver = place
        .messaging
        .reader("ledger", "one")
        .start(move |session, entries: &[Message<i32>]| {
            enter(session, "one", entries)?;
            session.send_message("next", &entries.len())?;
            at_gate.pass();
            Ok(())
        })
        .unwrap();
    gate.await_arrivals(1);
    assert_eq!((place.count("effect"), place.is_empty("next")), (0, true));
    place.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND state = 'idle in transaction'",
    );
    gate.open_for(1);
    gate.await_arrivals(1);
    assert_eq!((place.count("effect"), place.is_empty("next")), (0, true));
    gate.open_for(1);
    await_effects(&mut place, 10);
    receiver.stop(PATIENCE);

    assert_eq!(effects(&mut place), (0..10).collect::<Vec<_>>());
    assert_eq!(place.handled::<usize>("next"), [10]);
}

#[test]
fn a_stopped_reader_ends_its_batch_and_the_next_one_goes_on_after_it() {
    let mut place = books();
    place.send_all("ledger", 0..30);
    let gate = Gate::new();
    let at_gate = gate.clone();
    let receiver = place
        .messaging
        .reader("ledger", "one")
        .batch_size(10)
        .start(move |session, entries: &[Message<i32>]| {
            at_gate.pass();
            enter(session, "one", entries)
        })
        .unwrap();
    gate.await_arrivals(1);

    receiver.request_stop();
    gate.open_for(1);
    let report = receiver.stop(PATIENCE);

    assert_eq!((report.finished, report.abandoned), (10, 0));
    assert_eq!(effects(&mut place), (0..10).collect::<Vec<_>>());
    let receiver = entering(reader(&place.messaging, "one"));
    await_effects(&mut place, 30);
    receiver.stop(PATIENCE);
    assert_eq!(effects(&mut place), (0..30).collect::<Vec<_>>());
}

#[test]
fn a_paused_log_is_not_read_and_a_resumed_one_is() {
    let place = books();
    place.messaging.topic("ledger").pause().unwrap();
    place.send_all("ledger", 0..10);
    let (receiver, batches) = telling(place.messaging.reader("ledger", "one"));
    assert!(batches.recv_timeout(A_WHILE).is_err());

    place.messaging.topic("ledger").resume().unwrap();
    assert_eq!(told(&batches, 10), (0..10).collect::<Vec<_>>());
    receiver.stop(PATIENCE);
}

#[test]
fn a_reader_that_has_read_all_leaves_no_transaction_and_no_connection_at_work() {
    let mut place = books();
    place.send_all("ledger", 0..10);
    let receiver = entering(reader(&place.messaging, "one"));
    await_effects(&mut place, 10);

    let holder = "SELECT count(*) FROM outtray.log_place WHERE holder IS NOT NULL";
    eventually("nothing is in hand", || place.number(holder) == 0.0);
    let at_work = "pg_stat_activity WHERE datname = current_database()
        AND state <> 'idle' AND pid <> pg_backend_pid()";
    eventually("nobody is at work", || place.count(at_work) == 0);
    receiver.stop(PATIENCE);
}

#[track_caller]
fn check_refused(error: &outtray::Error, text: &str) {
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error:?}");
    assert!(error.to_string().contains(text), "{error}");
}

#[test]
fn what_is_no_log_or_no_reader_is_refused() {
    let place = books();
    let start = |topic: &str, name: &str, lanes: usize, batch: usize| {
        let reader = place
            .messaging
            .reader(topic, name)
            .lanes(lanes)
            .batch_size(batch);
        let started = reader.start(|_, _: &[Message<i32>]| Ok::<(), HandlerError>(()));
        started.map(drop)
    };
    check_refused(&start("queue", "one", 1, 1).unwrap_err(), "no log");
    check_refused(&start("ledger", "", 1, 1).unwrap_err(), "name");
    check_refused(&start("ledger", "a b", 1, 1).unwrap_err(), "name");
    check_refused(
        &start("ledger", &"x".repeat(194), 1, 1).unwrap_err(),
        "name",
    );
    check_refused(&start("ledger", "one", 0, 1).unwrap_err(), "lanes");
    check_refused(&start("ledger", "one", 257, 1).unwrap_err(), "lanes");
    check_refused(&start("ledger", "one", 1, 0).unwrap_err(), "batch_size");
    check_refused(&start("ledger", "one", 1, 5_001).unwrap_err(), "batch_size");
    start("ledger", "one", 2, 500).unwrap();
    check_refused(&start("ledger", "one", 3, 500).unwrap_err(), "2 lanes");
}

#[test]
fn entries_with_bytes_headers_and_keys_are_read_as_they_were_sent() {
    let place = books();
    place.send_new(
        NewMessage::bytes("ledger", [1, 2, 3])
            .key("k")
            .header("region", "eu"),
    );
    let (tell, told) = unbounded();
    let receiver = place
        .messaging
        .reader("ledger", "one")
        .start(move |_, entries: &[Message<Payload>]| {
            for entry in entries {
                tell.send((entry.clone(), entry.topic.clone()))?;
            }
            Ok(())
        })
        .unwrap();
    let (entry, topic) = told.recv_timeout(PATIENCE).unwrap();
    receiver.stop(PATIENCE);

    assert_eq!(entry.payload.as_bytes(), [1, 2, 3]);
    assert_eq!(
        (topic.as_str(), entry.key.as_deref()),
        ("ledger", Some("k"))
    );
    assert_eq!((entry.attempt, entry.headers["region"].as_str()), (1, "eu"));
}

/// Checks that a process which is connected in this way reads all, and puts aside what fails.
#[track_caller]
fn check_way(connect: impl Fn(&str) -> Messaging) {
    let mut place = books();
    place.send_all("ledger", 0..100);
    let messaging = connect(&place.url);
    let receiver = reader(&messaging, "one")
        .batch_size(30)
        .max_attempts(2)
        .start(|session, entries: &[Message<i32>]| {
            enter(session, "one", entries)?;
            match entries.iter().any(|entry| entry.payload == 42) {
                true => Err(HandlerError::failed("no")),
                false => Ok(()),
            }
        })
        .unwrap();
    await_effects(&mut place, 99);
    eventually("it is dead", || place.dead_letters("ledger@one").len() == 1);
    receiver.stop(PATIENCE);

    assert_eq!(
        effects(&mut place),
        (0..100).filter(|n| *n != 42).collect::<Vec<_>>()
    );
}

#[test]
fn a_log_is_read_through_a_socket_file() {
    check_way(|url| Messaging::connect(&by_socket(url)).unwrap());
}

#[test]
fn a_log_is_read_behind_a_pooler() {
    check_way(|url| {
        let builder = Messaging::builder().url(url).pooler_safe(true);
        builder.connect().unwrap()
    });
}
