//! What is served: health, and the numbers of topics.

use super::{Serving, begin_reader, of};
use crate::support::{MINUTE, Place, reject};
use outtray::NewMessage;
use std::time::Duration;

/// Sends what makes a topic have something of each kind.
fn fill(place: &Place) {
    place.send_all("orders", 0..5);
    place.send_new(
        NewMessage::json("orders", &5)
            .unwrap()
            .delay(Duration::from_secs(600)),
    );
    place.send_all("mails", 0..3);
    place.messaging.drain("mails", reject).unwrap();
    for number in 0..3 {
        let keyed = NewMessage::json("lines", &number).unwrap().key("one");
        place.send_new(keyed);
    }
    place.messaging.topic("mails").pause().unwrap();
}

#[test]
fn a_scrape_has_the_numbers_that_the_database_has() {
    let mut place = Place::new();
    fill(&place);
    let topic = place.messaging.topic("orders");
    let leased = topic.receive::<i32>(MINUTE).unwrap().unwrap();
    place.sql(
        "UPDATE outtray.message SET sent_at = now() - interval '1 hour' WHERE topic = 'orders'",
    );
    let mut other = crate::support::client(&place.url);
    let mut holder = other.transaction().unwrap();
    let hold =
        "SELECT FROM outtray.message WHERE topic = 'orders' ORDER BY rank, seq LIMIT 2 FOR UPDATE";
    holder.batch_execute(hold).unwrap();
    let serving = Serving::over(&place.url, &[]);

    let metrics = serving.metrics();

    let is = |name: &str, topic: &str, expected: f64| {
        assert_eq!(metrics[&of(name, topic)], expected, "{name} of {topic}");
    };
    is("outtray_topic_ready_messages", "orders", 4.0);
    is("outtray_topic_in_work_messages", "orders", 3.0);
    is("outtray_topic_scheduled_messages", "orders", 1.0);
    is("outtray_topic_dead_messages", "orders", 0.0);
    is("outtray_topic_dead_messages", "mails", 3.0);
    is("outtray_topic_paused", "mails", 1.0);
    is("outtray_topic_ready_messages", "lines", 1.0);
    is("outtray_topic_behind_messages", "lines", 2.0);
    let age = metrics[&of("outtray_topic_oldest_ready_age_seconds", "orders")];
    assert!((3_600.0..4_200.0).contains(&age), "{age}");
    assert_eq!(metrics["outtray_database_up"], 1.0);
    assert_eq!(metrics["outtray_schema_up"], 1.0);
    let answer = serving.get("/metrics");
    assert!(
        answer.head.contains("text/plain; version=0.0.4"),
        "{answer:?}"
    );
    assert!(
        answer
            .body
            .contains("# TYPE outtray_topic_ready_messages gauge")
    );
    holder.rollback().unwrap();
    leased.ack().unwrap();
}

#[test]
fn topics_over_the_limit_and_those_with_made_up_names_are_summed_up() {
    let mut place = Place::new();
    for topic in ["a", "b", "c", "d"] {
        place.send_all(topic, 0..2);
    }
    place.sql(
        "INSERT INTO outtray.message (topic, rank, id, payload)
             SELECT 'outtray.reply.' || number, 0, gen_random_uuid(), '1' FROM generate_series(1, 5) AS number;
         INSERT INTO outtray.message (topic, rank, id, payload)
             SELECT 'd', 0, gen_random_uuid(), '1' FROM generate_series(1, 30000)",
    );
    let serving = Serving::over(&place.url, &["--metrics-topics", "2"]);

    let metrics = serving.metrics();

    let ready = |topic: &str| metrics[&of("outtray_topic_ready_messages", topic)];
    assert_eq!(["a", "b", "_TEMPORARY"].map(ready), [2.0, 2.0, 5.0]);
    // That of many is an estimate; here the sample has all pages.
    assert_eq!(ready("_OTHER"), 30_004.0);
    assert_eq!(metrics[&of("outtray_topic_estimated", "_OTHER")], 1.0);
    assert_eq!(metrics[&of("outtray_topics", "_OTHER")], 2.0);
    let series = |name: &str| metrics.keys().filter(|key| key.starts_with(name)).count();
    assert_eq!(series("outtray_topic_ready_messages"), 4);
}

#[test]
fn readers_of_logs_are_shown_with_how_far_behind_they_are() {
    let mut place = crate::log::place();
    begin_reader(&mut place);
    place.send_all("ledger", 0..20);
    let serving = Serving::over(&place.url, &[]);
    let few = Serving::over(&place.url, &["--metrics-topics", "0"]);

    let of_reader = |name: &str, topic: &str, reader: &str| {
        format!("{name}{{messaging_destination_name=\"{topic}\",reader=\"{reader}\"}}")
    };
    let (metrics, summed) = (serving.metrics(), few.metrics());
    for (metrics, topic, reader) in [(&metrics, "ledger", "slow"), (&summed, "_OTHER", "_OTHER")] {
        let lag = metrics[&of_reader("outtray_log_reader_lag_messages", topic, reader)];
        let behind = metrics[&of_reader("outtray_log_reader_behind_seconds", topic, reader)];
        assert!(lag >= 20.0 && behind > 0.0, "{lag} {behind}");
    }
}

#[test]
fn pages_that_are_not_there_and_other_verbs_are_refused() {
    let serving = Serving::new();
    assert_eq!(serving.get("/nowhere").status, 404);
    assert_eq!(serving.get("/metrics/x").status, 404);
    let posted = serving.ask("POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx");
    assert_eq!(posted.status, 405);
    let head = serving.ask("HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
}
