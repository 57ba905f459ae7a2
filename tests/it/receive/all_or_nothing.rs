//! A handler's writes, its sends and the acknowledgement commit together, or none of them does.

use crate::support::{Gate, PATIENCE, Place, eventually, next};
use crossbeam_channel::unbounded;
use outtray::{Backoff, HandlerError, Message};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

#[test]
fn what_a_handler_saves_and_sends_exists_after_its_commit() {
    let mut place = Place::new();
    place.sql("CREATE TABLE thing (name text)");
    place.send("first", "teapot");
    let (tell, told) = unbounded();

    let _first = place
        .messaging
        .start_receiving_messages("first", |session, message: Message<String>| {
            session.execute("INSERT INTO thing VALUES ($1)", &[&message.payload])?;
            session.send_message("second", &message.payload)?;
            Ok(())
        })
        .unwrap();
    let _second = place
        .messaging
        .start_receiving_messages("second", move |session, message: Message<String>| {
            let rows = session.query("SELECT name FROM thing", &[])?;
            Ok(tell.send((message.payload, rows.len()))?)
        })
        .unwrap();

    assert_eq!(next(&told, 1), [("teapot".to_owned(), 1)]);
}

#[test]
fn nothing_of_a_handler_exists_when_its_connection_dies_and_the_message_comes_again() {
    let mut place = Place::new();
    place.sql("CREATE TABLE thing (name text)");
    place.send("first", "teapot");
    let runs = AtomicUsize::new(0);
    let gate = Gate::new();

    let handler_gate = gate.clone();
    let receiver = place
        .messaging
        .start_receiving_messages("first", move |session, message: Message<String>| {
            let run = runs.fetch_add(1, Ordering::SeqCst);
            if run > 0 {
                handler_gate.pass();
            }
            session.execute("INSERT INTO thing VALUES ($1)", &[&message.payload])?;
            session.send_message("second", &message.attempt)?;
            if run == 0 {
                session.execute("SELECT pg_terminate_backend(pg_backend_pid())", &[])?;
            }
            Ok(())
        })
        .unwrap();

    gate.await_arrivals(1);
    assert_eq!(place.count("thing"), 0);
    assert!(place.is_empty("second"));
    gate.open_for(1);
    eventually("handled", || place.is_empty("first"));
    receiver.stop(PATIENCE);
    assert_eq!(place.count("thing"), 1);
    let sent = place.messaging.topic("second").peek(10).unwrap();
    assert_eq!(sent.len(), 1);
    assert_eq!(
        sent[0].payload.to_string(),
        "1",
        "a lost connection is not charged"
    );
}

#[test]
fn what_a_failing_handler_wrote_and_sent_is_invisible_and_its_message_returns_after_the_delay() {
    let mut place = Place::watchful();
    place.sql("CREATE TABLE thing (name text)");
    let id = place.send("jobs", "teapot");
    let (tell, told) = unbounded();

    let receiver = place
        .messaging
        .receiver("jobs")
        .backoff(Backoff::fixed(Duration::from_secs(100)).without_jitter())
        .start(move |session, message: Message<String>| {
            session.execute("INSERT INTO thing VALUES ($1)", &[&message.payload])?;
            session.send_message("other", &message.payload)?;
            tell.send((message.id, message.attempt))?;
            match message.attempt {
                1 => Err(HandlerError::failed("not yet")),
                _ => Ok(()),
            }
        })
        .unwrap();
    assert_eq!(next(&told, 1), [(id, 1)]);
    eventually("it waits", || place.count("outtray.scheduled") == 1);

    assert_eq!(
        (place.count("thing"), place.count("outtray.message")),
        (0, 0)
    );
    let due_in = place.due_in();
    assert!((80.0..=100.0).contains(&due_in), "{due_in}");

    place.make_due();
    assert_eq!(next(&told, 1), [(id, 2)]);
    eventually("handled", || place.is_empty("jobs"));
    receiver.stop(PATIENCE);
    assert_eq!(
        (place.count("thing"), place.count("outtray.message")),
        (1, 1)
    );
}

#[test]
fn a_message_sent_by_a_failing_handler_arrives_once_the_handler_succeeds() {
    let mut place = Place::watchful();
    place.send("work", "first");
    let (tell, told) = unbounded();

    let _receiver = place
        .messaging
        .receiver("work")
        .workers(1)
        .backoff(Backoff::fixed(Duration::from_secs(100)))
        .start(move |session, message: Message<String>| {
            tell.send((message.payload.clone(), message.attempt))?;
            if message.payload == "first" {
                session.send_message("work", "second")?;
                if message.attempt == 1 {
                    return Err(HandlerError::failed("after it sent"));
                }
            }
            Ok(())
        })
        .unwrap();
    assert_eq!(next(&told, 1), [("first".to_owned(), 1)]);
    eventually("it waits", || place.count("outtray.scheduled") == 1);
    assert_eq!(place.count("outtray.message"), 0);
    place.make_due();

    let expected = [("first".to_owned(), 2), ("second".to_owned(), 1)];
    assert_eq!(next(&told, 2), expected);
}

#[test]
fn a_failing_handler_does_not_make_its_batch_mates_run_again() {
    let mut place = Place::new();
    place.sql("CREATE TABLE effect (n integer)");
    place.send_all("numbers", 0..10);
    let (tell, told) = unbounded();

    let receiver = place
        .messaging
        .receiver("numbers")
        .workers(1)
        .max_attempts(1)
        .messages_per_transaction(10)
        .start(move |session, message: Message<i32>| {
            session.execute("INSERT INTO effect VALUES ($1)", &[&message.payload])?;
            session.send_message("sent", &message.payload)?;
            tell.send(message.payload)?;
            match message.payload % 3 {
                0 => Err(HandlerError::failed("divisible")),
                1 => panic!("nearly divisible"),
                _ => Ok(()),
            }
        })
        .unwrap();
    eventually("all settled", || place.is_empty("numbers"));
    receiver.stop(PATIENCE);

    assert_eq!(
        told.try_iter().collect::<Vec<_>>(),
        (0..10).collect::<Vec<_>>()
    );
    assert_eq!(place.dead_letters("numbers").len(), 7);
    assert_eq!(place.number("SELECT sum(n) FROM effect"), 15.0);
    assert_eq!(place.count("outtray.message WHERE topic = 'sent'"), 3);
}

#[test]
fn a_failing_handler_that_sent_so_many_that_they_were_stored_early_sent_nothing() {
    let place = Place::new();
    place.send_all("numbers", 0..3);

    let receiver = place
        .messaging
        .receiver("numbers")
        .workers(1)
        .max_attempts(1)
        .messages_per_transaction(3)
        .start(|session, message: Message<i32>| {
            session.send_message("sent", &message.payload)?;
            if message.payload == 1 {
                session.send_messages("sent", 0..12_000)?;
                return Err(HandlerError::failed("after 12,001 messages"));
            }
            Ok(())
        })
        .unwrap();
    eventually("all settled", || place.is_empty("numbers"));
    receiver.stop(PATIENCE);

    let sent = place.messaging.topic("sent").peek(10).unwrap();
    let sent: Vec<String> = sent
        .iter()
        .map(|message| message.payload.to_string())
        .collect();
    assert_eq!(sent, ["0", "2"]);
}
