//! The processes that receive, and what their receivers are like.

use crate::support::{Place, done, eventually, process};
use outtray::{
    Filter, Message, Messaging, RunningProcess, RunningReceiver, TopicConfig, TopicKind,
};
use serde_json::json;
use std::time::Duration;

fn processes(messaging: &Messaging) -> Vec<RunningProcess> {
    messaging.processes().unwrap()
}

fn receivers(messaging: &Messaging) -> Vec<RunningReceiver> {
    let processes = processes(messaging).into_iter();
    processes.flat_map(|process| process.receivers).collect()
}

#[test]
fn a_process_is_listed_from_its_first_receivers_start_to_its_last_ones_end() {
    let place = Place::new();
    assert_eq!(processes(&place.messaging), []);

    let mails = place.messaging.receiver("mails").start(done).unwrap();
    let calls = place.messaging.receiver("calls").start(done).unwrap();
    let listed = processes(&place.messaging);
    mails.stop(Duration::from_secs(5));
    let left = receivers(&place.messaging);
    calls.stop(Duration::from_secs(5));

    assert_eq!(listed.len(), 1, "{listed:?}");
    let one = &listed[0];
    assert_eq!(one.pid, Some(std::process::id()));
    assert_eq!(one.version.as_deref(), Some(env!("CARGO_PKG_VERSION")));
    assert_eq!(one.program.as_deref(), Some("outtray"));
    assert!(one.host.as_deref().is_some_and(|host| !host.is_empty()));
    assert!(!one.is_silent && one.seen_ago < Duration::from_secs(30));
    let topics: Vec<&str> = one.receivers.iter().map(|one| one.topic.as_str()).collect();
    assert_eq!(topics, ["calls", "mails"]);
    assert_eq!(one.started_at, one.receivers[1].started_at);
    assert_eq!((left.len(), left[0].topic.as_str()), (1, "calls"));
    assert_eq!(processes(&place.messaging), []);
}

#[test]
fn each_process_is_listed_by_itself_with_the_name_of_its_application() {
    let place = Place::new();
    let named = format!("{}?application_name=billing", place.url);
    let other = process(&named, Duration::from_secs(2));
    let _ours = place.messaging.receiver("mails").start(done).unwrap();
    let _theirs = other.receiver("mails").start(done).unwrap();

    let listed = processes(&place.messaging);

    assert_eq!(listed.len(), 2);
    assert_ne!(listed[0].process, listed[1].process);
    let mut programs: Vec<_> = listed
        .iter()
        .filter_map(|one| one.program.clone())
        .collect();
    programs.sort();
    assert_eq!(programs, ["billing", "outtray"]);
}

#[test]
fn a_receiver_is_listed_with_its_workers_its_filter_its_lease_and_a_pause() {
    let place = Place::new();
    let filter = Filter::new().equals("region", "eu").at_least("size", 10);
    let wanting = place
        .messaging
        .receiver("a")
        .workers(3)
        .filter(filter.clone());
    let _wanting = wanting.start(done).unwrap();
    let leasing = place.messaging.receiver("b").lease(Duration::from_secs(45));
    let _leasing = leasing.start(done).unwrap();
    place.messaging.topic("b").pause().unwrap();

    let listed = receivers(&place.messaging);

    let [a, b] = listed.as_slice() else {
        panic!("{listed:?}");
    };
    assert_eq!((a.workers, b.workers), (3, 4));
    assert_eq!(a.filter, Some(filter.to_string()));
    assert_eq!((a.lease, b.lease), (None, Some(Duration::from_secs(45))));
    assert_eq!(b.filter, None);
    assert!(!a.is_paused && b.is_paused);
}

#[test]
fn a_process_that_missed_three_signs_of_life_is_silent() {
    let mut place = Place::new();
    place.sql(
        "INSERT INTO outtray.worker (topic, process, holds_lock, seen_at, pid)
        VALUES ('t', 'one', true, now() - interval '29 seconds', 1),
            ('t', 'two', true, now() - interval '31 seconds', 2)",
    );

    let listed = processes(&place.messaging);

    let silent: Vec<bool> = listed.iter().map(|one| one.is_silent).collect();
    assert_eq!(silent, [false, true]);
    assert!(listed[1].seen_ago >= Duration::from_secs(31));
}

#[test]
fn a_row_that_nobody_else_could_write_hides_no_other() {
    let mut place = Place::new();
    place.sql(
        "INSERT INTO outtray.worker (topic, process, holds_lock, started_at, seen_at, pid, workers, lease_ms, handlers)
        VALUES ('t', 'odd', true, '-infinity', 'infinity', -7, -1, -1, '{\"worker\": \"none\"}'),
            ('t', 'old', true, 'infinity', '-infinity', NULL, NULL, NULL, NULL)",
    );
    let _ours = place.messaging.receiver("mails").start(done).unwrap();

    let listed = processes(&place.messaging);

    assert_eq!(listed.len(), 3);
    let odd = listed.iter().find(|one| one.process == "odd").unwrap();
    assert_eq!((odd.pid, odd.is_silent), (None, false));
    assert_eq!(odd.receivers[0].handlers, []);
    let old = listed.iter().find(|one| one.process == "old").unwrap();
    assert!(old.is_silent);
}

#[test]
fn a_row_that_comes_back_says_whose_it_is() {
    let mut place = Place::new();
    let filter = Filter::new().exists("urgent");
    let receiver = place.messaging.receiver("mails").filter(filter);
    let _receiver = receiver.start(done).unwrap();
    let before = processes(&place.messaging);

    place.sql("DELETE FROM outtray.worker");
    eventually("its row is back", || place.count("outtray.worker") == 1);

    let after = processes(&place.messaging);
    assert_eq!(after[0].process, before[0].process);
    assert_eq!(after[0].host, before[0].host);
    assert_eq!(after[0].receivers[0].filter, before[0].receivers[0].filter);
    assert_eq!(after[0].receivers[0].workers, 4);
}

#[test]
fn a_reader_of_a_log_is_listed_with_its_lanes() {
    let place = Place::new();
    let log = TopicConfig {
        kind: TopicKind::Log,
        ..TopicConfig::default()
    };
    place.messaging.topic("ledger").configure(log).unwrap();
    let reader = place.messaging.reader("ledger", "billing").lanes(2);
    let _reader = reader.start(|_, _: &[Message]| Ok(())).unwrap();

    let listed = receivers(&place.messaging);

    assert_eq!(
        (listed[0].topic.as_str(), listed[0].workers),
        ("ledger@billing", 2)
    );
}

#[test]
fn a_process_has_a_form_in_json() {
    let mut place = Place::new();
    place.sql(
        "INSERT INTO outtray.worker (topic, process, holds_lock, started_at, workers, lease_ms, handlers)
        VALUES ('t', 'one', true, '2026-01-02 03:04:05+00', 2, 30000,
            '[{\"worker\": 1, \"running_ms\": 5000, \"messages\": 1, \"attempt\": 2,
                \"ids\": [\"0199a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b\"]}]')",
    );

    let mut listed = json!(processes(&place.messaging)[0]);
    listed["seen_ago_ms"] = 0.into();
    let handler = &mut listed["receivers"][0]["handlers"][0];
    assert!(handler["running_ms"].as_u64().unwrap() >= 5000);
    handler["running_ms"] = 0.into();
    listed["receivers"][0]["receiver"] = 0.into();

    let receiver = json!({
        "topic": "t", "receiver": 0, "workers": 2, "busy": 0, "in_hand": 0, "lease_ms": 30_000, "filter": null,
        "paused": false, "started_at": "2026-01-02T03:04:05.000Z",
        "handlers": [{
            "worker": 1, "running_ms": 0, "messages": 1, "attempt": 2,
            "ids": ["0199a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b"],
        }],
    });
    assert_eq!(
        listed,
        json!({
            "process": "one", "host": null, "pid": null, "program": null, "version": null,
            "started_at": "2026-01-02T03:04:05.000Z", "seen_ago_ms": 0, "silent": false, "receivers": [receiver],
        })
    );
}
