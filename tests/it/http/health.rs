//! Health is told in time, whatever becomes of the database.

use super::{Serving, of};
use crate::support::{Frozen, Place, empty_database, eventually, pass_time};
use outtray::Messaging;
use outtray::testing::Server;
use std::fs;
use std::time::{Duration, Instant};

/// How long an answer may take whatever the database does, on a busy machine.
const IN_TIME: Duration = Duration::from_secs(8);

#[test]
fn a_process_is_ready_once_the_schema_is_there() {
    let url = empty_database();
    let serving = Serving::over(&url, &[]);

    let before = serving.get("/readyz");
    assert_eq!(before.status, 503, "{before:?}");
    assert!(before.body.contains("outtray migrate"), "{before:?}");
    assert_eq!(serving.get("/healthz").status, 200);
    let metrics = serving.metrics();
    assert_eq!(metrics["outtray_database_up"], 1.0);
    assert_eq!(metrics["outtray_schema_up"], 0.0);

    Messaging::connect(&url).unwrap().migrate().unwrap();
    eventually("it is ready", || serving.get("/readyz").status == 200);
    assert_eq!(serving.get("/readyz").body, "ready\n");
}

#[test]
fn a_database_that_is_silent_or_gone_delays_nobody_for_long() {
    let server = Server::builder().always_embedded().start().unwrap();
    let url = server.database().unwrap();
    let place = Place::over(&url, Messaging::connect(&url).unwrap());
    place.messaging.migrate().unwrap();
    place.send("orders", &1);
    let serving = Serving::over(&url, &[]);
    let ready = of("outtray_topic_ready_messages", "orders");
    assert_eq!(serving.metrics()[&ready], 1.0);
    assert_eq!(serving.get("/readyz").status, 200);
    let told_in_time = || {
        eventually("it is told that the database is away", || {
            let began = Instant::now();
            let metrics = serving.metrics();
            let health = serving.get("/healthz").status;
            let readiness = serving.get("/readyz").status;
            assert!(began.elapsed() < IN_TIME * 3, "{:?}", began.elapsed());
            assert_eq!(health, 200);
            let is_away = metrics["outtray_database_up"] == 0.0;
            assert!(!is_away || !metrics.contains_key(&ready));
            is_away && readiness == 503
        });
    };

    let frozen = Frozen::server(&server);
    told_in_time();
    drop(frozen);
    eventually("it is back", || serving.metrics().get(&ready) == Some(&1.0));
    eventually("it is ready again", || serving.get("/readyz").status == 200);

    let frozen = Frozen::server(&server).doomed();
    told_in_time();
    // Told to stop while the database says nothing, it ends.
    serving.signal("TERM");
    assert_eq!(serving.end(), Some(0));
    drop(frozen);
}

#[test]
fn a_worker_that_stops_is_not_ready_and_tells_its_metrics_to_the_end() {
    let place = Place::new();
    let folder = tempfile::tempdir().unwrap();
    let gate = folder.path().join("gate");
    let begun = folder.path().join("begun");
    place.send("orders", &1);
    let script = format!(
        "touch {}; until [ -e {} ]; do sleep 0.02; done",
        begun.display(),
        gate.display()
    );
    let arguments = [
        "work",
        "orders",
        "--http",
        "127.0.0.1:0",
        "--",
        "sh",
        "-c",
        &script,
    ];
    let serving = Serving::start(&place.url, &arguments);
    eventually("its command runs", || begun.exists());
    assert_eq!(serving.get("/readyz").status, 200);
    let in_work = of("outtray_topic_in_work_messages", "orders");
    assert_eq!(serving.metrics()[&in_work], 1.0);

    serving.signal("TERM");

    eventually("it is not ready", || {
        serving.get("/readyz").body == "stopping\n"
    });
    assert_eq!(serving.get("/healthz").status, 200);
    assert_eq!(serving.metrics()["outtray_database_up"], 1.0);
    pass_time(Duration::from_millis(50));
    fs::write(&gate, "").unwrap();
    assert_eq!(serving.end(), Some(0));
    assert!(place.messaging.topic("orders").is_empty().unwrap());
}
