//! A topic with a rate begins no more messages than that, over all processes, and no fewer for
//! long.

mod reset;
mod spare;

use crate::support::{PATIENCE, Place, client, eventually, pass_time, process};
use outtray::{
    HandlerError, Message, Messaging, MessagingSession, NewMessage, Rate, Receiver, TopicConfig,
};
use std::time::{Duration, Instant};

const SECOND: Duration = Duration::from_secs(1);

const KEYS: i64 = 500;

fn rate(messages: u32, per: Duration, burst: u32) -> Option<Rate> {
    Some(Rate {
        messages,
        per,
        burst,
    })
}

fn place(rate: Option<Rate>, rate_per_key: Option<Rate>) -> Place {
    let mut place = Place::watchful();
    place.sql("CREATE TABLE begun (key text, at timestamptz NOT NULL DEFAULT clock_timestamp())");
    place.sql("CREATE TABLE made AS SELECT clock_timestamp() AS since");
    configure(&place.messaging, rate, rate_per_key);
    place
}

fn configure(messaging: &Messaging, rate: Option<Rate>, rate_per_key: Option<Rate>) {
    let config = TopicConfig {
        rate,
        rate_per_key,
        ..TopicConfig::default()
    };
    messaging.topic("jobs").configure(config).unwrap();
}

/// Notes by the database's clock that a message is begun.
fn begin(session: &mut MessagingSession<'_>, message: &Message) -> Result<(), HandlerError> {
    session.execute("INSERT INTO begun (key) VALUES ($1)", &[&message.key])?;
    Ok(())
}

fn receive(messaging: &Messaging) -> Receiver {
    // More than begin to work at first: some leave with what they took.
    let receiver = messaging.receiver("jobs").workers(16);
    let receiver = receiver.start(|session, message: Message| begin(session, &message));
    receiver.unwrap()
}

/// Checks that at no time there were more than the burst and what the rate gave since the bucket
/// was made.
#[track_caller]
fn check_bound(place: &mut Place, rows: &str, per_second: f64, burst: f64) {
    let query = format!(
        "SELECT max(number - {per_second} * extract(epoch FROM at - (SELECT since FROM made))) FROM (
            SELECT row_number() OVER (ORDER BY at) AS number, at FROM {rows}
        ) AS numbered"
    );
    let most = place.number(&query);
    assert!(
        most <= burst + 0.01,
        "{most} over the rate, with a burst of {burst}"
    );
}

#[test]
fn two_processes_share_a_burst_and_an_even_pace() {
    let mut place = place(rate(20, SECOND, 10), None);
    place.send_all("jobs", 0..50);
    let other = process(&place.url, Duration::from_millis(50));
    let started = Instant::now();
    let receivers = [receive(&place.messaging), receive(&other)];

    eventually("all are begun", || place.count("begun") == 50);
    let took = started.elapsed();
    for receiver in receivers {
        receiver.stop(PATIENCE);
    }

    // Ten at once, and forty at twenty a second.
    assert!(took >= Duration::from_millis(1900), "{took:?}");
    check_bound(&mut place, "begun", 20.0, 10.0);
}

#[test]
fn a_rate_of_many_a_second_is_reached_in_batches() {
    let mut place = place(rate(2000, SECOND, 100), None);
    place.send_all("jobs", 0..1000);
    let receiver = receive(&place.messaging);
    eventually("all are begun", || place.count("begun") == 1000);
    receiver.stop(PATIENCE);
    check_bound(&mut place, "begun", 2000.0, 100.0);
}

#[test]
fn tokens_that_nothing_was_there_for_go_back() {
    let mut place = place(rate(1, 3600 * SECOND, 5), None);
    place.send("jobs", &0);
    let receiver = receive(&place.messaging);
    eventually("one is begun", || place.count("begun") == 1);
    place.send_all("jobs", 1..4);
    eventually("four are begun", || place.count("begun") == 4);
    receiver.stop(PATIENCE);

    place.send_all("jobs", 4..10);
    let other = process(&place.url, Duration::from_millis(50));
    let receiver = receive(&other);
    eventually("the fifth is begun", || place.count("begun") == 5);
    pass_time(Duration::from_millis(300));
    assert_eq!(place.count("begun"), 5, "an hour must pass for the next");

    receiver.stop(PATIENCE);

    // Two hours pass.
    place.sql("UPDATE outtray.bucket SET full_at = full_at - interval '2 hours'");
    let receiver = receive(&other);
    eventually("two more", || place.count("begun") == 7);
    receiver.stop(PATIENCE);
}

#[test]
fn a_faster_rate_holds_at_once_and_none_lets_all_through() {
    let mut place = place(rate(1, 3600 * SECOND, 5), None);
    place.send_all("jobs", 0..20);
    let receiver = receive(&place.messaging);
    eventually("the burst", || place.count("begun") == 5);

    configure(&place.messaging, rate(100, SECOND, 1), None);
    eventually("the others", || place.count("begun") == 20);
    configure(&place.messaging, rate(1, 3600 * SECOND, 1), None);
    place.send_all("jobs", 0..20);
    configure(&place.messaging, None, None);
    eventually("all", || place.count("begun") == 40);
    receiver.stop(PATIENCE);
    // A worker may have asked just before it heard; now there is none.
    configure(&place.messaging, None, None);
    assert_eq!(place.count("outtray.bucket"), 0);
}

#[test]
fn a_bucket_that_was_emptied_at_a_slower_rate_holds_nobody_up() {
    let mut place = place(rate(100, SECOND, 1), None);
    // By a process that has not heard of the rate yet.
    place.sql("INSERT INTO outtray.bucket VALUES ('jobs', '', now() + interval '1 day', 0)");
    place.send_all("jobs", 0..20);
    let receiver = receive(&place.messaging);
    eventually("all", || place.count("begun") == 20);
    receiver.stop(PATIENCE);
    check_bound(&mut place, "begun", 100.0, 1.0);
}

#[test]
fn each_key_has_a_rate_of_its_own_and_being_put_off_costs_no_attempt() {
    let mut place = place(None, rate(10, SECOND, 2));
    place
        .messaging
        .session(|session| {
            for number in 0..30 {
                let key = ["a", "b", "c"][number % 3];
                session.send(NewMessage::json("jobs", &number)?.key(key))?;
            }
            session.send_messages("jobs", 100..110)?;
            Ok(())
        })
        .unwrap();
    let other = process(&place.url, Duration::from_millis(50));
    let attempts = |messaging: &Messaging| {
        messaging
            .start_receiving_messages("jobs", |session, message: Message| {
                assert_eq!(message.attempt, 1);
                begin(session, &message)
            })
            .unwrap()
    };
    let receivers = [attempts(&place.messaging), attempts(&other)];

    eventually("those without a key", || {
        place.count("begun WHERE key IS NULL") == 10
    });
    eventually("all are begun", || place.count("begun") == 40);
    for receiver in receivers {
        receiver.stop(PATIENCE);
    }
    assert_eq!(place.count("outtray.dead_letter"), 0);
    for key in ["a", "b", "c"] {
        assert_eq!(place.count(&format!("begun WHERE key = '{key}'")), 10);
        check_bound(&mut place, &format!("begun WHERE key = '{key}'"), 10.0, 2.0);
    }
}

/// Workers take tokens for the same message and one of them begins it: what the others took is for
/// the next message of the key, even if that was put off meanwhile.
#[test]
fn each_key_has_its_whole_burst_however_many_workers_look_at_it() {
    let mut place = place(None, rate(1, 3600 * SECOND, 2));
    let others = [(), ()].map(|()| process(&place.url, Duration::from_millis(50)));
    let leasing = others[1].receiver("jobs").workers(16).lease(60 * SECOND);
    let leasing = leasing.start(|session, message: Message| begin(session, &message));
    let receivers = [
        receive(&place.messaging),
        receive(&others[0]),
        leasing.unwrap(),
    ];
    for number in 0..3 {
        let keys = 0..KEYS;
        let send = |key| {
            NewMessage::json("jobs", &number)
                .unwrap()
                .key(format!("{key}"))
        };
        place
            .messaging
            .session(|session| Ok(session.send_all(keys.map(send))?))
            .unwrap();
    }
    eventually("the bursts", || place.count("begun") == 2 * KEYS);
    eventually("one of each is put off", || {
        place.count("outtray.scheduled") == KEYS
    });
    for receiver in receivers {
        receiver.stop(PATIENCE);
    }
    let over = "(SELECT FROM begun GROUP BY key HAVING count(*) > 2) AS over";
    assert_eq!(place.count(over), 0);
}

#[test]
fn a_strict_topic_and_a_drain_keep_the_rate_too() {
    let mut place = place(rate(20, SECOND, 1), None);
    place.send_all("jobs", 0..5);
    let receiver = place.messaging.receiver("jobs").strict_order();
    let receiver = receiver
        .start(|session, message: Message| begin(session, &message))
        .unwrap();
    eventually("all are begun", || place.count("begun") == 5);
    receiver.stop(PATIENCE);
    place.send_all("jobs", 0..5);
    let report = place
        .messaging
        .drain("jobs", |session, message: Message| begin(session, &message))
        .unwrap();

    assert_eq!(report.handled, 5);
    check_bound(&mut place, "begun", 20.0, 1.0);
}

#[test]
fn a_drain_leaves_messages_whose_key_is_over_its_rate_and_counts_no_retry_for_them() {
    let mut place = place(None, rate(1, 3600 * SECOND, 2));
    for _ in 0..4 {
        place.send_new(NewMessage::json("jobs", &1).unwrap().key("a"));
    }

    let report = place
        .messaging
        .drain("jobs", |session, message: Message| begin(session, &message))
        .unwrap();

    assert_eq!((report.handled, report.retried), (2, 0));
    let stats = place.messaging.topic("jobs").stats().unwrap();
    assert_eq!(stats.scheduled, 1);
    // One at a time is put off; the other waits behind it.
    assert_eq!(place.count("outtray.follower"), 1);
}

#[test]
fn a_topic_over_its_rate_asks_seldom() {
    let mut place = place(rate(1, 3600 * SECOND, 1), None);
    place.send_all("jobs", 0..10);
    let receiver = receive(&place.messaging);
    eventually("one is begun", || place.count("begun") == 1);
    let asked = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()";
    pass_time(2 * SECOND);
    let mut watcher = client(&place.url);
    let mut count = || watcher.query_one(asked, &[]).unwrap().get::<_, i64>(0);
    let before = count();
    pass_time(3 * SECOND);
    let during = count() - before;
    receiver.stop(PATIENCE);
    // Twenty polls a second, each of which rings a worker, which asks nothing.
    assert!(during <= 3 * 40, "{during} transactions in 3 s");
}
