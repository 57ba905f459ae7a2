//! A message that comes after others is delivered after all of them, once; a group is complete when
//! its members are.

mod processes;

use crate::support::{
    Child, Gate, Ledger, NO_POLLING, PATIENCE, Place, WORK, client, done, eventually, next,
    process, reject, telling, test_name,
};
use crossbeam_channel::unbounded;
use outtray::{
    Backoff, DeadReason, ErrorKind, Expired, HandlerError, How, Message, MessageId,
    MessagingSession, NewMessage, TopicConfig,
};
use std::collections::BTreeSet;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

fn tracked(topic: &str, payload: i32) -> NewMessage {
    NewMessage::json(topic, &payload).unwrap().tracked()
}

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
    let _upkeep = place
        .messaging
        .start_receiving_messages("others", done)
        .unwrap();

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

            let upkeep = || {
                place
                    .messaging
                    .start_receiving_messages("others", done)
                    .unwrap()
            };
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
fn progress_counts_members_that_ended_while_nobody_looked_at_what_comes_after_them() {
    let mut place = Place::polling(NO_POLLING);
    let group = place
        .messaging
        .session(|session| {
            let members = (0..7).map(|n| NewMessage::json("members", &n).unwrap());
            Ok(session.send_group(members, NewMessage::json("complete", &"all")?)?)
        })
        .unwrap();

    for (state, member) in ["done", "dead", "cancelled", "expired", "purged"]
        .iter()
        .zip(&group.members)
    {
        place.sql(&format!(
            "UPDATE outtray.outcome SET state = '{state}', ended_at = now() WHERE id = '{member}'"
        ));
    }
    // It ended long ago.
    let forgotten = group.members[5];
    place.sql(&format!(
        "DELETE FROM outtray.outcome WHERE id = '{forgotten}'"
    ));

    let progress = place.messaging.group_progress(group.id).unwrap();
    assert_eq!((progress.ended, progress.members), (5, 7));
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
fn a_group_is_complete_when_all_members_have_ended_for_good() {
    let place = Place::new();
    let group = place
        .messaging
        .session(|session| {
            let members = (0..5).map(|n| NewMessage::json("members", &n).unwrap());
            Ok(session.send_group(members, NewMessage::json("complete", &"all")?)?)
        })
        .unwrap();
    let progress = || {
        let progress = place.messaging.group_progress(group.id).unwrap();
        (progress.ended, progress.members)
    };
    assert_eq!(progress(), (0, 5));

    let report = place
        .messaging
        .receiver("members")
        .max_attempts(1)
        .drain(|_, message: Message<i32>| match message.payload {
            0 => Err(HandlerError::failed("a dead letter is not an end")),
            _ => Ok(()),
        })
        .unwrap();
    assert_eq!((report.handled, report.dead), (4, 1));
    assert_eq!(place.drained("complete"), 0);
    assert_eq!(progress(), (4, 5));
    let topic = place.messaging.topic("members");
    assert_eq!(topic.purge_dead_letters(group.members[0]).unwrap(), 1);

    assert_eq!(place.drained("complete"), 1);
    assert_eq!(progress(), (5, 5));
    assert_eq!(place.ended(group.id), Some(How::Done));
    let unknown = place.messaging.group_progress(group.members[1]);
    assert_eq!(unknown.unwrap_err().kind(), ErrorKind::NotTracked);
}

#[test]
fn an_empty_group_is_complete_at_once_and_a_bad_one_is_refused_whole() {
    let place = Place::new();
    place
        .messaging
        .session(|session| {
            session.send_group([], tracked("complete", 1))?;
            let dropped = tracked("members", 2).dedupe("twice", Duration::from_secs(1));
            for (members, completion) in [
                (
                    vec![tracked("members", 1), tracked("", 2)],
                    tracked("complete", 2),
                ),
                (vec![dropped], tracked("complete", 2)),
                (vec![tracked("members", 1); 10_001], tracked("complete", 2)),
            ] {
                let refused = session.send_group(members, completion).unwrap_err();
                assert_eq!(refused.kind(), ErrorKind::Invalid);
            }
            Ok(())
        })
        .unwrap();

    assert_eq!(place.drained("complete"), 1);
    assert_eq!(place.drained("members"), 0);
}

#[test]
fn cancelling_a_group_removes_what_waits_and_asks_for_what_is_in_work() {
    let place = Place::polling(NO_POLLING);
    let gate = Gate::new();
    let handler_gate = gate.clone();
    let receiver = place
        .messaging
        .receiver("members")
        .workers(1)
        .messages_per_transaction(1)
        .start(move |_, message: Message<i32>| {
            handler_gate.pass();
            assert!(message.is_cancelled(), "it is asked to give up");
            Err(HandlerError::failed("given up"))
        })
        .unwrap();
    let group = place
        .messaging
        .session(|session| {
            let members = (0..10).map(|n| NewMessage::json("members", &n).unwrap());
            Ok(session.send_group(members, NewMessage::json("complete", &"all")?)?)
        })
        .unwrap();
    gate.await_arrivals(1);

    assert_eq!(place.messaging.cancel_group(group.id).unwrap(), 11);
    gate.open_for(1);

    for id in group.members.iter().chain([&group.id]) {
        let end = place.messaging.wait_for_completion(*id, PATIENCE);
        assert_eq!(end.unwrap().unwrap().how, How::Cancelled);
    }
    receiver.stop(PATIENCE);
    assert!(place.is_empty("members") && place.is_empty("complete"));
    assert!(place.dead_letters("members").is_empty());
    assert_eq!(place.messaging.cancel_group(group.id).unwrap(), 0);
}

/// Groups whose members eight processes end at the same time, with nobody who sweeps: each looks by
/// itself at what came after its members.
#[test]
fn of_many_groups_that_finish_at_the_same_time_each_is_completed_once() {
    const GROUPS: usize = 60;
    let mut place = Place::polling(NO_POLLING);
    place.sql("CREATE TABLE complete (id uuid)");
    let groups: BTreeSet<MessageId> = (0..GROUPS)
        .map(|_| {
            let sent = place.messaging.session(|session| {
                let members = (0..8).map(|n| NewMessage::json(&format!("member-{n}"), &n).unwrap());
                Ok(session
                    .send_group(members, NewMessage::json("complete", &0)?)?
                    .id)
            });
            sent.unwrap()
        })
        .collect();
    let complete = |session: &mut MessagingSession<'_>, message: Message<i32>| {
        session.execute("INSERT INTO complete VALUES ($1)", &[&message.id.as_uuid()])?;
        Ok(())
    };
    let receiver = place
        .messaging
        .start_receiving_messages("complete", complete);
    let mut receivers = vec![receiver.unwrap()];

    // The members of a group end in eight transactions at once.
    let together = Arc::new(Barrier::new(8));
    for number in 0..8 {
        let together = Arc::clone(&together);
        let receiver = process(&place.url, NO_POLLING)
            .receiver(&format!("member-{number}"))
            .workers(1)
            .messages_per_transaction(1)
            .start(move |_, _: Message<i32>| {
                together.wait();
                Ok(())
            });
        receivers.push(receiver.unwrap());
    }
    eventually("all groups are complete", || {
        place.count("complete") >= GROUPS as i64
    });
    for receiver in receivers {
        receiver.stop(PATIENCE);
    }

    let query = "SELECT id FROM complete";
    let rows = place.client.query(query, &[]).unwrap();
    assert_eq!(rows.len(), GROUPS);
    let ids = rows
        .iter()
        .map(|row| MessageId::from(row.get::<_, uuid::Uuid>(0)));
    assert_eq!(ids.collect::<BTreeSet<_>>(), groups);
    assert_eq!(place.count("outtray.dependency"), 0);
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

#[test]
fn a_sweep_finds_what_the_death_of_a_process_left() {
    const TEST: &str = test_name!(a_sweep_finds_what_the_death_of_a_process_left);
    if Child::role().is_some() {
        let messaging = Ledger::messaging_of_parent();
        let _receiver = messaging.start_receiving_messages(WORK, done).unwrap();
        Child::await_parent();
        return;
    }
    let ledger = Ledger::open();
    let messaging = process(ledger.url(), Duration::from_millis(50));
    let mut client = ledger.client();
    // Whoever looks at what comes after the ended message passes it over; the end itself waits for
    // nobody.
    let group = messaging
        .session(|session| {
            let members = [NewMessage::json(WORK, &1)?];
            Ok(session.send_group(members, NewMessage::json("complete", &0)?)?)
        })
        .unwrap();
    let mut held = client.transaction().unwrap();
    held.execute("SELECT FROM outtray.scheduled FOR UPDATE", &[])
        .unwrap();
    let child = ledger.child(TEST, "ender");
    let member = messaging.wait_for_completion(group.members[0], PATIENCE);
    assert_eq!(member.unwrap().unwrap().how, How::Done);
    child.kill();
    held.rollback().unwrap();

    let (tell, told) = unbounded();
    let _receiver = messaging
        .start_receiving_messages("complete", move |_, _: Message| Ok(tell.send(())?))
        .unwrap();

    next(&told, 1);
    assert_eq!(
        ledger.number("SELECT count(*) FROM outtray.dependency", &[]),
        0
    );
}

#[test]
fn a_group_of_ten_thousand_is_sent_and_finished_as_quickly_as_its_messages() {
    let mut place = Place::polling(NO_POLLING);
    let (tell, told) = unbounded();
    let group = place
        .messaging
        .session(|session| {
            let members = (0..10_000).map(|n| NewMessage::json("members", &n).unwrap());
            Ok(session.send_group(members, NewMessage::json("complete", &0)?)?)
        })
        .unwrap();
    let _complete = place
        .messaging
        .start_receiving_messages("complete", move |_, _: Message| Ok(tell.send(())?))
        .unwrap();
    let _members = place
        .messaging
        .start_receiving_messages("members", done)
        .unwrap();

    next(&told, 1);

    let progress = place.messaging.group_progress(group.id).unwrap();
    assert_eq!((progress.ended, progress.members), (10_000, 10_000));
    assert_eq!(place.count("outtray.message WHERE topic = 'members'"), 0);
}
