//! A message for a time that is past is ready as soon as it is sent, whoever sends it and whether
//! anybody receives or not.

use crate::support::{Place, client, process, telling};
use outtray::{Message, MessageId, Messaging, MessagingSession, NewMessage, Topic, TopicConfig};
use std::time::{Duration, SystemTime};

const PAST: SystemTime = SystemTime::UNIX_EPOCH;

fn past(payload: i32) -> NewMessage {
    NewMessage::json("jobs", &payload).unwrap().at(PAST)
}

/// Returns how many messages are ready, scheduled, and behind others of their key.
fn numbers(topic: &Topic<'_>) -> [u64; 3] {
    let stats = topic.stats().unwrap();
    [stats.ready, stats.scheduled, stats.behind]
}

/// Sends in a database without any receiver, and checks how many messages are ready, scheduled and
/// behind others.
#[track_caller]
fn check(send: impl FnOnce(&Place), expected: [u64; 3]) {
    let place = Place::new();
    send(&place);
    assert_eq!(numbers(&place.messaging.topic("jobs")), expected);
}

#[test]
fn it_is_ready_whichever_way_it_is_sent() {
    check(
        |place| _ = place.messaging.send(past(1)).unwrap(),
        [1, 0, 0],
    );
    check(|place| _ = place.send_new(past(1)), [1, 0, 0]);
    let day = Duration::from_secs(86_400);
    check(
        |place| _ = place.messaging.send(past(1).dedupe("one", day)).unwrap(),
        [1, 0, 0],
    );
    check(|place| _ = place.send_new(past(1).tracked()), [1, 0, 0]);
    check(
        |place| _ = place.send_new(past(1).expires_in(day)),
        [1, 0, 0],
    );
    check(|place| _ = place.send_new(past(1).key("k")), [1, 0, 0]);
    check(
        |place| _ = place.messaging.send(past(1).key("k").tracked()).unwrap(),
        [1, 0, 0],
    );
    check(
        |place| {
            let config = TopicConfig {
                max_length: Some(9),
                ..TopicConfig::default()
            };
            place.messaging.topic("jobs").configure(config).unwrap();
            place.messaging.send(past(1)).unwrap();
        },
        [1, 0, 0],
    );
}

#[test]
fn many_are_ready_together_and_those_for_later_wait() {
    // Until the year 2100.
    let later = PAST + Duration::from_secs(130 * 365 * 86_400);
    let send_mixed = |session: &mut MessagingSession<'_>| {
        let mixed = (0..3_000).map(|n| match n % 3 {
            0 => past(n).at(later),
            _ => past(n),
        });
        Ok(session.send_all(mixed)?)
    };

    check(
        |place| _ = place.messaging.session(send_mixed).unwrap(),
        [2_000, 1_000, 0],
    );
}

#[test]
fn it_is_ready_where_a_transaction_of_the_callers_commits() {
    check(
        |place| {
            let mut own = client(&place.url);
            let mut transaction = own.transaction().unwrap();
            let mut session = MessagingSession::join(&place.messaging, &mut transaction).unwrap();
            session.send(past(1)).unwrap();
            session.send(past(2).key("k")).unwrap();
            drop(session);
            transaction.commit().unwrap();
        },
        [2, 0, 0],
    );
}

#[test]
fn those_of_a_key_get_into_its_line_in_the_order_of_sending() {
    let place = Place::new();
    let keyed = |n: i32| NewMessage::json("jobs", &n).unwrap().key("k");
    let sent: Vec<MessageId> = place
        .messaging
        .session(|session| {
            Ok(vec![
                session.send(keyed(0))?.id(),
                session.send(keyed(1).at(PAST))?.id(),
                session.send(keyed(2))?.id(),
                session.send(keyed(3).at(PAST))?.id(),
            ])
        })
        .unwrap();

    assert_eq!(numbers(&place.messaging.topic("jobs")), [1, 0, 3]);
    let (tell, told) = std::sync::mpsc::channel();
    place
        .messaging
        .drain(
            "jobs",
            move |_, message: Message| Ok(tell.send(message.id)?),
        )
        .unwrap();

    assert_eq!(told.try_iter().collect::<Vec<_>>(), sent);
}

#[test]
fn a_time_that_comes_while_the_transaction_is_open_is_past_at_its_end() {
    let mut place = Place::new();
    let row = place.client.query_one("SELECT clock_timestamp()", &[]);
    let soon = row.unwrap().get::<_, SystemTime>(0) + Duration::from_millis(300);

    place
        .messaging
        .session(|session| {
            session.execute("SELECT 1", &[])?;
            session.send(past(1).at(soon))?;
            session.send(past(2).delay(Duration::from_millis(100)))?;
            session.execute("SELECT pg_sleep(1)", &[])?;
            Ok(())
        })
        .unwrap();

    assert_eq!(numbers(&place.messaging.topic("jobs")), [2, 0, 0]);
}

#[test]
fn it_wakes_receivers_of_other_processes() {
    let mut place = Place::polling(crate::support::NO_POLLING);
    let elsewhere: Messaging = process(&place.url, crate::support::NO_POLLING);
    let (_receiver, told) = telling::<i32>(place.messaging.receiver("jobs"));
    place.await_listener();

    elsewhere.send(past(1)).unwrap();
    assert_eq!(crate::support::next(&told, 1), [1]);
    elsewhere.send(past(2).key("k")).unwrap();
    assert_eq!(crate::support::next(&told, 1), [2]);
}
