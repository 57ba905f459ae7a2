//! Upkeep waits for nobody's locks for long: whatever others hold, or whoever of them is frozen,
//! delayed messages of other topics come in time and receivers start.

use crate::support::{
    Child, PATIENCE, Place, aside, client, eventually, next, process, signal, telling, test_name,
};
use crossbeam_channel::{Receiver as Told, unbounded};
use outtray::{
    Message, Messaging, MessagingSession, NewMessage, Receiver, Recurrence, TopicConfig,
};
use postgres::Client;
use std::sync::Barrier;
use std::time::{Duration, Instant};

/// How late a delayed message may be on a busy machine; what is waited for here holds its locks
/// until it has come.
const LATE: Duration = Duration::from_secs(8);

/// Handles delayed messages.
fn receive(messaging: &Messaging, topic: &str) -> (Receiver, Told<i32>) {
    let (receiver, told) = telling::<i32>(messaging.receiver(topic));
    (receiver, told)
}

/// Holds what `sql` locks until the client is dropped.
fn hold(place: &Place, sql: &str) -> Client {
    let mut holder = client(&place.url);
    holder.batch_execute("BEGIN").unwrap();
    holder.batch_execute(sql).unwrap();
    holder
}

/// Checks that five delayed messages one after the other come in time, and that a receiver starts.
#[track_caller]
fn check_goes_on(place: &Place, told: &Told<i32>, what: &str) {
    let messaging = place.messaging.clone();
    let started = aside(move || {
        let receiver = messaging.start_receiving_messages("new", |_, _: Message| Ok(()));
        receiver.map(drop).map_err(|error| error.to_string())
    });
    for payload in 0..5 {
        let sent = Instant::now();
        let message = NewMessage::json("later", &payload).unwrap();
        place.send_new(message.delay(Duration::from_millis(200)));
        let handled = told.recv_timeout(PATIENCE);
        assert_eq!(
            handled,
            Ok(payload),
            "{what}: a delayed message does not come"
        );
        assert!(
            sent.elapsed() < LATE,
            "{what}: it comes after {:?}",
            sent.elapsed()
        );
    }
    let started = started.recv_timeout(LATE);
    assert_eq!(started, Ok(Ok(())), "{what}: a receiver does not start");
}

#[test]
fn a_table_that_is_locked_holds_up_only_what_needs_it() {
    let tables = [
        "recurring",
        "dependency",
        "outcome",
        "dedupe",
        "cancellation",
        "attempt",
        "stalled",
        "bucket",
        "vacated",
        "room",
        "slot",
        "turn",
        "follower",
        "lane",
        "dead_letter",
        "tally",
    ];
    for table in tables {
        let place = Place::watchful();
        let (tell, told) = unbounded();
        let all_at_work = Barrier::new(4);
        let handler = move |_: &mut MessagingSession<'_>, message: Message<i32>| {
            if message.payload < 0 {
                all_at_work.wait();
            }
            Ok(tell.send(message.payload)?)
        };
        let receiver = place.messaging.receiver("later").workers(4);
        let _receiver = receiver.messages_per_transaction(1).start(handler).unwrap();
        // Each worker has prepared its statements, which takes a moment's lock on all tables that
        // they name.
        place.send_all("later", [-1; 4]);
        assert_eq!(next(&told, 4), [-1; 4]);
        let _holder = hold(&place, &format!("LOCK TABLE outtray.{table}"));

        check_goes_on(&place, &told, table);
    }
}

#[test]
fn a_recurring_message_whose_key_a_producer_holds_holds_up_nothing_else() {
    let place = Place::watchful();
    let (_receiver, told) = receive(&place.messaging, "later");
    let mut producer = client(&place.url);
    let mut open = producer.transaction().unwrap();
    let mut session = MessagingSession::join(&place.messaging, &mut open).unwrap();
    session
        .send(NewMessage::json("pulse", &0).unwrap().key("k"))
        .unwrap();
    let every_second = Recurrence::cron("* * * * * *").unwrap();
    for name in ["one", "two", "three", "four", "five"] {
        let message = NewMessage::json("pulse", &1).unwrap().key("k");
        place
            .messaging
            .repeat(name, &every_second, message)
            .unwrap();
    }
    let message = NewMessage::json("other", &7).unwrap();
    place
        .messaging
        .repeat("other", &every_second, message)
        .unwrap();
    let (_other, pulses) = receive(&place.messaging, "other");

    check_goes_on(&place, &told, "a key");

    assert_eq!(next(&pulses, 3), [7, 7, 7]);
    drop(session);
    drop(open);
    let (_pulse, pulses) = receive(&place.messaging, "pulse");
    assert_eq!(next(&pulses, 5), [1; 5]);
}

#[test]
fn a_recurring_message_to_a_topic_whose_room_a_producer_holds_holds_up_nothing_else() {
    let place = Place::watchful();
    let config = TopicConfig {
        max_length: Some(1_000),
        ..TopicConfig::default()
    };
    place.messaging.topic("pulse").configure(config).unwrap();
    place.send("pulse", &0);
    let (_receiver, told) = receive(&place.messaging, "later");
    let mut producer = client(&place.url);
    let mut open = producer.transaction().unwrap();
    let mut session = MessagingSession::join(&place.messaging, &mut open).unwrap();
    session
        .send(NewMessage::json("pulse", &0).unwrap())
        .unwrap();
    let every_second = Recurrence::cron("* * * * * *").unwrap();
    let message = NewMessage::json("pulse", &1).unwrap();
    place
        .messaging
        .repeat("pulse", &every_second, message)
        .unwrap();

    check_goes_on(&place, &told, "room");
}

/// Sends a message that comes after another which is done by now, and that nobody looked at yet.
fn send_dependent(place: &mut Place) {
    let first = NewMessage::json("first", &1).unwrap().tracked_for(PATIENCE);
    let first = place.send_new(first);
    place.send_new(NewMessage::json("second", &2).unwrap().after(&[first]));
    place.sql(
        "UPDATE outtray.outcome SET state = 'done', ended_at = now(); DELETE FROM outtray.message",
    );
}

#[test]
fn rows_that_others_hold_hold_up_nothing_else() {
    let rows = [
        "SELECT FROM outtray.scheduled FOR UPDATE",
        "SELECT FROM outtray.outcome FOR UPDATE",
        "SELECT FROM outtray.dependency FOR UPDATE",
        "SELECT FROM outtray.recurring FOR UPDATE",
        "SELECT FROM outtray.topic FOR UPDATE",
        "SELECT FROM outtray.message FOR UPDATE",
        "SELECT FROM outtray.cancellation FOR UPDATE",
    ];
    for held in rows {
        let mut place = Place::watchful();
        send_dependent(&mut place);
        let expiring = NewMessage::json("old", &3).unwrap().tracked_for(PATIENCE);
        let expiring = place.send_new(expiring.expires_in(Duration::from_millis(1)));
        place.sql("INSERT INTO outtray.topic (topic, suspect_until) VALUES ('new', now()), ('later', now())");
        place.sql("INSERT INTO outtray.worker (topic, process, holds_lock, seen_at) VALUES ('new', 'gone', true, now())");
        let cancellation = format!("INSERT INTO outtray.cancellation VALUES ('old', '{expiring}')");
        place.sql(&cancellation);
        let _holder = hold(&place, held);
        let (_receiver, told) = receive(&place.messaging, "later");

        check_goes_on(&place, &told, held);
    }
}

#[test]
fn an_upkeep_that_lost_its_connection_goes_on_while_others_hold_the_rows_of_receivers() {
    let mut place = Place::watchful();
    let _receiver = place.idle_receiver();
    let _holder = hold(&place, "SELECT FROM outtray.worker FOR UPDATE");

    // Upkeep shows by locks that its process lives.
    place.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_locks
            WHERE locktype = 'advisory'
                AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    );

    let message = NewMessage::json("later", &1).unwrap();
    place.send_new(message.delay(Duration::from_millis(200)));
    eventually("it is moved", || place.count("outtray.message") == 1);
}

#[test]
fn a_message_that_comes_after_others_is_released_once_nobody_holds_it() {
    let mut place = Place::watchful();
    send_dependent(&mut place);
    let holder = hold(&place, "SELECT FROM outtray.scheduled FOR UPDATE");
    let (_receiver, told) = receive(&place.messaging, "later");
    check_goes_on(&place, &told, "one that waits");

    drop(holder);

    let (_second, told) = receive(&place.messaging, "second");
    assert_eq!(next(&told, 1), [2]);
}

/// A process with upkeep. The role is the database.
#[test]
fn what_a_child_process_runs() {
    let Some(url) = Child::role() else { return };
    let messaging = process(&url, Duration::from_millis(50));
    let (receiver, _told) = receive(&messaging, "elsewhere");
    Child::tell("ready");
    Child::await_parent();
    receiver.stop(PATIENCE);
}

/// Has who releases messages wait, with their locks, as long as there is a gate.
const GATED: &str = "
    CREATE TABLE gate (); INSERT INTO gate DEFAULT VALUES;
    CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        WHILE EXISTS (SELECT FROM gate) LOOP PERFORM pg_sleep(0.01); END LOOP; RETURN NEW;
    END $$;
    CREATE TRIGGER gated BEFORE UPDATE ON outtray.scheduled
        FOR EACH ROW WHEN (OLD.due_at = 'infinity') EXECUTE FUNCTION wait()";

#[test]
fn a_process_that_is_frozen_in_the_middle_of_its_duty_holds_up_no_other() {
    let mut place = Place::watchful();
    place.sql(GATED);
    send_dependent(&mut place);
    let child = test_name!(what_a_child_process_runs);
    let mut child = Child::start(Child::this_program(), child, &place.url);
    assert_eq!(child.listen(), "ready");
    eventually("it releases", || {
        place
            .count("pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()")
            > 0
    });
    signal(child.id(), "STOP");
    place.sql("DELETE FROM gate");
    eventually("its transaction stands still", || {
        place.count(
            "pg_stat_activity WHERE state = 'idle in transaction' AND datname = current_database()",
        ) > 0
    });

    let (_receiver, told) = receive(&place.messaging, "later");
    check_goes_on(&place, &told, "a frozen process");

    // What it holds is free again, too.
    let (_second, told) = receive(&place.messaging, "second");
    assert_eq!(next(&told, 1), [2]);
    child.kill();
}

#[test]
fn a_crowd_that_is_due_at_once_keeps_no_other_topic_waiting() {
    for ages in ["interval '1 hour'", "n * interval '1 ms'"] {
        let mut place = Place::watchful();
        place.sql(&format!(
            "INSERT INTO outtray.scheduled (topic, rank, id, due_at, payload)
            SELECT CASE n % 3 WHEN 0 THEN 'crowd' ELSE 'crowd-2' END, 0, gen_random_uuid(), now() - {ages}, '1'
            FROM generate_series(1, 400000) AS n;
            INSERT INTO outtray.scheduled (topic, rank, id, due_at, payload)
            SELECT topic, 0, gen_random_uuid(), now(), '7' FROM unnest(ARRAY['a', 'crowd-1', 'later']) AS topic"
        ));
        let (tell, told) = unbounded();
        let receivers = ["a", "crowd-1", "later"].map(|topic| {
            let tell = tell.clone();
            let receiver = place.messaging.receiver(topic);
            let left = "SELECT count(*) FROM outtray.scheduled";
            receiver
                .start(move |session, _: Message<i32>| {
                    Ok(tell.send(session.query_one(left, &[])?.get::<_, i64>(0))?)
                })
                .unwrap()
        });

        let left = next(&told, 3);

        assert!(left.iter().all(|left| *left > 100_000), "{left:?}");
        for receiver in receivers {
            receiver.stop(PATIENCE);
        }
    }
}

#[test]
fn a_death_is_noticed_of_one_topic_while_somebody_holds_the_row_of_another() {
    let mut place = Place::watchful();
    for topic in ["one", "two"] {
        place.send(topic, &1);
        place.sql(&format!(
            "INSERT INTO outtray.topic (topic) VALUES ('{topic}') ON CONFLICT DO NOTHING;
            INSERT INTO outtray.worker (topic, process, holds_lock, shift, most)
            VALUES ('{topic}', 'gone', true, 1, 1)"
        ));
    }
    let holder = hold(
        &place,
        "SELECT FROM outtray.topic WHERE topic = 'one' FOR UPDATE",
    );

    let (_receiver, _told) = receive(&place.messaging, "later");

    let suspect = |topic: &str| {
        format!("outtray.topic WHERE topic = '{topic}' AND suspect_until > now() + interval '1 s'")
    };
    eventually("it is noticed", || place.count(&suspect("two")) == 1);
    assert_eq!(place.count(&suspect("one")), 0);
    drop(holder);
    eventually("so is the other", || place.count(&suspect("one")) == 1);
}
