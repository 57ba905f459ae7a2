//! What becomes of a key when one of its messages becomes a dead letter.

use super::{TOPIC, keyed};
use crate::support::{A_WHILE, NO_POLLING, PATIENCE, Place, eventually, next};
use crossbeam_channel::{Receiver as Told, unbounded};
use outtray::{
    DeadReason, ErrorKind, HandlerError, Message, PoisonedKey, Receiver, Selection, TopicConfig,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A receiver that rejects message 1 until it is healed.
fn start(place: &Place, policy: PoisonedKey) -> (Receiver, Told<i32>, Arc<AtomicBool>) {
    let config = TopicConfig {
        poisoned_key: Some(policy),
        ..TopicConfig::default()
    };
    place.messaging.topic(TOPIC).configure(config).unwrap();
    for n in 1..=3 {
        place.send_new(keyed("a", n));
    }
    let (tell, told) = unbounded();
    let healed = Arc::new(AtomicBool::new(false));
    let is_healed = Arc::clone(&healed);
    let receiver = place
        .messaging
        .start_receiving_messages(TOPIC, move |_, message: Message<i32>| {
            tell.send(message.payload)?;
            match message.payload == 1 && !is_healed.load(Ordering::Relaxed) {
                true => Err(HandlerError::reject("poison")),
                false => Ok(()),
            }
        })
        .unwrap();
    (receiver, told, healed)
}

#[test]
fn a_key_goes_on_by_default() {
    let mut place = Place::watchful();
    let (_receiver, told, healed) = start(&place, PoisonedKey::Skip);

    assert_eq!(next(&told, 3), [1, 2, 3]);
    assert_eq!(place.dead_letters(TOPIC).len(), 1);
    place.await_no_trace();

    healed.store(true, Ordering::Relaxed);
    assert_eq!(place.messaging.topic(TOPIC).redrive(..).unwrap(), 1);
    assert_eq!(next(&told, 1), [1]);
    place.await_no_trace();
}

#[test]
fn a_blocked_key_waits_for_its_dead_letter_to_be_redriven() {
    let mut place = Place::watchful();
    let (_receiver, told, healed) = start(&place, PoisonedKey::Block);
    assert_eq!(next(&told, 1), [1]);
    eventually("it is dead", || place.dead_letters(TOPIC).len() == 1);
    place.send_new(keyed("a", 4));
    place.send_new(keyed("b", 5));
    assert_eq!(next(&told, 1), [5]);
    assert!(told.recv_timeout(A_WHILE).is_err());
    assert_eq!(place.messaging.topic(TOPIC).stats().unwrap().behind, 3);
    assert_eq!(place.count("outtray.message"), 0);
    let waiting = place.messaging.topic(TOPIC).peek(1).unwrap();
    assert_eq!(waiting[0].key.as_deref(), Some("a"));
    let topics = place.messaging.topics().unwrap();
    assert!(topics.iter().any(|topic| topic.topic == TOPIC));

    healed.store(true, Ordering::Relaxed);
    assert_eq!(place.messaging.topic(TOPIC).redrive(..).unwrap(), 1);

    assert_eq!(next(&told, 4), [1, 2, 3, 4]);
    place.await_no_trace();
}

#[test]
fn a_blocked_key_goes_on_when_its_dead_letter_is_purged_or_its_policy_changed() {
    for is_purged in [true, false] {
        let mut place = Place::watchful();
        let (_receiver, told, _) = start(&place, PoisonedKey::Block);
        assert_eq!(next(&told, 1), [1]);
        eventually("it is dead", || place.dead_letters(TOPIC).len() == 1);

        let topic = place.messaging.topic(TOPIC);
        match is_purged {
            true => assert_eq!(topic.purge_dead_letters(..).unwrap(), 1),
            false => topic.configure(TopicConfig::default()).unwrap(),
        }

        assert_eq!(next(&told, 2), [2, 3]);
        place.await_no_trace();
    }
}

#[test]
fn a_parked_key_follows_its_dead_letter_and_comes_back_in_order() {
    let mut place = Place::watchful();
    let (_receiver, told, healed) = start(&place, PoisonedKey::Park);
    assert_eq!(next(&told, 1), [1]);
    eventually("all are dead", || place.dead_letters(TOPIC).len() == 3);
    place.send_new(keyed("a", 4));
    eventually("so is a later one", || place.dead_letters(TOPIC).len() == 4);
    assert!(told.recv_timeout(A_WHILE).is_err());
    let letters = place.dead_letters(TOPIC);
    assert_eq!(letters[0].reason, DeadReason::Rejected);
    assert!(
        letters
            .iter()
            .all(|letter| letter.key.as_deref() == Some("a"))
    );
    assert!(
        letters[1..]
            .iter()
            .all(|letter| letter.reason == DeadReason::Parked)
    );
    place.await_no_trace();

    // One that comes after another dead letter cannot go alone.
    let topic = place.messaging.topic(TOPIC);
    topic.redrive(letters[3].id).unwrap();
    eventually("parked again", || place.dead_letters(TOPIC).len() == 4);
    healed.store(true, Ordering::Relaxed);
    // The first one can.
    topic.redrive(letters[0].id).unwrap();
    assert_eq!(next(&told, 1), [1]);
    topic.redrive(..).unwrap();

    assert_eq!(next(&told, 3), [2, 3, 4]);
    place.await_no_trace();
}

#[test]
fn the_dead_letters_of_one_key_are_redriven_in_order_or_purged_and_the_others_stay() {
    let mut place = Place::watchful();
    for n in 1..=3 {
        place.send_new(keyed("a", n));
        place.send_new(keyed("b", 10 + n));
    }
    place.send("keyed", &20);
    place
        .messaging
        .drain(TOPIC, |_, _: Message| Err(HandlerError::reject("poison")))
        .unwrap();
    // However they died.
    place.sql("UPDATE outtray.dead_letter SET died_at = now() - seq * interval '1 s'");
    let topic = place.messaging.topic(TOPIC);

    let listed = topic.dead_letters_of(Selection::key("a"), 2).unwrap();
    let redriven = topic.redrive(Selection::key("a")).unwrap();
    let (tell, told) = unbounded();
    let handled = place
        .messaging
        .drain(TOPIC, move |_, message: Message<i32>| {
            Ok(tell.send(message.payload)?)
        });

    let keys: Vec<_> = listed.iter().map(|one| one.key.as_deref()).collect();
    assert_eq!(keys, [Some("a"), Some("a")]);
    assert_eq!((redriven, handled.unwrap().handled), (3, 3));
    assert_eq!(next(&told, 3), [1, 2, 3]);
    assert_eq!(topic.redrive(Selection::key("a")).unwrap(), 0);
    assert_eq!(topic.purge_dead_letters(Selection::key("b")).unwrap(), 3);
    let left = place.dead_letters(TOPIC);
    assert_eq!((left.len(), &left[0].key), (1, &None));
    for bad in ["", "a\0b"] {
        let refused = topic.redrive(Selection::key(bad)).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid);
        assert!(refused.to_string().contains("on topic keyed"), "{refused}");
    }
}

/// Whoever sets another policy does not see what the sender stored, nor the sender the policy.
#[test]
fn what_is_sent_behind_a_dead_letter_while_the_policy_changes_goes_on() {
    for policy in [PoisonedKey::Skip, PoisonedKey::Park] {
        let mut place = Place::polling(NO_POLLING);
        let (receiver, told, _) = start(&place, PoisonedKey::Block);
        eventually("the first is dead", || {
            place.count("outtray.dead_letter") == 1
        });
        assert_eq!(place.messaging.topic(TOPIC).purge().unwrap(), 2);
        while told.try_recv().is_ok() {}

        let changes = TopicConfig {
            poisoned_key: Some(policy),
            ..TopicConfig::default()
        };
        let topic = place.messaging.topic(TOPIC);
        let sent = place.messaging.session(|session| {
            let send = format!("SELECT outtray.send('{TOPIC}', '4', key => 'a')");
            session.query(&send, &[])?;
            topic.configure(changes)?;
            Ok(())
        });
        sent.unwrap();
        let started = Instant::now();
        place.messaging.wake(TOPIC);

        match policy {
            PoisonedKey::Park => {
                eventually("it is parked", || place.count("outtray.dead_letter") == 2)
            }
            _ => assert_eq!(next(&told, 1), [4]),
        }
        // A sweep would find it after half a minute.
        assert!(started.elapsed() < Duration::from_secs(15));
        receiver.stop(PATIENCE);
    }
}
