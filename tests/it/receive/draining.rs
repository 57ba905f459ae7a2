//! A drain handles a topic on the caller's own thread, with whatever the caller has there.

use crate::support::{HOUR, MINUTE, Place, client};
use outtray::{
    Backoff, BatchMessage, ErrorKind, HandlerError, Message, Messaging, NewMessage, Rate,
    TopicConfig,
};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

/// Sends a message that is due after so many hours.
fn send_for_later(place: &Place, topic: &str, payload: i32, hours: u32) {
    let message = NewMessage::json(topic, &payload).unwrap();
    place.send_new(message.delay(HOUR * hours));
}

#[test]
fn its_handler_borrows_and_changes_what_is_around_it() {
    let place = Place::new();
    place.send_all("numbers", 1..=4);
    let names = ["one".to_owned(), "two".to_owned()];
    let notes = Rc::new(RefCell::new(Vec::new()));
    let mut total = 0;

    let report = place
        .messaging
        .drain("numbers", |_, message: Message<usize>| {
            total += message.payload;
            if let Some(name) = names.get(message.payload - 1) {
                notes.borrow_mut().push(name.as_str());
            }
            Ok(())
        })
        .unwrap();

    assert_eq!((report.handled, total), (4, 10));
    assert_eq!(*notes.borrow(), ["one", "two"]);
}

#[test]
fn so_does_one_over_batches_also_where_messages_go_alone() {
    let place = Place::new();
    place.send_all("numbers", 0..10);
    let sizes = RefCell::new(Vec::new());
    let mut handled = Vec::new();

    let report = place
        .messaging
        .receiver("numbers")
        .backoff(Backoff::fixed(Duration::ZERO))
        .drain_batches(100, |_, messages: &[BatchMessage<i32>]| {
            sizes.borrow_mut().push(messages.len());
            if messages.len() > 1 {
                return Err("not together".into());
            }
            handled.extend(messages.iter().map(|message| message.payload));
            Ok(())
        })
        .unwrap();

    assert_eq!((report.handled, report.retried), (10, 10));
    handled.sort_unstable();
    assert_eq!(handled, (0..10).collect::<Vec<_>>());
    assert_eq!(sizes.borrow()[..2], [10, 1]);
}

#[test]
fn a_handler_that_panics_is_called_again_with_what_it_left() {
    let place = Place::new();
    place.send_all("numbers", 0..3);
    let mut calls = 0;

    let report = place
        .messaging
        .receiver("numbers")
        .max_attempts(1)
        .drain(|_, message: Message<i32>| {
            calls += 1;
            assert!(message.payload != 1, "one is odd");
            Ok(())
        })
        .unwrap();

    assert_eq!((report.handled, report.dead, calls), (2, 1, 3));
    let letters = place.dead_letters("numbers");
    assert!(letters[0].error.contains("one is odd"), "{letters:?}");
}

#[test]
fn it_works_under_leases_with_no_transaction_open_and_prolongs_them() {
    let mut place = Place::new();
    place.sql("CREATE TABLE effect (n integer)");
    place.send_all("jobs", 0..3);
    let mut watching = client(&place.url);
    let mut slow = 0;

    let report = place
        .messaging
        .receiver("jobs")
        .lease(Duration::from_millis(300))
        .backoff(Backoff::fixed(Duration::ZERO))
        .drain(|session, job: Message<i32>| {
            let open = "SELECT count(*) FROM pg_stat_activity
                WHERE datname = current_database() AND state LIKE 'idle in%'";
            let leased = "SELECT count(*) FROM outtray.scheduled
                WHERE receipt IS NOT NULL AND due_at > clock_timestamp()";
            let mut count = |query| {
                watching
                    .query_one(query, &[])
                    .map(|row| row.get::<_, i64>(0))
            };
            assert_eq!(count(open)?, 0);
            if job.payload == 1 && job.attempt == 1 {
                return Err("once more".into());
            }
            if job.payload == 2 {
                // Two times its lease, by the database's clock.
                slow += 1;
                watching.batch_execute("SELECT pg_sleep(0.6)")?;
                assert!(!job.is_cancelled());
                let mut count = |query| {
                    watching
                        .query_one(query, &[])
                        .map(|row| row.get::<_, i64>(0))
                };
                assert!(count(leased)? >= 1);
            }
            session.execute("INSERT INTO effect VALUES ($1)", &[&job.payload])?;
            Ok(session.send_message("next", &job.payload).map(drop)?)
        })
        .unwrap();

    assert_eq!((report.handled, report.retried, report.dead), (3, 1, 0));
    assert_eq!((place.count("effect"), slow), (3, 1));
    assert_eq!(place.messaging.topic("next").stats().unwrap().ready, 3);
    assert!(place.is_empty("jobs"));
}

#[test]
fn a_drain_under_leases_takes_those_of_its_topic_where_none_is_named() {
    let place = Place::new();
    let config = TopicConfig {
        lease: Some(HOUR),
        ..TopicConfig::default()
    };
    place.messaging.topic("jobs").configure(config).unwrap();
    place.send("jobs", &1);
    let mut watching = client(&place.url);

    let report = place
        .messaging
        .receiver("jobs")
        .lease(None)
        .drain(|_, _: Message<i32>| {
            let left = "SELECT extract(epoch FROM due_at - clock_timestamp())::float8
                FROM outtray.scheduled WHERE receipt IS NOT NULL";
            let left: f64 = watching.query_one(left, &[])?.get(0);
            assert!(left > 3000.0 && left <= 3600.0, "{left}");
            Ok(())
        })
        .unwrap();

    assert_eq!((report.handled, report.retried), (1, 0));
}

#[test]
fn a_drain_under_leases_keeps_what_a_topic_is_limited_to() {
    let place = Place::new();
    let jobs = place.messaging.topic("jobs");
    let config = TopicConfig {
        max_in_work: Some(1),
        ..TopicConfig::default()
    };
    jobs.configure(config).unwrap();
    place.send_all("jobs", 0..3);
    let by_hand = jobs.receive::<i32>(MINUTE).unwrap().unwrap();
    let leasing = || place.messaging.receiver("jobs").lease(MINUTE);
    let nothing = |_: &mut outtray::MessagingSession<'_>, _: Message<i32>| Ok(());

    // The place is in other hands, and not waited for.
    let first = leasing().drain(nothing).unwrap();
    by_hand.ack().unwrap();
    let second = leasing().drain(nothing).unwrap();

    assert_eq!((first.handled, second.handled), (0, 2));
    assert!(place.is_empty("jobs"));
}

#[test]
fn what_was_handled_under_a_lease_is_settled_although_the_connection_broke() {
    let place = Place::new();
    place.send("jobs", &1);
    let mut other = client(&place.url);
    let mut calls = 0;

    let error = place
        .messaging
        .receiver("jobs")
        .lease(MINUTE)
        .drain(|_, _: Message<i32>| {
            calls += 1;
            let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE datname = current_database() AND pid <> pg_backend_pid()";
            Ok(other.execute(cut, &[]).map(drop)?)
        })
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(calls, 1);
    let others = Place::over(&place.url, Messaging::connect(&place.url).unwrap());
    assert!(others.is_empty("jobs"));
}

#[test]
fn a_drain_of_all_handles_what_is_scheduled_by_when_it_would_have_been_due() {
    let place = Place::new();
    for (payload, hours) in [(3, 30), (1, 10), (2, 20)] {
        send_for_later(&place, "mails", payload, hours);
    }
    place.send("mails", &0);
    send_for_later(&place, "others", 9, 1);
    let mut seen = Vec::new();

    let left = place.messaging.drain("mails", |_, mail: Message<i32>| {
        seen.push(mail.payload);
        Ok(())
    });
    assert_eq!(left.unwrap().handled, 1);
    let report = place
        .messaging
        .drain_all("mails", |session, mail: Message<i32>| {
            seen.push(mail.payload);
            if mail.payload == 1 {
                session.send(NewMessage::json("mails", &4)?.delay(HOUR))?;
            }
            Ok(())
        })
        .unwrap();

    assert_eq!((report.handled, report.retried), (4, 0));
    assert_eq!(seen, [0, 1, 2, 3, 4]);
    // It is about one topic.
    assert_eq!(
        place.messaging.topic("others").stats().unwrap().scheduled,
        1
    );
}

#[test]
fn a_drain_of_all_tries_what_fails_until_it_is_dead() {
    let place = Place::new();
    place.send_all("jobs", 0..2);
    let mut attempts = Vec::new();

    let report = place
        .messaging
        .receiver("jobs")
        .max_attempts(3)
        .backoff(Backoff::fixed(HOUR))
        .drain_all(|_, job: Message<i32>| {
            attempts.push((job.payload, job.attempt));
            match (job.payload, job.attempt) {
                (0, _) | (1, 1) => Err("no".into()),
                _ => Ok(()),
            }
        })
        .unwrap();

    attempts.sort_unstable();
    assert_eq!(attempts, [(0, 1), (0, 2), (0, 3), (1, 1), (1, 2)]);
    assert_eq!((report.handled, report.retried, report.dead), (1, 3, 1));
}

#[test]
fn a_drain_of_all_ends_although_messages_are_put_off_for_ever() {
    let place = Place::new();
    let config = TopicConfig {
        rate_per_key: Some(Rate {
            messages: 1,
            per: HOUR,
            burst: 1,
        }),
        ..TopicConfig::default()
    };
    place.messaging.topic("calls").configure(config).unwrap();
    for payload in 0..3 {
        let message = NewMessage::json("calls", &payload).unwrap();
        place.send_new(message.key("k"));
    }
    place.send_all("snoozing", 0..2500);
    let calls = Cell::new(0);

    let report = place.messaging.drain_all("snoozing", |_, _: Message<i32>| {
        calls.set(calls.get() + 1);
        Err(HandlerError::snooze(HOUR))
    });
    let rated = place
        .messaging
        .drain_all("calls", |_, _: Message<i32>| Ok(()));

    // As they came, and once made due.
    assert_eq!(calls.get(), 5000);
    assert_eq!(report.unwrap().handled, 0);
    let left = |topic: &str| place.messaging.topic(topic).stats().unwrap();
    assert_eq!(left("snoozing").scheduled, 2500);
    assert_eq!(rated.unwrap().handled, 1);
    assert_eq!(left("calls").scheduled + left("calls").behind, 2);
}

#[test]
fn a_drain_of_all_leaves_what_is_in_other_hands_or_comes_after_others() {
    let place = Place::new();
    let first = NewMessage::json("first", &1).unwrap().tracked();
    let first = place.send_new(first);
    place.send_new(NewMessage::json("jobs", &2).unwrap().after(&[first]));
    place.send("jobs", &3);
    let in_hand = place.messaging.topic("jobs").receive::<i32>(MINUTE);
    let in_hand = in_hand.unwrap().unwrap();
    let mut seen = Vec::new();
    let mut drain = || {
        let drained = place.messaging.drain_all("jobs", |_, job: Message<i32>| {
            seen.push(job.payload);
            Ok(())
        });
        drained.unwrap().handled
    };

    assert_eq!(drain(), 0);
    in_hand.ack().unwrap();
    let done = place.messaging.drain("first", |_, _: Message<i32>| Ok(()));
    assert_eq!(done.unwrap().handled, 1);
    assert_eq!(drain(), 1);

    assert_eq!(seen, [2]);
}

#[test]
fn a_drain_of_all_keeps_the_order_of_keys_and_works_under_leases_and_in_batches() {
    let place = Place::new();
    let fill = |topic: &str| {
        for payload in 0..5 {
            let message = NewMessage::json(topic, &payload).unwrap().key("k");
            place.send_new(match payload {
                0 => message,
                _ => message.delay(HOUR),
            });
        }
    };
    let mut seen = Vec::new();

    fill("leased");
    let leased = place
        .messaging
        .receiver("leased")
        .lease(MINUTE)
        .backoff(Backoff::fixed(HOUR))
        .drain_all(|_, job: Message<i32>| {
            seen.push(job.payload);
            match job.attempt {
                1 => Err("no".into()),
                _ => Ok(()),
            }
        });
    fill("batched");
    let mut batched = 0;
    let report = place.messaging.receiver("batched").drain_all_batches(
        10,
        |_, messages: &[BatchMessage<i32>]| {
            batched += messages.len();
            Ok(())
        },
    );

    assert_eq!(leased.unwrap().handled, 5);
    assert_eq!(seen, [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]);
    assert_eq!((report.unwrap().handled, batched), (5, 5));
}
