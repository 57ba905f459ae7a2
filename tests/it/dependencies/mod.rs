//! A message that comes after others is delivered after all of them, once.

mod held_up;
mod stopping;

use crate::support::{
    Gate, NO_POLLING, PATIENCE, Place, client, done, eventually, next, process, reject, telling,
    tracked,
};
use outtray::{
    Backoff, DeadReason, ErrorKind, Expired, HandlerError, How, Message, MessageId,
    MessagingSession, NewMessage, TopicConfig,
};
use std::thread;
use std::time::{Duration, Instant};

/// Sooner than a sweep finds what nobody was told of.
const BEFORE_A_SWEEP: Duration = Duration::from_secs(5);

#[test]
fn a_message_comes_after_all_that_it_depends_on_across_topics() {
    let place = Place::polling(NO_POLLING);
    let first = place.send_new(tracked("a", 1));
    let last = place
        .messaging
        .session(|session| {
            // Not said to be tracked: it is, since something comes after it.
            let second = session.send_message("b", &2)?;
            let after = NewMessage::json("c", &3)?.after(&[first, second]);
            Ok(session.send(after.tracked())?.id())
        })
        .unwrap();

    assert_eq!(place.drained("c"), 0);
    assert_eq!(place.drained("a"), 1);
    assert_eq!(place.drained("c"), 0);
    assert_eq!(place.ended(last), None);
    assert_eq!(place.drained("b"), 1);
    assert_eq!(place.drained("c"), 1);

    assert_eq!(place.ended(last), Some(How::Done));
}

#[test]
fn a_receiver_has_it_soon_after_the_last_one_is_done() {
    let place = Place::polling(NO_POLLING);
    let other = process(&place.url, NO_POLLING);
    let gate = Gate::new();
    let _before = gate.holding(place.messaging.receiver("before"));
    let (_after, told) = telling::<i32>(other.receiver("after"));
    let ids: Vec<MessageId> = (0..3)
        .map(|n| place.send_new(tracked("before", n)))
        .collect();
    place.send_new(tracked("after", 7).after(&ids));

    gate.await_arrivals(3);
    gate.open_for(2);
    assert!(told.recv_timeout(Duration::from_millis(200)).is_err());
    gate.open_for(1);

    assert_eq!(next(&told, 1), [7]);
}

/// In a process without receivers, where no thread looks after ends.
#[test]
fn a_receiver_elsewhere_has_it_soon_after_the_last_one_is_acknowledged_by_hand() {
    let mut place = Place::polling(NO_POLLING);
    let other = process(&place.url, NO_POLLING);
    let (receiver, told) = telling::<i32>(other.receiver("after"));
    place.await_listener();
    let before = place.messaging.topic("before");
    for (number, in_session) in (0..).zip([false, true]) {
        let id = place.send_new(tracked("before", number));
        place.send_new(tracked("after", number).after(&[id]));
        let delivery = before.receive::<i32>(PATIENCE).unwrap().unwrap();
        match in_session {
            true => {
                let settled = place
                    .messaging
                    .session(|session| Ok(session.settle(&delivery)?));
                settled.unwrap();
            }
            false => delivery.ack().unwrap(),
        }
        assert_eq!(told.recv_timeout(BEFORE_A_SWEEP), Ok(number));
    }
    receiver.stop(PATIENCE);
}

#[test]
fn one_that_comes_after_what_is_purged_is_dead_soon() {
    let mut place = Place::polling(NO_POLLING);
    let other = process(&place.url, NO_POLLING);
    let (receiver, _told) = telling::<i32>(other.receiver("after"));
    let id = place.send_new(tracked("before", 1));
    place.send_new(tracked("after", 2).after(&[id]));

    let started = Instant::now();
    assert_eq!(place.messaging.topic("before").purge().unwrap(), 1);
    eventually("it is dead", || place.count("outtray.dead_letter") == 1);
    assert!(started.elapsed() < BEFORE_A_SWEEP);
    receiver.stop(PATIENCE);
}

#[test]
fn one_after_what_is_done_already_is_ready_at_once_and_a_delay_counts_from_then() {
    let mut place = Place::polling(NO_POLLING);
    let first = place.send_new(tracked("a", 1));
    assert_eq!(place.drained("a"), 1);

    place.send_new(tracked("b", 2).after(&[first]));
    assert_eq!(place.drained("b"), 1);

    let second = place.send_new(tracked("a", 3));
    place.send_new(
        tracked("b", 4)
            .after(&[first, second])
            .delay(Duration::from_secs(600)),
    );
    assert_eq!(place.drained("a"), 1);
    assert_eq!(place.drained("b"), 0);
    assert!(
        (500.0..=600.0).contains(&place.due_in()),
        "{}",
        place.due_in()
    );
    place.make_due();
    assert_eq!(place.drained("b"), 1);
    assert_eq!(place.count("outtray.dependency"), 0);
}

#[test]
fn one_cannot_come_after_what_nobody_tracks_and_the_session_goes_on() {
    let place = Place::new();
    let plain = place.send("a", &1);

    let sent = place.messaging.session(|session| {
        session.execute("CREATE TABLE kept ()", &[])?;
        let refused = session.send(tracked("b", 2).after(&[plain])).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid);
        assert!(refused.to_string().contains(&plain.to_string()));
        Ok(session.send_message("c", &3)?)
    });

    sent.unwrap();
    assert_eq!((place.drained("b"), place.drained("c")), (0, 1));
}

#[test]
fn many_that_are_sent_together_come_after_tracked_messages_only_too() {
    let place = Place::polling(NO_POLLING);
    let plain = place.send("a", &1);

    place
        .messaging
        .session(|session| {
            let refused = session.send_all([tracked("b", 2), tracked("b", 3).after(&[plain])]);
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid);
            let first = session.send_message("a", &4)?;
            session.send_all([tracked("b", 5).after(&[first])])?;
            Ok(())
        })
        .unwrap();

    assert_eq!(place.drained("b"), 0);
    assert_eq!((place.drained("a"), place.drained("b")), (2, 1));
}

#[test]
fn what_others_come_after_in_a_joined_session_is_sent_as_tracked() {
    let place = Place::polling(NO_POLLING);
    let mut client = client(&place.url);
    let mut joined = client.transaction().unwrap();
    let mut session = MessagingSession::join(&place.messaging, &mut joined).unwrap();
    let plain = session.send_message("a", &1).unwrap();
    let first = session.send(tracked("a", 2)).unwrap().id();

    let refused = session.send(tracked("b", 3).after(&[plain])).unwrap_err();
    session.send(tracked("b", 4).after(&[first])).unwrap();

    assert_eq!(refused.kind(), ErrorKind::Invalid);
    assert!(refused.to_string().contains("send that one as tracked"));
    drop(session);
    joined.commit().unwrap();
    assert_eq!(place.drained("b"), 0);
    assert_eq!((place.drained("a"), place.drained("b")), (2, 1));
}

#[test]
fn one_after_a_message_that_is_done_and_over_before_the_session_commits_is_delivered() {
    let mut place = Place::polling(NO_POLLING);
    let other = process(&place.url, NO_POLLING);
    let soon_over = |n| tracked("a", n).tracked_for(Duration::from_secs(60));
    let [first, bystander] = [1, 2].map(|n| place.send_new(soon_over(n)));
    let Place {
        messaging, client, ..
    } = &mut place;

    messaging
        .session(|session| {
            session.send(tracked("b", 3).after(&[first]))?;
            assert_eq!(other.drain("a", done)?.handled, 2);
            client
                .batch_execute("UPDATE outtray.outcome SET ended_at = ended_at - interval '1 hour'")
                .unwrap();
            let _upkeep = other.start_receiving_messages("others", done)?;
            eventually("what is over is forgotten", || {
                other.completion(bystander).is_err()
            });
            Ok(())
        })
        .unwrap();

    assert_eq!(place.drained("b"), 1);
    assert!(place.dead_letters("b").is_empty());
}

#[test]
fn a_message_that_expires_waits_for_nothing_any_more() {
    let mut place = Place::watchful();
    let first = place.send_new(tracked("a", 1));
    let hour = Duration::from_secs(3600);
    place.send_new(tracked("b", 2).after(&[first]).expires_in(hour));
    let _upkeep = place.idle_receiver();

    place.sql("UPDATE outtray.scheduled SET expires_at = now()");

    eventually("it expires", || place.dead_letters("b").len() == 1);
    assert_eq!(place.count("outtray.dependency"), 0);
}

#[test]
fn one_after_a_message_that_expired_waits_for_that_dead_letter_unless_it_was_dropped() {
    for (expired, how) in [
        (Expired::DeadLetter, How::Dead),
        (Expired::Drop, How::Expired),
    ] {
        // Those that expire where nobody claims, those that a worker meets, and those that are met
        // on their way to a lease.
        for way in 0..3 {
            let mut place = Place::watchful();
            let config = TopicConfig {
                expired: Some(expired),
                ..TopicConfig::default()
            };
            place.messaging.topic("a").configure(config).unwrap();
            let hour = Duration::from_secs(3600);
            let first = place.send_new(tracked("a", 1).expires_in(hour));
            let second = place.send_new(tracked("b", 2).after(&[first]));
            let group = place
                .messaging
                .session(|session| {
                    let member = NewMessage::json("a", &3)?.expires_in(hour);
                    Ok(session.send_group([member], NewMessage::json("complete", &0)?)?)
                })
                .unwrap();
            place.sql("UPDATE outtray.message SET expires_at = now()");

            let upkeep = || place.idle_receiver();
            let _upkeep = (way == 0).then(upkeep);
            match way {
                0 => {}
                1 => assert_eq!(place.drained("a"), 0),
                _ => {
                    let none = place.messaging.topic("a").receive::<i32>(PATIENCE);
                    assert!(none.unwrap().is_none());
                }
            }
            let end = place.messaging.wait_for_completion(first, PATIENCE);
            assert_eq!(end.unwrap().map(|end| end.how), Some(how), "way {way}");
            let member = place
                .messaging
                .wait_for_completion(group.members[0], PATIENCE);
            assert_eq!(member.unwrap().map(|end| end.how), Some(how), "way {way}");

            match expired {
                Expired::Drop => {
                    let end = place.messaging.wait_for_completion(second, PATIENCE);
                    assert_eq!(end.unwrap().unwrap().how, How::Dead);
                    assert_eq!(place.drained("complete"), 1);
                }
                _ => {
                    assert_eq!((place.drained("b"), place.drained("complete")), (0, 0));
                    place.messaging.topic("a").redrive(..).unwrap();
                    assert_eq!(place.drained("a"), 2);
                    assert_eq!((place.drained("b"), place.drained("complete")), (1, 1));
                }
            }
        }
    }
}

#[test]
fn a_message_waits_for_a_dead_letter_and_goes_on_when_that_is_redriven_and_done() {
    let mut place = Place::polling(NO_POLLING);
    let first = place.send_new(tracked("a", 1));
    place.send_new(tracked("b", 2).after(&[first]));
    place.messaging.drain("a", reject).unwrap();
    assert_eq!(place.ended(first), Some(How::Dead));
    // However long ago: something waits for it.
    place.sql("UPDATE outtray.outcome SET ended_at = ended_at - interval '1 day'");
    assert_eq!(place.drained("b"), 0);

    place.messaging.topic("a").redrive(first).unwrap();
    assert_eq!(place.drained("a"), 1);

    assert_eq!(place.drained("b"), 1);
}

#[test]
fn one_after_a_message_that_will_never_be_done_becomes_a_dead_letter() {
    let place = Place::new();
    let first = place.send_new(tracked("a", 1));
    let second = place.send_new(tracked("b", 2).after(&[first]));
    let third = place.send_new(tracked("c", 3).after(&[second]));

    place.messaging.cancel(first).unwrap();

    let end = place.messaging.wait_for_completion(second, PATIENCE);
    assert_eq!(end.unwrap().unwrap().how, How::Dead);
    let letter = &place.dead_letters("b")[0];
    assert_eq!((letter.id, letter.reason), (second, DeadReason::Orphaned));
    assert!(letter.error.contains(&first.to_string()), "{letter:?}");
    assert_eq!(
        place.ended(third),
        None,
        "the dead letter may still be redriven"
    );
    place.messaging.topic("b").redrive(second).unwrap();
    assert_eq!((place.drained("b"), place.drained("c")), (1, 1));
}

#[test]
fn what_a_rolled_back_handler_ended_is_still_waited_for() {
    let mut place = Place::polling(NO_POLLING);
    let first = place.send_new(tracked("a", 1));
    place.send_new(tracked("b", 2).after(&[first]));

    place
        .messaging
        .receiver("a")
        .backoff(Backoff::fixed(Duration::from_secs(600)))
        .drain(|_, _: Message| Err(HandlerError::failed("not yet")))
        .unwrap();
    assert_eq!(place.drained("b"), 0);
    place.sql("UPDATE outtray.scheduled SET due_at = now() WHERE due_at < 'infinity'");

    assert_eq!(place.drained("a"), 1);
    assert_eq!(place.drained("b"), 1);
}

#[test]
fn one_that_is_sent_while_what_it_comes_after_ends_is_not_forgotten() {
    let mut place = Place::polling(NO_POLLING);
    let _receivers = ["a", "b"].map(|topic| {
        place
            .messaging
            .receiver(topic)
            .workers(2)
            .start(done)
            .unwrap()
    });
    let messaging = place.messaging.clone();

    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for n in 0..50 {
                    let sent = messaging.session(|session| Ok(session.send(tracked("a", n))?.id()));
                    let first = sent.unwrap();
                    messaging
                        .session(|session| Ok(session.send(tracked("b", n).after(&[first]))?))
                        .unwrap();
                }
            });
        }
    });

    eventually("all are done", || {
        place.count("outtray.outcome WHERE state = 'done'") == 400
    });
}
