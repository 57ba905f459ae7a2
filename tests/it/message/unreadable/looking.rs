//! Who looks at messages, or waits for them, sees the others, and of one that cannot be read what
//! can be shown.

use super::{HEADERS, check_set_aside, write_both};
use crate::support::{PATIENCE, Place, aside};
use outtray::{ErrorKind, Headers, How, Message, NewMessage, Payload};
use std::time::Duration;

/// Copies what is written into `message` to the other places where messages are.
const COPY: &str = "
    INSERT INTO outtray.scheduled (topic, rank, id, headers, payload, due_at)
        SELECT topic, rank, id, headers, payload, now() + interval '1 hour' FROM outtray.message;
    INSERT INTO outtray.dead_letter (topic, rank, id, attempts, reason, error, sent_at, died_at, headers, payload)
        SELECT topic, rank, id, -7, 'a later reason', '', 'infinity', '-infinity', headers, payload FROM outtray.message;
    INSERT INTO outtray.recurring (topic, name, cron, time_zone, missed, rank, headers, payload, next_at)
        SELECT topic, id::text, '* * * * *', 'UTC', 'once', rank, headers, payload, 'infinity' FROM outtray.message;";

type Seen = (Headers, Payload, Option<String>);

/// Checks that all are shown, each with what of it can be.
#[track_caller]
fn check(seen: &[Seen], count: usize) {
    assert_eq!(seen.len(), 2 * count);
    for (headers, payload, unreadable) in seen {
        let is_good = payload.to_string() != "-1";
        assert_eq!(unreadable.is_none(), is_good, "{unreadable:?}");
        match unreadable {
            None => assert_eq!(headers["kind"], "good"),
            Some(why) => assert!(why.contains("headers"), "{why}"),
        }
    }
    let shows = |name: &str, value: &str| {
        let mut headers = seen.iter().map(|(headers, ..)| headers);
        headers.any(|headers| headers.get(name).is_some_and(|shown| shown == value))
    };
    assert!(shows("retry", "3"));
    assert!(shows("by", r#"{"name": "hand"}"#));
    assert!(shows("size", "1e400"));
}

#[test]
fn messages_that_cannot_be_read_are_shown_with_the_others() {
    let mut place = Place::new();
    let count = write_both(&mut place, "jobs");
    place.sql(COPY);
    let topic = place.messaging.topic("jobs");

    let peeked = topic.peek(100).unwrap().into_iter();
    let seen: Vec<Seen> = peeked
        .map(|m| (m.headers, m.payload, m.unreadable))
        .collect();
    check(&seen, count);
    let scheduled = topic.scheduled(100).unwrap().into_iter();
    let seen: Vec<Seen> = scheduled
        .map(|m| (m.headers, m.payload, m.unreadable))
        .collect();
    check(&seen, count);
    let dead = topic.dead_letters(100).unwrap();
    assert!(dead.iter().all(|letter| letter.attempts == 0));
    let dead = dead.into_iter();
    let seen: Vec<Seen> = dead.map(|m| (m.headers, m.payload, m.unreadable)).collect();
    check(&seen, count);
    let recurring = topic.recurring().unwrap().into_iter();
    let seen: Vec<Seen> = recurring
        .map(|m| (m.headers, m.payload, m.unreadable))
        .collect();
    check(&seen, count);
}

#[test]
fn dead_letters_that_cannot_be_read_are_redriven_and_set_aside_again() {
    let mut place = Place::new();
    let count = write_both(&mut place, "jobs");
    place.sql(COPY);
    place.sql("DELETE FROM outtray.message; DELETE FROM outtray.recurring");

    let redriven = place.messaging.topic("jobs").redrive(..).unwrap();
    let report = place
        .messaging
        .drain("jobs", |_, _: Message<i32>| Ok(()))
        .unwrap();

    assert_eq!(redriven, 2 * count as u64);
    assert_eq!((report.handled, report.dead), (count as u64, count as u64));
    check_set_aside(&place, "jobs", count);
    assert!(HEADERS.len() < count);
}

#[test]
fn a_result_that_cannot_be_read_concerns_those_alone_who_wait_for_it() {
    let mut place = Place::new();
    let tracked = |number: i32| NewMessage::json("jobs", &number).unwrap().tracked();
    let [odd, deep, good] = [1, 2, 3].map(|number| place.send_new(tracked(number)));
    let waits = [odd, deep, good].map(|id| {
        let messaging = place.messaging.clone();
        aside(move || messaging.wait_for_completion(id, PATIENCE))
    });
    let nested = "[".repeat(500) + &"]".repeat(500);
    // As another process ends them.
    let end = |place: &mut Place, id: outtray::MessageId, result: &str| {
        let end = "UPDATE outtray.outcome SET state = 'done', ended_at = now(), result = $2::text::json WHERE id = $1";
        place
            .client
            .execute(end, &[&id.as_uuid(), &result])
            .unwrap();
    };

    end(&mut place, odd, "1e400");
    end(&mut place, deep, &nested);
    end(&mut place, good, "7");

    let [odd, deep, good] = waits.map(|wait| wait.recv_timeout(PATIENCE).unwrap());
    for refused in [odd, deep] {
        let error = refused.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Database);
        assert!(error.to_string().contains("result"), "{error}");
    }
    let good = good.unwrap().unwrap();
    assert_eq!((good.how, good.result), (How::Done, Some(7.into())));
}

#[test]
fn an_outcome_that_a_later_release_or_a_hand_wrote_stops_nobody_who_waits() {
    let mut place = Place::new();
    let tracked = |number: i32| NewMessage::json("jobs", &number).unwrap().tracked();
    let [odd, early, good] = [1, 2, 3].map(|number| place.send_new(tracked(number)));
    let set = |place: &mut Place, id: outtray::MessageId, what: &str| {
        place.sql(&format!(
            "UPDATE outtray.outcome SET {what} WHERE id = '{id}'"
        ));
    };
    set(&mut place, odd, "state = 'dissolved', members = -1");
    set(&mut place, early, "state = 'done', ended_at = '-infinity'");
    set(&mut place, good, "state = 'done', ended_at = 'infinity'");

    let odd = place
        .messaging
        .wait_for_completion(odd, Duration::from_millis(10));
    let early = place.messaging.completion(early).unwrap().unwrap();
    let good = place.messaging.completion(good).unwrap().unwrap();

    assert_eq!(odd.unwrap(), None);
    assert_eq!((early.how, good.how), (How::Done, How::Done));
}
