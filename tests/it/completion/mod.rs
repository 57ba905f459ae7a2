//! Who waits for a message learns how it ended.

mod groups;

use crate::support::{
    Child, Gate, Ledger, NO_POLLING, PATIENCE, Place, WORK, awaited, deaf_process, done,
    eventually, process, reject, test_name, tracked,
};
use outtray::{Backoff, Completion, ErrorKind, HandlerError, How, Message, MessageId, NewMessage};
use serde_json::json;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn an_end_that_is_past_is_told_at_once_and_from_another_process() {
    let place = Place::new();
    let id = place.send_new(tracked("jobs", 1));
    assert_eq!(place.messaging.completion(id).unwrap(), None);
    place.messaging.drain("jobs", done).unwrap();

    let here = awaited(&place.messaging, id);
    let there = awaited(&process(&place.url, NO_POLLING), id);

    assert_eq!((here.how, &here.result), (How::Done, &None));
    assert_eq!(here, there);
    let at_once = place.messaging.wait_for_completion(id, Duration::ZERO);
    assert_eq!(at_once.unwrap(), Some(here));
}

#[test]
fn threads_of_two_processes_learn_of_an_end_soon_after_it_happened() {
    let mut place = Place::polling(NO_POLLING);
    let other = process(&place.url, NO_POLLING);
    let gate = Gate::new();
    let handler_gate = gate.clone();
    let receiver = place
        .messaging
        .start_receiving_messages("jobs", move |session, message: Message<i32>| {
            handler_gate.pass();
            session.record_result(&json!({"first": true}))?;
            Ok(session.record_result(&json!({"got": message.payload}))?)
        })
        .unwrap();
    let id = place.send_new(tracked("jobs", 1));
    gate.await_arrivals(1);

    let here = place.messaging.clone();
    let ends: Vec<(Completion, Instant)> = thread::scope(|scope| {
        let waiting: Vec<_> = [&here, &other, &here, &other]
            .into_iter()
            .map(|messaging| scope.spawn(move || (awaited(messaging, id), Instant::now())))
            .collect();
        place.await_listener();
        // Longer than the first pauses of those who have to ask.
        assert!(gate.is_lonely_for(Duration::from_millis(600)));
        gate.open_for(1);
        waiting.into_iter().map(|one| one.join().unwrap()).collect()
    });
    receiver.stop(PATIENCE);

    for (end, _) in &ends {
        assert_eq!(end.how, How::Done);
        assert_eq!(end.result, Some(json!({"got": 1})));
    }
    let first = ends.iter().map(|(_, at)| *at).min().unwrap();
    let last = ends.iter().map(|(_, at)| *at).max().unwrap();
    assert!(last - first < Duration::from_secs(1), "{:?}", last - first);
}

#[test]
fn without_notifications_an_end_elsewhere_is_found_by_asking() {
    let place = Place::new();
    let deaf = deaf_process(&place.url, NO_POLLING);
    let id = place.send_new(tracked("jobs", 1));

    let end = thread::scope(|scope| {
        let waiting = scope.spawn(|| awaited(&deaf, id));
        place.messaging.drain("jobs", done).unwrap();
        waiting.join().unwrap()
    });

    assert_eq!(end.how, How::Done);
}

#[test]
fn a_failed_attempt_is_no_end_and_a_dead_letter_is_one_until_it_is_redriven() {
    let mut place = Place::watchful();
    let (tell, told) = mpsc::channel();
    let receiver = place
        .messaging
        .receiver("jobs")
        .max_attempts(2)
        .backoff(Backoff::fixed(Duration::from_secs(3600)))
        .start(move |session, message: Message<i32>| {
            session.record_result(&"of a failure")?;
            tell.send(message.attempt)?;
            Err(HandlerError::failed("not this time"))
        })
        .unwrap();
    let id = place.send_new(tracked("jobs", 1));
    told.recv_timeout(PATIENCE).unwrap();
    eventually("it waits for its retry", || {
        place.messaging.topic("jobs").stats().unwrap().scheduled == 1
    });

    let short = Duration::from_millis(50);
    assert_eq!(
        place.messaging.wait_for_completion(id, short).unwrap(),
        None
    );
    place.make_due();
    let dead = awaited(&place.messaging, id);
    assert_eq!((dead.how, dead.result), (How::Dead, None));
    receiver.stop(PATIENCE);

    assert_eq!(place.messaging.topic("jobs").redrive(id).unwrap(), 1);
    assert_eq!(place.messaging.completion(id).unwrap(), None);
    place.messaging.drain("jobs", done).unwrap();
    assert_eq!(awaited(&place.messaging, id).how, How::Done);
}

#[test]
fn what_is_purged_ended_and_so_did_a_purged_dead_letter() {
    let place = Place::new();
    let topic = place.messaging.topic("jobs");
    let dead = place.send_new(tracked("jobs", 1));
    place.messaging.drain("jobs", reject).unwrap();
    let ready = place.send_new(tracked("jobs", 1));
    let later = place.send_new(tracked("jobs", 1).delay(Duration::from_secs(60)));

    assert_eq!(topic.purge().unwrap(), 2);
    assert_eq!(topic.purge_dead_letters(..).unwrap(), 1);

    for id in [dead, ready, later] {
        assert_eq!(awaited(&place.messaging, id).how, How::Purged);
    }
}

#[test]
fn a_result_belongs_to_its_message_and_to_a_handler() {
    let place = Place::new();
    let ids: Vec<MessageId> = (0..4)
        .map(|n| place.send_new(NewMessage::json("jobs", &n).unwrap().tracked()))
        .collect();
    place
        .messaging
        .receiver("jobs")
        .messages_per_transaction(4)
        .max_attempts(1)
        .drain(|session, message: Message<i32>| {
            match message.payload {
                1 => {
                    session.record_result(&"lost")?;
                    return Err(HandlerError::failed("no"));
                }
                2 => {}
                n => session.record_result(&n)?,
            }
            let refused = session.record_result("half \u{0}").unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Payload);
            Ok(())
        })
        .unwrap();

    let results: Vec<_> = ids
        .iter()
        .map(|id| awaited(&place.messaging, *id).result)
        .collect();
    assert_eq!(results, [Some(json!(0)), None, None, Some(json!(3))]);
    let outside = place.messaging.session(|session| {
        let refused = session.record_result(&1).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid);
        Ok(())
    });
    outside.unwrap();
}

#[test]
fn an_end_that_is_rolled_back_did_not_happen() {
    let mut place = Place::new();
    place.sql("CREATE TABLE checked (n integer UNIQUE DEFERRABLE INITIALLY DEFERRED)");
    place.sql("INSERT INTO checked VALUES (1)");
    let id = place.send_new(tracked("jobs", 1));

    let report = place
        .messaging
        .receiver("jobs")
        .max_attempts(2)
        .backoff(Backoff::fixed(Duration::from_secs(3600)))
        .drain(|session, message: Message<i32>| {
            session.record_result(&"refused with the commit")?;
            session.execute("INSERT INTO checked VALUES ($1)", &[&message.payload])?;
            Ok(())
        })
        .unwrap();

    assert_eq!((report.handled, report.retried), (0, 1));
    assert_eq!(place.messaging.completion(id).unwrap(), None);
    place.make_due();
    let last = place
        .messaging
        .receiver("jobs")
        .max_attempts(2)
        .drain(|session, _: Message<i32>| {
            session.execute("INSERT INTO checked VALUES (1)", &[])?;
            Ok(())
        })
        .unwrap();
    assert_eq!(last.dead, 1);
    assert_eq!(awaited(&place.messaging, id).how, How::Dead);
}

#[test]
fn what_is_not_tracked_or_long_forgotten_is_said_to_be() {
    let mut place = Place::watchful();
    let plain = place.send("jobs", &1);
    let refused = place.messaging.completion(plain).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotTracked);
    assert!(refused.to_string().contains(&plain.to_string()));

    let short = place.send_new(tracked("jobs", 1).tracked_for(Duration::from_secs(60)));
    let long = place.send_new(tracked("jobs", 1).tracked_for(Duration::from_secs(7200)));
    let pending = place.send_new(tracked("later", 1).tracked_for(Duration::from_secs(60)));
    place.messaging.drain("jobs", done).unwrap();
    place.sql("UPDATE outtray.outcome SET ended_at = ended_at - interval '1 hour'");
    let _receiver = place.idle_receiver();

    eventually("the old one is forgotten", || {
        place.messaging.completion(short).is_err()
    });
    let kind = place.messaging.wait_for_completion(short, PATIENCE);
    assert_eq!(kind.unwrap_err().kind(), ErrorKind::NotTracked);
    assert_eq!(awaited(&place.messaging, long).how, How::Done);
    assert_eq!(place.messaging.completion(pending).unwrap(), None);
}

#[test]
fn a_hundred_threads_wait_and_each_learns_of_its_own() {
    let place = Place::new();
    let receiver = place
        .messaging
        .start_receiving_messages("jobs", |session, message: Message<i32>| {
            Ok(session.record_result(&message.payload)?)
        })
        .unwrap();

    thread::scope(|scope| {
        for n in 0..100 {
            let messaging = &place.messaging;
            scope.spawn(move || {
                let message = NewMessage::json("jobs", &n).unwrap().tracked();
                let sent = messaging.session(|session| Ok(session.send(message)?.id()));
                let id = sent.unwrap();
                assert_eq!(awaited(messaging, id).result, Some(json!(n)));
            });
        }
    });
    receiver.stop(PATIENCE);
}

#[test]
fn the_end_of_a_message_in_a_killed_process_is_that_of_its_successor() {
    const TEST: &str =
        test_name!(the_end_of_a_message_in_a_killed_process_is_that_of_its_successor);
    if Child::role().is_some() {
        let _receiver = Ledger::messaging_of_parent()
            .start_receiving_messages(WORK, |session, _: Message| {
                session.record_result(&"of a process that died")?;
                Child::tell("in hand");
                Child::await_parent();
                Ok(())
            })
            .unwrap();
        Child::await_parent();
        return;
    }
    let ledger = Ledger::open();
    let messaging = ledger.messaging();
    let mut child = ledger.child(TEST, "handler");
    let id = messaging
        .session(|session| Ok(session.send(tracked(WORK, 1))?.id()))
        .unwrap();
    assert_eq!(child.listen(), "in hand");
    child.kill();

    let _receiver = messaging
        .start_receiving_messages(WORK, |session, _: Message| {
            Ok(session.record_result(&"of its successor")?)
        })
        .unwrap();

    let end = awaited(&messaging, id);
    assert_eq!(end.result, Some(json!("of its successor")));
}

/// Waits on a thread of another process, which does nothing else, until `then` has happened.
fn while_another_waits(place: &mut Place, then: impl FnOnce(&mut Place)) {
    let waiting = process(&place.url, Duration::from_millis(50));
    let never = place.send_new(tracked("never", 1));
    let (done, is_done) = mpsc::channel::<()>();
    thread::scope(move |scope| {
        scope.spawn(move || {
            while is_done.try_recv() == Err(mpsc::TryRecvError::Empty) {
                let step = Duration::from_millis(500);
                assert_eq!(waiting.wait_for_completion(never, step).unwrap(), None);
            }
        });
        // Also when it fails: the thread is waited for.
        let done = done;
        then(place);
        drop(done);
    });
}

#[test]
fn a_process_that_only_waits_moves_what_is_due() {
    let mut place = Place::new();
    let hour = Duration::from_secs(3600);
    place.send_new(tracked("jobs", 1).delay(hour));
    place.send_new(tracked("jobs", 1).key("k").delay(hour));

    while_another_waits(&mut place, |place| {
        place.make_due();
        eventually("both are ready", || {
            let stats = place.messaging.topic("jobs").stats().unwrap();
            (stats.ready, stats.scheduled) == (2, 0)
        });
    });
}

#[test]
fn a_process_that_only_waits_learns_that_the_time_of_its_message_was_over() {
    let place = Place::new();
    let soon = Duration::from_millis(200);
    let id = place.send_new(tracked("jobs", 1).expires_in(soon));
    let dependent = place.send_new(tracked("jobs", 1).after(&[id]).expires_in(soon));

    assert_eq!(awaited(&place.messaging, id).how, How::Dead);
    assert_eq!(awaited(&place.messaging, dependent).how, How::Dead);
}
