//! Values that no sender of ours writes: times without end, numbers at their limits, names that are
//! none. They stop nothing.

use crate::support::{Place, eventually, next, telling};
use outtray::{Message, NewMessage};
use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

/// Columns of `message` with values that a hand may write.
const COLUMNS: &[(&str, &[&str])] = &[
    ("rank", &["-32768", "32767"]),
    (
        "seq",
        &["-9223372036854775808", "-1", "9223372036854775807"],
    ),
    ("attempts", &["-32768", "-1"]),
    (
        "sent_at",
        &[
            "'-infinity'",
            "'infinity'",
            "'294276-12-31'",
            "'4713-01-01 BC'",
        ],
    ),
    ("expires_at", &["'infinity'", "'294276-12-31'"]),
    ("not_before", &["'-infinity'", "'4713-01-01 BC'"]),
    (
        "key",
        &["''", "repeat('k', 10000)", "E'\\n'", "'\u{1f980}'"],
    ),
    ("on_end", &["0", "3", "4", "32767", "-1", "-32768"]),
    ("headers", &["'{}'", r#"'{"": "", "": "x"}'"#]),
];

#[test]
fn messages_with_odd_values_are_handled_like_all_others() {
    for is_leasing in [false, true] {
        let mut place = Place::watchful();
        let mut number = 0;
        for (column, values) in COLUMNS {
            for value in *values {
                let rank = if *column == "rank" { "" } else { "rank, " };
                let zero = if *column == "rank" { "" } else { "0, " };
                place.sql(&format!(
                    "INSERT INTO outtray.message ({rank}{column}, topic, id, payload)
                    VALUES ({zero}{value}, 'jobs', gen_random_uuid(), '{number}')"
                ));
                number += 1;
            }
        }
        let receiver = place.messaging.receiver("jobs");
        let receiver = match is_leasing {
            true => receiver.lease(Duration::from_secs(60)),
            false => receiver,
        };

        let (_receiver, told) = telling::<i32>(receiver);

        let handled: BTreeSet<i32> = next(&told, number).into_iter().collect();
        assert_eq!(handled.len(), number);
        eventually("nothing is left", || place.is_empty("jobs"));
        assert_eq!(place.dead_letters("jobs").len(), 0);
    }
}

#[test]
fn times_without_end_in_one_topic_delay_nothing_in_another() {
    let mut place = Place::watchful();
    place.sql(
        "INSERT INTO outtray.topic (topic, suspect_until, changed_at) VALUES ('a', 'infinity', 'infinity'), ('b', '-infinity', '-infinity');
        INSERT INTO outtray.message (topic, rank, id, payload, expires_at) VALUES
            ('a', 0, gen_random_uuid(), '1', 'infinity'), ('a', 0, gen_random_uuid(), '1', '-infinity');
        INSERT INTO outtray.message (topic, rank, id, payload, not_before) VALUES ('a', 0, gen_random_uuid(), '1', 'infinity');
        INSERT INTO outtray.scheduled (topic, rank, id, payload, due_at, expires_at) VALUES
            ('a', 0, gen_random_uuid(), '1', 'infinity', 'infinity'), ('a', 0, gen_random_uuid(), '1', '-infinity', NULL),
            ('a', 0, gen_random_uuid(), '1', '294276-12-31', '-infinity');
        INSERT INTO outtray.scheduled (topic, rank, id, payload, due_at, wait_us, until_us) VALUES
            ('a', 0, gen_random_uuid(), '1', 'infinity', 9223372036854775807, NULL),
            ('a', 0, gen_random_uuid(), '1', 'infinity', NULL, -9223372036854775808);
        INSERT INTO outtray.recurring (topic, name, cron, time_zone, missed, rank, payload, next_at, last_at) VALUES
            ('a', 'never', '* * * * *', 'UTC', 'once', 0, '1', 'infinity', '-infinity'),
            ('a', 'ever', '* * * * *', 'UTC', 'all', 0, '1', '-infinity', 'infinity');
        INSERT INTO outtray.outcome (topic, id, state, kept_ms, ended_at) VALUES
            ('a', gen_random_uuid(), 'done', 9223372036854775807, now()),
            ('a', gen_random_uuid(), 'done', -9223372036854775808, now()),
            ('a', gen_random_uuid(), 'done', 1, 'infinity'), ('a', gen_random_uuid(), 'odd', 1, '-infinity');
        INSERT INTO outtray.dedupe (topic, key, id, expires_at) VALUES
            ('a', 'x', gen_random_uuid(), 'infinity'), ('a', 'y', gen_random_uuid(), '-infinity');
        INSERT INTO outtray.bucket (topic, key, full_at, granted) VALUES
            ('a', '', 'infinity', -1), ('a', 'k', '-infinity', 9223372036854775807);",
    );

    let (_receiver, told) = telling::<i32>(place.messaging.receiver("jobs"));
    let later = |number: i32| NewMessage::json("jobs", &number).unwrap();
    place.send_new(later(1).delay(Duration::from_millis(200)));

    assert_eq!(next(&told, 1), [1]);
    eventually("what expired is taken out", || {
        place.count("outtray.message WHERE topic = 'a' AND expires_at = '-infinity'") == 0
    });
    let expiring = later(2).expires_in(Duration::from_millis(1));
    place.send_new(expiring.delay(Duration::from_secs(3600)));
    eventually("what expires is taken out", || {
        place.dead_letters("jobs").len() == 1
    });
}

#[test]
fn a_bucket_that_is_full_at_no_time_is_empty_at_most() {
    let mut place = Place::watchful();
    let config = outtray::TopicConfig {
        rate: Some(outtray::Rate {
            messages: 1000,
            per: Duration::from_secs(1),
            burst: 10,
        }),
        ..outtray::TopicConfig::default()
    };
    place.messaging.topic("jobs").configure(config).unwrap();
    for full_at in ["infinity", "-infinity", "294276-12-31"] {
        place.sql(&format!(
            "INSERT INTO outtray.bucket (topic, key, full_at, granted) VALUES ('jobs', '', '{full_at}', 1)
            ON CONFLICT (topic, key) DO UPDATE SET full_at = excluded.full_at"
        ));
        place.send_all("jobs", 0..20);

        let report = place.messaging.drain("jobs", |_, _: Message<i32>| Ok(()));

        assert_eq!(report.unwrap().handled, 20, "{full_at}");
    }
}

#[test]
fn topics_that_no_sender_can_name_stop_no_hint_and_no_listing() {
    let mut place = Place::polling(crate::support::NO_POLLING);
    let elsewhere = crate::support::process(&place.url, crate::support::NO_POLLING);
    let (_receiver, told) = telling::<i32>(elsewhere.receiver("jobs"));
    place.await_listener();
    // Moved when it is due, and then told of together with what is sent.
    place.sql(
        "INSERT INTO outtray.scheduled (topic, rank, id, payload, due_at)
        SELECT name, 0, gen_random_uuid(), '1', '-infinity'
        FROM unnest(ARRAY['', ' ', 'two words', E'line\\nbreak', repeat('t', 10000)]) AS odd (name)",
    );

    let soon = NewMessage::json("jobs", &1).unwrap();
    place.send_new(soon.delay(Duration::from_millis(100)));

    assert_eq!(next(&told, 1), [1]);
    let topics = place.messaging.topics().unwrap();
    assert_eq!(topics.len(), 6);
}

#[test]
fn a_hand_can_give_a_message_a_time_before_all_others() {
    let mut place = Place::new();
    place.sql(
        "INSERT INTO outtray.message (topic, rank, id, payload, sent_at) VALUES
            ('jobs', 0, gen_random_uuid(), '1', '-infinity'), ('jobs', 0, gen_random_uuid(), '2', 'infinity')",
    );

    let peeked = place.messaging.topic("jobs").peek(9).unwrap();
    let stats = place.messaging.topic("jobs").stats().unwrap();

    assert!(peeked[0].sent_at < SystemTime::UNIX_EPOCH);
    assert!(peeked[1].sent_at > SystemTime::UNIX_EPOCH);
    assert!(stats.oldest_ready_age.unwrap() > Duration::from_secs(86_400 * 365 * 2000));
}

/// No index of lines takes a longer one. Who writes it by hand is told so, and nobody else.
#[test]
fn a_key_that_is_too_long_for_its_line_is_refused_where_it_is_written() {
    let mut place = Place::new();
    let long = "(SELECT string_agg(md5(n::text), '') FROM generate_series(1, 100) AS n)";
    for (table, columns, values) in [
        ("scheduled", "due_at", "now()"),
        ("message", "due_at", "now()"),
        ("follower", "attempts", "0"),
    ] {
        let insert = format!(
            "INSERT INTO outtray.{table} (topic, rank, id, key, payload, {columns})
            VALUES ('jobs', 0, gen_random_uuid(), {long}, '1', {values})"
        );
        place.client.batch_execute(&insert).expect_err(table);
    }
}
