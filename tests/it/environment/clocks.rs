//! A clock that is set back by an hour, which is the same as times that were noted an hour ahead.

use crate::support::{Place, eventually, next};
use crossbeam_channel::unbounded;
use outtray::{Message, Messaging, NewMessage, Rate, Recurrence, TopicConfig};
use std::time::Duration;

fn repeat(place: &Place, name: &str, cron: &str) {
    let recurrence = Recurrence::cron(cron).unwrap();
    let message = NewMessage::json("reports", name).unwrap();
    place.messaging.repeat(name, &recurrence, message).unwrap();
}

#[test]
fn recurring_messages_go_on_when_the_clock_is_set_back() {
    let mut place = Place::watchful();
    repeat(&place, "second", "* * * * * *");
    repeat(&place, "minute", "* * * * *");
    place.sql("UPDATE outtray.recurring SET next_at = next_at + interval '1 hour', last_at = now() + interval '1 hour'");

    let _receiver = place.idle_receiver();

    place.await_growth(
        "outtray.message WHERE topic = 'reports' AND payload::text = '\"second\"'",
        3,
    );
    eventually("the other one is due within its minute", || {
        place.count(
            "outtray.recurring WHERE name = 'minute' AND next_at > now() + interval '61 seconds'",
        ) == 0
    });
}

#[test]
fn a_clock_that_is_set_back_under_a_running_process_is_noticed_too() {
    let mut place = Place::watchful();
    repeat(&place, "second", "* * * * * *");
    let _receiver = place.idle_receiver();
    place.await_growth("outtray.message WHERE topic = 'reports'", 1);

    place.sql("UPDATE outtray.recurring SET next_at = next_at + interval '1 hour'");
    let sent = place.count("outtray.message WHERE topic = 'reports'");

    eventually("it goes on", || {
        place.count("outtray.message WHERE topic = 'reports'") > sent + 1
    });
}

#[test]
fn a_time_that_may_be_a_plan_is_kept() {
    let mut place = Place::watchful();
    for (name, cron) in [
        ("hourly", "0 * * * *"),
        ("yearly", "@yearly"),
        ("never", "* * * * *"),
    ] {
        repeat(&place, name, cron);
    }
    place.sql("UPDATE outtray.recurring SET next_at = 'infinity' WHERE name = 'never'");
    repeat(&place, "second", "* * * * * *");
    let query = "SELECT array_agg(next_at::text ORDER BY name) FROM outtray.recurring WHERE name <> 'second'";
    let before: Vec<String> = place.client.query_one(query, &[]).unwrap().get(0);
    // So that the test sees when all were looked at.
    place.sql(
        "UPDATE outtray.recurring SET next_at = next_at + interval '1 hour' WHERE name = 'second'",
    );

    let _receiver = place.idle_receiver();
    place.await_growth("outtray.message WHERE payload::text = '\"second\"'", 2);

    let after: Vec<String> = place.client.query_one(query, &[]).unwrap().get(0);
    let hourly_ran = place.count("outtray.message WHERE payload::text = '\"hourly\"'") > 0;
    assert!(after == before || hourly_ran, "{before:?} {after:?}");
}

#[test]
fn a_rate_goes_on_when_the_clock_is_set_back() {
    let mut place = Place::new();
    let config = TopicConfig {
        rate: Some(Rate {
            messages: 100,
            per: Duration::from_secs(1),
            burst: 10,
        }),
        ..TopicConfig::default()
    };
    place.messaging.topic("jobs").configure(config).unwrap();
    place.send_all("jobs", 0..20);
    place.sql("INSERT INTO outtray.bucket (topic, key, full_at, granted) VALUES ('jobs', '', now() + interval '1 hour', 1)");

    let report = place.messaging.drain("jobs", |_, _: Message<i32>| Ok(()));

    assert_eq!(report.unwrap().handled, 20);
}

#[test]
fn a_topic_is_not_suspected_for_longer_when_the_clock_is_set_back() {
    let mut place = Place::watchful();
    place.sql(
        "INSERT INTO outtray.topic (topic, suspect_until) VALUES ('jobs', now() + interval '61 minutes')",
    );
    let (tell, told) = unbounded();

    let _receiver = place
        .messaging
        .start_receiving_messages("jobs", move |session, message: Message<i32>| {
            let counted = session.query_one("SELECT count(*) FROM outtray.attempt", &[])?;
            Ok(tell.send((message.payload, counted.get::<_, i64>(0)))?)
        })
        .unwrap();
    place.send("jobs", &1);

    assert_eq!(next(&told, 1), [(1, 0)], "no delivery is counted ahead");
}

#[test]
fn a_process_behind_a_pooler_that_died_is_found_although_the_clock_was_set_back() {
    let mut place = Place::new();
    place.sql(
        "INSERT INTO outtray.worker (topic, id, process, holds_lock, seen_at)
        VALUES ('jobs', 999999, 'gone', false, now() + interval '1 hour')",
    );
    let pooled = Messaging::builder()
        .url(&place.url)
        .pooler_safe(true)
        .connect()
        .unwrap();
    let _receiver = pooled
        .start_receiving_messages("jobs", |_, _: Message<i32>| Ok(()))
        .unwrap();

    eventually("it counts from now on", || {
        place.count("outtray.worker WHERE seen_at > now()") == 0
    });
    // Half a minute without a sign later.
    place
        .sql("UPDATE outtray.worker SET seen_at = now() - interval '31 seconds' WHERE id = 999999");
    eventually("it is found", || {
        place.count("outtray.worker WHERE id = 999999") == 0
    });
}
