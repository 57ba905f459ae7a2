//! Dead letters come back with a clean count, some or all of them, and go when somebody says so.

use crate::support::{PATIENCE, Place, reject};
use outtray::Message;

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
