//! Groups whose members eight processes handle, some of which are killed meanwhile.

use crate::support::{Child, NO_POLLING, PATIENCE, Place, eventually, process, test_name};
use outtray::{Message, MessageId, NewMessage};
use std::collections::BTreeSet;
use std::time::Duration;

const PROCESSES: usize = 8;
const KILLED: usize = 3;
const GROUPS: i64 = 20;
const MEMBERS: i64 = 8;

/// Handles members and completions. The role is the database.
#[test]
fn what_a_child_process_runs() {
    let Some(url) = Child::role() else { return };
    let messaging = process(&url, Duration::from_millis(200));
    let receivers = ["member", "complete"].map(|topic| {
        let receiver = messaging.receiver(topic).workers(2);
        let handled = receiver.start(move |session, message: Message<i64>| {
            let insert = "INSERT INTO handled VALUES ($1, $2)";
            session.execute(insert, &[&topic, &message.id.as_uuid()])?;
            Ok(())
        });
        handled.unwrap()
    });
    Child::tell("ready");
    Child::await_parent();
    for receiver in receivers {
        receiver.stop(PATIENCE);
    }
}

#[test]
fn each_group_is_completed_once_by_eight_processes_of_which_three_are_killed() {
    let mut place = Place::polling(NO_POLLING);
    place.sql("CREATE TABLE handled (topic text, id uuid)");
    let child = test_name!(what_a_child_process_runs);
    let mut children: Vec<Child> = (0..PROCESSES)
        .map(|_| Child::start(Child::this_program(), child, &place.url))
        .collect();
    for child in &mut children {
        assert_eq!(child.listen(), "ready");
    }

    let groups: BTreeSet<MessageId> = (0..GROUPS)
        .map(|group| {
            let sent = place.messaging.session(|session| {
                let members = (0..MEMBERS).map(|n| NewMessage::json("member", &n).unwrap());
                let completion = NewMessage::json("complete", &group)?;
                Ok(session.send_group(members, completion)?.id)
            });
            sent.unwrap()
        })
        .collect();
    eventually("many members are handled", || {
        place.count("handled WHERE topic = 'member'") > GROUPS
    });
    for child in children.drain(..KILLED) {
        child.kill();
    }
    eventually("all groups are complete", || {
        place.count("handled WHERE topic = 'complete'") >= GROUPS
    });
    for child in children {
        child.finish();
    }

    let members = place.count("handled WHERE topic = 'member'");
    assert_eq!(members, GROUPS * MEMBERS);
    let query = "SELECT id FROM handled WHERE topic = 'complete'";
    let rows = place.client.query(query, &[]).unwrap();
    assert_eq!(rows.len(), groups.len());
    let ids = rows
        .iter()
        .map(|row| MessageId::from(row.get::<_, uuid::Uuid>(0)));
    assert_eq!(ids.collect::<BTreeSet<_>>(), groups);
    assert_eq!(place.count("outtray.dependency"), 0);
}
