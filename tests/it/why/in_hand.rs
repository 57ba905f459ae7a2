//! Messages that a worker, or the holder of a lease, has in hand.

use super::{TOPIC, check_sentence, configure, job, obstacles, why};
use crate::support::{
    Child, Gate, HOUR, Ledger, PATIENCE, Place, WORK, eventually, test_name, tracked,
};
use outtray::{How, Messaging, Obstacle, TopicConfig, WhyState};

const CHILD: &str = test_name!(what_child_processes_run);

#[test]
fn a_message_in_work_tells_whose_session_has_it_and_for_how_long() {
    let place = Place::new();
    let gate = Gate::new();
    let id = place.send(TOPIC, &1);
    let receiver = gate.holding(place.messaging.receiver(TOPIC));
    gate.await_arrivals(1);

    let why = why(&place, id);

    let WhyState::InWork {
        holder,
        is_cancelled,
        ..
    } = &why.state
    else {
        panic!("{why:?}");
    };
    assert!(!is_cancelled);
    assert_eq!(holder.program.as_deref(), Some("outtray"));
    assert_eq!(holder.state.as_deref(), Some("idle in transaction"));
    assert!(holder.server_process.is_some() && holder.role.is_some());
    assert!(holder.open_for.is_some_and(|open| open < PATIENCE));
    assert_eq!(why.not_known, [""; 0]);
    check_sentence(
        &why,
        &["is in work by server process", "idle in transaction"],
    );
    gate.open_for(1);
    receiver.stop(PATIENCE);
}

#[test]
fn a_handler_that_has_run_for_long_is_told_with_its_process_and_worker() {
    let place = Place::new();
    let gate = Gate::new();
    let held = place.send(TOPIC, &1);
    let receiver = gate.holding(place.messaging.receiver(TOPIC));
    let leased = place.send("slow", &2);
    let leasing = gate.holding(place.messaging.receiver("slow").lease(HOUR));
    gate.await_arrivals(2);

    for id in [held, leased] {
        let mut told = why(&place, id);
        // Its process says so with its next sign of life.
        eventually("its worker is told", || {
            told = why(&place, id);
            matches!(
                told.state,
                WhyState::InWork {
                    worker: Some(_),
                    ..
                } | WhyState::Leased {
                    worker: Some(_),
                    ..
                }
            )
        });
        check_sentence(&told, &[", worker ", " for "]);
    }
    gate.open_for(2);
    receiver.stop(PATIENCE);
    leasing.stop(PATIENCE);
}

#[test]
fn a_message_in_work_that_was_cancelled_says_so() {
    let place = Place::new();
    let gate = Gate::new();
    let id = place.send_new(tracked(TOPIC, 1));
    let receiver = gate.holding(place.messaging.receiver(TOPIC));
    gate.await_arrivals(1);
    place.messaging.cancel(id).unwrap();

    let asked = why(&place, id);

    let is_asked = matches!(
        asked.state,
        WhyState::InWork {
            is_cancelled: true,
            ..
        }
    );
    assert!(is_asked, "{asked:?}");
    check_sentence(&asked, &["who is asked to give up"]);
    gate.open_for(1);
    receiver.stop(PATIENCE);
}

#[test]
fn a_leased_message_says_until_when_and_as_which_attempt() {
    let place = Place::new();
    let id = place.send(TOPIC, &1);
    let delivery = place
        .messaging
        .topic(TOPIC)
        .receive::<i32>(HOUR)
        .unwrap()
        .unwrap();

    let leased = why(&place, id);

    let WhyState::Leased {
        left,
        attempt,
        is_cancelled,
        ..
    } = leased.state
    else {
        panic!("{leased:?}");
    };
    assert!(left > HOUR / 2 && left <= HOUR, "{left:?}");
    assert_eq!((attempt, leased.attempts, is_cancelled), (1, 0, false));
    check_sentence(
        &leased,
        &["is in work under a lease until", "as its 1st attempt"],
    );
    delivery.ack().unwrap();
}

#[test]
fn a_limit_of_messages_in_work_names_those_who_have_them() {
    let place = Place::new();
    configure(
        &place,
        TopicConfig {
            max_in_work: Some(2),
            ..TopicConfig::default()
        },
    );
    let gate = Gate::new();
    let receiver = gate.holding(
        place
            .messaging
            .receiver(TOPIC)
            .workers(2)
            .messages_per_transaction(1),
    );
    place.send_all(TOPIC, 0..2);
    gate.await_arrivals(2);
    let id = place.send(TOPIC, &2);

    let why = why(&place, id);

    assert_eq!(obstacles(&why), ["max_in_work_used_up"]);
    let Obstacle::MaxInWorkUsedUp {
        limit,
        leased,
        holders,
    } = &why.obstacles[0]
    else {
        panic!("{why:?}");
    };
    assert_eq!((*limit, *leased, holders.len()), (2, 0, 2));
    check_sentence(
        &why,
        &["its topic has as many messages in work as may be (2), by server process"],
    );
    gate.open_for(3);
    receiver.stop(PATIENCE);
}

#[test]
fn leases_count_towards_the_limit_of_messages_in_work() {
    let place = Place::new();
    configure(
        &place,
        TopicConfig {
            max_in_work: Some(1),
            ..TopicConfig::default()
        },
    );
    place.send(TOPIC, &0);
    let delivery = place
        .messaging
        .topic(TOPIC)
        .receive::<i32>(HOUR)
        .unwrap()
        .unwrap();
    let id = place.send_new(job(1));

    let why = why(&place, id);

    assert_eq!(obstacles(&why), ["no_receiver", "max_in_work_used_up"]);
    check_sentence(&why, &["as may be (1), 1 of them under leases"]);
    delivery.ack().unwrap();
}

#[test]
fn a_process_that_was_killed_leaves_its_topic_suspect_and_its_message_ready() {
    let ledger = Ledger::open();
    let child = ledger.child(CHILD, "receive");
    let sent = ledger.send(["slow"]);
    let mut child = child;
    assert_eq!(child.listen(), "begun");
    let messaging = ledger.messaging();
    let in_work = messaging.why(sent[0]).unwrap();
    assert!(
        matches!(in_work.state, WhyState::InWork { .. }),
        "{in_work:?}"
    );

    child.kill();

    eventually("its message is free", || {
        matches!(
            messaging.why(sent[0]).unwrap().state,
            WhyState::Ready { .. }
        )
    });
    let alone = messaging.why(sent[0]).unwrap();
    assert!(
        obstacles(&alone).contains(&"no_receiver".to_owned()),
        "{alone:?}"
    );
    // Whoever starts finds the one that died.
    let gate = Gate::new();
    let receiver = gate.holding(messaging.receiver(WORK).workers(1));
    gate.await_arrivals(1);
    let suspect = messaging.why(sent[0]).unwrap();
    assert!(
        matches!(suspect.state, WhyState::InWork { .. }),
        "{suspect:?}"
    );
    let other = ledger.send(["other"]);
    let behind = messaging.why(other[0]).unwrap();
    assert!(
        obstacles(&behind).contains(&"suspect".to_owned()),
        "{behind:?}"
    );
    gate.open_for(2);
    receiver.stop(PATIENCE);
}

#[test]
fn what_child_processes_run() {
    if Child::role().as_deref() != Some("receive") {
        return;
    }
    let messaging: Messaging = Ledger::messaging_of_parent();
    let receiver = messaging
        .receiver(WORK)
        .start(|_, _: outtray::Message<String>| {
            Child::tell("begun");
            Child::await_parent();
            Ok(())
        });
    let _kept = receiver.unwrap();
    Child::await_parent();
}

#[test]
fn a_role_that_sees_little_says_what_it_does_not_know() {
    let mut place = Place::new();
    let gate = Gate::new();
    let id = place.send_new(tracked(TOPIC, 1));
    let receiver = gate.holding(place.messaging.receiver(TOPIC));
    gate.await_arrivals(1);
    let guest = super::guest(&mut place);

    let why = guest.why(id).unwrap();

    let WhyState::InWork { holder, .. } = &why.state else {
        panic!("{why:?}");
    };
    assert!(holder.server_process.is_some() && holder.state.is_none() && holder.open_for.is_none());
    assert!(why.not_known[0].contains("pg_read_all_stats"), "{why:?}");
    gate.open_for(1);
    assert_eq!(crate::support::awaited(&place.messaging, id).how, How::Done);
    receiver.stop(PATIENCE);
}
