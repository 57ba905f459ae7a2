//! A process that dies makes the topics of its schema suspect, and nobody else's.

use super::{OTHER, job, schema, two_schemas};
use crate::support::{Child, Place, eventually, telling, test_name};
use outtray::{Message, Messaging, Receiver};

const CHILD: &str = test_name!(what_the_child_runs);

/// Receivers of both schemas, whose rows have the same ids as far as these go.
fn receivers(place: &Place, other: &Messaging) -> Vec<Receiver> {
    let of = |messaging: &Messaging| telling::<i32>(messaging.receiver("watching")).0;
    vec![of(&place.messaging), of(other)]
}

fn suspects(place: &mut Place, schema: &str) -> i64 {
    place.count(&format!("{schema}.topic WHERE suspect_until > now()"))
}

#[test]
fn a_dead_receiver_is_found_though_one_of_the_same_number_lives_in_another_schema() {
    let (mut place, other) = two_schemas();
    // Of number 1 in `outtray`, and of 1, 2 and 3 in the other: those live.
    let dead = "INSERT INTO outtray.worker (topic, process, holds_lock, shift) VALUES ('jobs', 'gone', true, 1)";
    place.sql(dead);
    let living: Vec<_> = (0..3)
        .map(|_| telling::<i32>(other.receiver("jobs")).0)
        .collect();
    place.send("jobs", &1);

    let (newcomer, _told) = telling::<i32>(place.messaging.receiver("jobs"));

    let ids = "SELECT count(*) FROM other_1.worker WHERE id IN (1, 2, 3)";
    assert_eq!(place.number(ids), 3.0);
    assert_eq!(place.count("outtray.worker WHERE process = 'gone'"), 0);
    assert_eq!(
        place.count(&format!("{OTHER}.topic WHERE suspect_until IS NOT NULL")),
        0
    );
    drop((living, newcomer));
}

#[test]
fn a_process_that_dies_at_a_message_of_one_schema_leaves_the_other_unsuspected() {
    let (mut place, other) = two_schemas();
    let mut child = Child::start(Child::this_program(), CHILD, &place.url);
    assert_eq!(child.listen(), "receiving");
    place.send("jobs", &1);
    other.send(job(1)).unwrap();
    assert_eq!(child.listen(), "in hand");

    child.kill();
    let receivers = receivers(&place, &other);

    eventually("the death is noticed", || {
        suspects(&mut place, "outtray") > 0
            || place.count("outtray.topic WHERE suspect_until IS NOT NULL") > 0
    });
    assert_eq!(
        place.count(&format!("{OTHER}.topic WHERE suspect_until IS NOT NULL")),
        0
    );
    // Not before: who handles the message ends the suspicion.
    let successors =
        [&place.messaging, &other].map(|messaging| telling::<i32>(messaging.receiver("jobs")));
    for (_, told) in &successors {
        eventually("it is handled", || told.try_recv() == Ok(1));
    }
    drop((receivers, successors));
}

/// Receives in both schemas; has a message in hand in one of them.
#[test]
fn what_the_child_runs() {
    let Some(url) = Child::role() else {
        return;
    };
    let messaging = Messaging::connect(&url).unwrap();
    let stay = |_: &mut outtray::MessagingSession<'_>, _: Message<i32>| {
        Child::tell("in hand");
        Child::await_parent();
        Ok(())
    };
    let _in_hand = messaging.start_receiving_messages("jobs", stay).unwrap();
    let other = schema(&url, OTHER);
    let _other = telling::<i32>(other.receiver("watching"));
    Child::tell("receiving");
    Child::await_parent();
}
