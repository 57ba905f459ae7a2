//! Random messages, good and bad, are sent by the library in one database and by SQL in another:
//! what is stored is the same, and what is refused, with the same words.

use crate::support::{HOUR, Place};
use fastrand::Rng;
use outtray::{ErrorKind, NewMessage, TopicConfig, TopicKind};
use serde_json::{Map, Value};
use std::time::{Duration, UNIX_EPOCH};

const MESSAGES: usize = 400;
const TOPICS: [&str; 6] = ["queue", "bounded", "slow", "brief", "log", "größe/注文"];
const TEN_YEARS: Duration = Duration::from_secs(10 * 365 * 86_400);
/// Good and bad ones.
const JSON: [&str; 6] = [
    r#"{"a": [1, 2.50]}"#,
    r#""\u00e9\ud83e\udd80 \\u0000""#,
    "[1e308]",
    "null",
    r#""[{1e999""#,
    "0e999",
];
const BAD_JSON: [&str; 9] = [
    r#""a\u0000""#,
    r#""\ud83e""#,
    r#"["\udd80\ud83e"]"#,
    "1e400",
    "-1.8e308",
    r#"[1e309999999]"#,
    "{",
    "'a'",
    "",
];
const NAMES: [&str; 5] = ["a", "ключ", "with \"quotes\" and 'more'", "Z", "a:b"];
const VALUES: [&str; 5] = [
    "",
    "b",
    "\u{1}\u{1f}\n\t\r\u{8}\u{c}\"\\/\u{7f}",
    "é🦀",
    "null",
];

/// A message as both ways take it.
#[derive(Debug, Clone, Default)]
struct Given {
    topic: String,
    json: Option<String>,
    bytes: Vec<u8>,
    headers: Map<String, Value>,
    priority: i16,
    delay: Option<Duration>,
    at: Option<u64>,
    expires_in: Option<Duration>,
    key: Option<String>,
    dedupe_key: Option<String>,
    window: Option<Duration>,
    tracked_for: Option<Duration>,
}

impl Given {
    fn good(rng: &mut Rng) -> Given {
        let mut given = Given {
            topic: (*rng.choice(&TOPICS).unwrap()).to_owned(),
            json: (rng.u8(..5) > 0).then(|| (*rng.choice(&JSON).unwrap()).to_owned()),
            bytes: (0..rng.u8(..4)).collect(),
            ..Given::default()
        };
        for _ in 0..rng.usize(..4) {
            let value = match rng.u8(..5) {
                0 => Value::Null,
                _ => Value::from(*rng.choice(&VALUES).unwrap()),
            };
            let name = *rng.choice(&NAMES).unwrap();
            given.headers.insert(name.to_owned(), value);
        }
        let few = |rng: &mut Rng| rng.u8(..4) == 0;
        given.priority = *rng.choice(&[0, 0, 0, 5, -32767, 32767]).unwrap();
        match rng.u8(..6) {
            0 => {
                given.delay = Some(
                    *rng.choice(&[
                        Duration::ZERO,
                        HOUR,
                        TEN_YEARS,
                        Duration::from_micros(1_500_000),
                    ])
                    .unwrap(),
                )
            }
            1 => {
                given.at = Some(
                    *rng.choice(&[0, 1_000_000_000, 4_000_000_000, 7_258_118_400])
                        .unwrap(),
                )
            }
            _ => {}
        }
        let times = [Duration::from_micros(1), HOUR, TEN_YEARS];
        given.expires_in = few(rng).then(|| *rng.choice(&times).unwrap());
        given.tracked_for = few(rng).then(|| *rng.choice(&times).unwrap());
        given.key = few(rng).then(|| (*rng.choice(&["k", "ä"]).unwrap()).to_owned());
        given.dedupe_key = few(rng).then(|| rng.u8(..20).to_string());
        let has_window = given.dedupe_key.is_some() && rng.bool();
        given.window = has_window.then_some(HOUR);
        given
    }

    /// Makes one thing wrong.
    fn spoil(mut self, rng: &mut Rng) -> Given {
        let long = TEN_YEARS + Duration::from_secs(1);
        match rng.u8(..12) {
            0 => {
                let names = [
                    "",
                    "a b",
                    "line\nbreak",
                    "it's",
                    "say \"x\"",
                    "orders.*",
                    "a\u{1}b",
                    "a\u{7f}",
                    "a–b",
                    "¿",
                    "²½Ⅷ…",
                ];
                self.topic = (*rng.choice(&names).unwrap()).to_owned();
            }
            1 => self.topic = "ä".repeat(101),
            2 => {
                let bad = ["", "line\nbreak", "c1\u{85}", &"n".repeat(129)];
                self.headers = Map::new();
                self.headers
                    .insert((*rng.choice(&bad).unwrap()).to_owned(), "x".into());
            }
            3 => {
                self.headers
                    .insert("big".to_owned(), "ä".repeat(8192).into());
            }
            4 => self.priority = i16::MIN,
            5 => (self.delay, self.at) = (Some(long), None),
            6 => (self.at, self.delay) = (Some(7_258_118_401), None),
            7 => self.expires_in = Some(*rng.choice(&[Duration::ZERO, long]).unwrap()),
            8 => self.tracked_for = Some(*rng.choice(&[Duration::ZERO, long]).unwrap()),
            9 => self.key = Some((*rng.choice(&["", &"ä".repeat(257)]).unwrap()).to_owned()),
            10 => {
                self.dedupe_key = Some("d".to_owned());
                self.window = Some(long);
            }
            _ => {
                self.json = Some(match rng.u8(..4) {
                    0 => "[".repeat(128) + &"]".repeat(128),
                    1 => format!("\"{}\"", "x".repeat(1 << 20)),
                    _ => (*rng.choice(&BAD_JSON).unwrap()).to_owned(),
                });
            }
        }
        self
    }

    fn message(&self) -> outtray::Result<NewMessage> {
        let mut message = match &self.json {
            Some(text) => NewMessage::json_text(&self.topic, text.as_str())?,
            None => NewMessage::bytes(&self.topic, self.bytes.as_slice()),
        };
        message = message.priority(self.priority);
        for (name, value) in &self.headers {
            message = match value.as_str() {
                Some(text) => message.header(name, text),
                None => message.null_header(name),
            };
        }
        if let Some(delay) = self.delay {
            message = message.delay(delay);
        }
        if let Some(at) = self.at {
            message = message.at(UNIX_EPOCH + Duration::from_secs(at));
        }
        if let Some(duration) = self.expires_in {
            message = message.expires_in(duration);
        }
        if let Some(duration) = self.tracked_for {
            message = message.tracked_for(duration);
        }
        if let Some(key) = &self.key {
            message = message.key(key);
        }
        Ok(match (&self.dedupe_key, self.window) {
            (Some(key), Some(window)) => message.dedupe(key, window),
            (Some(key), None) => message.dedupe_until_end(key),
            (None, _) => message,
        })
    }

    fn send(&self, place: &Place) -> Result<bool, Refused> {
        let sent = self
            .message()
            .and_then(|message| place.messaging.send(message));
        sent.map(outtray::Sent::is_duplicate)
            .map_err(|error| Refused::new(error.kind(), &error.to_string()))
    }

    fn send_by_sql(&self, place: &mut Place) -> Result<bool, Refused> {
        let payload = match self.json {
            Some(_) => "$2::text",
            None => "$2::bytea",
        };
        let call = format!(
            "SELECT is_duplicate FROM outtray.send_many($1, ARRAY[{payload}], headers => $3::text::jsonb, priority => $4,
                delay => make_interval(secs => $5), due_at => to_timestamp($6),
                expires_in => make_interval(secs => $7), keys => ARRAY[$8::text],
                dedupe_keys => ARRAY[$9::text], dedupe_window => make_interval(secs => $10),
                tracked_for => make_interval(secs => $11))"
        );
        let headers = Value::from(self.headers.clone()).to_string();
        let seconds = |duration: Option<Duration>| duration.map(|duration| duration.as_secs_f64());
        let payload: &(dyn postgres::types::ToSql + Sync) = match &self.json {
            Some(text) => text,
            None => &self.bytes,
        };
        let row = place.client.query_one(
            &call,
            &[
                &self.topic,
                payload,
                &headers,
                &i32::from(self.priority),
                &seconds(self.delay),
                &self.at.map(|at| at as f64),
                &seconds(self.expires_in),
                &self.key,
                &self.dedupe_key,
                &seconds(self.window),
                &seconds(self.tracked_for),
            ],
        );
        row.map(|row| row.get(0)).map_err(|error| {
            let error = error
                .as_db_error()
                .unwrap_or_else(|| panic!("{self:?}: {error:?}"));
            let kind = match error.code().code() {
                "OT101" => ErrorKind::Invalid,
                "OT102" => ErrorKind::Payload,
                "OT103" => ErrorKind::TooLarge,
                "OT104" => ErrorKind::Full,
                code => panic!("{code}: {} of {self:?}", error.message()),
            };
            Refused::new(kind, error.message())
        })
    }
}

/// Why it was not sent.
#[derive(Debug, PartialEq)]
struct Refused {
    kind: ErrorKind,
    words: String,
}

impl Refused {
    /// Leaves out what differs: how durations are written, and where in a payload something is.
    fn new(kind: ErrorKind, text: &str) -> Self {
        let plain = text.replace('…', "...").replace('µ', "u");
        let words = match (
            kind,
            plain.split_once(" is "),
            plain.split_once(", it must be "),
        ) {
            (ErrorKind::Payload, ..) => "payload".to_owned(),
            (_, Some((what, _)), Some((_, allowed))) => format!("{what} {allowed}"),
            _ if plain.starts_with("delay of ") => "delay".to_owned(),
            _ => plain,
        };
        Refused { kind, words }
    }
}

/// All that is stored, in the order of sending, but for ids and the times of sending.
const STORED: &str = "
    SELECT concat_ws(' | ', place, topic, rank, attempts, key, on_end, headers, payload, body, waits, lives, dedupe, outcome)
    FROM (
        SELECT all_of_them.*, (
            SELECT concat_ws(' ', dedupe.key, round(extract(epoch FROM nullif(dedupe.expires_at, 'infinity') - sent_at)))
            FROM outtray.dedupe WHERE dedupe.id = all_of_them.id
        ) AS dedupe, (
            SELECT concat_ws(' ', outcome.state, outcome.kept_ms, outcome.members)
            FROM outtray.outcome WHERE outcome.id = all_of_them.id
        ) AS outcome
        FROM (
            SELECT 'message' AS place, topic, rank, attempts, key, on_end, headers::text, payload::text, body, NULL AS waits,
                expires_at - sent_at AS lives, id, sent_at FROM outtray.message
            UNION ALL
            SELECT 'follower', topic, rank, attempts, key, on_end, headers::text, payload::text, body, NULL,
                expires_at - sent_at, id, sent_at FROM outtray.follower
            UNION ALL
            SELECT 'scheduled', topic, rank, attempts, key, on_end, headers::text, payload::text, body,
                CASE WHEN extract(epoch FROM due_at)::bigint IN (0, 1000000000, 4000000000, 7258118400)
                    THEN due_at::text ELSE (due_at - sent_at)::text END,
                expires_at - sent_at, id, sent_at FROM outtray.scheduled
            UNION ALL
            SELECT 'log', topic, NULL, NULL, key, NULL, headers::text, payload::text, body, NULL, NULL, id, sent_at
            FROM outtray.log_entry
        ) AS all_of_them
    ) AS stored
    ORDER BY sent_at, id";

fn place() -> Place {
    let place = Place::new();
    let default = TopicConfig::default;
    for (topic, config) in [
        (
            "bounded",
            TopicConfig {
                max_length: Some(20),
                ..default()
            },
        ),
        (
            "slow",
            TopicConfig {
                delay: Some(HOUR),
                ..default()
            },
        ),
        (
            "brief",
            TopicConfig {
                expires_in: Some(HOUR),
                ..default()
            },
        ),
        (
            "log",
            TopicConfig {
                kind: TopicKind::Log,
                ..default()
            },
        ),
    ] {
        place.messaging.topic(topic).configure(config).unwrap();
    }
    place
}

fn stored(place: &mut Place) -> Vec<String> {
    let rows = place.client.query(STORED, &[]).unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[test]
fn what_is_sent_either_way_is_stored_alike_and_refused_alike() {
    let seed = std::env::var("OUTTRAY_MODEL_SEED")
        .ok()
        .and_then(|text| text.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    let mut rng = Rng::with_seed(seed);
    let (library, mut sql) = (place(), place());
    let mut library = library;
    let mut counts = [0, 0, 0];

    for _ in 0..MESSAGES {
        let mut given = Given::good(&mut rng);
        if rng.u8(..3) == 0 {
            given = given.spoil(&mut rng);
        }
        let expected = given.send(&library);
        let found = given.send_by_sql(&mut sql);
        assert_eq!(found, expected, "seed {seed}: {given:?}");
        counts[match found {
            Ok(false) => 0,
            Ok(true) => 1,
            Err(_) => 2,
        }] += 1;
    }

    let (expected, found) = (stored(&mut library), stored(&mut sql));
    for (number, (found, expected)) in found.iter().zip(&expected).enumerate() {
        assert_eq!(found, expected, "seed {seed}: message {number}");
    }
    assert_eq!(found.len(), expected.len());
    assert!(
        counts.iter().all(|count| *count > 0),
        "seed {seed}: {counts:?}"
    );
}
