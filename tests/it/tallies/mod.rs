//! What became of messages is counted by topic and minute, without anybody looking meanwhile.

mod writing;

use crate::support::{HOUR, MINUTE, PATIENCE, Place, done, next, reject};
use crossbeam_channel::unbounded;
use outtray::{
    Backoff, BatchMessage, ErrorKind, Expired, HandlerError, Message, Messaging, MessagingSession,
    NewMessage, Tally, TopicConfig, TopicKind,
};
use std::time::Duration;

/// Returns the tallies of the last hour of a topic, summed up: done, failed, dead, expired and
/// cancelled.
fn sums(messaging: &Messaging, topic: &str) -> [u64; 5] {
    let tallies = messaging.tallies(Some(topic), HOUR).unwrap();
    tallies.iter().fold([0; 5], |sums, tally| {
        let of = [
            tally.done,
            tally.failed,
            tally.dead,
            tally.expired,
            tally.cancelled,
        ];
        std::array::from_fn(|place| sums[place] + of[place])
    })
}

fn handler_time(tallies: &[Tally]) -> Duration {
    tallies.iter().map(|tally| tally.handler_time).sum()
}

#[test]
fn what_handlers_did_is_counted_however_they_are_called() {
    let place = Place::new();
    for topic in ["single", "batch", "leased"] {
        place.send_all(topic, 0..3);
    }

    place.drained("single");
    let batches = |_: &mut MessagingSession<'_>, _: &[BatchMessage<i32>]| Ok(());
    let receiver = place.messaging.receiver("batch");
    receiver.drain_batches(10, batches).unwrap();
    let mut is_first = true;
    let sessions = |session: &mut MessagingSession<'_>, _: Message<i32>| {
        // One ends in the transaction of its session, the others by themselves.
        if std::mem::take(&mut is_first) {
            session.execute("SELECT 1", &[])?;
        }
        Ok(())
    };
    let leasing = place.messaging.receiver("leased").lease(MINUTE);
    leasing.drain(sessions).unwrap();

    for topic in ["single", "batch", "leased"] {
        assert_eq!(sums(&place.messaging, topic), [3, 0, 0, 0, 0], "{topic}");
        let tallies = place.messaging.tallies(Some(topic), HOUR).unwrap();
        assert!(handler_time(&tallies) > Duration::ZERO, "{topic}");
    }
}

#[test]
fn failed_attempts_and_dead_letters_are_counted() {
    let place = Place::new();
    place.send_all("jobs", 0..2);
    place.send("other", &1);

    let backoff = Backoff::fixed(Duration::ZERO).without_jitter();
    let receiver = place.messaging.receiver("jobs").backoff(backoff);
    receiver
        .max_attempts(2)
        .drain(|_, _: Message<i32>| Err(HandlerError::failed("no paper")))
        .unwrap();
    place.messaging.drain("other", reject).unwrap();

    assert_eq!(sums(&place.messaging, "jobs"), [0, 4, 2, 0, 0]);
    assert_eq!(sums(&place.messaging, "other"), [0, 1, 1, 0, 0]);
}

#[test]
fn messages_that_are_cancelled_or_expire_are_counted() {
    let mut place = Place::new();
    let config = TopicConfig {
        expired: Some(Expired::Drop),
        ..TopicConfig::default()
    };
    place.jobs().configure(config).unwrap();
    let cancelled = place.send("jobs", &1);
    let perishable = NewMessage::json("jobs", &2).unwrap().expires_in(HOUR);
    place.send_new(perishable);

    place.messaging.cancel(cancelled).unwrap();
    place.make_expired();
    place.drained("jobs");

    assert_eq!(sums(&place.messaging, "jobs"), [0, 0, 0, 1, 1]);
}

#[test]
fn what_is_settled_by_hand_is_counted() {
    let place = Place::new();
    place.send_all("jobs", 0..4);

    place.take().ack().unwrap();
    let delivery = place.take();
    let settle = |session: &mut MessagingSession<'_>| Ok(session.settle(&delivery)?);
    place.messaging.session(settle).unwrap();
    place.take().reject("no").unwrap();
    place.take().fail("not now").unwrap();

    assert_eq!(sums(&place.messaging, "jobs"), [2, 2, 1, 0, 0]);
}

#[test]
fn what_is_rolled_back_is_not_counted() {
    let place = Place::new();
    place.send("jobs", &1);
    let delivery = place.take();

    let rolled_back = place.messaging.session(|session| {
        session.settle(&delivery)?;
        Err::<(), _>(HandlerError::failed("no"))
    });

    assert!(rolled_back.is_err());
    assert_eq!(sums(&place.messaging, "jobs"), [0; 5]);
}

#[test]
fn a_reader_of_a_log_is_counted_under_its_name() {
    let place = Place::new();
    let config = TopicConfig {
        kind: TopicKind::Log,
        ..TopicConfig::default()
    };
    place.jobs().configure(config).unwrap();
    place.send_all("jobs", 0..5);

    let (tell, told) = unbounded();
    let reader = place.messaging.reader("jobs", "billing");
    let handler = move |_: &mut MessagingSession<'_>, messages: &[Message<i32>]| {
        for message in messages {
            tell.send(message.payload)?;
        }
        Ok(())
    };
    let receiver = reader.start(handler).unwrap();
    next(&told, 5);
    receiver.stop(PATIENCE);

    assert_eq!(sums(&place.messaging, "jobs@billing"), [5, 0, 0, 0, 0]);
}

#[test]
fn tallies_come_by_topic_and_minute_and_from_the_time_that_is_asked_for() {
    let mut place = Place::new();
    place.sql(
        "INSERT INTO outtray.tally (topic, minute, done, failed, dead, expired, cancelled, handled_us)
        SELECT topic, floor(extract(epoch FROM now()) / 60)::bigint - ago, ago, 0, 0, 0, 0, 1500
        FROM (VALUES ('b', 3), ('a', 130), ('a', 2)) AS old (topic, ago)",
    );
    let tallies = |topic, since| {
        let found = place.messaging.tallies(topic, since).unwrap();
        let line = |tally: &Tally| (tally.topic.clone(), tally.done);
        found.iter().map(line).collect::<Vec<_>>()
    };
    let (a, b) = ("a".to_owned(), "b".to_owned());

    assert_eq!(tallies(None, HOUR), [(a.clone(), 2), (b.clone(), 3)]);
    let all = [(a.clone(), 130), (a.clone(), 2), (b, 3)];
    assert_eq!(tallies(None, 24 * HOUR), all);
    assert_eq!(tallies(Some("a"), 24 * HOUR), [(a.clone(), 130), (a, 2)]);
    let found = place.messaging.tallies(Some("a"), HOUR).unwrap();
    let json = serde_json::to_value(&found[0]).unwrap();
    assert_eq!(
        (&json["done"], &json["handler_time_ms"]),
        (&2.into(), &1.into())
    );
    let minute = json["minute"].as_str().unwrap();
    assert!(minute.ends_with(":00.000Z"), "{minute}");
}

#[test]
fn a_bad_name_of_a_topic_is_refused() {
    let place = Place::new();

    let refused = place.messaging.tallies(Some("a b"), HOUR).unwrap_err();

    assert_eq!(refused.kind(), ErrorKind::Invalid);
}

#[test]
fn a_process_that_is_told_not_to_count_does_not() {
    let place = Place::new();
    let builder = Messaging::builder().url(&place.url).tallies(false);
    let messaging = builder.connect().unwrap();
    place.send_all("jobs", 0..3);

    messaging.drain("jobs", done).unwrap();

    assert_eq!(sums(&messaging, "jobs"), [0; 5]);
}
