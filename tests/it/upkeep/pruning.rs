//! What is over is removed as fast as it piles up.

use crate::support::{Place, client, eventually};
use outtray::{Message, TopicConfig};

/// Has a process with upkeep remove what is over.
fn start(place: &Place) -> outtray::Receiver {
    let receiver = place.messaging.receiver("any");
    receiver.start(|_, _: Message| Ok(())).unwrap()
}

#[test]
fn a_hundred_thousand_dedupe_keys_whose_window_is_over_are_soon_gone() {
    let mut place = Place::watchful();
    place.sql(
        "INSERT INTO outtray.dedupe (topic, key, id, expires_at)
        SELECT 'any', n::text, gen_random_uuid(), now() - interval '1 minute' FROM generate_series(1, 100000) AS n",
    );

    let _receiver = start(&place);

    eventually("all are gone", || place.count("outtray.dedupe") == 0);
}

#[test]
fn notes_of_what_was_vacated_do_not_pile_up_also_while_a_sender_holds_another_room() {
    let mut place = Place::watchful();
    for topic in ["held", "free"] {
        let config = TopicConfig {
            max_length: Some(1_000_000),
            ..TopicConfig::default()
        };
        place.messaging.topic(topic).configure(config).unwrap();
    }
    place.sql(
        "INSERT INTO outtray.room VALUES ('held', 40000), ('free', 40007);
        INSERT INTO outtray.vacated (topic, messages)
        SELECT topic, 1 FROM unnest(ARRAY['held', 'free']) AS topic, generate_series(1, 40000) AS n",
    );
    let mut holder = client(&place.url);
    let mut open = holder.transaction().unwrap();
    open.execute(
        "UPDATE outtray.room SET used = used WHERE topic = 'held'",
        &[],
    )
    .unwrap();

    let _receiver = start(&place);

    let notes = |topic: &str| format!("outtray.vacated WHERE topic = '{topic}'");
    eventually("those of the free one are taken off", || {
        place.count(&notes("free")) <= 100
    });
    assert_eq!(place.count(&notes("held")), 40_000);
    let left = "(SELECT used FROM outtray.room WHERE topic = 'free')
        - (SELECT coalesce(sum(messages), 0) FROM outtray.vacated WHERE topic = 'free')";
    assert_eq!(place.number(left), 7.0);
    open.rollback().unwrap();
    eventually("those of the other one, too", || {
        place.count(&notes("held")) <= 100
    });
}
