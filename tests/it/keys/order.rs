//! One at a time, in the order of sending, also through retries, delays and strict order.

use super::{TOPIC, keyed};
use crate::support::{A_WHILE, Gate, PATIENCE, Place, eventually, next, process};
use crossbeam_channel::unbounded;
use outtray::{Backoff, HandlerError, Message};
use std::time::Duration;

#[test]
fn one_message_of_a_key_is_in_work_while_other_keys_and_none_flow() {
    let mut place = Place::watchful();
    let elsewhere = process(&place.url, Duration::from_millis(50));
    let (gate, (tell, told)) = (Gate::new(), unbounded());
    for n in 0..3 {
        place.send_new(keyed("stuck", n));
    }
    let start = |messaging: &outtray::Messaging| {
        let (gate, tell) = (gate.clone(), tell.clone());
        messaging
            .receiver(TOPIC)
            .workers(4)
            .start(move |_, message: Message<i32>| {
                if message.key.as_deref() == Some("stuck") {
                    gate.pass();
                }
                Ok(tell.send((message.key, message.payload))?)
            })
            .unwrap()
    };
    let receivers = [start(&place.messaging), start(&elsewhere)];

    for n in 0..3 {
        gate.await_arrivals(1);
        place.send_new(keyed("other", n));
        place.send(TOPIC, &n);
        let mut others = next(&told, 2);
        others.sort();
        assert_eq!(others, [(None, n), (Some("other".to_owned()), n)]);
        assert!(gate.is_lonely_for(A_WHILE));
        gate.open_for(1);
        assert_eq!(next(&told, 1), [(Some("stuck".to_owned()), n)]);
    }

    place.await_no_trace();
    for receiver in receivers {
        receiver.stop(PATIENCE);
    }
}

#[test]
fn a_failing_message_is_retried_and_never_overtaken_by_one_of_its_key() {
    let mut place = Place::new();
    for n in 0..4 {
        place.send_new(keyed("a", n));
    }
    let (tell, told) = unbounded();

    let _receiver = place
        .messaging
        .receiver(TOPIC)
        .workers(4)
        .backoff(Backoff::fixed(Duration::from_millis(20)))
        .start(move |_, message: Message<i32>| {
            tell.send((message.payload, message.attempt))?;
            match message.payload % 2 == 0 && message.attempt < 3 {
                true => Err(HandlerError::failed("again")),
                false => Ok(()),
            }
        })
        .unwrap();

    let expected = [
        (0, 1),
        (0, 2),
        (0, 3),
        (1, 1),
        (2, 1),
        (2, 2),
        (2, 3),
        (3, 1),
    ];
    assert_eq!(next(&told, 8), expected);
    place.await_no_trace();
}

#[test]
fn a_new_message_waits_behind_the_backoff_or_the_snooze_of_its_key() {
    for is_snoozed in [false, true] {
        let mut place = Place::watchful();
        place.send_new(keyed("a", 1));
        let (tell, told) = unbounded();
        let _receiver = place
            .messaging
            .receiver(TOPIC)
            .backoff(Backoff::fixed(Duration::from_secs(600)))
            .start(move |_, message: Message<i32>| {
                tell.send(message.payload)?;
                match (message.payload, message.sent_at.elapsed()) {
                    (1, Ok(age)) if age < Duration::from_secs(3600) => match is_snoozed {
                        true => Err(HandlerError::snooze(Duration::from_secs(600))),
                        false => Err(HandlerError::failed("again")),
                    },
                    _ => Ok(()),
                }
            })
            .unwrap();
        assert_eq!(next(&told, 1), [1]);
        eventually("it waits", || place.count("outtray.scheduled") == 1);
        place.send_new(keyed("a", 2));
        place.send_new(keyed("b", 3));
        assert_eq!(next(&told, 1), [3]);
        assert!(told.recv_timeout(A_WHILE).is_err());

        place.sql(
            "UPDATE outtray.scheduled SET due_at = now(), sent_at = now() - interval '2 hours'",
        );

        assert_eq!(next(&told, 2), [1, 2]);
        place.await_no_trace();
    }
}

#[test]
fn a_delayed_message_takes_its_place_when_it_is_due() {
    let mut place = Place::watchful();
    let gate = Gate::new();
    let delayed = |n| keyed("a", n).delay(Duration::from_secs(600));
    place.send_new(delayed(1));
    place.send_new(delayed(2));
    place.send_new(keyed("a", 3));
    place.send_new(keyed("a", 4));
    let (_receiver, told) = gate.telling::<i32>(place.messaging.receiver(TOPIC).workers(4));

    gate.await_arrivals(1);
    place.make_due();
    eventually("both wait behind", || place.count("outtray.follower") == 3);
    assert!(gate.is_lonely_for(A_WHILE));
    gate.open_for(4);
    let mut order = next(&told, 4);
    assert_eq!(order[..2], [3, 4]);
    order.sort_unstable();
    assert_eq!(order, [1, 2, 3, 4]);
    place.await_no_trace();

    // And where nobody is before it.
    place.send_new(delayed(5));
    place.make_due();
    gate.open_for(1);
    assert_eq!(next(&told, 1), [5]);
    place.await_no_trace();
}

#[test]
fn a_drain_handles_whole_keys_in_order() {
    let mut place = Place::new();
    for n in 0..30 {
        place.send_new(keyed(if n % 3 == 0 { "a" } else { "b" }, n));
    }
    place.send_new(keyed("a", 30).delay(Duration::from_secs(600)));
    place.make_due();
    let (tell, told) = unbounded();

    let report = place
        .messaging
        .drain(TOPIC, move |_, message: Message<i32>| {
            Ok(tell.send((message.key, message.payload))?)
        })
        .unwrap();

    assert_eq!(report.handled, 31);
    let told: Vec<(Option<String>, i32)> = told.try_iter().collect();
    for key in ["a", "b"] {
        let of_key: Vec<i32> = told
            .iter()
            .filter(|(of, _)| of.as_deref() == Some(key))
            .map(|(_, n)| *n)
            .collect();
        assert!(of_key.len() > 9 && of_key.is_sorted(), "{of_key:?}");
    }
    place.await_no_trace();
}

#[test]
fn a_topic_in_strict_order_stays_in_order_with_keys() {
    let mut place = Place::watchful();
    for n in 0..20 {
        match n % 3 {
            0 => place.send_new(keyed("a", n)),
            1 => place.send_new(keyed("b", n)),
            _ => place.send(TOPIC, &n),
        };
    }
    let (tell, told) = unbounded();

    let _receiver = place
        .messaging
        .receiver(TOPIC)
        .strict_order()
        .backoff(Backoff::fixed(Duration::from_millis(10)))
        .start(move |_, message: Message<i32>| {
            if message.payload % 5 == 0 && message.attempt == 1 {
                return Err(HandlerError::failed("again"));
            }
            Ok(tell.send(message.payload)?)
        })
        .unwrap();

    assert_eq!(next(&told, 20), (0..20).collect::<Vec<_>>());
    place.await_no_trace();
}

#[test]
fn a_session_with_and_without_keys_stays_in_order() {
    let mut place = Place::new();
    place
        .messaging
        .session(|session| {
            for n in 0..9 {
                match n % 3 {
                    0 => session.send(keyed("a", n))?.id(),
                    1 => session.send(keyed("b", n))?.id(),
                    _ => session.send_message(TOPIC, &n)?,
                };
            }
            Ok(())
        })
        .unwrap();

    assert_eq!(
        place.count("outtray.message"),
        5,
        "two heads, three without a key"
    );
    assert_eq!(place.count("outtray.follower"), 4);
    let peeked = place.messaging.topic(TOPIC).peek(100).unwrap();
    let order: Vec<i32> = peeked
        .iter()
        .map(|message| message.payload.to_string().parse().unwrap())
        .collect();
    assert_eq!(order, [0, 1, 2, 5, 8, 3, 6, 4, 7]);
}
