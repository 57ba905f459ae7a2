//! Rates begin anew by their names.

use crate::support::{HOUR, NO_POLLING, PATIENCE, Place, eventually, process};
use outtray::{Message, Messaging, MessagingSession, NewMessage, Rate, TopicConfig};
use std::time::Duration;

/// A burst of two, and one more in an hour.
fn slow() -> Option<Rate> {
    Some(Rate {
        messages: 1,
        per: HOUR,
        burst: 2,
    })
}

fn configure(place: &Place, config: TopicConfig) {
    place.messaging.topic("jobs").configure(config).unwrap();
}

#[test]
fn a_rate_that_is_reset_lets_a_burst_through_in_all_processes() {
    let mut place = Place::polling(NO_POLLING);
    place.sql("CREATE TABLE begun (key text)");
    configure(
        &place,
        TopicConfig {
            rate: slow(),
            ..TopicConfig::default()
        },
    );
    let other = process(&place.url, NO_POLLING);
    let receiver = other
        .start_receiving_messages("jobs", |session, message: Message| {
            session.execute("INSERT INTO begun VALUES ($1)", &[&message.key])?;
            Ok(())
        })
        .unwrap();
    place.await_listener();
    place.send_all("jobs", 0..6);
    eventually("the burst", || place.count("begun") == 2);

    place.messaging.topic("jobs").reset_rate().unwrap();
    eventually("another one", || place.count("begun") == 4);
    receiver.stop(PATIENCE);
    assert_eq!(place.count("begun"), 4);

    // By hand, too.
    let topic = place.messaging.topic("jobs");
    assert!(topic.receive::<i32>(HOUR).unwrap().is_none());
    topic.reset_rate().unwrap();
    assert!(topic.receive::<i32>(HOUR).unwrap().is_some());
}

#[test]
fn a_rate_of_a_key_is_reset_alone_and_what_was_put_off_for_it_is_due() {
    let mut place = Place::polling(NO_POLLING);
    place.sql("CREATE TABLE begun (key text)");
    configure(
        &place,
        TopicConfig {
            rate_per_key: slow(),
            ..TopicConfig::default()
        },
    );
    let receiver = place
        .messaging
        .start_receiving_messages("jobs", |session, message: Message| {
            session.execute("INSERT INTO begun VALUES ($1)", &[&message.key])?;
            Ok(())
        })
        .unwrap();
    for number in 0..4 {
        for key in ["a", "b"] {
            place.send_new(NewMessage::json("jobs", &number).unwrap().key(key));
        }
    }
    eventually("the bursts", || place.count("begun") == 4);
    eventually("one of each is put off", || {
        place.count("outtray.scheduled") == 2
    });

    place.messaging.topic("jobs").reset_rate_of("a").unwrap();

    eventually("another burst of one", || {
        place.count("begun WHERE key = 'a'") == 4
    });
    receiver.stop(PATIENCE);
    assert_eq!(place.count("begun WHERE key = 'b'"), 2);
}

#[test]
fn a_rate_of_keys_that_changes_holds_for_what_was_put_off_before() {
    const KEYS: i64 = 100;
    let mut place = Place::polling(NO_POLLING);
    place.sql("CREATE TABLE begun (key text)");
    let rate_of_keys = |rate_per_key| TopicConfig {
        rate_per_key,
        ..TopicConfig::default()
    };
    configure(&place, rate_of_keys(slow()));
    let others = [(), ()].map(|()| process(&place.url, NO_POLLING));
    let receivers = others.each_ref().map(|other| {
        let begin = |session: &mut MessagingSession<'_>, message: Message| {
            session.execute("INSERT INTO begun VALUES ($1)", &[&message.key])?;
            Ok(())
        };
        other.start_receiving_messages("jobs", begin).unwrap()
    });
    let send = |messaging: &Messaging, each: i64| {
        let jobs = (0..KEYS * each).map(|number| {
            let key = format!("{}", number % KEYS);
            NewMessage::json("jobs", &number).unwrap().key(key)
        });
        let sent = |session: &mut MessagingSession<'_>| Ok(session.send_all(jobs)?);
        messaging.session(sent).unwrap();
    };

    send(&place.messaging, 4);
    let put_off = "outtray.scheduled WHERE due_at > now() + interval '50 minutes'";
    eventually("the bursts", || place.count("begun") == 2 * KEYS);
    eventually("one of each is put off", || place.count(put_off) == KEYS);

    let fast = Rate {
        messages: 100,
        per: Duration::from_secs(1),
        burst: 1,
    };
    configure(&place, rate_of_keys(Some(fast)));
    eventually("all of them", || place.count("begun") == 4 * KEYS);

    configure(&place, rate_of_keys(slow()));
    send(&place.messaging, 4);
    eventually("more are put off", || place.count(put_off) == KEYS);
    configure(&place, TopicConfig::default());
    eventually("all of these", || place.count("begun") == 8 * KEYS);
    for receiver in receivers {
        receiver.stop(PATIENCE);
    }
}
