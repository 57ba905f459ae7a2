//! What a process records, with an exporter of its own.

use super::{of, series};
use crate::support::{HOUR, Place, client, database, done, eventually};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use outtray::metrics::{DURATION_BUCKETS, Metrics};
use outtray::{Backoff, HandlerError, Message, Messaging, NewMessage, Rate, TopicConfig};
use std::collections::BTreeMap;
use std::time::Duration;

/// Returns a place whose process records, and what it recorded.
fn place(most_topics: usize) -> (Place, PrometheusHandle) {
    let builder = PrometheusBuilder::new().set_buckets(&DURATION_BUCKETS);
    let recorder = builder.unwrap().build_recorder();
    let handle = recorder.handle();
    let url = database();
    let metrics = Metrics::to(recorder).most_topics(most_topics);
    let messaging = Messaging::builder()
        .url(&url)
        .metrics(metrics)
        .connect()
        .unwrap();
    let place = Place {
        client: client(&url),
        url,
        messaging,
    };
    (place, handle)
}

fn recorded(handle: &PrometheusHandle) -> BTreeMap<String, f64> {
    series(&handle.render())
}

#[test]
fn each_way_in_which_a_message_goes_is_counted_once() {
    let (place, handle) = place(10);
    place.send_all("orders", 0..5);
    let cancelled = place.send_new(NewMessage::json("orders", &5).unwrap());
    place.messaging.cancel(cancelled).unwrap();

    let receiver = place
        .messaging
        .receiver("orders")
        .max_attempts(2)
        .backoff(Backoff::fixed(Duration::from_millis(1)));
    receiver
        .drain_all(|_, message: Message<i32>| match message.payload {
            0 => Err(HandlerError::reject("no")),
            1 => Err(HandlerError::failed("not today")),
            _ => Ok(()),
        })
        .unwrap();
    place.messaging.topic("orders").redrive(..).unwrap();
    place.messaging.topic("orders").purge().unwrap();

    let recorded = recorded(&handle);
    for (name, expected) in [
        ("outtray_sent_messages_total", 6.0),
        ("outtray_done_messages_total", 3.0),
        ("outtray_failed_attempts_total", 3.0),
        ("outtray_retried_messages_total", 1.0),
        ("outtray_cancelled_messages_total", 1.0),
        ("outtray_redriven_messages_total", 2.0),
        ("outtray_purged_messages_total", 2.0),
        ("outtray_wait_duration_seconds_count", 6.0),
        ("outtray_process_duration_seconds_count", 6.0),
        ("outtray_end_to_end_duration_seconds_count", 3.0),
    ] {
        assert_eq!(
            recorded[&of(name, "orders")],
            expected,
            "{name}: {recorded:#?}"
        );
    }
    let dead = |reason: &str| {
        recorded[&format!(
            "outtray_dead_messages_total{{messaging_destination_name=\"orders\",reason=\"{reason}\"}}"
        )]
    };
    assert_eq!((dead("rejected"), dead("exhausted")), (1.0, 1.0));
}

#[test]
fn topics_over_the_limit_are_counted_together() {
    let (place, handle) = place(2);
    for topic in ["b", "a", "c", "d"] {
        place.send(topic, &1);
        place.messaging.drain(topic, done).unwrap();
    }

    let recorded = recorded(&handle);

    let done = |topic: &str| {
        recorded
            .get(&of("outtray_done_messages_total", topic))
            .copied()
    };
    assert_eq!(
        ["a", "b", "c", "_OTHER"].map(done),
        [Some(1.0), Some(1.0), None, Some(2.0)]
    );
}

#[test]
fn how_a_process_is_is_recorded_when_it_is_asked_for() {
    let (mut place, handle) = place(10);
    let receiver = place
        .messaging
        .receiver("orders")
        .workers(3)
        .start(done)
        .unwrap();
    place.await_listener();
    place.send("orders", &1);
    eventually("it is handled", || {
        place.messaging.topic("orders").is_empty().unwrap()
    });

    let mut seen = BTreeMap::new();
    eventually("its workers rest, and it listens", || {
        place.messaging.record_vitals();
        seen = recorded(&handle);
        seen[&of("outtray_busy_workers", "orders")] == 0.0 && seen["outtray_listening"] == 1.0
    });

    assert_eq!(seen[&of("outtray_workers", "orders")], 3.0);
    assert_eq!(seen[&of("outtray_crew_size", "orders")], 3.0);
    assert!(
        seen[&of("outtray_sweeps_total", "orders")] >= 1.0,
        "{seen:#?}"
    );
    assert_eq!(seen["outtray_pool_max_connections"], 16.0);
    assert!(seen["outtray_pool_connections{db_client_connection_state=\"idle\"}"] >= 1.0);
    assert_eq!(seen["outtray_unknown_commits_total"], 0.0);
    drop(receiver);
    place.messaging.record_vitals();
    assert_eq!(recorded(&handle)[&of("outtray_workers", "orders")], 0.0);
}

#[test]
fn messages_that_go_back_unhandled_are_counted() {
    let (place, handle) = place(10);
    let rate = Rate {
        messages: 1,
        per: HOUR,
        burst: 1,
    };
    let config = TopicConfig {
        rate_per_key: Some(rate),
        ..TopicConfig::default()
    };
    place.jobs().configure(config).unwrap();
    for number in 0..2 {
        place.send_new(NewMessage::json("jobs", &number).unwrap().key("k"));
    }
    place.send("leased", &1);

    place
        .messaging
        .drain("jobs", |_, _: Message<i32>| Ok(()))
        .unwrap();
    let leased = place.messaging.topic("leased");
    leased
        .receive::<i32>(HOUR)
        .unwrap()
        .unwrap()
        .release()
        .unwrap();

    let recorded = recorded(&handle);
    let put_off = of("outtray_put_off_messages_total", "jobs");
    let released = of("outtray_released_messages_total", "leased");
    assert_eq!(
        (recorded[&put_off], recorded[&released]),
        (1.0, 1.0),
        "{recorded:#?}"
    );
}
