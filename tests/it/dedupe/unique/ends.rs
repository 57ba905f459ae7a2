//! Whatever ends a message frees the dedupe key that it had until then.

use super::{check_free, check_taken, feed, reject_all, send};
use crate::support::{Child, DAY, Gate, Ledger, PATIENCE, Place, eventually, reject, test_name};
use outtray::{
    BatchMessage, Cancelled, Expired, HandlerError, Message, MessageId, MessagingSession,
    NewMessage, PoisonedKey, ReceiverBuilder, Sent, TopicConfig,
};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

#[test]
fn a_cancelled_and_a_purged_message_free_their_keys_wherever_they_wait() {
    let waits: [fn(NewMessage) -> NewMessage; 4] = [
        |message| message,
        |message| message.delay(DAY),
        // Behind another one of its key.
        |message| message.key("busy"),
        |message| message.tracked().key("busy"),
    ];
    for wait in waits {
        for purge in [false, true] {
            let mut place = Place::new();
            place.send_new(NewMessage::json("feeds", &0).unwrap().key("busy"));
            let id = send(&place, wait(feed(1))).id();
            check_taken(&place, id);

            match purge {
                true => assert_eq!(place.messaging.topic("feeds").purge().unwrap(), 2),
                false => {
                    assert_eq!(place.messaging.cancel(id).unwrap(), Cancelled::Removed);
                }
            }

            check_free(&mut place);
        }
    }
}

#[test]
fn a_message_that_is_cancelled_in_work_frees_its_key_when_it_is_given_up() {
    let mut place = Place::watchful();
    let gate = Arc::new(Gate::new());
    let at_gate = Arc::clone(&gate);
    let receiver = place
        .messaging
        .start_receiving_messages("feeds", move |_, _: Message| {
            at_gate.pass();
            Err(HandlerError::failed("given up"))
        })
        .unwrap();
    let id = send(&place, feed(1)).id();
    gate.await_arrivals(1);

    assert_eq!(place.messaging.cancel(id).unwrap(), Cancelled::Asked);
    check_taken(&place, id);
    gate.open_for(1);

    eventually("the key is free", || place.count("outtray.dedupe") == 0);
    receiver.stop(PATIENCE);
    check_free(&mut place);
}

#[test]
fn an_expired_message_frees_its_key_whether_it_is_kept_or_dropped() {
    for (expired, dead) in [(Expired::DeadLetter, 1), (Expired::Drop, 0)] {
        for wait in [Duration::ZERO, DAY] {
            let mut place = Place::watchful();
            let config = TopicConfig {
                expired: Some(expired),
                ..TopicConfig::default()
            };
            place.messaging.topic("feeds").configure(config).unwrap();
            let busy = NewMessage::json("feeds", &0).unwrap().key("busy");
            place.messaging.topic("feeds").pause().unwrap();
            place.send_new(busy);
            for key in [None, Some("busy")] {
                let message = feed(1).delay(wait).expires_in(DAY);
                let message = key.into_iter().fold(message, NewMessage::key);
                assert!(!send(&place, message).is_duplicate());
                let receiver = place.messaging.receiver("any");
                let receiver = receiver.start(|_, _: Message| Ok(())).unwrap();
                for table in ["message", "scheduled", "follower"] {
                    place.sql(&format!(
                        "UPDATE outtray.{table} SET expires_at = now() WHERE expires_at IS NOT NULL"
                    ));
                }
                eventually("the key is free", || place.count("outtray.dedupe") == 0);
                receiver.stop(PATIENCE);
                place.sql("TRUNCATE outtray.lane");
            }
            assert_eq!(place.count("outtray.dead_letter"), 2 * dead);
        }
    }
}

#[test]
fn a_dead_letter_has_ended_and_takes_its_key_again_when_it_is_redriven() {
    let mut place = Place::new();
    let id = send(&place, feed(1)).id();
    reject_all(&place);
    assert_eq!(place.count("outtray.dedupe"), 0);
    let letter = place.dead_letters("feeds").remove(0);
    assert_eq!(letter.dedupe_key.as_deref(), Some("feed-7"));

    let topic = place.messaging.topic("feeds");
    assert_eq!(topic.redrive(id).unwrap(), 1);

    check_taken(&place, id);
    assert_eq!(
        place
            .messaging
            .drain("feeds", |_, _: Message| Ok(()))
            .unwrap()
            .handled,
        1
    );
    check_free(&mut place);
}

#[test]
fn a_dead_letter_whose_key_is_taken_again_stays_one_until_it_is_free() {
    let mut place = Place::new();
    let old = send(&place, feed(1)).id();
    reject_all(&place);
    let middle = send(&place, feed(2)).id();
    reject_all(&place);
    place.send("feeds", &0);
    reject_all(&place);
    let new = send(&place, feed(3)).id();
    let messaging = place.messaging.clone();
    let topic = messaging.topic("feeds");

    // Only the one without a key.
    assert_eq!(topic.redrive(..).unwrap(), 1);
    assert_eq!(topic.redrive(old).unwrap(), 0);
    check_taken(&place, new);
    assert_eq!(place.dead_letters("feeds").len(), 2);

    messaging.drain("feeds", |_, _: Message| Ok(())).unwrap();
    // Of two with one key the older one.
    assert_eq!(topic.redrive(..).unwrap(), 1);
    check_taken(&place, old);
    assert_eq!(place.dead_letters("feeds")[0].id, middle);
    messaging.drain("feeds", |_, _: Message| Ok(())).unwrap();
    assert_eq!(topic.redrive([old, middle]).unwrap(), 1);
    check_taken(&place, middle);
    messaging.drain("feeds", |_, _: Message| Ok(())).unwrap();
    check_free(&mut place);
}

#[test]
fn more_dead_letters_than_a_slice_holds_come_back_although_some_cannot() {
    let mut place = Place::new();
    place.sql(
        "INSERT INTO outtray.dead_letter
            (topic, id, rank, attempts, reason, error, sent_at, payload, on_end, dedupe_key)
        SELECT 'feeds', gen_random_uuid(), 0, 1, 'rejected', 'no', now(), '1', 4, 'feed-' || n % 2000
        FROM generate_series(1, 4000) AS n",
    );

    assert_eq!(place.messaging.topic("feeds").redrive(..).unwrap(), 2000);

    assert_eq!(place.count("outtray.message"), 2000);
    assert_eq!(place.count("outtray.dedupe"), 2000);
    assert_eq!(place.dead_letters("feeds").len(), 100);
}

#[test]
fn a_message_that_is_parked_or_that_comes_after_one_that_is_gone_frees_its_key_too() {
    let mut place = Place::watchful();
    let config = TopicConfig {
        poisoned_key: Some(PoisonedKey::Park),
        ..TopicConfig::default()
    };
    place.messaging.topic("feeds").configure(config).unwrap();
    place.send_new(NewMessage::json("feeds", &0).unwrap().key("k"));
    let parked = send(&place, feed(1).key("k")).id();
    let first = NewMessage::json("firsts", &0).unwrap().tracked();
    let first = place.messaging.send(first).unwrap().id();
    let after = NewMessage::json("feeds", &2).unwrap().after(&[first]);
    let orphan = send(&place, after.dedupe_until_end("feed-8")).id();
    assert_eq!(place.count("outtray.dedupe"), 2);

    let receiver = place.messaging.receiver("feeds");
    let receiver = receiver.start(reject).unwrap();
    place.messaging.cancel(first).unwrap();

    eventually("both are dead", || place.count("outtray.dead_letter") == 3);
    eventually("both keys are free", || place.count("outtray.dedupe") == 0);
    receiver.stop(PATIENCE);
    let letters = place.dead_letters("feeds");
    let keys = letters
        .iter()
        .filter_map(|letter| Some((letter.id, letter.dedupe_key.as_deref()?)));
    let mut keys: Vec<(MessageId, &str)> = keys.collect();
    keys.sort_unstable_by_key(|(_, key)| *key);
    assert_eq!(keys, [(parked, "feed-7"), (orphan, "feed-8")]);
}

#[test]
fn batches_strict_topics_and_leases_free_the_keys_of_what_they_end() {
    let mut place = Place::new();
    let fill = || {
        let messages = (0..20).map(|number| {
            let message = NewMessage::json("feeds", &number).unwrap();
            message.dedupe_until_end(format!("feed-{number}"))
        });
        let messages: Vec<NewMessage> = messages.collect();
        let sent = place
            .messaging
            .session(|session| Ok(session.send_all(messages)?))
            .unwrap();
        assert!(sent.iter().all(|sent| !sent.is_duplicate()));
    };
    let receiver = || place.messaging.receiver("feeds").workers(2);
    // Every other one is rejected.
    let decide = |number: i32| match number % 2 {
        0 => Ok(()),
        _ => Err(HandlerError::reject("odd")),
    };
    let handle = move |_: &mut MessagingSession<'_>, message: Message<i32>| decide(message.payload);

    fill();
    let end = |receiver: ReceiverBuilder| {
        let receiver = receiver.start(handle).unwrap();
        eventually("all have ended", || place.is_empty("feeds"));
        receiver.stop(PATIENCE);
    };
    end(receiver().strict_order());
    fill();
    end(receiver().lease(DAY));
    fill();
    receiver()
        .messages_per_transaction(1)
        .drain(handle)
        .unwrap();
    fill();
    receiver()
        .drain_batches(7, move |_, messages: &[BatchMessage<i32>]| {
            for message in messages {
                if let Err(error) = decide(message.payload) {
                    message.fail(error);
                }
            }
            Ok(())
        })
        .unwrap();

    assert_eq!(place.count("outtray.dedupe"), 0);
    assert_eq!(
        place.count("outtray.dead_letter WHERE dedupe_key IS NOT NULL"),
        40
    );
    assert_eq!(place.messaging.topic("feeds").redrive(..).unwrap(), 10);
}

#[test]
fn a_message_that_kills_its_process_frees_its_key_as_a_dead_letter() {
    if Child::role().is_some() {
        let receiver = Ledger::messaging_of_parent();
        let _receiver = receiver
            .receiver("feeds")
            .max_attempts(1)
            .start(|_, _: Message| -> Result<(), HandlerError> { std::process::exit(3) })
            .unwrap();
        thread::park();
        return;
    }
    let ledger = Ledger::open();
    let messaging = ledger.messaging();
    let id = messaging.send(feed(1)).unwrap().id();
    let test = test_name!(a_message_that_kills_its_process_frees_its_key_as_a_dead_letter);
    let topic = messaging.topic("feeds");
    while topic.dead_letter(id).unwrap().is_none() {
        assert_eq!(messaging.send(feed(2)).unwrap(), Sent::Duplicate(id));
        let mut child = ledger.child(test, "receiver");
        eventually("it is dead", || {
            child.ended().is_some() || topic.dead_letter(id).unwrap().is_some()
        });
        child.kill();
    }

    assert!(!messaging.send(feed(3)).unwrap().is_duplicate());
    assert_eq!(topic.redrive(id).unwrap(), 0);
}
