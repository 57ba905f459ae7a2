//! What became of messages is told, each once, however they are worked on.

use super::{Told, observed};
use crate::support::{PATIENCE, Place, database, done, eventually, reject};
use outtray::{
    Backoff, BatchMessage, Event, Expired, HandlerError, Message, Messaging, MessagingSession,
    NewMessage, PoisonedKey, Position, ReceiverBuilder, TopicConfig, TopicKind,
};
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn at_once(place: &Place) -> ReceiverBuilder<'_> {
    let backoff = Backoff::fixed(Duration::ZERO).without_jitter();
    place.messaging.receiver("jobs").backoff(backoff)
}

/// Sends one message of each number.
fn send(place: &Place, told: &Told, numbers: std::ops::Range<i32>) {
    place.send_all("jobs", numbers);
    told.take();
}

#[test]
fn a_message_is_told_to_start_and_to_be_done() {
    let (place, told) = observed();
    place.send("jobs", &1);

    place.drained("jobs");

    let expected = ["1 sent to jobs", "jobs started 1 of 1", "jobs done 1"];
    assert_eq!(told.take(), expected);
}

#[test]
fn each_attempt_that_counts_is_told_and_the_dead_letter_after_the_last() {
    let (place, told) = observed();
    send(&place, &told, 0..1);

    let receiver = at_once(&place).max_attempts(2);
    receiver
        .drain(|_, _: Message<i32>| Err(HandlerError::failed("no paper")))
        .unwrap();

    let expected = [
        "jobs started 1 of 1",
        "jobs failed 1: no paper, again",
        "jobs started 2 of 1",
        "jobs failed 2: no paper",
        "jobs dead Some(2): exhausted",
    ];
    assert_eq!(told.take(), expected);
}

#[test]
fn a_rejection_and_a_payload_that_does_not_fit_are_failed_attempts() {
    let (place, told) = observed();
    send(&place, &told, 0..1);
    place.messaging.drain("jobs", reject).unwrap();
    let rejected = told.take();
    place.send("jobs", "no number");
    told.take();
    let numbers = |_: &mut MessagingSession<'_>, _: Message<i32>| Ok(());
    place.messaging.drain("jobs", numbers).unwrap();
    let unfit = told.take();

    for (lines, reason) in [(rejected, "rejected"), (unfit, "undecodable")] {
        assert_eq!(lines[0], "jobs started 1 of 1");
        assert!(lines[1].starts_with("jobs failed 1: "), "{lines:?}");
        assert!(!lines[1].ends_with("again"), "{lines:?}");
        assert_eq!(lines[2..], [format!("jobs dead Some(1): {reason}")]);
    }
}

#[test]
fn a_snooze_is_no_failure() {
    let (place, told) = observed();
    send(&place, &told, 0..1);
    let mut is_snoozed = false;

    let snoozing = |_: &mut MessagingSession<'_>, _: Message<i32>| match std::mem::replace(
        &mut is_snoozed,
        true,
    ) {
        false => Err(HandlerError::snooze(Duration::ZERO)),
        true => Ok(()),
    };
    at_once(&place).drain(snoozing).unwrap();

    let expected = [
        "jobs started 1 of 1",
        "jobs snoozed",
        "jobs started 1 of 1",
        "jobs done 1",
    ];
    assert_eq!(told.take(), expected);
}

#[test]
fn messages_of_a_batch_are_told_each() {
    let (place, told) = observed();
    send(&place, &told, 0..3);

    let handler = |_: &mut MessagingSession<'_>, batch: &[BatchMessage<i32>]| {
        batch[1].reject("odd");
        Ok(())
    };
    place
        .messaging
        .receiver("jobs")
        .drain_batches(3, handler)
        .unwrap();

    let mut lines = told.take();
    lines.sort_unstable();
    let expected = [
        "jobs dead Some(1): rejected",
        "jobs done 1",
        "jobs done 1",
        "jobs failed 1: odd",
        "jobs started 1 of 3",
        "jobs started 1 of 3",
        "jobs started 1 of 3",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn what_the_database_refused_beside_others_has_failed_twice() {
    let (mut place, told) = observed();
    place.sql(
        "CREATE TABLE taken (n integer CONSTRAINT once UNIQUE DEFERRABLE INITIALLY DEFERRED);
         INSERT INTO taken VALUES (1)",
    );
    send(&place, &told, 0..3);

    let receiver = at_once(&place).max_attempts(2);
    let receiver = receiver.messages_per_transaction(3);
    let handler = |session: &mut MessagingSession<'_>, message: Message<i32>| {
        session.execute("INSERT INTO taken VALUES ($1)", &[&message.payload])?;
        session.send_message("sent", &message.payload)?;
        Ok(())
    };
    receiver.drain(handler).unwrap();

    let lines = told.take();
    let count = |begin: &str| lines.iter().filter(|line| line.starts_with(begin)).count();
    assert_eq!(
        (count("jobs done"), count("2 sent to sent")),
        (2, 1),
        "{lines:?}"
    );
    assert_eq!((count("jobs failed 1"), count("jobs failed 2")), (1, 1));
    assert_eq!(count("jobs dead Some(2): exhausted"), 1);
}

#[test]
fn what_ends_without_a_handler_is_told() {
    let (place, told) = observed();
    let jobs = place.jobs();
    let drop = TopicConfig {
        expired: Some(Expired::Drop),
        ..TopicConfig::default()
    };
    let soon = |topic: &str| NewMessage::bytes(topic, [1]).expires_in(Duration::from_millis(1));
    jobs.configure(drop).unwrap();
    place.send_new(soon("jobs"));
    place.send_new(soon("others"));
    let cancelled = place.send_new(NewMessage::bytes("jobs", [2]).delay(PATIENCE));
    told.take();

    place.messaging.cancel(cancelled).unwrap();
    let receiver = place.idle_receiver();
    eventually("both are over", || {
        told.has("jobs expired") && told.has("others dead None: expired")
    });
    receiver.stop(PATIENCE);

    assert_eq!(told.take().len(), 3);
}

#[test]
fn a_claimed_message_whose_time_is_over_is_told_by_its_worker() {
    let (mut place, told) = observed();
    place.send_new(NewMessage::bytes("jobs", [1]).expires_in(PATIENCE));
    place.sql("UPDATE outtray.message SET expires_at = now() - interval '1 second'");
    told.take();

    place.drained("jobs");

    assert_eq!(told.take(), ["jobs dead Some(0): expired"]);
}

#[test]
fn what_is_parked_and_what_comes_after_is_told() {
    let (place, told) = observed();
    let parking = TopicConfig {
        poisoned_key: Some(PoisonedKey::Park),
        ..TopicConfig::default()
    };
    place.jobs().configure(parking).unwrap();
    place.send_new(NewMessage::json("jobs", &1).unwrap().key("a"));
    place.send_new(NewMessage::json("jobs", &2).unwrap().key("a"));
    let first = place.send_new(NewMessage::json("first", &1).unwrap().tracked());
    place.send_new(NewMessage::json("second", &2).unwrap().after(&[first]));
    told.take();

    place.messaging.drain("jobs", reject).unwrap();
    place.messaging.cancel(first).unwrap();

    eventually("the second is an orphan", || {
        place.drained("second");
        told.has("second dead None: orphaned")
    });
    let lines = told.take();
    let count = |line: &str| lines.iter().filter(|told| *told == line).count();
    assert_eq!(count("jobs dead None: parked"), 1, "{lines:?}");
    assert_eq!(count("first cancelled"), 1, "{lines:?}");
    assert_eq!(count("second dead None: orphaned"), 1, "{lines:?}");
}

#[test]
fn a_redrive_and_a_purge_are_told_in_numbers() {
    let (place, told) = observed();
    send(&place, &told, 0..3);
    place.messaging.drain("jobs", reject).unwrap();
    told.take();

    place.jobs().redrive(..).unwrap();
    place.jobs().purge().unwrap();

    let expected = ["3 of jobs redriven", "3 of jobs purged, dead: false"];
    assert_eq!(told.take(), expected);
}

#[test]
fn a_reader_of_a_log_is_told_under_its_own_name() {
    let (place, told) = observed();
    let log = TopicConfig {
        kind: TopicKind::Log,
        ..TopicConfig::default()
    };
    place.messaging.topic("ledger").configure(log).unwrap();
    place.send_all("ledger", 0..4);

    let reader = place
        .messaging
        .reader("ledger", "bills")
        .from(Position::Start);
    let reader = reader
        .max_attempts(1)
        .start(
            |_, entries: &[Message<i32>]| match entries.iter().any(|entry| entry.payload == 2) {
                true => Err(HandlerError::failed("odd")),
                false => Ok(()),
            },
        )
        .unwrap();
    let count = |lines: &[String], line: &str| lines.iter().filter(|told| *told == line).count();
    let mut lines = Vec::new();
    eventually("all are read", || {
        lines.extend(told.take());
        count(&lines, "ledger@bills done 1") == 3
    });
    eventually("one is dead", || {
        lines.extend(told.take());
        count(&lines, "ledger@bills dead Some(1): exhausted") == 1
    });
    reader.stop(PATIENCE);

    lines.extend(told.take());
    assert_eq!(lines[0], "4 sent to ledger of a log");
    assert_eq!(count(&lines, "ledger@bills done 1"), 3);
    assert_eq!(count(&lines, "ledger@bills failed 1: odd"), 1);
    assert_eq!(count(&lines, "ledger@bills started 1 of 4"), 4, "one each");
}

#[test]
fn durations_are_those_of_the_database() {
    let url = database();
    let took = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&took);
    let noting = move |event: &Event<'_>| match event {
        Event::Started { waited, .. } => noted.lock().unwrap().push(waited.unwrap()),
        Event::Done {
            took, since_sent, ..
        } => noted
            .lock()
            .unwrap()
            .extend([took.unwrap(), since_sent.unwrap()]),
        _ => {}
    };
    let messaging = Messaging::builder().url(&url).on_event(noting);
    let mut place = Place::over(&url, messaging.connect().unwrap());
    place.send("jobs", &1);
    place.sql("UPDATE outtray.message SET sent_at = sent_at - interval '1 hour'");

    place.messaging.drain("jobs", done).unwrap();

    let hour = Duration::from_secs(3600);
    let [waited, took, since_sent] = took.lock().unwrap()[..] else {
        panic!("three durations");
    };
    assert!(waited >= hour && waited < hour + PATIENCE, "{waited:?}");
    assert!(took < PATIENCE, "{took:?}");
    assert!(since_sent >= waited, "{since_sent:?}");
}

#[test]
fn a_message_waits_since_it_was_due_and_not_since_it_was_sent() {
    let url = database();
    let waits = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&waits);
    let noting = move |event: &Event<'_>| {
        if let Event::Started { waited, .. } = event {
            noted.lock().unwrap().push(waited.unwrap());
        }
    };
    let messaging = Messaging::builder().url(&url).on_event(noting);
    let mut place = Place::over(&url, messaging.connect().unwrap());
    let an_hour_ago = "UPDATE outtray.scheduled SET sent_at = sent_at - interval '1 hour', due_at = now() - interval '10 minutes'";
    let (minute, hour) = (Duration::from_secs(60), Duration::from_secs(3600));
    place.send_new(NewMessage::json("jobs", &1).unwrap().delay(hour));
    place.sql(an_hour_ago);

    let fail = |_: &mut MessagingSession<'_>, _: Message<i32>| Err(HandlerError::failed("no"));
    let later = || place_receiver(&place.messaging, Backoff::fixed(hour));
    later().drain(fail).unwrap();
    place.client.batch_execute(an_hour_ago).unwrap();
    later().lease(minute).drain(fail).unwrap();
    place.client.batch_execute(an_hour_ago).unwrap();
    later().max_attempts(3).drain(fail).unwrap();
    place.jobs().redrive(..).unwrap();
    later().drain(done).unwrap();

    let waits = waits.lock().unwrap();
    let is_retried = |wait: &Duration| (10 * minute..11 * minute).contains(wait);
    assert!(waits[..3].iter().all(is_retried), "{waits:?}");
    assert!(waits[3] < minute, "since the redrive: {waits:?}");
}

fn place_receiver(messaging: &Messaging, backoff: Backoff) -> ReceiverBuilder<'_> {
    messaging.receiver("jobs").backoff(backoff)
}
