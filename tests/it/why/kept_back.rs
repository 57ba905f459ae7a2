//! Messages that are ready, and that something of their topic keeps back.

use super::{TOPIC, check_sentence, configure, job, obstacles, why};
use crate::support::{Gate, PATIENCE, Place, done, eventually};
use outtray::{Filter, Obstacle, Operator, Rate, Remedy, TopicConfig, WhyState};
use std::time::Duration;

const SLOW: Rate = Rate {
    messages: 1,
    per: Duration::from_secs(3600),
    burst: 1,
};

#[test]
fn a_pause_says_since_when_and_what_ends_it() {
    let place = Place::new();
    let receiver = place.messaging.receiver(TOPIC).start(done).unwrap();
    place.messaging.topic(TOPIC).pause().unwrap();
    let id = place.send(TOPIC, &1);

    let paused = why(&place, id);

    assert_eq!(obstacles(&paused), ["paused"]);
    let Obstacle::Paused { since, by: None } = &paused.obstacles[0] else {
        panic!("{paused:?}");
    };
    assert!(*since <= paused.asked_at);
    assert_eq!(
        paused.remedies,
        [Remedy::Command(format!("outtray resume {TOPIC}"))]
    );
    check_sentence(&paused, &["is ready, but its topic is paused since"]);
    receiver.stop(PATIENCE);
}

#[test]
fn a_pause_in_the_name_of_an_operator_says_by_whom() {
    let place = Place::new();
    let id = place.send(TOPIC, &1);
    let operator = place.messaging.as_operator(Operator::new("Ada"));
    operator.topic(TOPIC).pause().unwrap();
    operator.topic(TOPIC).pause().unwrap();

    let paused = why(&place, id);

    let is_hers =
        matches!(&paused.obstacles[0], Obstacle::Paused { by: Some(by), .. } if by == "Ada");
    assert!(is_hers, "{paused:?}");
    check_sentence(&paused, &["Z by Ada"]);
}

#[test]
fn a_rate_that_is_used_up_says_when_the_next_token_is_there() {
    let place = Place::new();
    configure(
        &place,
        TopicConfig {
            rate: Some(SLOW),
            ..TopicConfig::default()
        },
    );
    let first = place.send(TOPIC, &1);
    let receiver = place.messaging.receiver(TOPIC).start(done).unwrap();
    eventually("the first one is done", || {
        matches!(why(&place, first).state, WhyState::NotThere { .. })
    });
    let id = place.send(TOPIC, &2);

    let late = why(&place, id);

    assert_eq!(obstacles(&late), ["rate_used_up"]);
    let Obstacle::RateUsedUp { next_in } = late.obstacles[0] else {
        panic!("{late:?}");
    };
    assert!(next_in > SLOW.per / 2 && next_in <= SLOW.per, "{next_in:?}");
    assert_eq!(
        late.remedies,
        [Remedy::Command(format!("outtray rate reset {TOPIC}"))]
    );
    receiver.stop(PATIENCE);
}

#[test]
fn a_rate_of_a_key_keeps_only_that_key() {
    let place = Place::new();
    configure(
        &place,
        TopicConfig {
            rate_per_key: Some(SLOW),
            ..TopicConfig::default()
        },
    );
    let receiver = place.messaging.receiver(TOPIC).start(done).unwrap();
    let first = place.send_new(job(1).key("a"));
    eventually("the first one is done", || {
        matches!(why(&place, first).state, WhyState::NotThere { .. })
    });
    let id = place.send_new(job(2).key("a"));

    let mut late = why(&place, id);
    eventually("it is put off", || {
        late = why(&place, id);
        matches!(
            late.state,
            WhyState::Retrying { .. } | WhyState::Delayed { .. }
        )
    });

    assert_eq!(obstacles(&late), ["key_rate_used_up"], "{late:?}");
    check_sentence(
        &late,
        &["the rate of its key is used up: the next token is there in 59 min"],
    );
    receiver.stop(PATIENCE);
}

#[test]
fn receivers_whose_filters_want_other_messages_are_named_with_their_filters() {
    let place = Place::new();
    let filter = Filter::new().equals("country", "ch");
    let receiver = place
        .messaging
        .receiver(TOPIC)
        .filter(filter)
        .start(done)
        .unwrap();
    let id = place.send_new(job(1).header("country", "de"));
    let wanted = place.send_new(job(1).header("country", "ch").delay(PATIENCE));

    let unwanted = why(&place, id);

    assert_eq!(obstacles(&unwanted), ["not_wanted"], "{unwanted:?}");
    let Obstacle::NotWanted { filters } = &unwanted.obstacles[0] else {
        panic!("{unwanted:?}");
    };
    assert_eq!(filters[..], ["country = 'ch'"]);
    check_sentence(
        &unwanted,
        &["its topic has receivers that want others: country = 'ch'"],
    );
    assert_eq!(obstacles(&why(&place, wanted)), [""; 0]);
    receiver.stop(PATIENCE);
}

#[test]
fn a_row_that_cannot_be_read_says_what_of_it() {
    let mut place = Place::new();
    place.write(TOPIC, r#"{"a": 1}"#, "1");
    let id = place.messaging.topic(TOPIC).peek(1).unwrap()[0].id;

    let odd = why(&place, id);

    assert!(
        obstacles(&odd).contains(&"unreadable".to_owned()),
        "{odd:?}"
    );
    check_sentence(&odd, &["it cannot be read"]);
}

#[test]
fn a_process_without_receivers_of_the_topic_is_no_receiver() {
    let place = Place::new();
    let gate = Gate::new();
    let receiver = gate.holding(place.messaging.receiver("elsewhere"));
    let id = place.send(TOPIC, &1);

    assert_eq!(obstacles(&why(&place, id)), ["no_receiver"]);
    receiver.stop(PATIENCE);
    let receiver = place.messaging.receiver(TOPIC).start(done).unwrap();
    place.messaging.topic(TOPIC).pause().unwrap();
    let id = place.send(TOPIC, &1);
    assert_eq!(obstacles(&why(&place, id)), ["paused"]);
    receiver.stop(PATIENCE);
    assert_eq!(obstacles(&why(&place, id)), ["paused", "no_receiver"]);
}
