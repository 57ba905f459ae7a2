//! What is sent by SQL is an ordinary message of the transaction that sent it.

use super::{check_refused, id, taken};
use crate::support::{HOUR, NO_POLLING, PATIENCE, Place, aside, next, process};
use crossbeam_channel::unbounded;
use outtray::{Message, NewMessage, Payload, Sent, TopicConfig, TopicKind};
use std::time::Duration;
use uuid::Uuid;

#[test]
fn a_message_sent_by_sql_is_handled_like_any_other() {
    let mut place = Place::new();
    let sent = id(
        &mut place.client,
        r#"outtray.send('orders', '{"id": 1}')"#,
        &[],
    );

    let mut seen = Vec::new();
    let handler = |_: &mut outtray::MessagingSession<'_>, message: Message<Payload>| {
        seen.push((message.id, message.payload.to_string(), message.attempt));
        Ok(())
    };
    place.messaging.drain("orders", handler).unwrap();

    assert_eq!(seen, [(sent, r#"{"id": 1}"#.to_owned(), 1)]);
}

#[test]
fn parameters_of_a_client_need_no_casts() {
    let mut place = Place::new();
    let client = &mut place.client;

    id(client, "outtray.send($1, $2)", &[&"t", &"[1]"]);
    id(
        client,
        "outtray.send($1, $2, key => $3)",
        &[&"t", &"[2]", &"k"],
    );
    client
        .query(
            "SELECT id FROM outtray.send_many($1, $2)",
            &[&"t", &vec!["[3]", "[4]"]],
        )
        .unwrap();
    client
        .query("SELECT id FROM outtray.publish($1, $2)", &[&"t", &"[5]"])
        .unwrap();

    assert_eq!(taken(&place, "t"), ["[1]", "[2]", "[3]", "[4]"]);
}

#[test]
fn it_is_there_if_and_only_if_its_transaction_commits() {
    let mut place = Place::new();

    place.sql("BEGIN; SELECT outtray.send('t', '1'); ROLLBACK");
    place.sql("BEGIN; SELECT outtray.send('t', '2'); SAVEPOINT s; SELECT outtray.send('t', '3'); ROLLBACK TO s; COMMIT");

    assert_eq!(taken(&place, "t"), ["2"]);
}

#[test]
fn a_payload_is_what_its_type_says() {
    let mut place = Place::new();
    for (payload, expected) in [
        ("'[1, 2]'", "[1, 2]"),
        ("'[1, 2]'::text", "[1, 2]"),
        ("'[1,  2]'::json", "[1,  2]"),
        ("'[1,  2]'::jsonb", "[1, 2]"),
        ("to_json('a'::text)", r#""a""#),
        ("7", "7"),
        ("1.50", "1.50"),
        ("true", "true"),
        ("ARRAY['a', NULL]", r#"["a",null]"#),
        (
            "(SELECT one FROM (SELECT 1 AS a, 'x' AS b) AS one)",
            r#"{"a":1,"b":"x"}"#,
        ),
        ("'null'", "null"),
    ] {
        place.sql(&format!("SELECT outtray.send('t', {payload})"));
        assert_eq!(taken(&place, "t"), [expected], "{payload}");
    }
    place.sql(r"SELECT outtray.send('t', '\x00ff'::bytea)");
    let mut bytes = Vec::new();
    let handler = |_: &mut outtray::MessagingSession<'_>, message: Message<Payload>| {
        assert!(matches!(message.payload, Payload::Bytes(_)));
        bytes.extend_from_slice(message.payload.as_bytes());
        Ok(())
    };
    place.messaging.drain("t", handler).unwrap();
    assert_eq!(bytes, [0, 255]);
    check_refused(
        &mut place.client,
        "outtray.send('t', NULL)",
        "OT102",
        "is NULL",
    );
}

#[test]
fn ids_are_of_version_7_and_in_the_order_of_sending() {
    let mut place = Place::new();
    let mut ids: Vec<Uuid> = Vec::new();
    for _ in 0..20 {
        ids.push(id(&mut place.client, "outtray.send('t', '1')", &[]).as_uuid());
        let many = "SELECT id FROM outtray.send_many('t', array_fill('1'::text, ARRAY[500]))";
        let rows = place.client.query(many, &[]).unwrap();
        ids.extend(rows.iter().map(|row| row.get::<_, Uuid>(0)));
        // They count on into the future by less than that.
        crate::support::pass_time(Duration::from_millis(1));
    }
    ids.push(place.send("t", &1).as_uuid());

    assert!(ids.is_sorted());
    for id in &ids {
        assert_eq!(id.get_version_num(), 7);
        assert_eq!(id.get_variant(), uuid::Variant::RFC4122);
    }
    let (seconds, _) = ids[0].get_timestamp().unwrap().to_unix();
    let now = place.number("extract(epoch FROM now())");
    assert!((seconds as f64 - now).abs() < 3600.0, "{seconds}");
}

#[test]
fn many_are_sent_in_order_with_keys_of_their_own() {
    let mut place = Place::new();
    let rows = place
        .client
        .query(
            "SELECT id, is_duplicate FROM outtray.send_many('t', ARRAY['0', '1', '2', '3'],
                keys => ARRAY['a', 'b', 'a', NULL], dedupe_keys => ARRAY[NULL, 'd', 'd', 'e'], dedupe_window => '1 day')",
            &[],
        )
        .unwrap();
    let duplicates: Vec<bool> = rows.iter().map(|row| row.get(1)).collect();
    let nothing = place
        .client
        .query("SELECT FROM outtray.send_many('t', '{}'::json[])", &[])
        .unwrap();

    assert_eq!(duplicates, [false, false, true, false]);
    assert_eq!(rows[1].get::<_, Uuid>(0), rows[2].get::<_, Uuid>(0));
    assert!(nothing.is_empty());
    assert_eq!(taken(&place, "t"), ["0", "1", "3"]);
    check_refused(
        &mut place.client,
        "FROM outtray.send_many('t', ARRAY['1', '2'], keys => ARRAY['a'])",
        "OT101",
        "2 payloads with 1 keys",
    );
}

#[test]
fn both_ways_share_their_dedupe_keys() {
    let mut place = Place::new();
    let new = || NewMessage::json("t", &1).unwrap();
    let by_library = place.send_new(new().dedupe("a", HOUR));
    let call = "SELECT id, is_duplicate FROM outtray.send_once('t', '2', $1, $2::text::interval)";
    let mut once = |key: &str, window: Option<&str>| {
        let row = place.client.query_one(call, &[&key, &window]).unwrap();
        (row.get::<_, Uuid>(0), row.get::<_, bool>(1))
    };

    assert_eq!(once("a", Some("1 hour")), (by_library.as_uuid(), true));
    let (until_end, is_duplicate) = once("b", None);
    assert!(!is_duplicate);
    let again = place.messaging.send(new().dedupe_until_end("b")).unwrap();
    assert_eq!(again, Sent::Duplicate(until_end.into()));
    assert_eq!(taken(&place, "t"), ["1", "2"]);
    let free = place.messaging.send(new().dedupe_until_end("b")).unwrap();
    assert!(!free.is_duplicate());
}

#[test]
fn a_sender_waits_for_another_one_with_the_same_dedupe_key() {
    let mut place = Place::new();
    let mut other = crate::support::client(&place.url);
    let mut open = place.client.transaction().unwrap();
    let first = "SELECT id FROM outtray.send_once('t', '1', 'k', '1 day')";
    let first: Uuid = open.query_one(first, &[]).unwrap().get(0);

    let second = aside(move || {
        let call = "SELECT id, is_duplicate FROM outtray.send_once('t', '2', 'k', '1 day')";
        let row = other.query_one(call, &[]).unwrap();
        (row.get::<_, Uuid>(0), row.get::<_, bool>(1))
    });
    let mut watch = crate::support::client(&place.url);
    crate::support::await_lock_waits(&mut watch, 1);
    open.commit().unwrap();

    assert_eq!(next(&second, 1), [(first, true)]);
}

#[test]
fn a_key_of_both_ways_is_one_line() {
    let mut place = Place::new();
    for number in 0..6 {
        match number % 2 {
            0 => drop(place.send_new(NewMessage::json("t", &number).unwrap().key("k"))),
            _ => place.sql(&format!("SELECT outtray.send('t', '{number}', key => 'k')")),
        }
    }

    assert_eq!(place.count("outtray.message"), 1, "the head");
    assert_eq!(place.count("outtray.follower"), 5);
    assert_eq!(taken(&place, "t"), ["0", "1", "2", "3", "4", "5"]);
}

#[test]
fn a_sender_that_sees_the_past_gets_in_nobody_s_line() {
    let mut place = Place::new();
    for level in ["REPEATABLE READ", "SERIALIZABLE"] {
        place.sql(&format!("BEGIN ISOLATION LEVEL {level}; SELECT 1"));
        let message = NewMessage::json("t", &1).unwrap().key("k");
        crate::support::process(&place.url, NO_POLLING)
            .send(message)
            .unwrap();

        let call = "outtray.send('t', '2', key => 'k')";
        check_refused(&mut place.client, call, "40001", "could not serialize");
        place.sql("ROLLBACK");
    }
}

#[test]
fn times_are_those_of_the_calendar() {
    let mut place = Place::new();
    for (delay, expected) in [
        ("1 month", "now() + interval '1 month'"),
        (
            "1 day 1 microsecond",
            "now() + interval '1 day 1 microsecond'",
        ),
        ("10 years", "now() + interval '3650 days'"),
    ] {
        place.sql(&format!(
            "BEGIN; SET LOCAL TimeZone = 'Europe/Berlin'; SELECT outtray.send('t', '1', delay => '{delay}');
            CREATE TEMP TABLE expected ON COMMIT DROP AS SELECT {expected} AS at;
            DO $$ BEGIN ASSERT (SELECT due_at = at FROM outtray.scheduled, expected), '{delay}'; END $$;
            ROLLBACK"
        ));
    }
    for delay in ["10 years 1 day", "-1 second", "178000000 years", "-1 year"] {
        let call = format!("outtray.send('t', '1', delay => '{delay}')");
        check_refused(&mut place.client, &call, "OT101", "delay of");
    }
}

#[test]
fn settings_of_the_topic_hold_for_sql_too() {
    let mut place = Place::new();
    let config = |delay, expires_in| TopicConfig {
        delay,
        expires_in,
        ..TopicConfig::default()
    };
    let slow = place.messaging.topic("slow");
    slow.configure(config(Some(HOUR), Some(2 * HOUR))).unwrap();

    place.sql("SELECT outtray.send('slow', '1')");
    let due_in = place.due_in();
    place.sql("DELETE FROM outtray.scheduled; SELECT outtray.send('slow', '2', delay => '0')");

    assert!((3500.0..=3600.0).contains(&due_in), "{due_in}");
    assert_eq!(place.count("outtray.scheduled"), 0);
    let left = place.number("SELECT extract(epoch FROM expires_at - sent_at) FROM outtray.message");
    assert!((left - 7200.0).abs() < 0.001, "{left}");
}

#[test]
fn a_log_gets_entries_and_refuses_what_has_no_meaning_there() {
    let mut place = Place::new();
    let log = TopicConfig {
        kind: TopicKind::Log,
        ..TopicConfig::default()
    };
    place.messaging.topic("log").configure(log).unwrap();

    place.sql("SELECT outtray.send('log', '1', key => 'k', headers => '{\"a\": \"b\"}')");
    place.sql("SELECT outtray.send_many('log', ARRAY['2', '3'])");
    let mut refused = |options: &str, part: &str| {
        let call = format!("outtray.send('log', '4', {options})");
        check_refused(&mut place.client, &call, "OT101", part);
    };
    refused("priority => 1", "cannot have a priority");
    refused("expires_in => '1 day'", "cannot have an expiry");
    refused("tracked_for => '1 day'", "cannot have tracking");
    refused(
        "dedupe_key => 'd'",
        "cannot have a dedupe key until its end",
    );
    refused("key => 'k', delay => '1 s'", "both a key and a delay");

    let entries = "SELECT string_agg(payload::text, ' ' ORDER BY seq) FROM outtray.log_entry";
    let entries: String = place.client.query_one(entries, &[]).unwrap().get(0);
    assert_eq!(entries, "1 2 3");
}

#[test]
fn receivers_elsewhere_hear_of_it_at_once_only_if_asked_to() {
    let mut place = Place::polling(NO_POLLING);
    let receiving = process(&place.url, NO_POLLING);
    let (tell, told) = unbounded();
    let handler = move |_: &mut outtray::MessagingSession<'_>, message: Message<i32>| {
        Ok(tell.send(message.payload)?)
    };
    let receiver = receiving.start_receiving_messages("t", handler).unwrap();
    place.await_listener();

    place.sql("SELECT outtray.send('t', '1', notify => true)");

    assert_eq!(next(&told, 1), [1]);
    // Not told, they would wait for the poll; the second brings the first.
    place.sql("SELECT outtray.send('t', '2'); SELECT outtray.send('t', '3', delay => '1 ms', notify => true)");
    let mut rest = next(&told, 2);
    rest.sort_unstable();
    assert_eq!(rest, [2, 3]);
    receiver.stop(PATIENCE);
}
