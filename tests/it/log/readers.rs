//! Where tails begin, and named readers.

use super::{follow, place, rest};
use crate::support::{PATIENCE, aside, client, next};
use outtray::{ErrorKind, Message, Payload, Position};
use std::time::{Duration, SystemTime};

#[test]
fn a_tail_goes_on_where_another_one_was() {
    let place = place();
    place.send_all("ledger", 0..10);
    let mut one = place.messaging.tail("ledger", Position::Start).unwrap();
    assert_eq!(follow(&mut one, 4), [0, 1, 2, 3]);
    place.send("ledger", &10);

    let text = one.position().to_string();
    let mut other = place
        .messaging
        .tail("ledger", Position::At(text.parse().unwrap()))
        .unwrap();

    assert_eq!(rest(&mut other), rest(&mut one));
    assert_eq!(other.position(), one.position());
    let end = other.position();
    let mut after = place.messaging.tail("ledger", end).unwrap();
    assert!(rest(&mut after).is_empty());
}

#[test]
fn a_tail_from_a_message_returns_what_comes_after_it() {
    let place = place();
    place.send_all("ledger", 0..5);
    let mut all = place.messaging.tail("ledger", Position::Start).unwrap();
    let batch: Vec<Message<i32>> = all.next_batch(5, PATIENCE).unwrap();

    let third = batch[2].log_position().unwrap();
    let mut tail = place.messaging.tail("ledger", third).unwrap();

    assert_eq!(rest(&mut tail), [3, 4]);
}

#[test]
fn a_tail_from_a_time_misses_nothing_that_was_committed_since() {
    let mut place = place();
    for number in 0..6 {
        place.send("ledger", &number);
        drop(place.messaging.tail("ledger", Position::Now).unwrap());
    }
    // An hour each.
    place.sql("UPDATE outtray.log_tick SET at = now() - (20 - tick) * interval '1 hour'");
    let now: SystemTime = place.client.query_one("SELECT now()", &[]).unwrap().get(0);
    let ago = |hours: u64| now - Duration::from_secs(hours * 3600);
    let from = |time| {
        let mut tail = place
            .messaging
            .tail("ledger", Position::Time(time))
            .unwrap();
        rest(&mut tail)
    };

    assert_eq!(from(ago(400)), [0, 1, 2, 3, 4, 5]);
    assert_eq!(from(SystemTime::UNIX_EPOCH), [0, 1, 2, 3, 4, 5]);
    assert!(from(ago(0)).is_empty());
    let some = from(ago(17));
    assert!(
        !some.is_empty() && some.len() < 6 && some.ends_with(&[5]),
        "{some:?}"
    );
}

#[test]
fn a_payload_that_does_not_fit_is_told_once_and_the_rest_goes_on() {
    let place = place();
    place.send("ledger", &1);
    place.send("ledger", &"no number");
    place.send("ledger", &3);
    let mut tail = place.messaging.tail("ledger", Position::Start).unwrap();

    let first: Vec<Message<i32>> = tail.next_batch(10, PATIENCE).unwrap();
    let error = tail.next_batch::<i32>(10, PATIENCE).unwrap_err();
    let last: Vec<Message<i32>> = tail.next_batch(10, PATIENCE).unwrap();

    assert_eq!((first[0].payload, first.len()), (1, 1));
    assert_eq!(error.kind(), ErrorKind::Payload);
    assert_eq!((last[0].payload, last.len()), (3, 1));
}

#[test]
fn a_hostile_row_stops_only_itself() {
    let mut place = place();
    place.send("ledger", &1);
    place.sql(
        "INSERT INTO outtray.log_entry (topic, segment, id, sent_at, headers, payload)
        SELECT 'ledger', segment, gen_random_uuid(), 'infinity', '[1]', '2' FROM outtray.log;
        INSERT INTO outtray.log_entry (topic, segment, id, payload)
        SELECT 'somebody else', segment, gen_random_uuid(), '9' FROM outtray.log;
        INSERT INTO outtray.log_entry (topic, segment, id, sent_at, body)
        SELECT 'ledger', segment, gen_random_uuid(), '-infinity', '\\xff' FROM outtray.log",
    );
    place.send("ledger", &3);
    let mut tail = place.messaging.tail("ledger", Position::Start).unwrap();
    let mut seen = Vec::new();
    while seen.len() < 4 {
        let next = tail.next::<Payload>(PATIENCE);
        seen.push(
            next.map(|message| message.unwrap().payload.to_string())
                .map_err(|error| error.kind()),
        );
    }

    let expected = [Ok("1"), Err(ErrorKind::Database), Ok("(1 bytes)"), Ok("3")];
    assert_eq!(seen, expected.map(|one| one.map(str::to_owned)));
    assert!(rest(&mut tail).is_empty());
}

#[test]
fn a_log_goes_on_when_the_server_was_restarted() {
    let server = outtray::testing::Server::builder()
        .always_embedded()
        .start()
        .unwrap();
    let messaging = outtray::Messaging::connect(&server.database().unwrap()).unwrap();
    messaging.migrate().unwrap();
    messaging.topic("ledger").configure(super::log()).unwrap();
    let send =
        |number: i32| messaging.session(|session| Ok(session.send_message("ledger", &number)?));
    send(1).unwrap();
    let mut tail = messaging.tail("ledger", Position::Start).unwrap();
    assert_eq!(follow(&mut tail, 1), [1]);

    server.restart_immediately().unwrap();

    crate::support::eventually("it can be sent again", || send(2).is_ok());
    let mut seen = Vec::new();
    crate::support::eventually("it is followed again", || {
        let next = tail.next::<i32>(Duration::from_millis(100));
        seen.extend(next.ok().flatten().map(|message| message.payload));
        seen.contains(&2)
    });
    assert_eq!(seen, [2]);
}

#[test]
fn a_reader_does_not_go_to_a_place_that_was_let_go_while_it_was_busy() {
    let mut place = place();
    place.sql(
        "INSERT INTO outtray.log_reader (topic, reader, lanes) VALUES ('ledger', 'one', 1);
        INSERT INTO outtray.log_lane (topic, reader, lane) VALUES ('ledger', 'one', 0);
        INSERT INTO outtray.log_place (topic, reader, lane, moved, tick, seq)
        VALUES ('ledger', 'one', 0, 1, 3, 0)",
    );
    for number in 0..3 {
        place.send("ledger", &number);
        drop(place.messaging.tail("ledger", Position::Now).unwrap());
    }
    let mut busy = client(&place.url);
    let mut batch = busy.transaction().unwrap();
    batch
        .batch_execute("SELECT FROM outtray.log_lane FOR UPDATE")
        .unwrap();

    let messaging = place.messaging.clone();
    let sought = aside(move || messaging.topic("ledger").seek("one", Position::Start));
    place.await_lock_waits(1);
    place.sql("UPDATE outtray.log SET begins = 3");
    batch.rollback().unwrap();

    let gone = next(&sought, 1).remove(0).unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::PositionGone, "{gone}");
}
