//! What waits for its time is there when it comes, and not before.

use crate::support::{
    Gate, NO_POLLING, PATIENCE, Place, eventually, next, process, statement_text, telling,
};
use crossbeam_channel::unbounded;
use outtray::{Backoff, HandlerError, Message, Messaging, NewMessage};
use std::time::{Duration, SystemTime};

fn delayed(payload: i32, delay: Duration) -> NewMessage {
    NewMessage::json("later", &payload).unwrap().delay(delay)
}

/// How often it is tried to be in time on a busy machine.
const MOST_RUNS: usize = 12;

const LATENESS: &str =
    "SELECT extract(epoch FROM clock_timestamp() - due_at)::float8 FROM due WHERE n = $1";

/// Sends messages with delays of 1 s, 2 s and none; returns them in the order of delivery, each
/// with how many seconds late it was by the database's clock.
fn deliveries(workers: usize) -> Vec<(i32, f64)> {
    let mut place = Place::polling(NO_POLLING);
    place.sql("CREATE TABLE due (n integer, due_at timestamptz)");
    let (tell, told) = unbounded();
    let _receiver = place
        .messaging
        .receiver("later")
        .workers(workers)
        .start(move |session, message: Message<i32>| {
            let row = session.query_one(LATENESS, &[&message.payload])?;
            Ok(tell.send((message.payload, row.get(0)))?)
        })
        .unwrap();

    place
        .messaging
        .session(|session| {
            for (n, delay_s) in [(1, 1), (2, 2), (3, 0)] {
                session.send(delayed(n, Duration::from_secs(delay_s)))?;
                let remember = "INSERT INTO due VALUES ($1, now() + $2 * interval '1 second')";
                session.execute(remember, &[&n, &(delay_s as f64)])?;
            }
            Ok(())
        })
        .unwrap();
    next(&told, 3)
}

#[test]
fn messages_with_delays_arrive_in_the_order_in_which_they_are_due_and_soon_after() {
    let mut latest = Vec::new();
    // The machine may be busy: one run has to be in time, each in order and none early.
    for workers in [1, 4].into_iter().cycle().take(MOST_RUNS) {
        let deliveries = deliveries(workers);
        let order: Vec<i32> = deliveries.iter().map(|(n, _)| *n).collect();
        assert_eq!(order, [3, 1, 2]);
        assert!(
            deliveries.iter().all(|(_, late_s)| *late_s >= 0.0),
            "{deliveries:?}"
        );
        if deliveries.iter().all(|(_, late_s)| *late_s < 0.2) {
            return;
        }
        latest.push(deliveries);
    }
    panic!("later than 200 ms: {latest:?}");
}

#[test]
fn a_delayed_message_is_not_there_for_a_while_and_then_it_is() {
    let place = Place::new();
    let (_receiver, told) = telling::<i32>(place.messaging.receiver("later"));

    place.send_new(delayed(1, Duration::ZERO));
    assert_eq!(next(&told, 1), [1]);
    place.send_new(delayed(2, Duration::from_secs(1)));

    assert!(told.recv_timeout(Duration::from_millis(250)).is_err());
    assert_eq!(next(&told, 1), [2]);
}

#[test]
fn a_delayed_message_of_another_process_is_in_time_with_a_poll_interval_of_a_minute() {
    let mut place = Place::polling(NO_POLLING);
    let elsewhere = process(&place.url, NO_POLLING);
    let (_receiver, told) = telling::<i32>(place.messaging.receiver("later"));
    place.await_listener();

    elsewhere
        .session(|session| Ok(session.send(delayed(1, Duration::from_millis(400)))?))
        .unwrap();

    assert_eq!(next(&told, 1), [1]);
}

#[test]
fn a_retry_comes_in_time_with_a_poll_interval_of_a_minute() {
    let place = Place::polling(NO_POLLING);
    let (tell, told) = unbounded();
    let _receiver = place
        .messaging
        .receiver("later")
        .backoff(Backoff::fixed(Duration::from_millis(100)))
        .start(move |_, message: Message<i32>| {
            tell.send((message.payload, message.attempt))?;
            match message.attempt < 4 {
                true => Err(HandlerError::failed("again")),
                false => Ok(()),
            }
        })
        .unwrap();

    place.send("later", &1);

    assert_eq!(next(&told, 4), [(1, 1), (1, 2), (1, 3), (1, 4)]);
}

#[test]
fn retries_of_a_process_that_is_gone_are_made_by_another() {
    let mut place = Place::watchful();
    let gone = process(&place.url, NO_POLLING);
    place.send("later", &1);
    gone.receiver("later")
        .start(|_, _: Message<i32>| Err(HandlerError::retry_after(Duration::from_secs(600))))
        .map(|receiver| {
            eventually("it waits", || place.count("outtray.scheduled") == 1);
            receiver.stop(PATIENCE);
        })
        .unwrap();
    drop(gone);
    let (tell, told) = unbounded();
    let _receiver = place
        .messaging
        .start_receiving_messages("later", move |_, message: Message<i32>| {
            Ok(tell.send(message.attempt)?)
        })
        .unwrap();

    place.make_due();

    assert_eq!(next(&told, 1), [2]);
}

#[test]
fn three_thousand_messages_that_are_due_at_once_are_all_moved() {
    let mut place = Place::new();
    place.sql("CREATE TABLE effect (n integer)");
    place
        .messaging
        .session(|session| {
            for n in 0..3000 {
                session.send(delayed(n, Duration::from_millis(50)))?;
            }
            Ok(())
        })
        .unwrap();

    let receiver = place
        .messaging
        .start_receiving_messages("later", |session, message: Message<i32>| {
            session.execute("INSERT INTO effect VALUES ($1)", &[&message.payload])?;
            Ok(())
        })
        .unwrap();
    place.await_growth("effect", 3000);
    eventually("all handled", || place.is_empty("later"));
    receiver.stop(PATIENCE);

    assert_eq!(place.number("SELECT count(DISTINCT n) FROM effect"), 3000.0);
    assert_eq!(place.count("effect"), 3000);
}

#[test]
fn two_processes_move_what_is_due_once() {
    let mut place = Place::watchful();
    place.sql("CREATE TABLE effect (n integer)");
    let processes = [
        process(&place.url, Duration::from_millis(50)),
        place.messaging.clone(),
    ];
    let receivers = processes.each_ref().map(|messaging: &Messaging| {
        messaging
            .start_receiving_messages("later", |session, message: Message<i32>| {
                session.execute("INSERT INTO effect VALUES ($1)", &[&message.payload])?;
                Ok(())
            })
            .unwrap()
    });
    place
        .messaging
        .session(|session| {
            for n in 0..500 {
                session.send(delayed(n, Duration::from_secs(3600)))?;
            }
            Ok(())
        })
        .unwrap();

    place.make_due();
    eventually("all handled", || place.is_empty("later"));
    for receiver in receivers {
        receiver.stop(PATIENCE);
    }

    assert_eq!(place.count("effect"), 500);
}

#[test]
fn a_delayed_message_does_not_need_a_receiver_of_its_own_topic_to_become_ready() {
    let mut place = Place::watchful();
    let gate = Gate::new();
    let _receiver = gate.holding(place.messaging.receiver("busy"));
    place.send("busy", &1);
    gate.await_arrivals(1);

    place.send_new(delayed(1, Duration::from_secs(3600)));
    place.make_due();

    eventually("it is ready", || {
        place.messaging.topic("later").stats().unwrap().ready == 1
    });
    gate.open_for(1);
}

/// Returns the database's time, which is the only one that counts.
fn database_time(place: &mut Place) -> SystemTime {
    let row = place
        .client
        .query_one("SELECT clock_timestamp()", &[])
        .unwrap();
    row.get(0)
}

#[test]
fn a_message_for_a_time_that_is_past_is_there_at_once() {
    let mut place = Place::polling(NO_POLLING);
    let (_receiver, told) = telling::<i32>(place.messaging.receiver("later"));
    let past = database_time(&mut place) - Duration::from_secs(3600);

    for (n, time) in [(1, past), (2, SystemTime::UNIX_EPOCH)] {
        place.send_new(NewMessage::json("later", &n).unwrap().at(time));
        assert_eq!(next(&told, 1), [n]);
    }
}

#[test]
fn a_message_for_a_time_is_there_then_by_the_clock_of_the_database() {
    let mut latest = Vec::new();
    // The machine may be busy: one has to be in time, and none early.
    for _ in 0..MOST_RUNS {
        let mut place = Place::polling(NO_POLLING);
        let (tell, told) = unbounded();
        let _receiver = place
            .messaging
            .start_receiving_messages("later", move |session, _: Message<i32>| {
                let row = session.query_one("SELECT clock_timestamp()", &[])?;
                Ok(tell.send(row.get::<_, SystemTime>(0))?)
            })
            .unwrap();
        let time = database_time(&mut place) + Duration::from_secs(1);

        place.send_new(NewMessage::json("later", &1).unwrap().at(time));

        let handled_at = next(&told, 1)[0];
        // The database keeps microseconds.
        let late = (handled_at + Duration::from_micros(1)).duration_since(time);
        let late = late.expect("not before its time");
        if late < Duration::from_millis(200) {
            return;
        }
        latest.push(late);
    }
    panic!("later than 200 ms: {latest:?}");
}

#[test]
fn messages_that_are_not_due_are_not_looked_at_when_others_are() {
    let mut place = Place::new();
    place.sql(
        "INSERT INTO outtray.scheduled (topic, rank, id, due_at, payload)
             SELECT 'later', 0, gen_random_uuid(), now() + interval '1 day', '0' FROM generate_series(1, 20000);
         ANALYZE outtray.scheduled",
    );
    place.sql("SET enable_sort = off; SET enable_seqscan = off; SET enable_bitmapscan = off");
    for statement in [
        statement_text("move_due"),
        statement_text("move_due_between"),
    ] {
        let statement = statement
            .replace("$1::bigint", "1000")
            .replace("$2::text", "'l'")
            .replace("$3::text", "'m'");

        let plan: Vec<String> = place
            .client
            .query(&format!("EXPLAIN {statement}"), &[])
            .unwrap()
            .iter()
            .map(|row| row.get(0))
            .collect();

        let plan = plan.join("\n");
        assert!(plan.contains("scheduled_due"), "{plan}");
        assert!(plan.contains("(due_at <="), "{plan}");
        let is_between = statement.contains("'m'");
        assert_eq!(plan.contains("(topic >= 'l'::text)"), is_between, "{plan}");
    }
}

#[test]
fn times_do_not_depend_on_the_time_zone_of_the_database() {
    let mut place = Place::new();
    // Nearly half a day away, and off by a quarter of an hour.
    place.sql(
        "DO $$ BEGIN
            EXECUTE format('ALTER DATABASE %I SET timezone = %L', current_database(), 'Pacific/Chatham');
            EXECUTE format('ALTER DATABASE %I SET datestyle = %L', current_database(), 'SQL, DMY');
        END $$",
    );
    let elsewhere = process(&place.url, NO_POLLING);
    let now = database_time(&mut place);
    let send = |message: NewMessage| elsewhere.send(message).unwrap();

    let later = NewMessage::json("later", &1).unwrap();
    send(later.at(now + Duration::from_secs(600)));
    assert!((570.0..=600.0).contains(&place.due_in()));
    place.make_due();
    send(delayed(2, Duration::ZERO).expires_in(Duration::from_secs(600)));
    let (tell, told) = unbounded();
    elsewhere
        .drain("later", move |_, message: Message<i32>| {
            Ok(tell.send(message.sent_at)?)
        })
        .unwrap();

    for sent_at in next(&told, 2) {
        let age = sent_at.duration_since(now);
        let is_now = age.is_ok_and(|age| age < PATIENCE);
        assert!(is_now, "{sent_at:?} and {now:?}");
    }
}

#[test]
fn a_message_whose_place_another_one_has_goes_to_the_end_and_stops_nobody() {
    let mut place = Place::watchful();
    place.send_all("jobs", [1]);
    // As where somebody wrote back what was there, while it was in work under a lease.
    place.sql(
        "INSERT INTO outtray.scheduled (topic, rank, id, payload, seq, due_at)
        SELECT topic, rank, gen_random_uuid(), '2', seq, now() FROM outtray.message;
        INSERT INTO outtray.scheduled (topic, rank, id, payload, due_at)
        VALUES ('others', 0, gen_random_uuid(), '3', now())",
    );

    let (receiver, told) = telling::<i32>(place.messaging.receiver("others"));
    assert_eq!(next(&told, 1), [3]);
    let (jobs, told) = telling::<i32>(place.messaging.receiver("jobs").workers(1));
    assert_eq!(next(&told, 2), [1, 2]);
    receiver.stop(PATIENCE);
    jobs.stop(PATIENCE);
}
