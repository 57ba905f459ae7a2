//! What an operator sets for a topic, every process obeys: limits, and pauses.

mod by_hand;
mod pauses;

use crate::support::{
    Gate, HOUR, NO_POLLING, PATIENCE, Place, client, deaf_process, eventually, next, process, send,
    telling,
};
use crossbeam_channel::{Receiver as Told, unbounded};
use outtray::{
    Backoff, ErrorKind, HandlerError, Message, Messaging, NewMessage, Receiver, TopicConfig,
};
use postgres::Client;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Starts a receiver that tells of each message, and fails it.
fn failing(messaging: &Messaging) -> (Receiver, Told<u32>) {
    let (tell, told) = unbounded();
    let receiver = messaging
        .receiver("jobs")
        .backoff(Backoff::fixed(HOUR))
        .start(move |_, message: Message<i32>| {
            tell.send(message.max_attempts)?;
            Err(HandlerError::failed("no"))
        })
        .unwrap();
    (receiver, told)
}

/// Sends until a message is met with this limit.
#[track_caller]
fn await_limit(messaging: &Messaging, told: &Told<u32>, limit: u32) {
    eventually("the setting is obeyed", || {
        send(messaging, "jobs", &1);
        next(told, 1) == [limit]
    });
}

fn two_attempts() -> TopicConfig {
    TopicConfig {
        max_attempts: Some(2),
        backoff: Some(Backoff::fixed(Duration::from_millis(10))),
        ..TopicConfig::default()
    }
}

#[test]
fn a_process_that_is_told_obeys_the_settings_of_a_topic() {
    let mut place = Place::polling(NO_POLLING);
    let elsewhere = process(&place.url, NO_POLLING);
    let (_receiver, told) = failing(&elsewhere);
    place.await_listener();
    send(&elsewhere, "jobs", &1);
    assert_eq!(next(&told, 1), [10]);

    place
        .messaging
        .topic("jobs")
        .configure(two_attempts())
        .unwrap();

    await_limit(&elsewhere, &told, 2);
    // The backoff is the topic's too: an hour has not passed.
    eventually("it is given up", || {
        place
            .dead_letters("jobs")
            .iter()
            .any(|letter| letter.attempts == 2)
    });
}

#[test]
fn a_process_that_is_not_told_obeys_by_its_next_poll_also_when_a_setting_goes() {
    let place = Place::polling(NO_POLLING);
    let elsewhere = deaf_process(&place.url, Duration::from_millis(50));
    let (_receiver, told) = failing(&elsewhere);
    let topic = place.messaging.topic("jobs");

    topic.configure(two_attempts()).unwrap();
    await_limit(&elsewhere, &told, 2);
    topic.configure(TopicConfig::default()).unwrap();
    await_limit(&elsewhere, &told, 10);
}

#[test]
fn a_bad_setting_is_refused_and_nothing_is_changed() {
    let place = Place::new();
    let topic = place.messaging.topic("jobs");
    topic.configure(two_attempts()).unwrap();
    let bad = TopicConfig {
        max_attempts: Some(0),
        delay: Some(HOUR),
        ..TopicConfig::default()
    };

    let error = topic.configure(bad).unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(
        error
            .to_string()
            .contains("max_attempts of topic jobs is 0"),
        "{error}"
    );
    assert_eq!(topic.config().unwrap(), two_attempts());
}

#[test]
fn a_topic_keeps_messages_back_that_do_not_say_for_how_long() {
    let mut place = Place::new();
    let config = TopicConfig {
        delay: Some(HOUR),
        ..TopicConfig::default()
    };
    place.messaging.topic("jobs").configure(config).unwrap();

    place.send("jobs", &1);
    place.send_new(NewMessage::json("jobs", &2).unwrap().delay(Duration::ZERO));

    let due_in_s = place.due_in();
    assert!((3590.0..=3600.0).contains(&due_in_s), "{due_in_s}");
    assert_eq!(place.messaging.topic("jobs").stats().unwrap().ready, 1);
}

#[test]
fn settings_that_cannot_be_read_are_left_to_the_defaults_and_no_other_topic_feels_them() {
    let mut place = Place::watchful();
    let (_receiver, told) = telling::<i32>(place.messaging.receiver("jobs"));

    // As a newer release may write them, or nobody.
    place.sql(
        r#"INSERT INTO outtray.topic (topic, config, changed_at) VALUES
            ('odd', '{"poisoned_key": "bury", "max_attempts": "many", "delay_ms": 5, "mood": 1}', clock_timestamp()),
            ('odder', '[1]', clock_timestamp())"#,
    );
    // A poll finds it: it goes on.
    place.sql(
        "INSERT INTO outtray.message (topic, rank, id, payload) VALUES ('jobs', 0, gen_random_uuid(), '7')",
    );

    assert_eq!(next(&told, 1), [7]);
    let readable = TopicConfig {
        delay: Some(Duration::from_millis(5)),
        ..TopicConfig::default()
    };
    let odd = place.messaging.topic("odd");
    assert_eq!(odd.config().unwrap(), readable);
    let odder = place.messaging.topic("odder");
    assert_eq!(odder.config().unwrap(), TopicConfig::default());
    let started = process(&place.url, NO_POLLING);
    let drained = started.drain("odd", |_, _: Message<i32>| Ok(())).unwrap();
    assert_eq!(drained.handled, 0);
    let (_started, _) = failing(&started);
    started.topic("odder").pause().unwrap();
    odd.configure(two_attempts()).unwrap();
    assert_eq!(odd.config().unwrap(), two_attempts());
}

#[test]
fn a_backoff_that_is_set_can_be_read_again_whatever_its_factor() {
    let place = Place::new();
    let topic = place.messaging.topic("jobs");
    let by = |factor| TopicConfig {
        backoff: Some(Backoff::exponential(HOUR, factor, HOUR)),
        ..TopicConfig::default()
    };

    topic.configure(by(f64::NAN)).unwrap();
    assert_eq!(topic.config().unwrap(), by(1.0));
    topic.configure(by(f64::MAX)).unwrap();
    assert_eq!(topic.config().unwrap(), by(f64::MAX));
    let error = topic.configure(by(f64::INFINITY)).unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(
        error.to_string().contains("the backoff of topic jobs"),
        "{error}"
    );
    assert_eq!(topic.config().unwrap(), by(f64::MAX));
}

#[test]
fn a_pause_is_made_also_when_the_settings_cannot_be_read_after_it() {
    let mut place = Place::new();
    place.sql("ALTER TABLE outtray.topic RENAME COLUMN config TO document");

    place.messaging.topic("jobs").pause().unwrap();

    place.sql("ALTER TABLE outtray.topic RENAME COLUMN document TO config");
    assert!(place.messaging.topic("jobs").is_paused().unwrap());
}

#[test]
fn of_two_operators_at_once_neither_loses_what_the_other_changes() {
    let mut place = Place::new();
    let other = process(&place.url, NO_POLLING);
    let messaging = place.messaging.clone();
    let gate = Gate::new();

    thread::scope(|scope| {
        scope.spawn(|| {
            let topic = messaging.topic("jobs");
            topic
                .reconfigure(|config| {
                    gate.pass();
                    config.max_attempts = Some(2);
                })
                .unwrap();
        });
        gate.await_arrivals(1);
        scope.spawn(|| {
            let topic = other.topic("jobs");
            topic
                .reconfigure(|config| config.delay = Some(HOUR))
                .unwrap();
        });
        place.await_lock_waits(1);
        gate.open_for(1);
    });

    let expected = TopicConfig {
        max_attempts: Some(2),
        delay: Some(HOUR),
        ..TopicConfig::default()
    };
    assert_eq!(place.messaging.topic("jobs").config().unwrap(), expected);
}

#[test]
fn a_change_that_is_refused_changes_nothing_and_holds_nobody_up() {
    let place = Place::new();
    let topic = place.messaging.topic("jobs");
    topic.configure(two_attempts()).unwrap();

    let error = topic
        .reconfigure(|config| {
            config.delay = Some(HOUR);
            config.max_in_work = Some(0);
        })
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(topic.config().unwrap(), two_attempts());
    let changed = topic
        .reconfigure(|config| config.max_attempts = Some(3))
        .unwrap();
    assert_eq!(changed.max_attempts, Some(3));
    assert_eq!(changed.backoff, two_attempts().backoff);
    assert_eq!(topic.config().unwrap(), changed);
}

/// Has the first reading of all settings that begins from now on wait, with what it sees already
/// decided, until the lock 2 is given back on the connection that is returned.
fn hold_first_reading(place: &mut Place) -> Client {
    let mut gate = client(&place.url);
    gate.batch_execute("SELECT pg_advisory_lock(2)").unwrap();
    place.sql(
        "CREATE FUNCTION outtray.gate() RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
            BEGIN
                IF current_query() LIKE '%topic.config IS NOT NULL%' AND pg_try_advisory_lock(1) THEN
                    PERFORM pg_advisory_lock(2);
                END IF;
                RETURN true;
            END $$;
         ALTER TABLE outtray.topic RENAME TO topic_row;
         CREATE VIEW outtray.topic AS SELECT * FROM outtray.topic_row WHERE outtray.gate()",
    );
    gate
}

#[test]
fn settings_that_were_read_earlier_and_come_later_replace_nothing() {
    let mut place = Place::watchful();
    place.sql("INSERT INTO outtray.topic (topic, config) VALUES ('jobs', '{}')");
    let (_receiver, told) = telling::<i32>(place.messaging.receiver("jobs"));
    place.send("jobs", &0);
    next(&told, 1);
    let mut gate = hold_first_reading(&mut place);
    let is_told = AtomicBool::new(false);
    let sending = place.messaging.clone();
    let enqueue = "INSERT INTO outtray.message (topic, rank, id, payload)
        VALUES ('jobs', 0, gen_random_uuid(), '1')";

    thread::scope(|scope| {
        scope.spawn(|| {
            // A session reads them when they are a second old.
            let begun = Instant::now();
            while !is_told.load(Ordering::Relaxed) && begun.elapsed() < PATIENCE {
                send(&sending, "others", &0);
            }
        });
        let waiting =
            "pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'";
        eventually("a session reads them", || place.count(waiting) == 1);
        place.sql("UPDATE outtray.topic_row SET paused_at = now(), changed_at = clock_timestamp()");
        eventually("the pause is obeyed", || {
            place.sql(enqueue);
            // Long enough that no slow machine takes the message for one that waits.
            told.recv_timeout(Duration::from_secs(2)).is_err()
        });
        is_told.store(true, Ordering::Relaxed);
        gate.batch_execute("SELECT pg_advisory_unlock(2)").unwrap();
    });

    place.sql(enqueue);
    assert!(told.recv_timeout(Duration::from_millis(300)).is_err());
}
