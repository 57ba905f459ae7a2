//! Whatever way a message goes until it is handled, it arrives as it was sent: payload, headers,
//! priority, key, the time when it was sent, and how long it is worth handling.
//!
//! Each way is a statement or two that move rows from table to table, and each of these could
//! forget a column.

use crate::support::{HOUR, Place, eventually};
use outtray::{
    Backoff, DeadReason, Delivery, HandlerError, How, Message, MessageId, MessagingSession,
    NewMessage, Payload, PoisonedKey, Receiver, TopicConfig,
};
use std::time::Duration;

const TOPIC: &str = "jobs";
/// All that a message carries, wherever it is.
const CARRIED: &str = "SELECT concat_ws(' ', rank, key, sent_at, headers, payload, body, on_end, '|', expires_at)
    FROM (
        SELECT id, rank, key, sent_at, headers, payload, body, on_end, expires_at FROM outtray.message
        UNION ALL SELECT id, rank, key, sent_at, headers, payload, body, on_end, expires_at FROM outtray.scheduled
        UNION ALL SELECT id, rank, key, sent_at, headers, payload, body, on_end, expires_at FROM outtray.follower
    ) AS message
    WHERE id = $1";

/// What may be asked for besides.
#[derive(Clone, Copy)]
struct Sent {
    key: Option<&'static str>,
    delay: Option<Duration>,
    after: Option<MessageId>,
}

const PLAIN: Sent = Sent {
    key: None,
    delay: None,
    after: None,
};
const KEYED: Sent = Sent {
    key: Some("a"),
    ..PLAIN
};

/// A message under way.
struct Journey<'a> {
    place: &'a mut Place,
    id: MessageId,
    before: String,
}

impl<'a> Journey<'a> {
    fn begin(place: &'a mut Place, sent: Sent, is_json: bool) -> Journey<'a> {
        let message = match is_json {
            true => NewMessage::json_text(TOPIC, r#"{"n": 1.50}"#).unwrap(),
            false => NewMessage::bytes(TOPIC, [0, 159, 255]),
        };
        let mut message = message.priority(7).header("source", "web").tracked();
        message = message.expires_in(24 * HOUR);
        if let Some(key) = sent.key {
            message = message.key(key);
        }
        if let Some(delay) = sent.delay {
            message = message.delay(delay);
        }
        if let Some(id) = sent.after {
            message = message.after(&[id]);
        }
        let id = place.send_new(message);
        let mut journey = Journey {
            place,
            id,
            before: String::new(),
        };
        journey.before = journey.carried();
        journey
    }

    fn carried(&mut self) -> String {
        let row = self.place.client.query_one(CARRIED, &[&self.id.as_uuid()]);
        row.unwrap().get(0)
    }

    fn drain(
        &self,
        handler: fn(&mut MessagingSession<'_>, Message<Payload>) -> Result<(), HandlerError>,
    ) {
        let receiver = self.place.messaging.receiver(TOPIC);
        let receiver = receiver.backoff(Backoff::fixed(HOUR));
        receiver.drain(handler).unwrap();
    }

    fn lease(&self) -> Delivery<Payload> {
        let topic = self.place.messaging.topic(TOPIC);
        topic.receive(HOUR).unwrap().expect("it is ready")
    }

    /// Lets the time pass until what waits for a time is due.
    fn make_due(&mut self) {
        let due = "UPDATE outtray.scheduled SET due_at = now() WHERE due_at < 'infinity'";
        self.place.sql(due);
        let nobody = |_: &mut MessagingSession<'_>, _: Message| Ok(());
        self.place.messaging.drain("nobody", nobody).unwrap();
    }

    /// Waits until it is a dead letter that still carries all, and redrives it. It expires no more.
    #[track_caller]
    fn redrive(&mut self, reason: DeadReason) {
        let topic = self.place.messaging.topic(TOPIC);
        eventually("it is dead", || {
            topic.dead_letter(self.id).unwrap().is_some()
        });
        let letter = topic.dead_letter(self.id).unwrap().unwrap();
        assert_eq!((letter.reason, letter.priority), (reason, 7));
        assert_eq!(letter.headers["source"], "web");
        topic.redrive(..).unwrap();
        let before_expiry = self.before.rfind('|').expect("it stands there");
        self.before.truncate(before_expiry + 1);
    }

    /// Runs the upkeep of a process until the message is over.
    #[track_caller]
    fn expire(&mut self) {
        for table in ["message", "scheduled", "follower"] {
            self.place.sql(&format!(
                "UPDATE outtray.{table} SET expires_at = now() WHERE id = '{}'",
                self.id
            ));
        }
        let _upkeep = self.upkeep();
        self.redrive(DeadReason::Expired);
    }

    fn upkeep(&self) -> Receiver {
        let nobody = |_: &mut MessagingSession<'_>, _: Message| Ok(());
        let messaging = &self.place.messaging;
        messaging
            .start_receiving_messages("nobody", nobody)
            .unwrap()
    }

    /// Lets it be handled, and checks what the handler gets.
    #[track_caller]
    fn end(mut self, way: &str) {
        assert_eq!(self.carried(), self.before, "{way}");
        self.drain(|_, message| {
            let is_whole = match message.payload {
                Payload::Bytes(bytes) => bytes == [0, 159, 255],
                json => json.to_string() == r#"{"n": 1.50}"#,
            };
            assert!(is_whole && message.priority == 7);
            Ok(())
        });
        let end = self.place.messaging.completion(self.id).unwrap();
        assert_eq!(end.expect("it has ended").how, How::Done, "{way}");
    }
}

fn fail(_: &mut MessagingSession<'_>, _: Message<Payload>) -> Result<(), HandlerError> {
    Err(HandlerError::failed("not yet"))
}

fn reject(_: &mut MessagingSession<'_>, _: Message<Payload>) -> Result<(), HandlerError> {
    Err(HandlerError::reject("no"))
}

/// Sends messages with JSON and with bytes on a way, and checks that they arrive as they were sent.
#[track_caller]
fn check(place: &mut Place, way: &str, sent: Sent, go: fn(&mut Journey)) {
    for is_json in [true, false] {
        let mut journey = Journey::begin(place, sent, is_json);
        go(&mut journey);
        journey.end(way);
    }
}

/// The same for one that another message of its key was sent before.
#[track_caller]
fn check_second(
    place: &mut Place,
    way: &str,
    policy: PoisonedKey,
    sent: Sent,
    go: fn(&mut Journey),
) {
    for is_json in [true, false] {
        let config = TopicConfig {
            poisoned_key: Some(policy),
            ..TopicConfig::default()
        };
        place.messaging.topic(TOPIC).configure(config).unwrap();
        place.send_new(NewMessage::json(TOPIC, &0).unwrap().priority(9).key("a"));
        let mut journey = Journey::begin(place, sent, is_json);
        go(&mut journey);
        journey.end(way);
    }
}

#[test]
fn a_message_that_failed_or_waited_arrives_as_it_was_sent() {
    let mut place = Place::watchful();
    for sent in [PLAIN, KEYED] {
        check(&mut place, "failed", sent, |journey| {
            journey.drain(fail);
            journey.make_due();
        });
        check(&mut place, "rejected", sent, |journey| {
            journey.drain(reject);
            journey.redrive(DeadReason::Rejected);
        });
        let delay = Some(HOUR);
        check(&mut place, "delayed", Sent { delay, ..sent }, |journey| {
            journey.make_due()
        });
    }
}

#[test]
fn a_message_that_was_leased_arrives_as_it_was_sent() {
    let mut place = Place::watchful();
    for sent in [PLAIN, KEYED] {
        check(&mut place, "given back", sent, |journey| {
            journey.lease().nack().unwrap();
        });
        check(&mut place, "to be tried again", sent, |journey| {
            journey.lease().retry_after(HOUR).unwrap();
            journey.make_due();
        });
        check(&mut place, "of one who died", sent, |journey| {
            let lost = journey.lease();
            journey.make_due();
            drop(lost);
        });
        check(&mut place, "rejected", sent, |journey| {
            journey.lease().reject("no").unwrap();
            journey.redrive(DeadReason::Rejected);
        });
    }
}

#[test]
fn a_message_behind_another_of_its_key_arrives_as_it_was_sent() {
    let mut place = Place::watchful();
    check_second(
        &mut place,
        "promoted",
        PoisonedKey::Skip,
        KEYED,
        |journey| {
            journey.lease().ack().unwrap();
        },
    );
    let delay = Some(HOUR);
    let delayed = Sent { delay, ..KEYED };
    check_second(
        &mut place,
        "lined up",
        PoisonedKey::Skip,
        delayed,
        |journey| {
            journey.make_due();
            journey.lease().ack().unwrap();
        },
    );
    check_second(&mut place, "parked", PoisonedKey::Park, KEYED, |journey| {
        let _upkeep = journey.upkeep();
        journey.lease().reject("no").unwrap();
        journey.redrive(DeadReason::Parked);
        journey.lease().ack().unwrap();
    });
}

#[test]
fn a_message_that_came_after_others_arrives_as_it_was_sent() {
    let mut place = Place::watchful();
    for is_done in [true, false] {
        for is_json in [true, false] {
            let first = place.send_new(NewMessage::json("first", &0).unwrap().tracked());
            let after = Some(first);
            let mut journey = Journey::begin(&mut place, Sent { after, ..KEYED }, is_json);
            let done = |_: &mut MessagingSession<'_>, _: Message| Ok(());
            match is_done {
                true => drop(journey.place.messaging.drain("first", done).unwrap()),
                false => {
                    journey.place.messaging.cancel(first).unwrap();
                    journey.redrive(DeadReason::Orphaned);
                }
            }
            journey.end("after others");
        }
    }
}

#[test]
fn a_message_that_expired_and_is_redriven_arrives_as_it_was_sent() {
    let mut place = Place::watchful();
    for sent in [PLAIN, KEYED] {
        check(&mut place, "ready", sent, |journey| journey.expire());
        let delay = Some(HOUR);
        check(&mut place, "delayed", Sent { delay, ..sent }, |journey| {
            journey.expire()
        });
    }
    check_second(&mut place, "behind", PoisonedKey::Skip, KEYED, |journey| {
        journey.expire();
        journey.lease().ack().unwrap();
    });
}
