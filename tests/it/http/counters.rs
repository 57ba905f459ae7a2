//! What processes count agrees with what the database has, through kills and restarts.

use super::{Serving, of, series};
use crate::support::{Place, eventually};
use metrics_exporter_prometheus::PrometheusBuilder;
use outtray::Messaging;
use outtray::metrics::Metrics;
use outtray::testing::Server;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

const MESSAGES: u32 = 60;
/// Every tenth message fails until it is a dead letter.
const DEAD: u32 = MESSAGES / 10;

type Series = BTreeMap<String, f64>;

/// Starts a worker whose commands wait as long as there is a file `hold`.
fn worker(url: &str, hold: &Path) -> Serving {
    let script = format!(
        "n=$(cat); while [ -e {} ]; do sleep 0.02; done; [ $((n % 10)) -ne 0 ]",
        hold.display()
    );
    let arguments = [
        "work",
        "orders",
        "--http",
        "127.0.0.1:0",
        "--workers",
        "2",
        "--max-attempts",
        "3",
        "--backoff",
        "10ms",
        "--",
        "sh",
        "-c",
        &script,
    ];
    Serving::start(url, &arguments)
}

fn counted(metrics: &Series, name: &str) -> f64 {
    let prefix = format!("{name}{{messaging_destination_name=\"orders\"");
    let found = metrics.iter().filter(|(key, _)| key.starts_with(&prefix));
    found.map(|(_, value)| value).sum()
}

/// Waits until both commands of a worker wait, and nothing else is under way; returns its metrics.
fn at_rest(worker: &Serving) -> Series {
    let in_work = of("outtray_topic_in_work_messages", "orders");
    let mut last = worker.metrics();
    eventually("it has two messages in hand", || {
        let now = worker.metrics();
        let same = |name| counted(&now, name) == counted(&last, name);
        let rests = same("outtray_done_messages_total") && same("outtray_failed_attempts_total");
        let is_at_rest = rests && now.get(&in_work) == Some(&2.0);
        last = now;
        is_at_rest
    });
    last
}

/// Sends all messages, and checks that they are counted.
fn send_all(url: &str) {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let builder = Messaging::builder().url(url);
    let messaging = builder.metrics(Metrics::to(recorder)).connect().unwrap();
    messaging.migrate().unwrap();
    Place::over(url, messaging).send_all("orders", 0..MESSAGES);
    let sent = counted(&series(&handle.render()), "outtray_sent_messages_total");
    assert_eq!(sent, f64::from(MESSAGES));
}

#[test]
fn what_processes_count_is_what_the_database_has_through_kills_and_restarts() {
    let server = Server::builder().always_embedded().start().unwrap();
    let url = server.database().unwrap();
    send_all(&url);
    let folder = tempfile::tempdir().unwrap();
    let hold = folder.path().join("hold");
    let some_done = |worker: &Serving| {
        eventually("it works", || {
            counted(&worker.metrics(), "outtray_done_messages_total") >= 10.0
        });
        fs::write(&hold, "").unwrap();
        at_rest(worker)
    };

    // One is killed with two messages in hand.
    let first = worker(&url, &hold);
    let told = some_done(&first);
    first.signal("KILL");
    assert_eq!(first.end(), None);
    fs::remove_file(&hold).unwrap();
    // Under another the server starts anew, again with two in hand.
    let second = worker(&url, &hold);
    some_done(&second);
    server.restart_immediately().unwrap();
    fs::remove_file(&hold).unwrap();
    let third = worker(&url, &hold);
    let serving = Serving::over(&url, &[]);
    let left = ["ready", "scheduled"]
        .map(|state| of(&format!("outtray_topic_{state}_messages"), "orders"));
    eventually("nothing is left", || {
        let metrics = serving.metrics();
        left.iter().all(|name| metrics.get(name) == Some(&0.0))
    });

    let mut all = [Series::new(), Series::new()];
    let sum = |all: &[Series], name: &str| {
        counted(&told, name) + all.iter().map(|each| counted(each, name)).sum::<f64>()
    };
    // Both are told apart from the last COMMIT by a moment.
    eventually("all is counted", || {
        all = [second.metrics(), third.metrics()];
        let done = sum(&all, "outtray_done_messages_total");
        let dead = sum(&all, "outtray_dead_messages_total");
        done >= f64::from(MESSAGES - DEAD) && dead >= f64::from(DEAD)
    });
    assert_eq!(
        sum(&all, "outtray_done_messages_total"),
        f64::from(MESSAGES - DEAD)
    );
    assert_eq!(sum(&all, "outtray_dead_messages_total"), f64::from(DEAD));
    let failed = sum(&all, "outtray_failed_attempts_total");
    let retried = sum(&all, "outtray_retried_messages_total");
    assert!(
        failed >= f64::from(DEAD) && retried < failed,
        "{failed} {retried}"
    );
    let mut place = Place::over(&url, Messaging::connect(&url).unwrap());
    let dead = place.count("outtray.dead_letter");
    assert_eq!(dead, i64::from(DEAD));
    let gauge = of("outtray_topic_dead_messages", "orders");
    assert_eq!(serving.metrics()[&gauge], f64::from(DEAD));
    // The restart is seen, too.
    let lost = "outtray_lost_connections_total{role=\"worker\"}";
    assert!(all[0][lost] >= 1.0, "{:?}", all[0]);
    assert!(all[0]["outtray_reconnects_total{role=\"worker\"}"] >= 1.0);
}
