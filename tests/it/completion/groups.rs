//! A group is complete when its members are.

mod processes;

use crate::support::{
    Child, Gate, Ledger, NO_POLLING, PATIENCE, Place, WORK, done, eventually, next, process,
    test_name, tracked,
};
use crossbeam_channel::unbounded;
use outtray::{ErrorKind, HandlerError, How, Message, MessageId, MessagingSession, NewMessage};
use std::collections::BTreeSet;
use std::sync::{Arc, Barrier};
use std::time::Duration;

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
