//! Messages that wait: ready, for their time, for others, behind others of their key.

use super::{TOPIC, check_sentence, configure, job, obstacles, why};
use crate::support::{Gate, HOUR, PATIENCE, Place, eventually, reject, telling, tracked};
use outtray::{Backoff, HandlerError, Message, PoisonedKey, Remedy, TopicConfig, WhyState};

#[test]
fn a_ready_message_is_taken_next_and_counts_those_before_it() {
    let place = Place::new();
    let gate = Gate::new();
    let receiver = gate.holding(place.messaging.receiver("others").workers(1));
    place.send_all(TOPIC, 0..12);
    let id = place.send(TOPIC, &12);

    let why = why(&place, id);

    let WhyState::Ready { ahead } = &why.state else {
        panic!("{why:?}");
    };
    assert_eq!((ahead.count, ahead.is_exact), (12, true));
    assert_eq!(why.topic.as_deref(), Some(TOPIC));
    assert_eq!(obstacles(&why), ["no_receiver"]);
    assert!(matches!(&why.remedies[..], [Remedy::Advice(text)] if text.contains(TOPIC)));
    check_sentence(&why, &["is ready, but no receiver of its topic lives"]);
    receiver.stop(PATIENCE);
}

#[test]
fn a_receiver_that_lives_is_told_and_keeps_a_ready_message_from_nothing() {
    let place = Place::new();
    let gate = Gate::new();
    let receiver = gate.holding(
        place
            .messaging
            .receiver(TOPIC)
            .workers(1)
            .messages_per_transaction(1),
    );
    place.send(TOPIC, &0);
    gate.await_arrivals(1);
    let id = place.send(TOPIC, &1);

    let why = why(&place, id);

    assert!(matches!(why.state, WhyState::Ready { .. }), "{why:?}");
    assert_eq!(obstacles(&why), [""; 0]);
    assert_eq!(why.receivers.len(), 1);
    check_sentence(
        &why,
        &["is ready: the next free worker takes it after 1 other"],
    );
    gate.open_for(2);
    receiver.stop(PATIENCE);
}

#[test]
fn more_than_a_thousand_before_it_are_not_counted() {
    let place = Place::new();
    place.send_all(TOPIC, 0..1_500);
    let id = place.send(TOPIC, &0);

    let why = why(&place, id);

    let WhyState::Ready { ahead } = &why.state else {
        panic!("{why:?}");
    };
    assert_eq!((ahead.count, ahead.is_exact), (1_000, false));
}

#[test]
fn a_delayed_message_says_when_it_is_due() {
    let place = Place::new();
    let id = place.send_new(job(1).delay(HOUR));

    let why = why(&place, id);

    let WhyState::Delayed { due_at, due_in } = why.state else {
        panic!("{why:?}");
    };
    assert!(due_in <= HOUR && due_in > HOUR / 2, "{due_in:?}");
    assert_eq!(
        due_at.duration_since(why.asked_at).unwrap().as_secs(),
        due_in.as_secs()
    );
    check_sentence(&why, &["was sent with a delay and is due at", "in 59 min"]);
}

#[test]
fn a_message_that_failed_says_which_attempt_comes_when_and_after_which_error() {
    let place = Place::new();
    let id = place.send(TOPIC, &1);
    let receiver = place
        .messaging
        .receiver(TOPIC)
        .backoff(Backoff::fixed(HOUR));
    let receiver = receiver
        .start(|_, _: Message| Err::<(), _>(HandlerError::from("no route to host")))
        .unwrap();

    eventually("it failed", || {
        place.messaging.topic(TOPIC).stats().unwrap().scheduled == 1
    });
    let why = why(&place, id);

    let WhyState::Retrying {
        due_in,
        attempt,
        error,
        ..
    } = &why.state
    else {
        panic!("{why:?}");
    };
    assert!(*due_in > HOUR / 2, "{due_in:?}");
    assert_eq!((*attempt, why.attempts), (2, 1));
    assert_eq!(error.as_deref(), Some("no route to host"));
    assert_eq!((why.failures.len(), why.failures[0].attempt), (1, 1));
    check_sentence(&why, &["as its 2nd attempt, after: no route to host"]);
    receiver.stop(PATIENCE);
}

#[test]
fn a_failed_head_in_strict_order_is_what_the_others_wait_for() {
    let place = Place::new();
    let first = place.send(TOPIC, &1);
    let second = place.send(TOPIC, &2);
    let receiver = place
        .messaging
        .receiver(TOPIC)
        .strict_order()
        .backoff(Backoff::fixed(HOUR));
    let receiver = receiver
        .start(|_, _: Message| Err::<(), _>("no".into()))
        .unwrap();

    let mut head = why(&place, first);
    eventually("it failed", || {
        head = why(&place, first);
        matches!(head.state, WhyState::Retrying { .. })
    });
    let behind = why(&place, second);

    check_sentence(&head, &["as its 2nd attempt, after: no"]);
    assert_eq!(obstacles(&behind), ["strict_order"], "{behind:?}");
    check_sentence(
        &behind,
        &[&format!(
            "message {first} comes first, which is tried again in"
        )],
    );
    receiver.stop(PATIENCE);
}

#[test]
fn a_message_that_comes_after_others_names_them_and_what_they_wait_for() {
    let place = Place::new();
    let delayed = place.send_new(tracked(TOPIC, 1).delay(HOUR));
    let ready = place.send_new(tracked(TOPIC, 2));
    let id = place.send_new(job(3).after(&[delayed, ready]));

    let why = why(&place, id);

    let WhyState::AfterOthers { on, has_more } = &why.state else {
        panic!("{why:?}");
    };
    assert!(!has_more);
    let told = |id| {
        on.iter()
            .find(|one| one.id == id)
            .unwrap()
            .why
            .as_deref()
            .unwrap()
    };
    assert!(told(delayed).contains("was sent with a delay"), "{on:?}");
    assert!(told(ready).contains("is ready"), "{on:?}");
    check_sentence(&why, &["comes after 2 messages that are not done"]);
}

#[test]
fn a_message_behind_others_of_its_key_tells_of_those_out_of_the_line() {
    let place = Place::new();
    let gate = Gate::new();
    let keyed = |payload| job(payload).key("k");
    let first = place.send_new(keyed(1));
    let receiver = gate.holding(place.messaging.receiver(TOPIC).workers(2));
    gate.await_arrivals(1);
    place.send_new(keyed(2));
    let last = place.send_new(keyed(3));

    let behind = why(&place, last);

    let WhyState::Behind {
        ahead,
        heads,
        blocked_by,
    } = &behind.state
    else {
        panic!("{behind:?}");
    };
    assert_eq!((ahead.count, blocked_by), (2, &None));
    assert_eq!((heads.len(), heads[0].id), (1, first));
    assert!(heads[0].holder.is_some());
    check_sentence(
        &behind,
        &[
            "waits behind 2 others of its key",
            "is in work by server process",
        ],
    );
    gate.open_for(3);
    eventually("all are handled", || place.is_empty(TOPIC));
    receiver.stop(PATIENCE);
}

#[test]
fn a_message_behind_one_that_failed_tells_when_that_is_due() {
    let place = Place::new();
    let keyed = |payload| job(payload).key("k");
    let first = place.send_new(keyed(1));
    let last = place.send_new(keyed(2));
    let receiver = place
        .messaging
        .receiver(TOPIC)
        .backoff(Backoff::fixed(HOUR));
    let receiver = receiver
        .start(|_, _: Message| Err::<(), _>("no".into()))
        .unwrap();
    eventually("it failed", || {
        place.messaging.topic(TOPIC).stats().unwrap().scheduled == 1
    });

    let behind = why(&place, last);

    let WhyState::Behind { heads, .. } = &behind.state else {
        panic!("{behind:?}");
    };
    assert_eq!(heads[0].id, first);
    assert!(heads[0].due_in.unwrap() > HOUR / 2);
    check_sentence(
        &behind,
        &["waits behind another one of its key", "is due (in "],
    );
    receiver.stop(PATIENCE);
}

#[test]
fn a_key_that_a_dead_letter_blocks_names_it_and_what_mends_it() {
    let place = Place::new();
    configure(
        &place,
        TopicConfig {
            poisoned_key: Some(PoisonedKey::Block),
            ..TopicConfig::default()
        },
    );
    let keyed = |payload| job(payload).key("k");
    let first = place.send_new(keyed(1));
    let last = place.send_new(keyed(2));
    let receiver = place.messaging.receiver(TOPIC).start(reject).unwrap();
    eventually("the first one is dead", || {
        !place.dead_letters(TOPIC).is_empty()
    });

    let behind = why(&place, last);

    let WhyState::Behind {
        ahead,
        heads,
        blocked_by,
    } = &behind.state
    else {
        panic!("{behind:?}");
    };
    assert_eq!((ahead.count, heads.len(), *blocked_by), (0, 0, Some(first)));
    check_sentence(&behind, &[&format!("dead letter {first} blocks its key")]);
    let redrive = format!("outtray dead redrive {TOPIC} {first}");
    assert!(behind.remedies.contains(&Remedy::Command(redrive)));
    receiver.stop(PATIENCE);
}

#[test]
fn an_untracked_message_is_found_also_after_a_retry() {
    let mut place = Place::new();
    let id = place.send(TOPIC, &1);
    let receiver = place
        .messaging
        .receiver(TOPIC)
        .backoff(Backoff::fixed(HOUR));
    let receiver = receiver
        .start(|_, _: Message| Err::<(), _>("no".into()))
        .unwrap();
    eventually("it failed", || {
        place.messaging.topic(TOPIC).stats().unwrap().scheduled == 1
    });
    receiver.stop(PATIENCE);
    place.send_all(TOPIC, 0..10_000);
    place.make_due();
    // Whoever takes by hand moves what is due.
    let taken = place.messaging.topic(TOPIC).receive::<i32>(HOUR).unwrap();
    taken.unwrap().ack().unwrap();
    eventually("it is back", || {
        place.messaging.topic(TOPIC).stats().unwrap().scheduled == 0
    });

    let why = why(&place, id);

    assert!(matches!(why.state, WhyState::Ready { .. }), "{why:?}");
    assert_eq!(why.attempts, 1);
}

#[test]
fn a_message_of_a_session_that_is_open_is_not_there_yet() {
    let place = Place::new();
    let id = place
        .messaging
        .session(|session| {
            let id = session.send_message(TOPIC, &1)?;
            let not_yet = why(&place, id);
            assert!(
                matches!(not_yet.state, WhyState::NotThere { is_sure: true }),
                "{not_yet:?}"
            );
            check_sentence(&not_yet, &["its sender has not committed"]);
            Ok(id)
        })
        .unwrap();

    assert!(matches!(why(&place, id).state, WhyState::Ready { .. }));
    let (receiver, told) = telling::<i32>(place.messaging.receiver(TOPIC));
    assert_eq!(told.recv_timeout(PATIENCE), Ok(1));
    receiver.stop(PATIENCE);
}
