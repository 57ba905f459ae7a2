//! Every message is handled, and counts once, whatever the number of workers.

use crate::support::{Gate, PATIENCE, Place, eventually, next, telling};
use crossbeam_channel::unbounded;
use outtray::{HandlerError, Message, MessagingSession};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

fn count_it(session: &mut MessagingSession<'_>, message: Message<i32>) -> Result<(), HandlerError> {
    session.execute("INSERT INTO effect VALUES ($1)", &[&message.payload])?;
    Ok(())
}

/// Sends this many numbers, and checks that each had its effect once and nothing is left.
fn check_all_once(count: i32, workers: usize, per_transaction: Option<usize>) {
    let mut place = Place::new();
    place.sql("CREATE TABLE effect (n integer)");
    place.send_all("numbers", 0..count);
    let mut builder = place.messaging.receiver("numbers").workers(workers);
    if let Some(per_transaction) = per_transaction {
        builder = builder.messages_per_transaction(per_transaction);
    }

    let receiver = builder.start(count_it).unwrap();
    place.await_growth("effect", i64::from(count));
    eventually("all handled", || place.is_empty("numbers"));
    receiver.stop(PATIENCE);

    assert_eq!(place.count("effect"), i64::from(count));
    assert_eq!(
        place.number("SELECT count(DISTINCT n) FROM effect"),
        f64::from(count)
    );
    assert_eq!(place.count("outtray.dead_letter"), 0);
}

#[test]
fn a_handler_gets_what_was_sent_and_the_row_is_gone_after_its_commit() {
    let mut place = Place::new();
    let payload = json!({"foo": "bar", "n": [1, 2.5, null], "text": "żółw 🐢"});
    place.send("things", &payload);
    let (tell, told) = unbounded();

    let receiver = place
        .messaging
        .start_receiving_messages("things", move |_, message: Message<Value>| {
            tell.send((message.payload, message.attempt, message.topic))?;
            Ok(())
        })
        .unwrap();
    let handled = next(&told, 1).remove(0);
    receiver.stop(PATIENCE);

    assert_eq!(handled, (payload, 1, "things".to_owned()));
    assert_eq!(place.count("outtray.message"), 0);
}

#[test]
fn ten_workers_handle_999_messages_once_each() {
    check_all_once(999, 10, None);
}

#[test]
fn five_workers_handle_100_messages_in_batches_of_five_once_each() {
    check_all_once(100, 5, Some(5));
}

#[test]
fn workers_do_not_wait_for_a_row_that_somebody_else_holds() {
    let mut place = Place::watchful();
    place.sql("CREATE TABLE effect (n integer)");
    place.send_all("numbers", 0..100);
    let mut holder = crate::support::client(&place.url);
    let mut held = holder.transaction().unwrap();
    held.execute(
        "SELECT FROM outtray.message ORDER BY seq LIMIT 1 FOR UPDATE",
        &[],
    )
    .unwrap();

    let receiver = place
        .messaging
        .receiver("numbers")
        .workers(10)
        .start(count_it)
        .unwrap();
    eventually("all others handled", || place.count("effect") == 99);
    assert_eq!(place.count("outtray.message"), 1);
    held.rollback().unwrap();

    eventually("the last one handled", || place.is_empty("numbers"));
    receiver.stop(PATIENCE);
    assert_eq!(place.number("SELECT count(DISTINCT n) FROM effect"), 100.0);
}

#[test]
fn one_worker_handles_100_messages_in_the_order_of_sending() {
    let place = Place::new();
    place.send_all("numbers", 0..100);

    let (receiver, told) = telling::<i32>(place.messaging.receiver("numbers").workers(1));
    let order = next(&told, 100);
    receiver.stop(PATIENCE);

    assert_eq!(order, (0..100).collect::<Vec<_>>());
}

#[test]
fn while_one_handler_blocks_the_others_flow_through_the_second_worker() {
    let place = Place::new();
    place.send_all("numbers", 0..20);
    let gate = Gate::new();
    let (tell, told) = unbounded();

    let handler_gate = gate.clone();
    let receiver = place
        .messaging
        .receiver("numbers")
        .workers(2)
        .start(move |_, message: Message<i32>| {
            if message.payload == 0 {
                handler_gate.pass();
            }
            Ok(tell.send(message.payload)?)
        })
        .unwrap();
    gate.await_arrivals(1);
    let flowed = next(&told, 19);
    gate.open_for(1);
    let last = next(&told, 1);
    receiver.stop(PATIENCE);

    assert_eq!(flowed, (1..20).collect::<Vec<_>>());
    assert_eq!(last, [0]);
}

#[test]
fn a_first_message_that_fails_does_not_disturb_the_second_that_runs() {
    let mut place = Place::new();
    place.sql("CREATE TABLE effect (n integer)");
    place.send_all("numbers", 0..2);
    let (first, second) = (Gate::new(), Gate::new());

    let gates = [first.clone(), second.clone()];
    let receiver = place
        .messaging
        .receiver("numbers")
        .workers(2)
        .start(move |session, message: Message<i32>| {
            let is_first = message.payload == 0;
            count_it(session, message)?;
            gates[usize::from(!is_first)].pass();
            match is_first {
                true => Err(HandlerError::retry_after(Duration::from_secs(600))),
                false => Ok(()),
            }
        })
        .unwrap();
    first.await_arrivals(1);
    second.await_arrivals(1);
    first.open_for(1);
    eventually("the first has failed", || {
        place.count("outtray.scheduled") == 1
    });
    second.open_for(1);
    eventually("the second is handled", || {
        place.count("outtray.message") == 0
    });
    receiver.stop(PATIENCE);

    assert_eq!(place.number("SELECT sum(n) FROM effect"), 1.0);
    assert_eq!(place.count("effect"), 1);
    assert_eq!(place.number("SELECT attempts FROM outtray.scheduled"), 1.0);
}

#[test]
fn topics_never_mix() {
    let place = Place::new();
    let (tell, told) = unbounded();
    let receivers = ["left", "right", "left.2", "LEFT"].map(|topic| {
        let tell = tell.clone();
        place
            .messaging
            .start_receiving_messages(topic, move |_, message: Message<String>| {
                Ok(tell.send((topic, message.topic, message.payload))?)
            })
            .unwrap()
    });

    for _ in 0..10 {
        for receiver in &receivers {
            place.send(receiver.topic(), receiver.topic());
        }
    }

    for (topic, name, payload) in next(&told, 40) {
        assert_eq!((topic, topic), (name.as_str(), payload.as_str()));
    }
}

#[test]
fn a_cascade_of_11110_messages_from_one_send_is_handled_and_leaves_nothing() {
    let mut place = Place::new();
    place.sql("CREATE TABLE effect (depth integer)");
    let receiver = place
        .messaging
        .receiver("tree")
        .workers(4)
        .start(|session, message: Message<i32>| {
            let depth = message.payload;
            session.execute("INSERT INTO effect VALUES ($1)", &[&depth])?;
            if depth < 4 {
                session.send_messages("tree", [depth + 1; 10])?;
            }
            Ok(())
        })
        .unwrap();

    place.send("tree", &0);
    place.await_growth("effect", 11_111);
    eventually("the whole tree", || place.is_empty("tree"));
    receiver.stop(PATIENCE);

    for (depth, expected) in [(0, 1), (1, 10), (2, 100), (3, 1_000), (4, 10_000)] {
        assert_eq!(
            place.count(&format!("effect WHERE depth = {depth}")),
            expected
        );
    }
    assert_eq!(place.count("outtray.message"), 0);
    assert_eq!(place.count("outtray.dead_letter"), 0);
}

#[test]
fn draining_an_empty_topic_returns_at_once() {
    let place = Place::polling(crate::support::NO_POLLING);
    let started = Instant::now();

    let report = place
        .messaging
        .drain("nothing", |_, _: Message| Ok(()))
        .unwrap();

    assert_eq!((report.handled, report.retried, report.dead), (0, 0, 0));
    assert!(started.elapsed() < PATIENCE / 3);
}

#[test]
fn draining_handles_all_that_is_ready_and_says_what_became_of_it() {
    let place = Place::new();
    place.send_all("numbers", 0..10);

    let report = place
        .messaging
        .drain("numbers", |_, message: Message<i32>| {
            match message.payload {
                3 => Err(HandlerError::retry_after(Duration::from_secs(600))),
                5 => Err(HandlerError::reject("never")),
                _ => Ok(()),
            }
        })
        .unwrap();

    assert_eq!((report.handled, report.retried, report.dead), (8, 1, 1));
    let stats = place.messaging.topic("numbers").stats().unwrap();
    assert_eq!((stats.ready, stats.scheduled, stats.dead), (0, 1, 1));
}

#[test]
fn slow_handlers_have_all_their_workers() {
    let place = Place::new();
    place.send_all("slow", 0..40);
    let gate = Gate::new();
    let receiver = gate.holding(place.messaging.receiver("slow").workers(40));

    // None of them goes on before all stand there.
    gate.await_arrivals(40);
    gate.open_for(40);
    eventually("handled", || place.is_empty("slow"));
    receiver.stop(PATIENCE);
}

#[test]
fn forty_workers_handle_5000_messages_once_each() {
    check_all_once(5000, 40, None);
}

#[test]
fn forty_workers_handle_2000_messages_once_each_one_to_a_transaction() {
    check_all_once(2000, 40, Some(1));
}
