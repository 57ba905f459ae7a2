//! Dedupe keys are forgotten and changed by their names, and rates begin anew.

use crate::support::{HOUR, Place, client};
use outtray::{ErrorKind, HandlerError, Message, MessagingSession, NewMessage, Once, Sent};
use std::time::Duration;

fn order(number: i32) -> NewMessage {
    let message = NewMessage::json("orders", &number).unwrap();
    message.dedupe("order-42", HOUR)
}

/// Makes all that is remembered so much older.
fn pass(place: &mut Place, interval: &str) {
    place.sql(&format!(
        "UPDATE outtray.dedupe SET expires_at = expires_at - interval '{interval}'"
    ));
}

#[test]
fn a_forgotten_key_is_free_at_once_and_its_message_stays() {
    let mut place = Place::new();
    let topic_of = place.messaging.clone();
    let topic = topic_of.topic("orders");
    assert!(!topic.forget_dedupe_key("order-42").unwrap());
    for message in [order(1), order(1).dedupe_until_end("order-42")] {
        let first = topic_of.send(message.clone()).unwrap();
        assert!(topic_of.send(message.clone()).unwrap().is_duplicate());

        assert!(topic.forget_dedupe_key("order-42").unwrap());
        assert!(!topic.forget_dedupe_key("order-42").unwrap());

        let second = topic_of.send(message).unwrap();
        assert!(!second.is_duplicate());
        assert_ne!(first.id(), second.id());
        assert_eq!(place.count("outtray.message"), 2);
        // The end of the first is not that of the second.
        place.messaging.cancel(first.id()).unwrap();
        assert_eq!(
            topic_of.send(order(2)).unwrap(),
            Sent::Duplicate(second.id())
        );
        topic.forget_dedupe_key("order-42").unwrap();
        topic.purge().unwrap();
    }
    assert_eq!(place.count("outtray.dedupe"), 0);
}

#[test]
fn a_window_is_made_shorter_and_longer_from_now_on() {
    let mut place = Place::new();
    let messaging = place.messaging.clone();
    let topic = messaging.topic("orders");
    assert!(!topic.set_dedupe_window("order-42", HOUR).unwrap());
    let first = messaging.send(order(1)).unwrap().id();

    assert!(topic.set_dedupe_window("order-42", 3 * HOUR).unwrap());
    pass(&mut place, "2 hours");
    assert_eq!(messaging.send(order(2)).unwrap(), Sent::Duplicate(first));
    assert!(topic.set_dedupe_window("order-42", HOUR / 60).unwrap());
    pass(&mut place, "2 minutes");
    assert!(!topic.set_dedupe_window("order-42", HOUR).unwrap());
    assert!(!messaging.send(order(3)).unwrap().is_duplicate());
}

#[test]
fn a_key_that_lasts_until_the_end_outlives_its_message_once_it_has_a_window() {
    let mut place = Place::new();
    let messaging = place.messaging.clone();
    let topic = messaging.topic("orders");
    let first = messaging
        .send(order(1).dedupe_until_end("order-42"))
        .unwrap()
        .id();

    assert!(topic.set_dedupe_window("order-42", HOUR).unwrap());

    messaging.drain("orders", |_, _: Message| Ok(())).unwrap();
    assert_eq!(messaging.send(order(2)).unwrap(), Sent::Duplicate(first));
    pass(&mut place, "2 hours");
    assert!(!messaging.send(order(3)).unwrap().is_duplicate());
}

#[test]
fn a_handler_sends_its_own_message_anew_once_it_has_forgotten_the_key() {
    let mut place = Place::new();
    let messaging = place.messaging.clone();
    let feed = |wait: Duration| {
        let message = NewMessage::json("feeds", "feed-7").unwrap();
        message.dedupe_until_end("feed-7").delay(wait)
    };
    messaging.send(feed(Duration::ZERO)).unwrap();
    let again = move |session: &mut MessagingSession<'_>, message: Message<String>| {
        assert!(session.forget_dedupe_key("feeds", &message.payload)?);
        assert!(!session.send(feed(HOUR))?.is_duplicate());
        match message.attempt {
            // With the session the key comes back.
            1 => Err(HandlerError::retry_after(Duration::ZERO)),
            _ => Ok(()),
        }
    };

    assert_eq!(messaging.drain("feeds", again).unwrap().retried, 1);
    assert!(messaging.send(feed(HOUR)).unwrap().is_duplicate());
    place.make_due();
    assert_eq!(messaging.drain("feeds", again).unwrap().handled, 1);

    assert_eq!(place.count("outtray.scheduled"), 1);
    assert!(messaging.send(feed(HOUR)).unwrap().is_duplicate());
    assert_eq!(messaging.topic("feeds").purge().unwrap(), 1);
    assert!(!messaging.send(feed(HOUR)).unwrap().is_duplicate());
}

#[test]
fn forgetting_in_a_joined_session_is_the_callers_to_commit() {
    let place = Place::new();
    let first = place.messaging.send(order(1)).unwrap();
    let mut own = client(&place.url);
    for commits in [false, true] {
        let mut transaction = own.transaction().unwrap();
        let mut session = MessagingSession::join(&place.messaging, &mut transaction).unwrap();
        assert!(session.forget_dedupe_key("orders", "order-42").unwrap());
        drop(session);
        match commits {
            false => {
                transaction.rollback().unwrap();
                let again = place.messaging.send(order(2)).unwrap();
                assert_eq!(again, Sent::Duplicate(first.id()));
            }
            true => transaction.commit().unwrap(),
        }
    }
    assert!(!place.messaging.send(order(3)).unwrap().is_duplicate());
}

#[test]
fn work_that_was_forgotten_is_done_again() {
    let place = Place::new();
    let mut times = 0;
    let mut work = |expected: &Once<()>| {
        let done = place.messaging.retrying("nightly", HOUR, |_| {
            times += 1;
            Ok(())
        });
        assert_eq!(&done.unwrap(), expected);
    };
    work(&Once::Done(()));
    work(&Once::Before);

    assert!(place.messaging.forget_work("nightly").unwrap());
    assert!(!place.messaging.forget_work("nightly").unwrap());

    work(&Once::Done(()));
    assert_eq!(times, 2);
}

#[test]
fn bad_names_keys_and_windows_are_refused() {
    let place = Place::new();
    let topic = place.messaging.topic("orders");
    let long = "k".repeat(513);
    for key in ["", "a\0b", long.as_str()] {
        for refused in [
            topic.forget_dedupe_key(key).map(drop),
            topic.set_dedupe_window(key, HOUR).map(drop),
            topic.reset_rate_of(key),
            place.messaging.forget_work(key).map(drop),
        ] {
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid, "{key:?}");
        }
    }
    for window in [Duration::ZERO, Duration::MAX] {
        let refused = topic.set_dedupe_window("k", window).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid);
    }
    let nowhere = place.messaging.topic("no topic");
    let refused = nowhere.forget_dedupe_key("k").unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
}
