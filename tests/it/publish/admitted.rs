//! Copies are admitted as sends are.

use super::{subscribed, taken};
use crate::support::{DAY, HOUR, PATIENCE, Place, process};
use outtray::{ErrorKind, NewMessage, TopicConfig, TopicKind};
use std::time::Duration;

fn order(number: i32) -> NewMessage {
    NewMessage::json("", &number).unwrap()
}

/// Makes a place with two subscribers, one of which is a topic for two messages at most.
fn bounded() -> Place {
    let place = subscribed("all");
    place.messaging.subscribe("orders.#", "few").unwrap();
    let few = TopicConfig {
        max_length: Some(2),
        ..TopicConfig::default()
    };
    place.messaging.topic("few").configure(few).unwrap();
    place
}

#[test]
fn no_topic_gets_a_copy_when_one_of_them_is_full() {
    let place = bounded();
    let messaging = &place.messaging;
    for number in 0..2 {
        assert_eq!(
            messaging.publish("orders.created", &number).unwrap().copies,
            2
        );
    }
    let full = messaging.publish("orders.created", &2);
    assert_eq!(full.unwrap_err().kind(), ErrorKind::Full);
    let wait = order(3).wait_for_room(Duration::from_millis(50));
    let full = messaging.publish_message("orders.created", wait);
    assert_eq!(full.unwrap_err().kind(), ErrorKind::Full);

    // The session goes on without it.
    messaging
        .session(|session| {
            let full = session.publish("orders.created", &4);
            assert_eq!(full.unwrap_err().kind(), ErrorKind::Full);
            Ok(session.send_message("all", &5)?)
        })
        .unwrap();
    assert_eq!(taken(messaging, "few"), [0, 1]);
    assert_eq!(taken(messaging, "all"), [0, 1, 5]);
    assert_eq!(messaging.publish("orders.created", &6).unwrap().copies, 2);
}

#[test]
fn a_dedupe_key_is_taken_in_each_topic_by_itself() {
    let place = subscribed("billing");
    let messaging = &place.messaging;
    let once = |number| order(number).dedupe("order-1", DAY);
    let first = messaging
        .publish_message("orders.created", once(1))
        .unwrap();
    assert_eq!((first.copies, first.duplicates), (1, 0));
    messaging.subscribe("#", "audit").unwrap();
    let again = messaging
        .publish_message("orders.created", once(2))
        .unwrap();
    assert_eq!((again.copies, again.duplicates), (1, 1));
    let third =
        messaging.session(|session| Ok(session.publish_message("orders.created", once(3))?));
    let third = third.unwrap();
    assert_eq!((third.copies, third.duplicates, third.ids.len()), (0, 2, 0));
    assert_eq!(taken(messaging, "billing"), [1]);
    assert_eq!(taken(messaging, "audit"), [2]);
}

#[test]
fn options_of_the_message_and_settings_of_the_topics_hold_for_copies() {
    let mut place = subscribed("now");
    place.messaging.subscribe("orders.#", "later").unwrap();
    let later = TopicConfig {
        delay: Some(HOUR),
        ..TopicConfig::default()
    };
    place.messaging.topic("later").configure(later).unwrap();
    let sender = process(&place.url, PATIENCE);
    for _ in 0..2 {
        assert_eq!(sender.publish("orders.created", &1).unwrap().copies, 2);
    }
    assert_eq!(place.count("outtray.message WHERE topic = 'now'"), 2);
    assert_eq!(place.count("outtray.scheduled WHERE topic = 'later'"), 2);

    for number in 0..4 {
        let keyed = order(number).key("customer-7").priority(3).expires_in(HOUR);
        sender.publish_message("orders.created", keyed).unwrap();
    }
    let keyed = "key = 'customer-7' AND expires_at IS NOT NULL AND rank = -3";
    assert_eq!(
        place.count(&format!("outtray.message WHERE topic = 'now' AND {keyed}")),
        1
    );
    assert_eq!(
        place.count(&format!("outtray.follower WHERE topic = 'now' AND {keyed}")),
        3
    );
    assert_eq!(
        place.count(&format!(
            "outtray.scheduled WHERE topic = 'later' AND {keyed}"
        )),
        4
    );

    let waiting = order(9).delay(HOUR);
    assert_eq!(
        sender
            .publish_message("orders.created", waiting)
            .unwrap()
            .copies,
        2
    );
    assert_eq!(place.count("outtray.scheduled"), 8);
}

#[test]
fn the_ends_of_copies_can_be_awaited() {
    let place = subscribed("billing");
    let messaging = &place.messaging;
    let mail = |number: i32| NewMessage::json("mails", &number).unwrap();
    let copy = messaging
        .publish_message("orders.created", order(1).tracked())
        .unwrap();
    messaging
        .session(|session| {
            let other = session.publish_message("orders.created", order(2).tracked())?;
            session.send(mail(3).after(&[copy.ids[0], other.ids[0]]))?;
            // It becomes tracked by that.
            let another = session.publish("orders.created", &4)?;
            session.send(mail(5).after(&another.ids))?;
            Ok(())
        })
        .unwrap();
    assert_eq!(taken(messaging, "mails"), [] as [i32; 0]);
    assert_eq!(taken(messaging, "billing"), [1, 2, 4]);
    let ended = messaging.wait_for_completion(copy.ids[0], PATIENCE);
    assert!(ended.unwrap().is_some());
    let mut mails = taken(messaging, "mails");
    mails.sort_unstable();
    assert_eq!(mails, [3, 5]);
}

#[test]
fn a_log_gets_what_a_queue_gets_but_for_priorities_and_ends() {
    let mut place = subscribed("billing");
    place.messaging.subscribe("#", "ledger").unwrap();
    let log = TopicConfig {
        kind: TopicKind::Log,
        ..TopicConfig::default()
    };
    place.messaging.topic("ledger").configure(log).unwrap();
    let sender = process(&place.url, PATIENCE);
    for number in 0..3 {
        let published = sender.publish("orders.created", &number);
        assert_eq!(published.unwrap().copies, 2);
        let special = order(number).priority(7).expires_in(HOUR).tracked();
        let published = sender.publish_message("orders.created", special);
        assert_eq!(published.unwrap().copies, 2);
    }
    sender
        .session(|session| {
            session.execute("SELECT 1", &[])?;
            (0..30).try_for_each(|number| session.publish("x", &number).map(drop))?;
            Ok(())
        })
        .unwrap();
    let entries = "outtray.log_entry WHERE topic = 'ledger'";
    assert_eq!(place.count(entries), 36);
    let keyed = format!("{entries} AND headers ->> 'outtray-routing-key' = 'x'");
    assert_eq!(place.count(&keyed), 30);
    assert_eq!(place.count("outtray.message WHERE topic = 'billing'"), 6);
}
