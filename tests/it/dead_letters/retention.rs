//! Dead letters are kept for ever, or for as long as their topic says.

use crate::support::{DAY, PATIENCE, Place, eventually};
use outtray::{ErrorKind, HandlerError, Message, NewMessage, PoisonedKey, TopicConfig};
use std::time::Duration;

fn kept_for(retention: Duration) -> TopicConfig {
    TopicConfig {
        dead_letter_retention: Some(retention),
        ..TopicConfig::default()
    }
}

/// Has a process with upkeep remove what is over.
fn start(place: &Place) -> outtray::Receiver {
    let receiver = place.messaging.receiver("any");
    receiver.start(|_, _: Message| Ok(())).unwrap()
}

/// Handles what is ready of a topic by giving it up.
fn bury(place: &Place, topic: &str) {
    let reject =
        |_: &mut outtray::MessagingSession<'_>, _: Message<i32>| Err(HandlerError::reject("no"));
    place.messaging.drain(topic, reject).unwrap();
}

/// Lets time pass since the dead letters with these payloads died.
fn age(place: &mut Place, payloads: &str, days: u32) {
    place.sql(&format!(
        "UPDATE outtray.dead_letter SET died_at = died_at - interval '{days} days'
            WHERE payload::text IN ({payloads})"
    ));
}

#[test]
fn dead_letters_that_are_older_than_their_topic_keeps_them_are_gone_and_no_others() {
    let mut place = Place::watchful();
    place
        .messaging
        .topic("mails")
        .configure(kept_for(30 * DAY))
        .unwrap();
    for topic in ["mails", "calls"] {
        place.send_all(topic, 1..=3);
        bury(&place, topic);
    }
    age(&mut place, "'1'", 31);
    age(&mut place, "'2'", 29);
    // Many, for which one turn is not enough.
    place.sql(
        "INSERT INTO outtray.dead_letter (topic, id, rank, attempts, reason, error, sent_at, died_at, payload)
        SELECT 'mails', gen_random_uuid(), 0, 1, 'rejected', 'no', now(), now() - interval '40 days', '4'
        FROM generate_series(1, 20000)",
    );

    let _receiver = start(&place);

    eventually("what is old is gone", || {
        place.count("outtray.dead_letter WHERE topic = 'mails'") == 2
    });
    assert_eq!(place.count("outtray.dead_letter WHERE topic = 'calls'"), 3);
    let stats = place.messaging.topic("mails").stats().unwrap();
    assert_eq!(
        (stats.dead, stats.dead_letter_retention),
        (2, Some(30 * DAY))
    );
    let others = place.messaging.topic("calls").stats().unwrap();
    assert_eq!(others.dead_letter_retention, None);
}

#[test]
fn what_waited_for_a_dead_letter_goes_on_as_after_a_purge() {
    let mut place = Place::watchful();
    let config = TopicConfig {
        poisoned_key: Some(PoisonedKey::Block),
        ..kept_for(DAY)
    };
    place.messaging.topic("jobs").configure(config).unwrap();
    place.send_new(NewMessage::json("jobs", &1).unwrap().key("k").tracked());
    bury(&place, "jobs");
    place.send_new(NewMessage::json("jobs", &2).unwrap().key("k"));
    let states = |place: &mut Place, state: &str| {
        place.count(&format!("outtray.outcome WHERE state = '{state}'"))
    };
    assert_eq!(states(&mut place, "dead"), 1);
    assert_eq!(place.messaging.topic("jobs").stats().unwrap().behind, 1);
    age(&mut place, "'1'", 2);

    let (tell, told) = crossbeam_channel::unbounded();
    let receiver = place
        .messaging
        .start_receiving_messages("jobs", move |_, job: Message<i32>| {
            Ok(tell.send(job.payload)?)
        })
        .unwrap();

    assert_eq!(told.recv_timeout(PATIENCE), Ok(2));
    assert_eq!(states(&mut place, "purged"), 1);
    receiver.stop(PATIENCE);
}

#[test]
fn a_time_that_cannot_be_meant_is_refused() {
    let place = Place::new();
    let mails = place.messaging.topic("mails");

    for retention in [Duration::ZERO, Duration::from_micros(1500), DAY * 4000] {
        let error = mails.configure(kept_for(retention)).unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(
            error.to_string().contains("dead_letter_retention"),
            "{error}"
        );
    }
}
