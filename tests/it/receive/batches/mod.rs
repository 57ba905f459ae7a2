//! A handler of batches gets several messages at once, all in one transaction with its writes, its
//! sends and their ends; and one that cannot be handled does not take the others with it.

mod failing;

use crate::support::{Gate, PATIENCE, Place, eventually, next};
use crossbeam_channel::unbounded;
use outtray::{
    Backoff, BatchMessage, ErrorKind, HandlerError, Message, MessagingSession, NewMessage,
};
use serde_json::json;
use std::sync::Mutex;
use std::time::Duration;

/// No unique constraint, so that an effect that happened twice shows.
const EFFECT: &str = "CREATE TABLE effect (n integer NOT NULL, transaction text NOT NULL)";

/// Has the effects of a whole batch in one statement, and sends a message on for each.
fn enter(
    session: &mut MessagingSession<'_>,
    batch: &[BatchMessage<i32>],
) -> Result<(), HandlerError> {
    let numbers: Vec<i32> = batch.iter().map(|message| message.payload).collect();
    session.execute(
        "INSERT INTO effect SELECT unnest($1::integer[]), pg_current_xact_id()::text",
        &[&numbers],
    )?;
    session.send_messages("sent", numbers)?;
    Ok(())
}

/// Checks that these numbers had their effect, once each, with one message sent on for each.
#[track_caller]
fn check_effects(place: &mut Place, expected: impl IntoIterator<Item = i32>) {
    let mut numbers = |query: &str| -> Vec<i32> {
        let rows = place.client.query(query, &[]).unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    };
    let mut expected: Vec<i32> = expected.into_iter().collect();
    expected.sort_unstable();
    assert_eq!(numbers("SELECT n FROM effect ORDER BY n"), expected);
    let sent = "SELECT (payload #>> '{}')::integer AS n FROM outtray.message \
                WHERE topic = 'sent' ORDER BY n";
    assert_eq!(numbers(sent), expected);
}

/// Checks what waits: numbers, attempts, errors, and in how many seconds it is due.
#[track_caller]
fn check_waiting(place: &mut Place, expected: &[(i32, i16, &str, f64)]) {
    let query = "SELECT (payload #>> '{}')::integer AS n, attempts, error,
            extract(epoch FROM due_at - clock_timestamp())::float8 AS due_in
        FROM outtray.scheduled ORDER BY n";
    let rows = place.client.query(query, &[]).unwrap();
    assert_eq!(rows.len(), expected.len());
    for (row, (number, attempts, error, due_in)) in rows.iter().zip(expected) {
        let found = (row.get(0), row.get(1), row.get::<_, &str>(2));
        assert_eq!(found, (*number, *attempts, *error));
        let found: f64 = row.get(3);
        assert!(
            (found - due_in).abs() < 30.0,
            "{number} is due in {found} s"
        );
    }
}

#[test]
fn what_is_ready_up_to_the_size_is_one_call_and_one_transaction() {
    let mut place = Place::new();
    place.sql(EFFECT);
    place.send_all("numbers", 0..250);
    let calls = Mutex::new(Vec::new());
    let calls: &'static Mutex<Vec<usize>> = Box::leak(Box::new(calls));

    let report = place
        .messaging
        .receiver("numbers")
        .drain_batches(100, |session, batch: &[BatchMessage<i32>]| {
            calls.lock().unwrap().push(batch.len());
            enter(session, batch)
        })
        .unwrap();

    assert_eq!((report.handled, report.retried, report.dead), (250, 0, 0));
    assert_eq!(*calls.lock().unwrap(), [100, 100, 50]);
    check_effects(&mut place, 0..250);
    let batches = "(SELECT count(*) FROM effect GROUP BY transaction) AS batch";
    assert_eq!(place.count(batches), 3);
    assert!(place.is_empty("numbers"));
}

#[test]
fn a_batch_is_in_claim_order_and_its_messages_say_all_about_themselves() {
    let place = Place::new();
    for (number, priority) in [(1, 0), (2, 5), (3, 0), (4, 5)] {
        let message = NewMessage::json("numbers", &number).unwrap();
        place.send_new(message.priority(priority).header("n", number.to_string()));
    }
    let (tell, told) = unbounded();

    place
        .messaging
        .receiver("numbers")
        .max_attempts(7)
        .drain_batches(10, move |_, batch: &[BatchMessage<i32>]| {
            for message in batch {
                assert_eq!((message.attempt, message.max_attempts), (1, 7));
                assert_eq!(
                    (message.topic.as_str(), message.is_cancelled()),
                    ("numbers", false)
                );
                assert_eq!(message.headers["n"], message.payload.to_string());
                tell.send((message.payload, message.priority))?;
            }
            Ok(())
        })
        .unwrap();

    let told: Vec<_> = told.try_iter().collect();
    assert_eq!(told, [(2, 5), (4, 5), (1, 0), (3, 0)]);
}

#[test]
fn single_messages_of_a_batch_can_be_retried_rejected_and_put_off_while_the_others_are_acked() {
    let mut place = Place::new();
    place.sql(EFFECT);
    place.send_all("numbers", 0..10);

    let report = place
        .messaging
        .receiver("numbers")
        .backoff(Backoff::fixed(Duration::from_secs(100)))
        .drain_batches(10, |session, batch: &[BatchMessage<i32>]| {
            enter(session, &[])?;
            for message in batch {
                match message.payload {
                    1 => message.retry("not yet"),
                    2 => message.retry_after(Duration::from_secs(500)),
                    3 => message.reject("never"),
                    4 => message.snooze(Duration::from_secs(900)),
                    5 => message.fail(std::io::Error::other("disk full")),
                    6 => {
                        message.reject("on second thoughts");
                        message.snooze(Duration::from_secs(900));
                    }
                    number => {
                        let sql = "INSERT INTO effect VALUES ($1, '')";
                        session.execute(sql, &[&number])?;
                        session.send_message("sent", &number)?;
                    }
                }
            }
            Ok(())
        })
        .unwrap();

    assert_eq!((report.handled, report.retried, report.dead), (4, 5, 1));
    check_effects(&mut place, [0, 7, 8, 9]);
    let waiting = [
        (1, 1, "not yet", 100.0),
        (2, 1, "retry after 500s", 500.0),
        (4, 0, "snooze for 900s", 900.0),
        (5, 1, "disk full", 100.0),
        (6, 0, "snooze for 900s", 900.0),
    ];
    check_waiting(&mut place, &waiting);
    let dead = place.dead_letters("numbers").remove(0);
    assert_eq!(
        (dead.error.as_str(), dead.payload.to_string().as_str()),
        ("never", "3")
    );
}

#[test]
fn payloads_that_do_not_fit_are_dead_letters_and_their_batch_goes_on_without_them() {
    let mut place = Place::new();
    place.sql(EFFECT);
    for payload in [
        json!(1),
        json!("two"),
        json!(3),
        json!({ "four": 4 }),
        json!(5),
    ] {
        place.send("numbers", &payload);
    }
    place.send_all("unfit", ["a", "b"]);

    let report = place
        .messaging
        .receiver("numbers")
        .drain_batches(10, enter)
        .unwrap();
    let unfit = place
        .messaging
        .receiver("unfit")
        .drain_batches(10, |_, _: &[BatchMessage<i32>]| {
            panic!("nothing to be handled")
        })
        .unwrap();

    assert_eq!((report.handled, report.retried, report.dead), (3, 0, 2));
    assert_eq!((unfit.handled, unfit.retried, unfit.dead), (0, 0, 2));
    check_effects(&mut place, [1, 3, 5]);
    for dead in place.dead_letters("numbers") {
        assert_eq!(dead.reason.as_str(), "undecodable");
        assert!(dead.error.contains("invalid type"), "{}", dead.error);
    }
}

#[test]
fn several_workers_share_a_topic_in_batches_and_handle_each_message_once() {
    let mut place = Place::new();
    place.sql(EFFECT);
    place.send_all("numbers", 0..3000);

    let receiver = place
        .messaging
        .receiver("numbers")
        .workers(4)
        .start_batches(64, enter)
        .unwrap();
    eventually("all are handled", || place.is_empty("numbers"));
    receiver.stop(PATIENCE);

    check_effects(&mut place, 0..3000);
}

#[test]
fn a_message_sent_to_a_waiting_receiver_of_batches_is_a_batch_at_once() {
    let place = Place::new();
    let (tell, told) = unbounded();
    let receiver = place
        .messaging
        .start_receiving_batches("numbers", 1000, move |_, batch: &[BatchMessage<i32>]| {
            tell.send(batch.len())?;
            Ok(())
        })
        .unwrap();

    for _ in 0..3 {
        place.send("numbers", &1);
        assert_eq!(next(&told, 1), [1]);
    }
    receiver.stop(PATIENCE);
}

#[test]
fn stopping_waits_for_the_batch_in_hand_and_begins_no_other() {
    let mut place = Place::new();
    place.sql(EFFECT);
    place.send_all("numbers", 0..30);
    let gate = Gate::new();
    let inside = gate.clone();
    let receiver = place
        .messaging
        .receiver("numbers")
        .workers(1)
        .start_batches(20, move |session, batch: &[BatchMessage<i32>]| {
            inside.pass();
            enter(session, batch)
        })
        .unwrap();
    gate.await_arrivals(1);

    receiver.request_stop();
    let too_early = receiver.stop(Duration::from_millis(10));
    gate.open_for(1);
    eventually("it ends", || place.count("effect") == 20);
    let report = receiver.stop(PATIENCE);

    assert_eq!((too_early.finished, too_early.abandoned), (0, 20));
    assert_eq!((report.finished, report.abandoned), (20, 0));
    check_effects(&mut place, 0..20);
    assert_eq!(place.messaging.topic("numbers").stats().unwrap().ready, 10);
}

#[test]
fn strict_order_goes_with_batches_of_one_only() {
    let place = Place::new();
    let builder = || place.messaging.receiver("numbers").strict_order();
    let error = builder().start_batches(2, enter).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("strict order"), "{error}");
    place.send_all("numbers", 0..5);
    let (tell, told) = unbounded();

    let receiver = builder()
        .start_batches(1, move |_, batch: &[BatchMessage<i32>]| {
            tell.send((batch[0].payload, batch.len()))?;
            Ok(())
        })
        .unwrap();

    assert_eq!(next(&told, 5), [(0, 1), (1, 1), (2, 1), (3, 1), (4, 1)]);
    receiver.stop(PATIENCE);
}

#[test]
fn bad_sizes_are_refused_with_the_topic_the_number_and_the_limit() {
    let place = Place::new();
    let builder = || place.messaging.receiver("numbers");
    let check = |error: outtray::Error, text: &str| {
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains(text), "{error}");
    };

    for size in [0, 1001, usize::MAX] {
        let text = format!("topic numbers is of {size} messages, it must be of 1 to 1000");
        check(builder().start_batches(size, enter).unwrap_err(), &text);
        check(builder().drain_batches(size, enter).unwrap_err(), &text);
        let messaging = &place.messaging;
        let started = messaging.start_receiving_batches("numbers", size, enter);
        check(started.unwrap_err(), &text);
    }
    let both = builder().messages_per_transaction(8);
    check(
        both.start_batches(10, enter).unwrap_err(),
        "8 messages to a transaction",
    );
    let strict = builder().strict_order();
    check(strict.drain_batches(1, enter).unwrap_err(), "strict order");
    let workers = builder().workers(0);
    check(
        workers.start_batches(10, enter).unwrap_err(),
        "workers is 0",
    );
}

#[test]
fn batches_and_single_handlers_share_a_topic() {
    let mut place = Place::new();
    place.sql(EFFECT);
    place.send_all("numbers", 0..2000);
    let single = place
        .messaging
        .start_receiving_messages("numbers", |session, message: Message<i32>| {
            let sql = "INSERT INTO effect VALUES ($1, '')";
            session.execute(sql, &[&message.payload])?;
            session.send_message("sent", &message.payload)?;
            Ok(())
        })
        .unwrap();
    let batches = place
        .messaging
        .start_receiving_batches("numbers", 50, enter)
        .unwrap();

    eventually("all are handled", || place.is_empty("numbers"));
    single.stop(PATIENCE);
    batches.stop(PATIENCE);

    check_effects(&mut place, 0..2000);
}
