//! What SQL functions read of a topic's settings is what the library reads, whoever wrote them.

use crate::support::Place;
use outtray::{Expired, TopicConfig, TopicKind};
use std::time::Duration;

/// What the functions know of a topic.
#[derive(Debug, PartialEq)]
struct Terms {
    is_log: bool,
    lease: Duration,
    max_attempts: u32,
    drops_expired: bool,
    max_in_work: Option<u32>,
    rate: Option<(u32, Duration, u32)>,
    retention: Option<Duration>,
}

impl Terms {
    fn of_library(config: &TopicConfig) -> Terms {
        let rate = config
            .rate
            .map(|rate| (rate.messages, rate.per, rate.burst));
        Terms {
            is_log: config.kind == TopicKind::Log,
            lease: config.lease.unwrap_or(Duration::from_secs(30)),
            max_attempts: config.max_attempts.unwrap_or(10),
            drops_expired: config.expired == Some(Expired::Drop),
            max_in_work: config.max_in_work,
            rate,
            retention: config.dead_letter_retention,
        }
    }

    fn of_functions(place: &mut Place, topic: &str) -> Terms {
        let query = "SELECT is_log, drops_expired, lease_us, max_attempts::bigint, max_in_work::bigint, rate_messages,
                rate_us, rate_burst, dead_letter_ms FROM outtray.topic_terms($1)";
        let row = place.client.query_one(query, &[&topic]).unwrap();
        let number = |at: usize| row.get::<_, Option<i64>>(at).map(i64::unsigned_abs);
        let small = |at: usize| number(at).map(|number| u32::try_from(number).unwrap());
        Terms {
            is_log: row.get(0),
            lease: Duration::from_micros(number(2).unwrap()),
            max_attempts: small(3).unwrap(),
            drops_expired: row.get(1),
            max_in_work: small(4),
            rate: small(5).map(|messages| {
                let per = Duration::from_micros(number(6).unwrap());
                (messages, per, small(7).unwrap())
            }),
            retention: number(8).map(Duration::from_millis),
        }
    }
}

const VALUES: [&str; 22] = [
    "0",
    "1",
    "3",
    "99",
    "100",
    "10001",
    "32767",
    "32768",
    "86400000",
    "86400001",
    "315360000000",
    "315360000001",
    "4294967296",
    "1e3",
    "5.0",
    "-1",
    "-0",
    "null",
    "true",
    "\"5\"",
    "[5]",
    "{\"a\": 5}",
];

#[test]
fn a_number_that_is_none_counts_as_not_set_for_functions_and_the_library_alike() {
    let mut place = Place::new();
    for (index, value) in VALUES.iter().enumerate() {
        let topic = format!("number-{index}");
        place.write_config(
            &topic,
            &format!(
                r#"{{"lease_ms": {value}, "max_attempts": {value}, "max_in_work": {value}, "later": [1e400],
                    "dead_letter_retention_ms": {value}}}"#
            ),
        );
        let config = place.messaging.topic(&topic).config().unwrap();

        let terms = Terms::of_functions(&mut place, &topic);

        assert_eq!(terms, Terms::of_library(&config), "{value}");
    }
}

#[test]
fn a_rate_counts_as_a_whole_or_not_at_all_for_functions_and_the_library_alike() {
    let mut place = Place::new();
    for (index, value) in VALUES.iter().enumerate() {
        for (place_of, rate) in [
            format!(r#"{{"messages": {value}, "per_ms": 1000, "burst": 5}}"#),
            format!(r#"{{"messages": 5, "per_ms": {value}, "burst": 5}}"#),
            format!(r#"{{"messages": 5, "per_ms": 1000, "burst": {value}, "later": 1}}"#),
            format!(r#"{{"messages": 5, "per_ms": {value}}}"#),
            (*value).to_owned(),
        ]
        .iter()
        .enumerate()
        {
            let topic = format!("rate-{index}-{place_of}");
            place.write_config(&topic, &format!(r#"{{"rate": {rate}}}"#));
            let config = place.messaging.topic(&topic).config().unwrap();

            let terms = Terms::of_functions(&mut place, &topic);

            assert_eq!(terms, Terms::of_library(&config), "{rate}");
        }
    }
}

#[test]
fn words_and_documents_mean_the_same_for_functions_and_the_library() {
    let mut place = Place::new();
    for (index, document) in [
        r#"{"expired": "drop"}"#,
        r#"{"expired": "\u0064rop"}"#,
        r#"{"expired": "dead_letter"}"#,
        r#"{"expired": "burn", "kind": "tree"}"#,
        r#"{"expired": ["drop"], "kind": {"log": 1}}"#,
        r#"{"kind": "log"}"#,
        r#"{"kind": "queue"}"#,
        r#"{"kind": null, "expired": null}"#,
        "[]",
        "7",
        "null",
        r#""drop""#,
        "{}",
    ]
    .iter()
    .enumerate()
    {
        let topic = format!("document-{index}");
        place.write_config(&topic, document);
        let config = place.messaging.topic(&topic).config().unwrap();

        let terms = Terms::of_functions(&mut place, &topic);

        assert_eq!(terms, Terms::of_library(&config), "{document}");
    }
    let unknown = Terms::of_functions(&mut place, "unknown");
    assert_eq!(unknown, Terms::of_library(&TopicConfig::default()));
}

/// The delays after the first attempts in milliseconds where nothing is set.
const USUAL: [f64; 4] = [1000.0, 2000.0, 4000.0, 8000.0];

/// Backoffs, the delays after the attempts from 1 on, and whether they are spread.
const BACKOFFS: &[(&str, &[f64], bool)] = &[
    (
        r#"{"fixed": {"delay_ms": 5}, "jitter": false}"#,
        &[5.0, 5.0],
        false,
    ),
    (
        r#"{"fixed": {"delay_ms": 0}, "jitter": true}"#,
        &[0.0, 0.0],
        true,
    ),
    (
        r#"{"linear": {"step_ms": 2, "cap_ms": 5}, "jitter": false}"#,
        &[2.0, 4.0, 5.0, 5.0],
        false,
    ),
    (
        r#"{"exponential": {"first_ms": 10, "factor": 1.5, "cap_ms": 30}, "jitter": false}"#,
        &[10.0, 15.0, 22.5, 30.0, 30.0],
        false,
    ),
    (
        r#"{"jitter": true, "exponential": {"first_ms": 10, "factor": 3, "cap_ms": 900000}}"#,
        &[10.0, 30.0, 90.0],
        true,
    ),
    (
        r#"{"exponential": {"first_ms": 10, "factor": 0.5, "cap_ms": 30}, "jitter": false}"#,
        &[10.0, 10.0],
        false,
    ),
    (
        r#"{"exponential": {"first_ms": 0, "factor": 2, "cap_ms": 30}, "jitter": false}"#,
        &[0.0, 0.0],
        false,
    ),
    (
        r#"{"exponential": {"first_ms": 10, "factor": 9e99, "cap_ms": 0}, "jitter": false}"#,
        &[0.0, 0.0],
        false,
    ),
    (r#"{"fixed": {"delay_ms": 5}}"#, &USUAL, true),
    (
        r#"{"fixed": {"delay_ms": -5}, "jitter": false}"#,
        &USUAL,
        true,
    ),
    (
        r#"{"fixed": {"delay_ms": 2592000001}, "jitter": false}"#,
        &USUAL,
        true,
    ),
    (
        r#"{"exponential": {"first_ms": 10, "factor": 1e400, "cap_ms": 30}, "jitter": false}"#,
        &USUAL,
        true,
    ),
    (r#"{"fibonacci": {}, "jitter": false}"#, &USUAL, true),
    ("null", &USUAL, true),
    ("7", &USUAL, true),
];

/// Checks the delays in milliseconds after the attempts from 1 on. What is spread may be a tenth
/// off.
#[track_caller]
fn check_backoff(place: &mut Place, backoff: &str, expected: &[f64], is_spread: bool) {
    for (attempt, expected) in (1_i32..).zip(expected) {
        let query = "SELECT outtray.retry_delay($1::text::json, $2)";
        let row = place
            .client
            .query_one(query, &[&backoff, &attempt])
            .unwrap();
        let found = row.get::<_, i64>(0) as f64 / 1000.0;
        let off = (found - expected).abs();
        let allowed = if is_spread { expected / 9.9 } else { 0.01 };
        assert!(
            off <= allowed,
            "{backoff}, attempt {attempt}: {found}, not {expected}"
        );
    }
}

#[test]
fn a_backoff_means_the_same_for_functions_and_the_library() {
    let mut place = Place::new();
    for (backoff, expected, is_spread) in BACKOFFS {
        check_backoff(&mut place, backoff, expected, *is_spread);
        // What the library makes of it.
        place.write_config("jobs", &format!(r#"{{"backoff": {backoff}}}"#));
        let config = place.messaging.topic("jobs").config().unwrap();
        assert_eq!(config.backoff.is_none(), *expected == USUAL, "{backoff}");
    }
    // However often it failed.
    let query = "SELECT outtray.retry_delay(NULL, 32767)";
    let longest: i64 = place.client.query_one(query, &[]).unwrap().get(0);
    assert!((810_000_000..=990_000_000).contains(&longest), "{longest}");
}
