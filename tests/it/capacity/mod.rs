//! A bounded topic holds as many messages as it may: senders wait for room, or hear that it is
//! full, and go on.

mod ahead;
mod waiting;

use crate::support::{DAY, Gate, PATIENCE, Place, client, eventually, pass_time, process, reject};
use crossbeam_channel::bounded;
use outtray::{
    Backoff, Error, ErrorKind, HandlerError, Message, Messaging, NewMessage, TopicConfig,
};
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

fn limit(messaging: &Messaging, limit: Option<u64>) {
    let config = TopicConfig {
        max_length: limit,
        ..TopicConfig::default()
    };
    messaging.topic("jobs").configure(config).unwrap();
}

/// Makes a place whose topic "jobs" holds so many.
fn place(messages: u64) -> Place {
    let place = Place::watchful();
    limit(&place.messaging, Some(messages));
    place
}

fn send(messaging: &Messaging, number: i32) -> Result<(), Error> {
    messaging.session(|session| Ok(session.send_message("jobs", &number).map(drop)?))
}

#[track_caller]
fn check_full(result: Result<(), Error>) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Full, "{error:?}");
}

fn handle(place: &Place, count: usize) {
    let handled = std::sync::atomic::AtomicUsize::new(0);
    let receiver = place
        .messaging
        .receiver("jobs")
        .workers(1)
        .messages_per_transaction(1);
    let (tell, told) = bounded(0);
    let receiver = receiver
        .start(move |_, _: Message| {
            if handled.fetch_add(1, std::sync::atomic::Ordering::SeqCst) >= count {
                return Err(HandlerError::snooze(Duration::ZERO));
            }
            Ok(tell.send(())?)
        })
        .unwrap();
    crate::support::next(&told, count);
    receiver.stop(PATIENCE);
    // One that was begun too many is snoozed for no time.
    place
        .messaging
        .drain("none", |_, _: Message| Ok(()))
        .unwrap();
}

#[test]
fn a_full_topic_says_so_and_takes_messages_again_when_there_is_room() {
    let mut place = place(3);
    for number in 0..3 {
        send(&place.messaging, number).unwrap();
    }

    let error = send(&place.messaging, 3).unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Full);
    assert_eq!(
        error.to_string(),
        "topic jobs is full (3 messages): try again later"
    );
    assert_eq!(place.count("outtray.message"), 3);

    handle(&place, 2);
    send(&place.messaging, 4).unwrap();
    send(&place.messaging, 5).unwrap();
    check_full(send(&place.messaging, 6));
    place
        .messaging
        .drain("jobs", |_, _: Message| Ok(()))
        .unwrap();
    for number in 0..3 {
        send(&place.messaging, number).unwrap();
    }
    check_full(send(&place.messaging, 6));
}

#[test]
fn a_session_goes_on_without_the_message_that_found_no_room() {
    let mut place = place(1);
    place.sql("CREATE TABLE thing ()");
    place
        .messaging
        .session(|session| {
            session.send_message("jobs", &1)?;
            let full = session.send_message("jobs", &2).unwrap_err();
            assert_eq!(full.kind(), ErrorKind::Full);
            session.execute("INSERT INTO thing DEFAULT VALUES", &[])?;
            session.send_message("others", &3)?;
            Ok(())
        })
        .unwrap();
    assert_eq!(place.count("outtray.message"), 2);
    assert_eq!(place.count("thing"), 1);
}

#[test]
fn many_find_room_together_or_none_does() {
    let mut place = place(10);
    let many = |count: i32| {
        place
            .messaging
            .session(|session| Ok(session.send_messages("jobs", 0..count).map(drop)?))
    };
    check_full(many(11));
    many(6).unwrap();
    check_full(many(5));
    many(4).unwrap();
    check_full(many(1));
    assert_eq!(place.count("outtray.message"), 10);
}

#[test]
fn a_group_finds_room_whole_or_none_of_it_is_sent() {
    let mut place = place(2);
    let message = |topic: &str| NewMessage::json(topic, &1).unwrap();
    place
        .messaging
        .session(|session| {
            session.send_message("others", &1)?;
            for (members, completion) in [(3, "complete"), (2, "jobs")] {
                let members = (0..members).map(|_| message("jobs"));
                let full = session.send_group(members, message(completion));
                assert_eq!(full.unwrap_err().kind(), ErrorKind::Full);
            }
            Ok(())
        })
        .unwrap();
    assert_eq!(place.count("outtray.message"), 1);
    assert_eq!(place.count("outtray.scheduled"), 0);

    place
        .messaging
        .session(|session| Ok(session.send_group([message("jobs")], message("jobs"))?))
        .unwrap();
    check_full(send(&place.messaging, 6));
    let handled = place.messaging.drain("jobs", |_, _: Message| Ok(()));
    assert_eq!(handled.unwrap().handled, 2);
}

#[test]
fn what_finds_no_room_frees_its_dedupe_key_and_the_room_it_took_elsewhere() {
    let mut place = place(1);
    let bounded = TopicConfig {
        max_length: Some(1),
        ..TopicConfig::default()
    };
    place.messaging.topic("before").configure(bounded).unwrap();
    send(&place.messaging, 1).unwrap();
    let message = |topic: &str| NewMessage::bytes(topic, [1]).dedupe("one", DAY);
    place
        .messaging
        .session(|session| {
            let full = session.send_all([message("before"), message("jobs"), message("free")]);
            assert_eq!(full.unwrap_err().kind(), ErrorKind::Full);
            assert!(!session.send(message("before"))?.is_duplicate());
            assert!(!session.send(message("free"))?.is_duplicate());
            Ok(())
        })
        .unwrap();
    assert_eq!(place.count("outtray.message WHERE topic = 'before'"), 1);
}

#[test]
fn a_rolled_back_session_gives_its_room_back() {
    let place = place(2);
    let failed: Result<(), _> = place.messaging.session(|session| {
        session.send_messages("jobs", 0..2)?;
        Err(HandlerError::failed("no"))
    });
    assert!(failed.is_err());
    send(&place.messaging, 1).unwrap();
    send(&place.messaging, 2).unwrap();
    check_full(send(&place.messaging, 3));
}

#[test]
fn a_failed_handler_gives_its_room_back() {
    let mut place = place(2);
    place.send_all("work", [1, 2, 3]);
    let report = place
        .messaging
        .receiver("work")
        .messages_per_transaction(3)
        .drain(|session, message: Message<i32>| {
            session.send_message("jobs", &message.payload)?;
            match message.payload {
                2 => Err(HandlerError::reject("no")),
                _ => Ok(()),
            }
        })
        .unwrap();
    assert_eq!((report.handled, report.dead), (2, 1));
    assert_eq!(place.count("outtray.message WHERE topic = 'jobs'"), 2);
    check_full(send(&place.messaging, 3));
}

#[test]
fn what_waits_for_a_retry_or_its_time_takes_room_and_dead_letters_do_not() {
    let mut place = place(2);
    let later = NewMessage::bytes("jobs", [1]).delay(DAY);
    place.send_new(later.priority(1));
    send(&place.messaging, 1).unwrap();
    let drain = |error: fn() -> HandlerError| {
        let receiver = place.messaging.receiver("jobs");
        let receiver = receiver.backoff(Backoff::fixed(DAY));
        receiver.drain(move |_, _: Message| Err(error())).unwrap()
    };
    assert_eq!(drain(|| HandlerError::failed("later")).retried, 1);
    check_full(send(&place.messaging, 2));

    place.sql("UPDATE outtray.scheduled SET due_at = now() WHERE error IS NOT NULL");
    let receiver = place.messaging.receiver("jobs");
    let report = receiver.drain(reject).unwrap();
    assert_eq!(report.dead, 1);
    send(&place.messaging, 2).unwrap();
    check_full(send(&place.messaging, 3));

    // Nothing may be lost: it comes back, and counts.
    assert_eq!(place.messaging.topic("jobs").redrive(..).unwrap(), 1);
    assert_eq!(place.count("outtray.message"), 2);
    handle(&place, 1);
    check_full(send(&place.messaging, 4));
    handle(&place, 1);
    send(&place.messaging, 4).unwrap();
}

#[test]
fn a_limit_that_comes_later_counts_what_is_there_and_lets_go_of_it() {
    let mut place = Place::watchful();
    place.send_all("jobs", 0..5);
    limit(&place.messaging, Some(3));
    check_full(send(&place.messaging, 5));

    place
        .messaging
        .drain("jobs", |_, _: Message| Ok(()))
        .unwrap();

    // Those were counted and leave no note: another process counts anew.
    let other = process(&place.url, PATIENCE);
    for number in 0..3 {
        send(&other, number).unwrap();
    }
    check_full(send(&other, 3));
    assert_eq!(place.count("outtray.message"), 3);
}

#[test]
fn a_limit_that_is_lowered_holds_until_as_few_are_left() {
    let mut place = place(10);
    for number in 0..10 {
        send(&place.messaging, number).unwrap();
    }
    limit(&place.messaging, Some(3));
    // Sessions that commit all the same, with what they counted.
    let messaging = place.messaging.clone();
    let is_sent = || {
        let sent = messaging.session(|session| Ok(session.send_message("jobs", &10).is_ok()));
        sent.unwrap()
    };

    for left in [10, 8, 4, 3] {
        let more = place.count("outtray.message") - left;
        handle(&place, usize::try_from(more).unwrap());
        assert!(!is_sent(), "{left} are there");
    }
    handle(&place, 1);
    assert!(is_sent());
    assert!(!is_sent());
    assert_eq!(place.count("outtray.message"), 3);
}

#[test]
fn other_settings_change_while_a_sender_has_the_room_in_hand() {
    let place = place(3);
    send(&place.messaging, 0).unwrap();
    let mut sender = client(&place.url);
    let mut held = sender.transaction().unwrap();
    held.batch_execute("SELECT FROM outtray.room FOR UPDATE")
        .unwrap();

    let config = TopicConfig {
        max_length: Some(2),
        max_attempts: Some(7),
        ..TopicConfig::default()
    };
    place.messaging.topic("jobs").configure(config).unwrap();

    held.rollback().unwrap();
    send(&place.messaging, 1).unwrap();
    check_full(send(&place.messaging, 2));
}

#[test]
fn a_limit_that_goes_and_comes_back_finds_the_right_number() {
    let mut place = place(3);
    place.send_all("jobs", 0..3);
    limit(&place.messaging, None);
    place.send_all("jobs", 0..10);
    assert_eq!(
        place
            .messaging
            .drain("jobs", |_, _: Message| Ok(()))
            .unwrap()
            .handled,
        13
    );
    place.send_all("jobs", 0..2);
    limit(&place.messaging, Some(3));
    send(&place.messaging, 1).unwrap();
    check_full(send(&place.messaging, 2));
    place
        .messaging
        .drain("jobs", |_, _: Message| Ok(()))
        .unwrap();
    send(&place.messaging, 1).unwrap();
    assert_eq!(place.count("outtray.message"), 1);
}

#[test]
fn racing_senders_and_workers_keep_the_limit_and_lose_nothing() {
    const LIMIT: i64 = 20;
    let mut place = place(20);
    let gate = Gate::new();
    let receiver = place
        .messaging
        .receiver("jobs")
        .workers(4)
        .start(|_, _: Message<i32>| Ok(()))
        .unwrap();
    let barrier = Barrier::new(4);
    let url = place.url.clone();
    thread::scope(|scope| {
        for number in 0..4 {
            let (url, barrier, gate) = (&url, &barrier, gate.clone());
            scope.spawn(move || {
                let messaging = process(url, PATIENCE);
                barrier.wait();
                for round in 0..100 {
                    let sent = messaging.session(|session| {
                        session.wait_for_room(PATIENCE);
                        session.send_messages("jobs", [number, round])?;
                        Ok(())
                    });
                    sent.unwrap();
                }
                gate.pass();
            });
        }
        let mut watcher = client(&url);
        let held = "SELECT count(*) FROM outtray.message";
        for _ in 0..100 {
            let held: i64 = watcher.query_one(held, &[]).unwrap().get(0);
            assert!(held <= LIMIT, "{held} messages");
            pass_time(Duration::from_millis(5));
        }
        gate.await_arrivals(4);
        gate.open_for(4);
    });
    eventually("all are handled", || place.count("outtray.message") == 0);
    receiver.stop(PATIENCE);
    assert_eq!(
        place.number(
            "SELECT (SELECT used FROM outtray.room) - (SELECT coalesce(sum(messages), 0) FROM outtray.vacated)"
        ),
        0.0,
        "what is used and what was vacated cancel out"
    );
}
