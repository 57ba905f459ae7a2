//! Receivers that work under leases.

use crate::support::{Gate, MINUTE, NO_POLLING, PATIENCE, Place, eventually, next, telling};
use crossbeam_channel::unbounded;
use outtray::{HandlerError, Message};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

#[test]
fn a_handlers_writes_its_sends_and_the_end_of_its_message_commit_together() {
    let mut place = Place::new();
    place.sql("CREATE TABLE effect (n integer, attempt integer)");
    let receiver = place
        .leasing(MINUTE)
        .start(|session, message: Message<i32>| {
            let attempt = i32::try_from(message.attempt)?;
            let effect = "INSERT INTO effect VALUES ($1, $2)";
            session.execute(effect, &[&message.payload, &attempt])?;
            session.send_message("next", &message.payload)?;
            match message.attempt {
                1 => Err(HandlerError::failed("after all was done")),
                2 => panic!("after all was done"),
                _ => Ok(()),
            }
        })
        .unwrap();

    place.send_all("jobs", 0..5);
    eventually("all are handled", || place.is_empty("jobs"));
    receiver.stop(PATIENCE);

    assert_eq!(place.count("effect"), 5);
    assert_eq!(place.number("SELECT sum(attempt) FROM effect"), 15.0);
    assert_eq!(place.messaging.topic("next").stats().unwrap().ready, 5);
}

#[test]
fn a_thousand_messages_are_handled_once_by_several_workers() {
    let mut place = Place::new();
    place.sql("CREATE TABLE effect (n integer)");
    let receiver = place
        .leasing(MINUTE)
        .workers(4)
        .start(|session, message: Message<i32>| {
            // Some use their session, some do not.
            if message.payload % 2 == 0 {
                session.execute("INSERT INTO effect VALUES ($1)", &[&message.payload])?;
            }
            Ok(())
        })
        .unwrap();

    place.send_all("jobs", 0..1000);
    place.await_growth("effect", 500);
    eventually("all are handled", || place.is_empty("jobs"));
    receiver.stop(PATIENCE);

    assert_eq!(place.number("SELECT count(DISTINCT n) FROM effect"), 500.0);
    assert_eq!(place.count("effect"), 500);
}

#[test]
fn a_handler_that_outlives_its_lease_has_it_prolonged_and_holds_no_transaction() {
    let mut place = Place::watchful();
    let gate = Gate::new();
    let receiver = gate.holding(place.leasing(Duration::from_millis(600)));
    place.send("jobs", &1);
    gate.await_arrivals(1);
    let first_end = place.number("SELECT extract(epoch FROM due_at) FROM outtray.scheduled");

    // Two times its lease, by the database's clock.
    eventually("the lease lasts on", || {
        place.number("SELECT extract(epoch FROM clock_timestamp())") > first_end + 0.6
    });

    assert_eq!(place.open_transactions(), 0);
    assert!(gate.is_lonely_for(Duration::from_millis(100)));
    assert_eq!(place.numbers(), [0, 0, 1, 0]);
    gate.open_for(1);
    eventually("it is handled", || place.is_empty("jobs"));
    let report = receiver.stop(PATIENCE);
    assert_eq!(report.abandoned, 0);
}

#[test]
fn a_handler_whose_lease_is_lost_learns_it_and_is_rolled_back() {
    let mut place = Place::watchful();
    place.sql("CREATE TABLE effect (attempt integer)");
    let (tell, told) = unbounded();
    let gate = Gate::new();
    let handler_gate = gate.clone();
    let receiver = place
        .leasing(Duration::from_millis(300))
        .workers(2)
        .start(move |session, message: Message<i32>| {
            if message.attempt == 1 {
                handler_gate.pass();
                while !message.is_cancelled() {
                    std::thread::yield_now();
                }
            }
            tell.send(message.attempt)?;
            let attempt = i32::try_from(message.attempt)?;
            session.execute("INSERT INTO effect VALUES ($1)", &[&attempt])?;
            Ok(())
        })
        .unwrap();
    place.send("jobs", &1);
    gate.await_arrivals(1);

    // Each beat of its heart prolongs it, so it may have to lapse more than once.
    eventually("somebody else gets it", || {
        place.sql("UPDATE outtray.scheduled SET due_at = now() WHERE attempts = 1");
        !told.is_empty()
    });
    assert_eq!(next(&told, 1), [2]);
    gate.open_for(1);

    assert_eq!(next(&told, 1), [1]);
    receiver.stop(PATIENCE);
    assert_eq!(place.number("SELECT sum(attempt) FROM effect"), 2.0);
    assert_eq!(place.numbers(), [0; 4]);
}

#[test]
fn a_cancelled_message_is_not_tried_again_and_its_handler_learns_of_it() {
    let mut place = Place::watchful();
    let gate = Gate::new();
    let handler_gate = gate.clone();
    let receiver = place
        .leasing(Duration::from_millis(300))
        .start(move |_, message: Message<i32>| {
            handler_gate.pass();
            while !message.is_cancelled() {
                std::thread::yield_now();
            }
            Err(HandlerError::failed("given up"))
        })
        .unwrap();
    place.send("jobs", &1);
    gate.await_arrivals(1);

    place.sql("UPDATE outtray.scheduled SET is_cancelled = true");
    gate.open_for(1);

    eventually("it is gone", || place.is_empty("jobs"));
    assert!(gate.is_lonely_for(Duration::from_millis(100)));
    receiver.stop(PATIENCE);
    assert_eq!(place.numbers(), [0; 4]);
}

#[test]
fn a_stop_finishes_what_is_in_hand_and_gives_back_the_rest_without_an_attempt() {
    let place = Place::polling(NO_POLLING);
    let gate = Gate::new();
    place.send_all("jobs", 0..5);
    let receiver = gate.holding(place.leasing(MINUTE).workers(1).messages_per_transaction(5));
    gate.await_arrivals(1);
    assert_eq!(place.numbers(), [0, 0, 5, 0]);

    receiver.request_stop();
    gate.open_for(1);
    let report = receiver.stop(PATIENCE);

    // It may be over before the stop counts what is in hand.
    assert!(report.finished <= 1 && report.abandoned == 0, "{report:?}");
    assert_eq!(place.numbers(), [4, 0, 0, 0]);
    assert!(
        place
            .jobs()
            .peek(9)
            .unwrap()
            .iter()
            .all(|message| message.attempts == 0)
    );
}

#[test]
fn a_paused_topic_is_left_alone_by_receivers_under_leases() {
    let place = Place::new();
    let (_receiver, told) = telling::<i32>(place.leasing(MINUTE));
    place.jobs().pause().unwrap();

    place.send("jobs", &1);
    assert!(told.recv_timeout(Duration::from_millis(300)).is_err());
    assert_eq!(place.numbers(), [1, 0, 0, 0]);

    place.jobs().resume().unwrap();
    assert_eq!(next(&told, 1), [1]);
}

#[test]
fn what_was_leased_behind_a_slow_message_goes_back_to_those_who_are_idle() {
    let place = Place::polling(NO_POLLING);
    let gate = Gate::new();
    let handler_gate = gate.clone();
    let handled = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&handled);
    place.send_all("jobs", 0..40);
    let receiver = place
        .leasing(MINUTE)
        .workers(1)
        .start(move |_, message: Message<i32>| {
            // By then it leases many at a time.
            if message.payload == 20 {
                handler_gate.pass();
            }
            counted.fetch_add(1, Ordering::SeqCst);
            Ok(())
        })
        .unwrap();
    gate.await_arrivals(1);

    // On a busy machine some before it may have gone back, too: those come after it then.
    let rest = 39 - handled.load(Ordering::SeqCst);
    eventually("the rest is given back", || {
        place.numbers() == [rest, 0, 1, 0]
    });

    let ready = place.jobs().peek(40).unwrap();
    assert!(ready.iter().all(|message| message.attempts == 0));
    gate.open_for(1);
    eventually("all are handled", || place.is_empty("jobs"));
    receiver.stop(PATIENCE);
}

#[test]
fn what_was_leased_and_not_begun_is_given_back_by_a_stop_that_abandons_and_by_a_pause() {
    for is_pause in [false, true] {
        let mut place = Place::polling(NO_POLLING);
        let gate = Gate::new();
        place.send_all("jobs", 0..5);
        let receiver = gate.holding(place.leasing(MINUTE).workers(1).messages_per_transaction(5));
        gate.await_arrivals(1);
        assert_eq!(place.numbers(), [0, 0, 5, 0]);

        if is_pause {
            place.jobs().pause().unwrap();
        } else {
            assert_eq!(receiver.stop(Duration::ZERO).abandoned, 1);
        }

        eventually("the rest is given back", || place.numbers() == [4, 0, 1, 0]);
        assert_eq!(place.count("outtray.message WHERE attempts = 0"), 4);
        gate.open_for(1);
        eventually("the first is done", || place.numbers() == [4, 0, 0, 0]);
        receiver.stop(PATIENCE);
    }
}

#[test]
fn a_receiver_whose_handlers_were_abandoned_is_dropped_at_once() {
    let place = Place::new();
    let gate = Gate::new();
    let receiver = gate.holding(place.leasing(MINUTE));
    place.send("jobs", &1);
    gate.await_arrivals(1);
    assert_eq!(receiver.stop(Duration::ZERO).abandoned, 1);

    let started = Instant::now();
    drop(receiver);

    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
    gate.open_for(1);
    eventually("it is handled all the same", || place.is_empty("jobs"));
}

#[test]
fn a_commit_that_waits_keeps_no_other_lease_from_being_prolonged() {
    let mut place = Place::watchful();
    place.sql("CREATE TABLE thing (n integer UNIQUE DEFERRABLE INITIALLY DEFERRED)");
    let mut other = crate::support::client(&place.url);
    let mut in_the_way = other.transaction().unwrap();
    in_the_way
        .execute("INSERT INTO thing VALUES (1)", &[])
        .unwrap();
    let gate = Gate::new();
    let handler_gate = gate.clone();
    let receiver = place
        .leasing(Duration::from_secs(1))
        .workers(3)
        .start(move |session, message: Message<i32>| {
            if message.payload == 1 {
                session.execute("INSERT INTO thing VALUES (1)", &[])?;
                return Ok(());
            }
            handler_gate.pass();
            Ok(())
        })
        .unwrap();
    place.send("jobs", &1);
    place.await_lock_waits(1);
    place.send("jobs", &2);
    gate.await_arrivals(1);
    let first_end = place.number("SELECT extract(epoch FROM max(due_at)) FROM outtray.scheduled");

    // Several beats after both leases would have ended.
    eventually("time passes", || {
        place.number("SELECT extract(epoch FROM clock_timestamp())") > first_end + 1.0
    });

    assert!(gate.is_lonely_for(Duration::from_millis(100)));
    assert_eq!(
        place.count(
            "outtray.scheduled WHERE payload::text = '2' AND due_at > now() AND attempts = 1"
        ),
        1
    );
    in_the_way.rollback().unwrap();
    gate.open_for(1);
    eventually("both are handled", || place.is_empty("jobs"));
    receiver.stop(PATIENCE);
    assert_eq!(place.count("thing"), 1);
}

#[test]
fn leases_work_where_a_pooler_forbids_prepared_statements() {
    let url = crate::support::database();
    let builder = outtray::Messaging::builder().url(&url).pooler_safe(true);
    let place = Place::over(&url, builder.connect().unwrap());
    place.send_all("jobs", [1, 2, 3]);
    place.take().nack().unwrap();
    let delivery = place.take();
    delivery.extend(MINUTE).unwrap();
    delivery.settle_in(|_| Ok(())).unwrap();

    let receiver = place
        .leasing(MINUTE)
        .start(|session, message: Message<i32>| {
            session.send_message("next", &message.payload)?;
            Ok(())
        })
        .unwrap();
    eventually("all are handled", || place.is_empty("jobs"));
    receiver.stop(PATIENCE);

    assert_eq!(place.messaging.topic("next").stats().unwrap().ready, 2);
}
