//! What is published by SQL reaches whom the library's reaches.

use super::{check_refused, refusal, taken};
use crate::support::{Place, client};
use fastrand::Rng;
use outtray::{Filter, Headers, TopicConfig, TopicKind};
use std::collections::BTreeSet;

const PUBLISH: &str = "SELECT topic FROM outtray.publish($1, '1', headers => $2::text::jsonb)";

fn topics(place: &mut Place, key: &str, headers: &str) -> Vec<String> {
    let rows = place.client.query(PUBLISH, &[&key, &headers]).unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[test]
fn every_topic_that_subscribed_gets_one_copy() {
    let mut place = Place::new();
    for (pattern, topic) in [
        ("orders.*", "billing"),
        ("orders.created", "billing"),
        ("#", "audit"),
        ("parcels.#", "other"),
    ] {
        place.messaging.subscribe(pattern, topic).unwrap();
    }

    let rows = place
        .client
        .query(
            "SELECT topic, is_duplicate FROM outtray.publish('orders.created', '7', key => 'k', priority => 3)",
            &[],
        )
        .unwrap();

    let got: Vec<(String, bool)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(
        got,
        [("audit".to_owned(), false), ("billing".to_owned(), false)]
    );
    let same = "outtray.message WHERE key = 'k' AND rank = -3
        AND headers::text = '{\"outtray-routing-key\":\"orders.created\"}'";
    assert_eq!(place.count(same), 2);
    assert_eq!(taken(&place, "billing"), ["7"]);
}

#[test]
fn nobody_is_an_error_only_where_it_has_to_be_somebody() {
    let mut place = Place::new();

    place.sql("SELECT outtray.publish('orders.created', '1')");
    let call = "outtray.publish('orders.created', '1', mandatory => true)";
    check_refused(
        &mut place.client,
        call,
        "OT105",
        "nobody subscribed to routing key",
    );
    for key in ["", "a..b", "a b", "a.*", ".a"] {
        let call = format!("outtray.publish('{key}', '1')");
        check_refused(&mut place.client, &call, "OT101", "routing key");
    }

    assert_eq!(place.count("outtray.message"), 0);
}

#[test]
fn patterns_match_the_same_keys_for_both() {
    let mut place = Place::new();
    let segments = ["a", "b+", "*", "#"];
    let mut rng = Rng::with_seed(7);
    let mut patterns: BTreeSet<String> = (0..80)
        .map(|_| {
            let length = rng.usize(1..5);
            let picked = (0..length).map(|_| *rng.choice(&segments).unwrap());
            picked.collect::<Vec<_>>().join(".")
        })
        .collect();
    patterns.insert(vec!["#"; 99].join("."));
    patterns.insert("größe.*".to_owned());
    for (number, pattern) in patterns.iter().enumerate() {
        let topic = format!("t{number}");
        place.messaging.subscribe(pattern, &topic).unwrap();
    }

    for key in [
        "a",
        "b+",
        "c",
        "a.b+",
        "b+.a",
        "a.a.a",
        "a.b+.c.a",
        "c.c.c.c.c.b+",
        "größe.注文",
    ] {
        let by_library = place
            .messaging
            .publish_dry_run(key, &Headers::new())
            .unwrap();
        assert_eq!(topics(&mut place, key, "{}"), by_library, "{key}");
    }
}

#[test]
fn filters_want_the_same_headers_for_both() {
    let mut place = Place::new();
    let filters = [
        "region = eu",
        "region in (eu, us) and not test exists",
        "amount >= 10.5 or kind starts with 'ord'",
        "\"a \"\"b\"\"\" is null",
        "(region != eu or amount == 1e1) and amount < 100",
    ];
    for (number, filter) in filters.iter().enumerate() {
        let filter: Filter = filter.parse().unwrap();
        let topic = format!("t{number}");
        let subscribed = place.messaging.subscribe_matching("#", &topic, &filter);
        assert!(subscribed.unwrap());
    }

    for headers in [
        r#"{}"#,
        r#"{"region": "eu"}"#,
        r#"{"region": "us", "test": "1", "amount": "10"}"#,
        r#"{"amount": "1e1", "kind": "order"}"#,
        r#"{"kind": "ordinary", "region": "eu", "amount": "99.99"}"#,
    ] {
        let read: Headers = serde_json::from_str(headers).unwrap();
        let by_library = place.messaging.publish_dry_run("k", &read).unwrap();
        assert_eq!(topics(&mut place, "k", headers), by_library, "{headers}");
    }
    assert_eq!(topics(&mut place, "k", r#"{"a \"b\"": null}"#).len(), 1);
}

#[test]
fn a_filter_written_by_hand_is_not_passed_over() {
    let mut place = Place::new();
    let filter = Filter::new().equals("region", "eu");
    place
        .messaging
        .subscribe_matching("a.*", "t", &filter)
        .unwrap();
    place.sql("UPDATE outtray.subscription SET filter = 'region = us'");

    let call = "outtray.publish('a.b', '1')";
    check_refused(&mut place.client, call, "OT107", "of topic t to \"a.*\"");
    place.sql("SELECT outtray.publish('b', '1')");
}

#[test]
fn subscriptions_that_make_no_sense_get_nothing() {
    let mut place = Place::new();
    place.sql(&format!(
        "INSERT INTO outtray.subscription (topic, pattern) VALUES
            ('a b', '#'), ('t', 'a..b'), ('t', 'a##'), ('t', 'a.('), ('t', '*b'), ('t', '{}')",
        ["#"; 150].join(".")
    ));

    for key in ["a", "a.b", "ab"] {
        assert!(topics(&mut place, key, "{}").is_empty(), "{key}");
    }
}

#[test]
fn options_hold_for_each_copy_as_its_topic_has_it() {
    let mut place = Place::new();
    let log = TopicConfig {
        kind: TopicKind::Log,
        ..TopicConfig::default()
    };
    let one = TopicConfig {
        max_length: Some(1),
        ..TopicConfig::default()
    };
    place.messaging.topic("log").configure(log).unwrap();
    place.messaging.topic("one").configure(one).unwrap();
    for topic in ["log", "one", "queue"] {
        place.messaging.subscribe("#", topic).unwrap();
    }

    let call =
        "SELECT outtray.publish('k', '1', priority => 5, expires_in => '1 day', dedupe_key => 'd',
        dedupe_window => '1 day')";
    place.sql(call);
    place.sql(call);
    let (code, _) = refusal(&mut place.client, "SELECT outtray.publish('k', '2')");

    assert_eq!(code, "OT104");
    assert_eq!(
        place.count("outtray.message WHERE rank = -5 AND expires_at > now()"),
        2
    );
    assert_eq!(place.count("outtray.log_entry"), 1);
    assert_eq!(place.count("outtray.room WHERE used = 1"), 1);
}

#[test]
fn who_subscribed_before_the_call_gets_a_copy_at_every_isolation_level() {
    for level in ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"] {
        let place = Place::new();
        for (round, before) in ["first", "second"].into_iter().enumerate() {
            let mut publisher = client(&place.url);
            let begin = format!("BEGIN ISOLATION LEVEL {level}; SELECT 1");
            publisher.batch_execute(&begin).unwrap();
            place.messaging.subscribe("#", before).unwrap();

            let published = publisher.query("SELECT outtray.publish('k', '1')", &[]);
            match level {
                "READ COMMITTED" => assert_eq!(published.unwrap().len(), round + 1),
                _ => assert_eq!(
                    published.unwrap_err().code().unwrap().code(),
                    "40001",
                    "{level}"
                ),
            }
            publisher.batch_execute("ROLLBACK").unwrap();
            publisher.batch_execute(&begin).unwrap();
            let again = publisher.query("SELECT outtray.publish('k', '1')", &[]);
            assert_eq!(again.unwrap().len(), round + 1, "{level}");
            publisher.batch_execute("COMMIT").unwrap();
        }
        assert_eq!(taken(&place, "first").len(), 2, "{level}");
    }
}
