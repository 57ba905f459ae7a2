//! Where no process of the library runs, those who take do what its upkeep would do.

use super::{ack, lapse, payloads, settle, take, take_one};
use crate::support::{HOUR, Place, client, eventually};
use outtray::{NewMessage, TopicConfig};
use postgres::Client;
use std::time::Duration;

/// Sends as `send` says, and leaves the database without any process of the library. Returns where
/// it is: the databases of a test last as long as its thread.
fn alone_at(send: impl FnOnce(&Place)) -> String {
    let place = Place::new();
    send(&place);
    place.url
}

fn alone(send: impl FnOnce(&Place)) -> Client {
    client(&alone_at(send))
}

fn make_due(client: &mut Client) {
    let sql = "UPDATE outtray.scheduled SET due_at = now() WHERE due_at < 'infinity'";
    client.batch_execute(sql).unwrap();
}

fn upkeep(client: &mut Client) -> i64 {
    let called = client.query_one("SELECT outtray.upkeep()", &[]);
    called.unwrap().get(0)
}

fn count(client: &mut Client, rows: &str) -> i64 {
    let query = format!("SELECT count(*) FROM {rows}");
    client.query_one(&query, &[]).unwrap().get(0)
}

#[test]
fn delays_retries_and_ended_leases_come_back() {
    let mut client = alone(|place| {
        place.send_new(NewMessage::json("jobs", &"delayed").unwrap().delay(HOUR));
        place.send("jobs", "retried");
        place.send("jobs", "leased");
    });
    let taken = take(&mut client, "jobs", 9);
    assert_eq!(payloads(&taken), [r#""retried""#, r#""leased""#]);
    settle(&mut client, "nack($1, $2, '1 hour')", &taken[0]).unwrap();
    assert!(take(&mut client, "jobs", 9).is_empty());

    make_due(&mut client);

    let again = take(&mut client, "jobs", 9);
    let mut again: Vec<_> = again
        .iter()
        .map(|one| (one.payload.as_deref(), one.attempt))
        .collect();
    again.sort_unstable();
    let expected = [(r#""delayed""#, 1), (r#""leased""#, 2), (r#""retried""#, 2)];
    assert_eq!(
        again,
        expected.map(|(payload, attempt)| (Some(payload), attempt))
    );
}

#[test]
fn what_is_due_of_one_topic_does_not_wait_behind_a_crowd_of_others() {
    let mut client = alone(|place| {
        place.send_new(NewMessage::json("jobs", &1).unwrap().delay(HOUR));
        place.send_new(NewMessage::json("jobs", &2).unwrap().delay(HOUR).key("k"));
    });
    client
        .batch_execute(
            "INSERT INTO outtray.scheduled (topic, rank, id, due_at, payload)
                SELECT 'crowd', 0, gen_random_uuid(), now() - interval '1 day', '0' FROM generate_series(1, 5000);
            UPDATE outtray.scheduled SET due_at = now() WHERE topic = 'jobs'",
        )
        .unwrap();

    let mut taken = payloads(&take(&mut client, "jobs", 9)).join(" ");
    taken += &payloads(&take(&mut client, "jobs", 9)).join(" ");

    assert!(taken == "1 2" || taken == "12", "{taken}");
    // Some of the crowd moved along with it.
    assert_eq!(
        count(&mut client, "outtray.message WHERE topic = 'crowd'"),
        2000
    );
}

#[test]
fn delayed_messages_with_keys_line_up_and_come_one_at_a_time() {
    let mut client = alone(|place| {
        for number in 0..3 {
            let message = NewMessage::json("jobs", &number).unwrap();
            place.send_new(message.key("k").delay(HOUR));
        }
    });
    client
        .batch_execute(
            "UPDATE outtray.scheduled SET due_at = now() + (payload::text || ' us')::interval",
        )
        .unwrap();
    for number in ["0", "1", "2"] {
        let taken = take(&mut client, "jobs", 9);
        assert_eq!(payloads(&taken), [number]);
        ack(&mut client, &taken[0]);
    }
    assert_eq!(count(&mut client, "outtray.lane"), 0);
    assert_eq!(count(&mut client, "outtray.stalled"), 0);
}

#[test]
fn a_key_whose_lane_a_sender_held_goes_on_after_it() {
    let url = alone_at(|place| {
        for number in 0..2 {
            place.send_new(NewMessage::json("jobs", &number).unwrap().key("k"));
        }
    });
    let (mut client, mut sender) = (client(&url), client(&url));
    let first = take_one(&mut client, "jobs");
    // As a sender does whose transaction is open.
    let mut sending = sender.transaction().unwrap();
    sending
        .batch_execute("UPDATE outtray.lane SET turns = turns + 1")
        .unwrap();

    ack(&mut client, &first);
    assert!(take(&mut client, "jobs", 9).is_empty());
    sending.commit().unwrap();

    assert_eq!(payloads(&take(&mut client, "jobs", 9)), ["1"]);
}

#[test]
fn messages_that_come_after_others_are_released_or_given_up() {
    let mut client = alone(|place| {
        let tracked = |n: i32| NewMessage::json("jobs", &n).unwrap().tracked();
        let ids = [1, 2, 3].map(|n| place.send_new(tracked(n)));
        let after = |n: i32, ids: &[outtray::MessageId]| {
            place.send_new(NewMessage::json("next", &n).unwrap().after(ids));
        };
        after(10, &ids[..2]);
        after(20, &ids[2..]);
    });
    let taken = take(&mut client, "jobs", 9);
    assert!(take(&mut client, "next", 9).is_empty());
    ack(&mut client, &taken[0]);
    assert!(take(&mut client, "next", 9).is_empty());
    ack(&mut client, &taken[1]);
    settle(&mut client, "release($1, $2)", &taken[2]).unwrap();
    let cancelled = client.query_one("SELECT outtray.cancel($1)", &[&taken[2].id]);
    assert_eq!(cancelled.unwrap().get::<_, &str>(0), "removed");

    assert_eq!(payloads(&take(&mut client, "next", 9)), ["10"]);
    assert_eq!(
        count(&mut client, "outtray.dead_letter WHERE reason = 'orphaned'"),
        1
    );
}

#[test]
fn upkeep_does_it_for_topics_that_nobody_takes_from() {
    let mut client = alone(|place| {
        let keeps = TopicConfig {
            dead_letter_retention: Some(Duration::from_secs(1)),
            ..TopicConfig::default()
        };
        place.messaging.topic("old").configure(keeps).unwrap();
        place.messaging.topic("paused").pause().unwrap();
        let short = |topic: &str| NewMessage::json(topic, &1).unwrap().expires_in(HOUR);
        place.send_new(short("paused"));
        place.send_new(short("paused").delay(HOUR));
        place.send_new(short("keyed").key("k"));
        place.send_new(short("keyed").key("k"));
        place.send_new(NewMessage::json("due", &1).unwrap().delay(HOUR));
        place.send_new(NewMessage::json("jobs", &1).unwrap().dedupe("d", HOUR));
        place.send("old", &1);
    });
    let old = take_one(&mut client, "old");
    settle(&mut client, "reject($1, $2)", &old).unwrap();
    let asked = take_one(&mut client, "jobs");
    client
        .execute("SELECT outtray.cancel($1)", &[&asked.id])
        .unwrap();
    lapse(&mut client);
    client
        .batch_execute(
            "UPDATE outtray.message SET expires_at = now() WHERE expires_at IS NOT NULL;
            UPDATE outtray.follower SET expires_at = now() WHERE expires_at IS NOT NULL;
            UPDATE outtray.scheduled SET expires_at = now() WHERE expires_at IS NOT NULL;
            UPDATE outtray.scheduled SET due_at = now() WHERE topic = 'due';
            UPDATE outtray.dedupe SET expires_at = now();
            UPDATE outtray.cancellation SET asked_at = now() - interval '1 hour';
            UPDATE outtray.dead_letter SET died_at = now() - interval '1 hour'",
        )
        .unwrap();

    assert!(upkeep(&mut client) > 0);
    while upkeep(&mut client) > 0 {}

    let expired = "outtray.dead_letter WHERE reason = 'expired'";
    assert_eq!(count(&mut client, expired), 4);
    assert_eq!(count(&mut client, "outtray.dead_letter"), 4);
    for empty in [
        "scheduled",
        "follower",
        "dedupe",
        "lane",
        "stalled",
        "cancellation",
    ] {
        assert_eq!(
            count(&mut client, &format!("outtray.{empty}")),
            0,
            "{empty}"
        );
    }
    assert_eq!(count(&mut client, "outtray.message WHERE topic = 'due'"), 1);
    assert_eq!(count(&mut client, "outtray.message"), 1);
}

#[test]
fn several_who_take_and_look_after_all_at_once_lose_nothing() {
    let url = alone_at(|place| {
        for number in 0..300 {
            let message = NewMessage::json("jobs", &number).unwrap();
            let message = match number % 3 {
                0 => message,
                1 => message.key(format!("k{}", number % 7)),
                _ => message.delay(HOUR),
            };
            place.send_new(message);
        }
    });
    let mut own = client(&url);
    own.batch_execute("CREATE TABLE effect (id uuid); UPDATE outtray.scheduled SET due_at = now()")
        .unwrap();

    std::thread::scope(|scope| {
        for worker in 0..4 {
            let url = &url;
            std::thread::Builder::new()
                .spawn_scoped(scope, move || {
                    let mut client = client(url);
                    let mut idle = 0;
                    while idle < 20 {
                        let taken = take(&mut client, "jobs", 1 + worker);
                        idle = if taken.is_empty() { idle + 1 } else { 0 };
                        for one in &taken {
                            let mut transaction = client.transaction().unwrap();
                            let effect = "INSERT INTO effect VALUES ($1)";
                            transaction.execute(effect, &[&one.id]).unwrap();
                            let ack = "SELECT outtray.ack($1, $2)";
                            transaction.execute(ack, &[&one.id, &one.receipt]).unwrap();
                            transaction.commit().unwrap();
                        }
                        if worker == 0 {
                            upkeep(&mut client);
                        }
                    }
                })
                .unwrap();
        }
    });

    for one in take(&mut own, "jobs", 1000) {
        ack(&mut own, &one);
        own.execute("INSERT INTO effect VALUES ($1)", &[&one.id])
            .unwrap();
    }
    assert_eq!(count(&mut own, "effect"), 300);
    assert_eq!(
        count(&mut own, "(SELECT DISTINCT id FROM effect) AS ids"),
        300
    );
    for empty in ["message", "scheduled", "follower", "lane", "stalled"] {
        assert_eq!(count(&mut own, &format!("outtray.{empty}")), 0, "{empty}");
    }
}

#[test]
fn upkeep_sees_what_waits_behind_a_crowd_that_waits_for_long_in_a_session_for_each_call() {
    let mut place = Place::new();
    let long = place.send_new(NewMessage::json("long", &0).unwrap().tracked());
    let crowd = (0..1_200).map(|n| NewMessage::json("a", &n).unwrap().after(&[long]));
    place
        .messaging
        .session(|session| Ok(session.send_all(crowd)?))
        .unwrap();
    let first = place.send_new(NewMessage::json("first", &0).unwrap().tracked());
    place.send_new(NewMessage::json("b", &7).unwrap().after(&[first]));
    let taken = take_one(&mut place.client, "first");
    ack(&mut place.client, &taken);

    eventually("it is released", || {
        let mut job = client(&place.url);
        job.execute("SELECT outtray.upkeep()", &[]).unwrap();
        place.count("outtray.message WHERE topic = 'b'") == 1
    });
    assert_eq!(place.count("outtray.message WHERE topic = 'a'"), 0);
}

#[test]
fn a_part_of_upkeep_that_fails_keeps_no_other_from_its_work() {
    let mut place = Place::new();
    place.sql(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE 'no dead letters today'; END $$;
        CREATE TRIGGER refuse BEFORE INSERT ON outtray.dead_letter
        FOR EACH ROW EXECUTE FUNCTION refuse();
        INSERT INTO outtray.message (topic, rank, id, payload, expires_at)
        VALUES ('over', 0, gen_random_uuid(), '1', now() - interval '1 hour');
        INSERT INTO outtray.scheduled (topic, rank, id, payload, due_at)
        VALUES ('due', 0, gen_random_uuid(), '2', now())",
    );

    place.sql("SELECT outtray.upkeep()");

    assert_eq!(place.count("outtray.message WHERE topic = 'due'"), 1);
}
