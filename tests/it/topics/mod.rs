//! Topics know what they hold, and looking takes nothing.

mod estimates;
mod peeking;

use crate::support::{Gate, PATIENCE, Place, eventually, reject};
use outtray::{HandlerError, Message, NewMessage, WaitReason};
use serde_json::json;
use std::time::Duration;

#[test]
fn topics_are_listed_with_their_numbers_and_an_unknown_one_has_none() {
    let place = Place::new();
    for (topic, count) in [("b.one", 1), ("a.five", 5), ("c.four", 4)] {
        place.send_all(topic, 0..count);
    }

    let topics = place.messaging.topics().unwrap();

    let listed: Vec<(&str, u64)> = topics
        .iter()
        .map(|stats| (stats.topic.as_str(), stats.ready))
        .collect();
    assert_eq!(listed, [("a.five", 5), ("b.one", 1), ("c.four", 4)]);
    let unknown = place.messaging.topic("unknown");
    let stats = unknown.stats().unwrap();
    assert_eq!(
        (stats.ready, stats.scheduled, stats.dead, stats.receivers),
        (0, 0, 0, 0)
    );
    assert_eq!(stats.oldest_ready_age, None);
    assert!(unknown.is_empty().unwrap());
}

#[test]
fn a_topic_without_messages_is_listed_while_it_has_a_receiver_or_dead_or_scheduled_messages() {
    let place = Place::new();
    place.send("dead", &1);
    place.messaging.drain("dead", reject).unwrap();
    place.send_new(
        NewMessage::json("later", &1)
            .unwrap()
            .delay(Duration::from_secs(3600)),
    );
    let receiver = place
        .messaging
        .start_receiving_messages("received", |_, _: Message| Ok(()))
        .unwrap();

    let names = || -> Vec<String> {
        let topics = place.messaging.topics().unwrap();
        topics.into_iter().map(|stats| stats.topic).collect()
    };
    assert_eq!(names(), ["dead", "later", "received"]);
    assert_eq!(
        place.messaging.topic("received").stats().unwrap().receivers,
        1
    );

    receiver.stop(PATIENCE);
    eventually("it signs off", || names() == ["dead", "later"]);
}

#[test]
fn handling_one_topic_leaves_the_others_alone() {
    let place = Place::new();
    place.send_all("left", 0..3);
    place.send_all("right", 0..3);

    let report = place
        .messaging
        .drain("left", |_, _: Message| Ok(()))
        .unwrap();

    assert_eq!(report.handled, 3);
    assert!(place.is_empty("left"));
    assert_eq!(place.messaging.topic("right").stats().unwrap().ready, 3);
}

#[test]
fn the_numbers_of_a_topic_follow_what_is_sent_and_handled() {
    let place = Place::new();
    let gate = Gate::new();
    let ready = || place.messaging.topic("jobs").stats().unwrap().ready;
    assert_eq!(ready(), 0);
    place.send_all("jobs", 0..2);
    assert_eq!(ready(), 2);
    let receiver = gate.holding(
        place
            .messaging
            .receiver("jobs")
            .workers(1)
            .messages_per_transaction(1),
    );
    gate.await_arrivals(1);
    assert_eq!(ready(), 2, "what is in work is there until it is acked");
    gate.open_for(1);
    gate.await_arrivals(1);
    assert_eq!(ready(), 1);
    gate.open_for(1);
    eventually("all handled", || ready() == 0);
    receiver.stop(PATIENCE);
}

#[test]
fn the_age_of_the_oldest_ready_message_is_known() {
    let mut place = Place::new();
    place.send_all("jobs", 0..2);
    place.sql(
        "UPDATE outtray.message SET sent_at = now() - interval '1 hour' WHERE payload::text = '1'",
    );

    let age = place
        .messaging
        .topic("jobs")
        .stats()
        .unwrap()
        .oldest_ready_age
        .unwrap();

    assert!((3600..3700).contains(&age.as_secs()), "{age:?}");
}

#[test]
fn peeking_shows_messages_in_claim_order_and_takes_nothing() {
    let place = Place::new();
    let first = place.send("jobs", &json!({"n": 1}));
    let urgent = NewMessage::json("jobs", &2)
        .unwrap()
        .priority(9)
        .header("source", "web");
    let urgent = place.send_new(urgent);
    let topic = place.messaging.topic("jobs");

    for _ in 0..3 {
        let seen = topic.peek(10).unwrap();
        let ids: Vec<_> = seen.iter().map(|message| message.id).collect();
        assert_eq!(ids, [urgent, first]);
        assert_eq!((seen[0].priority, seen[0].attempts), (9, 0));
        assert_eq!(seen[0].headers["source"], "web");
        assert_eq!(seen[1].payload.to_string(), r#"{"n":1}"#);
    }
    assert_eq!(topic.peek(1).unwrap().len(), 1);
    assert_eq!(
        place
            .messaging
            .drain("jobs", |_, _: Message| Ok(()))
            .unwrap()
            .handled,
        2
    );
}

#[test]
fn what_is_scheduled_says_why_and_for_how_long() {
    let place = Place::new();
    let hour = Duration::from_secs(3600);
    let retried = NewMessage::json("jobs", &json!({"n": 1})).unwrap();
    let retried = place.send_new(retried.key("a").priority(3).header("source", "web"));
    let fail = move |_: &mut outtray::MessagingSession<'_>, _: Message| {
        Err(HandlerError::retry_after(2 * hour).because("the lake is frozen"))
    };
    place.messaging.drain("jobs", fail).unwrap();
    let leased = place.send("jobs", &2);
    let topic = place.messaging.topic("jobs");
    let delivery = topic.receive::<i32>(Duration::from_secs(60)).unwrap();
    let delayed = NewMessage::json("jobs", &3).unwrap().delay(hour).tracked();
    let delayed = place.send_new(delayed);
    let after = place.send_new(NewMessage::json("jobs", &4).unwrap().after(&[delayed]));
    place.send_new(NewMessage::json("others", &5).unwrap().delay(hour / 2));

    let seen = topic.scheduled(10).unwrap();

    let why: Vec<_> = seen.iter().map(|one| (one.id, one.reason)).collect();
    let expected = [
        (leased, WaitReason::Leased),
        (delayed, WaitReason::Delayed),
        (retried, WaitReason::Retrying),
        (after, WaitReason::AfterOthers),
    ];
    assert_eq!(why, expected);
    let first: Vec<_> = topic
        .scheduled(2)
        .unwrap()
        .iter()
        .map(|one| one.id)
        .collect();
    assert_eq!(first, [leased, delayed]);
    let left = |index: usize| seen[index].due_in.map(|left| left.as_secs() / 60);
    assert_eq!(
        [left(0), left(1), left(2), left(3)],
        [Some(0), Some(59), Some(119), None]
    );
    let times: Vec<_> = seen.iter().map(|one| one.due_at).collect();
    assert!(times[0] < times[1] && times[1] < times[2] && times[3].is_none());
    let retry = &seen[2];
    assert_eq!(
        (retry.key.as_deref(), retry.priority, retry.attempts),
        (Some("a"), 3, 1)
    );
    assert_eq!(retry.error.as_deref(), Some("the lake is frozen"));
    assert_eq!(retry.headers["source"], "web");
    assert_eq!(retry.payload.to_string(), r#"{"n":1}"#);
    assert_eq!((seen[0].attempts, &seen[0].error), (1, &None));
    assert_eq!(
        (&seen[1].after[..], &seen[3].after[..]),
        (&[][..], &[delayed][..])
    );
    delivery.unwrap().ack().unwrap();
}

#[test]
fn looking_at_what_is_scheduled_takes_nothing_and_what_is_due_has_no_time_left() {
    let mut place = Place::new();
    let hour = Duration::from_secs(3600);
    let delayed = NewMessage::json("jobs", &1).unwrap().delay(hour).tracked();
    let delayed = place.send_new(delayed);
    place.send_new(NewMessage::json("jobs", &2).unwrap().after(&[delayed]));
    place.sql(
        "UPDATE outtray.scheduled SET due_at = now() - interval '1 day' WHERE due_at < 'infinity'",
    );

    for _ in 0..2 {
        let late = place.messaging.topic("jobs").scheduled(10).unwrap();
        let left: Vec<_> = late.iter().map(|one| one.due_in).collect();
        assert_eq!(left, [Some(Duration::ZERO), None]);
    }
    let report = place.messaging.drain("jobs", |_, _: Message| Ok(()));
    assert_eq!(report.unwrap().handled, 2);
}

#[test]
fn messages_are_shown_with_their_keys() {
    let place = Place::new();
    for (payload, key) in [(1, "a"), (2, "a")] {
        place.send_new(NewMessage::json("jobs", &payload).unwrap().key(key));
    }
    place.send("jobs", &3);
    let topic = place.messaging.topic("jobs");

    let seen = topic.peek(10).unwrap();
    place.messaging.drain("jobs", reject).unwrap();
    let dead = place.dead_letters("jobs");

    let keys: Vec<_> = seen.iter().map(|one| one.key.as_deref()).collect();
    assert_eq!(keys, [Some("a"), None, Some("a")]);
    let keyed = dead.iter().filter(|one| one.key.as_deref() == Some("a"));
    assert_eq!((keyed.count(), dead.len()), (2, 3));
}

#[test]
fn purging_removes_all_but_what_is_in_work_and_dead_letters() {
    let place = Place::new();
    place.send("jobs", &0);
    place.messaging.drain("jobs", reject).unwrap();
    place.send_all("jobs", 1..4);
    place.send_new(
        NewMessage::json("jobs", &4)
            .unwrap()
            .delay(Duration::from_secs(3600)),
    );
    let gate = Gate::new();
    let receiver = gate.holding(place.messaging.receiver("jobs").workers(1));
    gate.await_arrivals(1);

    let purged = place.messaging.topic("jobs").purge().unwrap();
    gate.open_for(1);
    eventually("the last one handled", || place.is_empty("jobs"));
    receiver.stop(PATIENCE);

    assert_eq!(purged, 3);
    assert_eq!(place.dead_letters("jobs").len(), 1);
}

#[test]
fn redriven_dead_letters_are_handled_with_a_clean_count() {
    let place = Place::polling(crate::support::NO_POLLING);
    place.send_all("jobs", 0..3);
    place.messaging.drain("jobs", reject).unwrap();
    let dead = place.dead_letters("jobs");
    let (tell, told) = crossbeam_channel::unbounded();
    let receiver = place
        .messaging
        .start_receiving_messages("jobs", move |_, message: Message<i32>| {
            Ok(tell.send((message.id, message.attempt))?)
        })
        .unwrap();

    let topic = place.messaging.topic("jobs");
    assert_eq!(topic.redrive(dead[1].id).unwrap(), 1);
    assert_eq!(crate::support::next(&told, 1), [(dead[1].id, 1)]);
    assert_eq!(topic.redrive(..).unwrap(), 2);
    crate::support::next(&told, 2);
    receiver.stop(PATIENCE);

    assert!(place.dead_letters("jobs").is_empty());
}

#[test]
fn fifteen_handlers_at_once_open_sessions_of_their_own_with_a_pool_of_ten() {
    let url = crate::support::database();
    let messaging = outtray::Messaging::builder()
        .url(&url)
        .pool_size(10)
        .connect()
        .unwrap();
    let mut place = Place::over(&url, messaging);
    place.sql("CREATE TABLE effect (n integer)");
    place.send_all("jobs", 0..15);
    let gate = Gate::new();

    let (handler_gate, messaging) = (gate.clone(), place.messaging.clone());
    let receiver = place
        .messaging
        .receiver("jobs")
        .workers(15)
        .max_attempts(1)
        .start(move |session, message: Message<i32>| {
            session.execute("INSERT INTO effect VALUES ($1)", &[&message.payload])?;
            handler_gate.pass();
            messaging.session(|own| {
                own.execute("INSERT INTO effect VALUES ($1)", &[&message.payload])?;
                Ok(own.send_message("others", &message.payload)?)
            })?;
            Ok(())
        })
        .unwrap();
    gate.await_arrivals(15);
    gate.open_for(15);
    eventually("all handled", || place.is_empty("jobs"));
    receiver.stop(PATIENCE);

    assert_eq!(place.count("effect"), 30);
    assert_eq!(place.count("outtray.dead_letter"), 0);
}

/// Makes so many dead letters.
fn make_dead(place: &mut Place, messages: i64) {
    place.sql(&format!(
        "INSERT INTO outtray.dead_letter (topic, id, rank, attempts, reason, error, sent_at, payload, key, seq)
        SELECT 'jobs', gen_random_uuid(), 0, 1, 'exhausted', 'no', now(), '1',
            CASE WHEN n % 10 = 0 THEN (n % 100)::text END, CASE WHEN n % 10 = 0 THEN nextval('outtray.message_seq') END
        FROM generate_series(1, {messages}) AS n"
    ));
}

/// Has a slice fail that holds more than so many messages, as a statement timeout would.
const REFUSE_MANY: &str = "
    CREATE FUNCTION refuse_many() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF (SELECT count(*) FROM gone) > 1000 THEN RAISE EXCEPTION USING ERRCODE = '57014', MESSAGE = 'too long'; END IF;
        RETURN NULL;
    END $$;
    CREATE TRIGGER refuse_many AFTER DELETE ON outtray.dead_letter REFERENCING OLD TABLE AS gone
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_many();
    CREATE TRIGGER refuse_many AFTER DELETE ON outtray.message REFERENCING OLD TABLE AS gone
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_many()";

#[test]
fn very_many_dead_letters_are_redriven_and_purged_in_slices_that_are_told() {
    let mut place = Place::new();
    place.sql(REFUSE_MANY);
    let messaging = place.messaging.clone();
    let topic = messaging.topic("jobs");
    make_dead(&mut place, 5_500);
    let mut told = Vec::new();

    let redriven = topic.redrive_with_progress(.., |so_far| told.push(so_far));

    assert_eq!(redriven.unwrap(), 5_500);
    assert_eq!(told, [1_000, 2_000, 3_000, 4_000, 5_000, 5_500]);
    assert_eq!(place.count("outtray.dead_letter"), 0);
    told.clear();
    let purged = topic.purge_with_progress(|so_far| told.push(so_far));
    assert_eq!(purged.unwrap(), 5_500);
    assert!(told.is_sorted() && told.len() >= 5, "{told:?}");
    assert!(place.is_empty("jobs"));
    make_dead(&mut place, 2_500);
    told.clear();
    let purged = topic.purge_dead_letters_with_progress(.., |so_far| told.push(so_far));
    assert_eq!(purged.unwrap(), 2_500);
    assert_eq!(told, [1_000, 2_000, 2_500]);
}

#[test]
fn a_redrive_that_fails_on_the_way_says_how_far_it_came_and_is_done_again_for_the_rest() {
    let mut place = Place::new();
    make_dead(&mut place, 2_500);
    place.sql(
        "CREATE SEQUENCE slices;
        CREATE FUNCTION stumble() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF nextval('slices') = 2 THEN RAISE EXCEPTION USING ERRCODE = '57014', MESSAGE = 'too long'; END IF;
            RETURN NULL;
        END $$;
        CREATE TRIGGER stumble AFTER DELETE ON outtray.dead_letter FOR EACH STATEMENT EXECUTE FUNCTION stumble()",
    );
    let messaging = place.messaging.clone();
    let topic = messaging.topic("jobs");

    let error = topic.redrive(..).unwrap_err();

    let text = error.to_string();
    assert!(
        text.contains("1000 messages of topic jobs were redriven"),
        "{text}"
    );
    assert_eq!(place.count("outtray.dead_letter"), 1_500);
    assert_eq!(topic.redrive(..).unwrap(), 1_500);
    assert_eq!(place.count("outtray.dead_letter"), 0);
}

#[test]
fn a_second_redrive_does_not_mind_that_the_first_was_not_tidied_up() {
    let mut place = Place::new();
    make_dead(&mut place, 100);
    let messaging = place.messaging.clone();
    let topic = messaging.topic("jobs");
    // As a process that died between the redrive and the look after the keys leaves it.
    place.sql(
        "CREATE TABLE said AS SELECT topic, key, id FROM outtray.dead_letter WHERE key IS NOT NULL",
    );
    for again in ["redrive", "purge"] {
        place.sql("INSERT INTO outtray.stalled SELECT * FROM said ON CONFLICT DO NOTHING");

        let done = match again {
            "redrive" => topic.redrive(..),
            _ => topic.purge_dead_letters(..),
        };

        assert_eq!(done.unwrap(), 100, "{again}");
        place.sql(
            "INSERT INTO outtray.dead_letter (topic, id, rank, attempts, reason, error, sent_at, payload, key, seq)
            SELECT topic, id, 0, 1, 'exhausted', 'no', now(), payload, key, seq FROM (
                SELECT topic, id, payload, NULL AS key, NULL::bigint AS seq FROM outtray.message WHERE key IS NULL
                UNION ALL SELECT topic, id, payload, key, seq FROM outtray.message WHERE key IS NOT NULL
                UNION ALL SELECT topic, id, payload, key, seq FROM outtray.follower
            ) AS back;
            DELETE FROM outtray.message; DELETE FROM outtray.follower",
        );
    }
}
